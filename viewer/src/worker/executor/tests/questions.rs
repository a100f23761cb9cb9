use super::samples::ORGAN;
use super::*;

fn answers(events: &[Event]) -> Vec<(u64, usize, usize)> {
    let answer = |e: &Event| match e {
        Event::Answer { number, slice, labels } => {
            assert_eq!(labels.len(), 3600);
            Some((*number, *slice, labels.iter().filter(|&&l| l == ORGAN.label()).count()))
        }
        _ => None,
    };
    events.iter().filter_map(answer).collect()
}

#[test]
fn a_what_if_is_answered_in_the_middle_of_a_run() {
    let mut rig = Rig::with_sample();
    rig.platform.state().slow = 1;
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::SliceDone { slice: 2, .. }));
    rig.ask(9, 7, 1.0);
    rig.ask(10, 3, 0.01);
    let events = rig.until(|e| matches!(e, Event::Answer { number: 10, .. }));
    let late = rig.rest();
    let mut all = answers(&events);
    all.extend(answers(&late));
    all.sort_unstable();
    let [(9, 7, rod), (10, 3, 0)] = all[..] else { panic!("{all:?}") };
    assert!(rod > 50);
    assert!(matches!(late.last(), Some(Event::RunFinished { .. })));
    // The run itself is complete all the same.
    let mut slices = done(&events);
    slices.extend(done(&late));
    slices.sort_unstable();
    assert_eq!(slices, [3, 4, 5, 6, 7, 8]);
}

#[test]
fn the_slice_that_was_computed_last_is_answered_without_computing() {
    let mut rig = Rig::with_sample();
    rig.run(5, 0);
    rig.rest();
    let before = rig.submitted();
    rig.ask(9, *before.last().unwrap(), 0.5);
    assert_eq!(answers(&rig.step()).len(), 1);
    assert_eq!(rig.submitted(), before);
}

#[test]
fn thin_slices_are_answered_from_their_neighbours_with_and_without_a_run() {
    let mut rig = Rig::new();
    rig.open(vec![bytes("thin", samples::nifti(&samples::with_spacing(SLICES, 1.0)))]);
    rig.ask(9, 4, 1.0);
    let events = rig.rest();
    assert_eq!(rig.submitted(), [3, 6]);
    let [(9, 4, rod)] = answers(&events)[..] else { panic!("{events:?}") };
    assert!(rod > 50);
}

#[test]
fn a_newer_question_about_a_slice_takes_the_place_of_an_older_one() {
    let mut rig = Rig::with_sample();
    rig.platform.state().slow = 20;
    for number in 9..15 {
        rig.ask(number, 4, 1.0);
        rig.step();
    }
    rig.ask(15, 4, 0.0);
    assert_eq!(answers(&rig.rest()), [(15, 4, 0)]);
    // One computation served all of them.
    assert_eq!(rig.submitted(), [4]);
}

#[test]
fn a_device_that_is_lost_under_a_question_is_said_and_opened_anew() {
    let mut rig = Rig::with_sample();
    rig.platform.state().fails_at = Some(4);
    rig.ask(9, 4, 1.0);
    assert!(matches!(rig.rest().last(), Some(Event::DeviceFailed(_))));
    rig.ask(10, 4, 1.0);
    assert!(matches!(answers(&rig.rest())[..], [(10, 4, _)]));
}

#[test]
fn a_question_about_no_slice_or_no_study_changes_nothing() {
    let mut rig = Rig::with_sample();
    rig.ask(9, 4000, 1.0);
    assert!(answers(&rig.rest()).is_empty());
    let mut rig = Rig::new();
    rig.ask(9, 0, 1.0);
    assert!(answers(&rig.rest()).is_empty());
}
