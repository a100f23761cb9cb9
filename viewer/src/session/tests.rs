use attention_anatomy::anatomy::Organ;
use proptest::prelude::*;

use attention_anatomy::anatomy::{ORGAN_COUNT, OrganSet};
use attention_anatomy::infer::SliceAnatomy;

use super::*;
use crate::display::{Layout, Plane};
use crate::document::bench::Bench;
use crate::document::{RunPhase, Study};
use crate::edit::samples::ct;
use crate::edit::{ByteSlices, Dab, EditSettings, Ink};
use crate::worker::{Command, Event, Opened};

const SIZE: [usize; 3] = [12, 10, 6];

fn study(name: &str, spacing: f64) -> Bench {
    let mut bench = Bench::default();
    bench.document.study = Some(Study::of_ct(1, name.into(), ct(SIZE, [spacing, 1.0, 2.0])));
    bench
}

fn save(bench: &Bench) -> Option<String> {
    let (head, labels) = bench.document.session()?;
    Some(write(head, &labels))
}

/// As the worker and the window do it together.
fn restore(bench: &mut Bench, text: &str) {
    let key = bench.study.as_ref().map(|study| study.key.clone());
    match read(text, key.as_ref()) {
        Ok(Session { head, network, edits, edited_voxels, extras }) => {
            let what = Opened::Session { head: Box::new(head), network, edits, edited_voxels, extras };
            bench.apply(Event::Opened { job: 1, what });
        }
        Err(error) => bench.apply(Event::OpenFailed { job: 1, message: error.to_string() }),
    }
}

/// A study with labels from a run, one stroke over them, and settings of its own.
fn edited() -> Bench {
    let mut state = study("SECRET^NAME", 1.0);
    let study = state.study.as_mut().unwrap();
    for k in 0..6 {
        study.labels.apply_run_slice(k, &(0..120).map(|n| ((n / 12 + k) % 34) as u8).collect::<Vec<_>>());
    }
    let dab = Dab { way: [[3.0, 4.0, 2.0], [8.0, 4.0, 2.0]], radius_mm: 1.5, plane: Some(Plane::Axial) };
    study.labels.stroke(&dab, Ink::Erase(None), &EditSettings::default());
    study.enabled = [Organ::Heart, Organ::Liver].into_iter().collect();
    let regions = [0.1, 0.2, 0.3, 0.4, f32::NAN];
    study.anatomy[3] = Some(SliceAnatomy { slice: 3, position_mm: 7.25, regions, attention: Some([0.5; ORGAN_COUNT]) });
    (study.removed[3], study.drawn[3]) = (Some([9; ORGAN_COUNT]), Some(77));
    state.view.cursor = [5, 6, 3];
    state.view.window.width = 1234.0;
    state.view.styles[4].colour = [1, 2, 3];
    state.view.selected = Some(Organ::Heart);
    state.preferences.layout = Layout::ThreeUp;
    state.run.phase = RunPhase::Finished;
    state
}

fn errors(state: &Bench) -> Vec<String> {
    state
        .outbox
        .notices
        .iter()
        .filter(|n| n.severity == crate::document::Severity::Error)
        .map(|n| n.text.clone())
        .collect()
}

#[test]
fn labels_that_are_still_being_laid_over_others_are_saved_whole() {
    const LARGE: [usize; 3] = [64, 64, 96];
    let mut bench = Bench::default();
    let mut study = Study::of_ct(1, "large".into(), ct(LARGE, [1.0; 3]));
    let opened = ByteSlices::cut(&vec![Organ::Liver.label(); 64 * 64 * 96], 64 * 64);
    study.labels.open_labels("liver.nii", opened, None, Vec::new());
    assert!(study.labels.is_busy());
    bench.document.study = Some(study);
    bench.document.save_session(&mut bench.outbox);
    let Some(Command::SaveSession { labels, .. }) = bench.outbox.commands.pop() else { panic!("nothing was saved") };
    assert!((0..96).all(|k| labels.network_slice(k) == [Organ::Liver.label(); 64 * 64]));
}

#[test]
fn all_comes_back_on_the_same_ct() {
    let before = edited();
    let text = save(&before).unwrap();
    assert!(text.contains("\"attention_anatomy_session\": 1") && text.contains("Not a medical device"));
    assert!(!text.contains("SECRET"), "the name of the file may name the patient");

    let mut after = study("other name", 1.0);
    after.start_run();
    after.outbox.commands.clear();
    restore(&mut after, &text);
    assert_eq!(errors(&after), [""; 0]);
    let (a, mut after) = (before.document.study.unwrap(), after);
    let b = after.document.study.as_mut().unwrap();
    assert_eq!(a.labels.layer().voxels(), b.labels.layer().voxels());
    for k in 0..6 {
        assert_eq!(a.labels.under_edits(k), b.labels.under_edits(k));
    }
    assert!(b.labels.edited_voxels() > 0);
    assert_eq!(b.labels.edited_organs(), a.labels.edited_organs());
    assert_eq!(b.enabled, a.enabled);
    let slice = b.anatomy[3].as_ref().unwrap();
    assert_eq!((slice.position_mm, slice.attention), (7.25, Some([0.5; ORGAN_COUNT])));
    assert_eq!(slice.regions, [0.1, 0.2, 0.3, 0.4, 0.0]);
    assert_eq!((b.removed[3], b.removed[2]), (Some([9; ORGAN_COUNT]), None));
    assert_eq!((b.drawn[3], b.drawn[2]), (Some(77), None));
    assert_eq!((after.document.view.cursor, after.document.view.window.width), ([5, 6, 3], 1234.0));
    assert_eq!((after.document.view.styles[4].colour, after.document.view.selected), ([1, 2, 3], Some(Organ::Heart)));
    assert_eq!(after.document.preferences.layout, Layout::ThreeUp);
    assert_eq!((after.outbox.commands, after.document.run.phase), (vec![Command::CancelRun], RunPhase::Finished));
    b.labels.undo();
    assert_eq!((b.labels.edited_voxels(), b.labels.edited_organs()), (0, OrganSet::EMPTY));
    assert_eq!(b.labels.layer().slice(2), a.labels.snapshot().network_slice(2));
}

#[test]
fn another_ct_is_refused_in_one_sentence_and_nothing_changes() {
    let text = save(&edited()).unwrap();
    let mut other = study("other", 1.5);
    restore(&mut other, &text);
    assert_eq!(
        errors(&other),
        ["the session file belongs to another CT (12 x 10 x 6 voxels); open that CT first, exactly as it was"]
    );
    assert_eq!(other.study.as_ref().unwrap().labels.edits(), 0);
    assert_ne!(other.view.cursor, [5, 6, 3]);

    let mut none = Bench::default();
    restore(&mut none, &text);
    assert!(errors(&none)[0].contains("open the CT"));
    assert_eq!(save(&none), None);

    let mut later = study("same", 1.0);
    restore(&mut later, &text.replace("_session\": 1", "_session\": 2"));
    restore(&mut later, &text.replace("\"liver\"", "\"spleen\""));
    restore(&mut later, "{}");
    assert_eq!(errors(&later).len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_never_panic_and_never_leave_half_a_volume(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = save(&edited()).unwrap().into_bytes();
        for (at, with) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        let mut state = study("sample", 1.0);
        restore(&mut state, &String::from_utf8_lossy(&bytes));
        let study = state.study.as_ref().unwrap();
        prop_assert!(study.labels.layer().voxels().iter().all(|l| usize::from(*l) <= ORGAN_COUNT));
        prop_assert!((0..3).all(|a| state.view.cursor[a] < SIZE[a]));
        prop_assert!(state.outbox.notices.iter().count() > 0);
    }
}
