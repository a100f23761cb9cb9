use attention_anatomy::infer::{ComputeKind, DevicePreference};

use super::samples::{APART, ORGAN};
use super::*;

fn liver(labels: &[u8]) -> usize {
    labels.iter().filter(|&&l| l == ORGAN.label()).count()
}

#[test]
fn the_slice_on_screen_comes_first_then_outwards_and_the_run_ends_with_the_clean_up() {
    let mut rig = Rig::with_sample();
    rig.run(5, 6);
    let events = rig.rest();
    assert_eq!(done(&events), [6, 7, 5, 8, 4, 3, 2, 1, 0]);
    assert!(matches!(&events[0], Event::Device(d) if d.name == "fake GPU" && d.kind == ComputeKind::Gpu));
    let mut sizes = [0; SLICES];
    for event in &events {
        match event {
            Event::SliceDone { run, slice, labels, margin, removed } => {
                let (labels, margin) = (labels.to_vec(), margin.to_vec());
                assert_eq!((*run, labels.len(), margin.len()), (5, 3600, 3600));
                assert_eq!(*removed, Some([0; ORGAN_COUNT]));
                assert!(margin.contains(&255) && margin.iter().any(|&m| m < 220));
                sizes[*slice] = liver(&labels);
            }
            Event::Anatomy { run, anatomy } => assert!(*run == 5 && anatomy.attention.is_some()),
            _ => {}
        }
    }
    // Only where there was a piece apart did the clean-up change anything.
    let cleaned: Vec<(usize, usize)> = events
        .iter()
        .filter_map(|e| {
            if let Event::SliceCleaned { slice, labels, run: 5 } = e {
                Some((*slice, liver(&labels.to_vec())))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(cleaned, [(APART, sizes[APART - 1])]);
    match events.last() {
        Some(Event::RunFinished { run: 5, removed }) => assert_eq!(*removed, sizes[APART] - sizes[APART - 1]),
        other => panic!("{other:?}"),
    }
    let totals: Vec<_> = events
        .iter()
        .filter_map(|e| if let Event::Progress { done, total, .. } = e { Some((*done, *total)) } else { None })
        .collect();
    assert_eq!((totals.first(), totals.last()), (Some(&(0, SLICES)), Some(&(SLICES, SLICES))));
}

#[test]
fn a_slice_that_comes_on_screen_is_next() {
    let mut rig = Rig::with_sample();
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::SliceDone { .. }));
    let before = rig.submitted().len();
    rig.tell(Command::Focus { slice: 7 });
    rig.rest();
    assert_eq!(rig.submitted()[before..before + 3], [7, 8, 6]);
}

#[test]
fn no_slice_starts_after_a_cancel() {
    let mut rig = Rig::with_sample();
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::SliceDone { slice: 1, .. }));
    rig.tell(Command::CancelRun);
    let started = rig.submitted();
    let events = rig.rest();
    assert_eq!(rig.submitted(), started);
    assert!(matches!(events.last(), Some(Event::RunCancelled { run: 5 })));
    // And again, from the start.
    rig.run(6, 0);
    assert!(matches!(rig.rest().last(), Some(Event::RunFinished { run: 6, .. })));
}

#[test]
fn a_run_that_has_not_begun_is_cancelled_at_once() {
    let mut rig = Rig::with_sample();
    rig.platform.state().patience = 1000;
    rig.run(5, 0);
    rig.step();
    rig.tell(Command::CancelRun);
    assert!(matches!(&rig.step()[..], [Event::RunCancelled { run: 5 }]));
    assert!(rig.submitted().is_empty());
}

#[test]
fn a_pause_holds_the_run_and_a_cancel_ends_it() {
    let mut rig = Rig::with_sample();
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::SliceDone { .. }));
    rig.tell(Command::Pause(true));
    // What is under way still comes, and then nothing.
    rig.rest();
    let held = rig.submitted().len();
    assert!(held < SLICES && rig.rest().is_empty());
    rig.tell(Command::Pause(false));
    rig.until(|e| matches!(e, Event::SliceDone { .. }));
    rig.tell(Command::Pause(true));
    rig.rest();
    rig.tell(Command::CancelRun);
    assert!(matches!(rig.rest().last(), Some(Event::RunCancelled { run: 5 })));
}

#[test]
fn a_new_run_ends_the_old_one_whose_slices_never_come_under_the_new_number() {
    let mut rig = Rig::with_sample();
    rig.platform.state().slow = 3;
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::Progress { .. }));
    rig.step();
    rig.run(6, 8);
    let events = rig.rest();
    assert!(matches!(events.first(), Some(Event::RunCancelled { run: 5 })));
    assert_eq!(done(&events)[0], 8);
    assert!(events.iter().all(|e| !matches!(e, Event::SliceDone { run: 5, .. })));
    assert!(matches!(events.last(), Some(Event::RunFinished { run: 6, .. })));
}

#[test]
fn a_lost_device_keeps_what_was_done_and_the_next_run_opens_one_anew() {
    let mut rig = Rig::with_sample();
    rig.platform.state().fails_at = Some(4);
    rig.run(5, 0);
    let events = rig.rest();
    assert_eq!(done(&events), [0, 1, 2, 3]);
    match events.last() {
        Some(Event::RunFailed { run: 5, message, device_lost: true }) => assert!(message.contains("stopped working")),
        other => panic!("{other:?}"),
    }
    rig.run(6, 0);
    let events = rig.rest();
    assert!(matches!(&events[0], Event::Device(_)));
    assert!(matches!(events.last(), Some(Event::RunFinished { run: 6, .. })));
    assert_eq!(rig.platform.state().opened, ["fake GPU", "fake GPU"]);
    // A second time, and the processor takes over.
    rig.platform.state().fails_at = Some(2);
    rig.run(7, 0);
    rig.rest();
    rig.run(8, 0);
    let events = rig.rest();
    assert!(
        matches!(&events[0], Event::Device(d) if d.name == "fake CPU" && d.notes[0].contains("stopped working twice"))
    );
    assert!(matches!(events.last(), Some(Event::RunFinished { run: 8, .. })));
}

#[test]
fn another_device_takes_over_in_the_middle_of_a_run() {
    let mut rig = Rig::with_sample();
    rig.platform.state().slow = 2;
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::SliceDone { slice: 2, .. }));
    rig.tell(Command::UseDevice(DevicePreference::Cpu));
    let events = rig.rest();
    assert!(events.iter().any(|e| matches!(e, Event::Device(d) if d.name == "fake CPU")));
    let mut all = done(&events);
    all.sort_unstable();
    assert_eq!(all, [3, 4, 5, 6, 7, 8]);
    assert!(matches!(events.last(), Some(Event::RunFinished { run: 5, .. })));
    // One that cannot be had changes nothing.
    rig.platform.state().device_error = Some("no such device".into());
    rig.tell(Command::UseDevice(DevicePreference::Gpu));
    assert!(matches!(&rig.rest()[..], [Event::DeviceFailed(m)] if m == "no such device"));
    rig.run(6, 0);
    assert!(matches!(rig.rest().last(), Some(Event::RunFinished { run: 6, .. })));
}

#[test]
fn without_a_device_a_run_fails_with_the_reason_and_the_next_one_tries_again() {
    let mut rig = Rig::with_sample();
    rig.platform.state().device_error = Some("broken driver".into());
    rig.run(5, 0);
    let events = rig.rest();
    assert!(
        matches!(events.last(), Some(Event::RunFailed { message, device_lost: false, .. }) if message == "broken driver")
    );
    rig.run(6, 0);
    assert!(matches!(rig.rest().last(), Some(Event::RunFinished { run: 6, .. })));
}

#[test]
fn nothing_runs_without_a_ct() {
    let mut rig = Rig::new();
    rig.run(5, 0);
    assert!(matches!(&rig.rest()[..], [Event::RunFailed { run: 5, .. }, Event::Weights(_)]));
    // An image that is no CT can be looked at, not segmented.
    let mut rig = Rig::new();
    let mut plain = samples::ct(SLICES);
    plain.voxels.iter_mut().for_each(|v| *v = 2000 + *v % 7);
    rig.open(vec![bytes("odd", samples::nifti(&plain))]);
    rig.run(5, 0);
    assert!(
        matches!(rig.rest().last(), Some(Event::NotHu { run: 5, message }) if message.contains("do not look like CT"))
    );
    // Unless the user knows better.
    rig.tell(Command::AssumeHu);
    rig.run(6, 0);
    assert!(matches!(rig.rest().last(), Some(Event::RunFinished { run: 6, .. })));
}

#[test]
fn closing_the_study_ends_all_that_was_asked_about_it() {
    let mut rig = Rig::with_sample();
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::SliceDone { .. }));
    rig.ask(9, 3, 1.0);
    rig.tell(Command::Close);
    assert!(matches!(&rig.rest()[..], [Event::RunCancelled { run: 5 }]));
}

#[test]
fn the_engine_is_made_while_nothing_else_is_to_be_done_once_for_weights_and_device() {
    let mut rig = Rig::with_sample();
    let engines = |rig: &Rig| rig.platform.state().engines;
    assert_eq!(engines(&rig), 0, "without a device");
    rig.tell(Command::UseDevice(DevicePreference::Cpu));
    rig.rest();
    assert_eq!(engines(&rig), 1);
    rig.run(1, 0);
    rig.rest();
    assert_eq!(engines(&rig), 1, "the run finds it");
    rig.tell(Command::UseDevice(DevicePreference::Gpu));
    rig.rest();
    assert_eq!(engines(&rig), 2, "another device");
    rig.open(vec![bytes("mine", samples::weights())]);
    rig.rest();
    assert_eq!(engines(&rig), 3, "other weights");
}
