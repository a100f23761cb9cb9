use std::path::Path;

use attention_anatomy::anatomy::Organ;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

use super::*;
use crate::edit::samples::ct;
use crate::edit::{Dab, EditSettings, Ink};
use crate::state::Layout;

/// A program that has opened a CT, and knows it.
fn program(folder: &Path, spacing: f64) -> State {
    let mut state = State::default();
    remember_on(&mut state, Shelf::within(folder).unwrap());
    let number = state.next_number();
    state.study = Some(Study::new(number, "sample".into(), ct([12, 10, 6], [spacing, 1.0, 2.0])));
    frame(&mut state);
    frame(&mut state);
    state
}

fn frame(state: &mut State) {
    tick(state, &egui::Context::default());
    if let Some(shelf) = &state.memory.shelf {
        shelf.flush();
    }
}

fn paint(state: &mut State, i: f64) {
    let dab = Dab { way: [[i, 4.0, 2.0]; 2], radius_mm: 0.4, plane: None };
    let labels = &mut state.study.as_mut().unwrap().labels;
    assert_eq!(labels.stroke(&dab, Ink::Paint(Organ::Heart), &EditSettings::default()), 1);
}

fn hearts(state: &State) -> u64 {
    state.study.as_ref().unwrap().labels.voxel_count(Organ::Heart)
}

#[test]
fn edits_are_offered_after_a_crash_on_the_same_ct_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = program(folder.path(), 1.0);
    assert_eq!(first.memory.offer(), None);
    paint(&mut first, 3.0);
    paint(&mut first, 4.0);
    frame(&mut first);
    assert_eq!(keep_edits(&mut first, false).map(|d| d > Duration::from_secs(15)), Some(true), "not yet");
    leave(&mut first);
    drop(first);

    assert_eq!(program(folder.path(), 1.5).memory.offer(), None);
    let mut second = program(folder.path(), 1.0);
    assert_eq!(second.memory.offer().map(Offer::edited_voxels), Some(2));
    assert_eq!(hearts(&second), 0, "nothing is laid over the labels unasked");
    // Edits made before the answer are kept beside the offer.
    paint(&mut second, 8.0);
    leave(&mut second);
    drop(second);

    let mut third = program(folder.path(), 1.0);
    assert_eq!(third.memory.study.as_ref().unwrap().offers.len(), 2);
    restore_offer(&mut third);
    restore_offer(&mut third);
    assert_eq!((hearts(&third), third.memory.offer()), (3, None));
    leave(&mut third);
    third.study.as_mut().unwrap().labels.undo();
    third.study.as_mut().unwrap().labels.undo();
    assert_eq!(hearts(&third), 0);
    drop(third);

    let mut fourth = program(folder.path(), 1.0);
    assert_eq!(fourth.memory.offer().map(Offer::edited_voxels), Some(3));
    discard_offer(&mut fourth);
    frame(&mut fourth);
    assert_eq!(program(folder.path(), 1.0).memory.offer(), None);
}

#[test]
fn what_is_kept_before_earlier_edits_are_known_replaces_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..10 {
        let mut state = State::default();
        remember_on(&mut state, Shelf::within(folder.path()).unwrap());
        state.study = Some(Study::new(n, "sample".into(), ct([12, 10, 6], [1.0, 1.0, 2.0])));
        tick(&mut state, &egui::Context::default());
        paint(&mut state, 3.0);
        leave(&mut state);
        // What is asked for then is answered too late; what was found does not hide what is edited now.
        frame(&mut state);
        assert_eq!(state.memory.study.as_ref().unwrap().offers.len(), MOST_OFFERS.min(n as usize));
    }
}

#[test]
fn a_file_with_all_edits_makes_keeping_them_needless_and_one_without_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    let save = FileRequest::Save { name: SESSION_NAME.into(), bytes: Vec::new() };
    for late in [true, false] {
        paint(&mut state, if late { 3.0 } else { 4.0 });
        let State { memory, study, .. } = &mut state;
        memory.about_to_save(&save, study.as_ref());
        if late {
            paint(&mut state, 5.0);
        }
        leave(&mut state);
        saved(&mut state, SESSION_NAME);
        leave(&mut state);
        assert_eq!(program(folder.path(), 1.0).memory.offer().is_some(), late);
    }
    paint(&mut state, 7.0);
    leave(&mut state);
    saved(&mut state, "view.png");
    assert!(program(folder.path(), 1.0).memory.offer().is_some());
    while state.study.as_mut().unwrap().labels.undo() {}
    leave(&mut state);
    assert_eq!(program(folder.path(), 1.0).memory.offer(), None, "nothing is edited any more");
}

#[test]
fn preferences_are_kept_when_they_rest_and_damaged_ones_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    state.preferences.layout = Layout::ThreeUp;
    state.preferences.zoom = 40.0;
    frame(&mut state);
    assert!(!folder.path().join("config/preferences.json").exists(), "they may still change");
    leave(&mut state);
    let read = program(folder.path(), 1.0).preferences;
    assert_eq!((read.layout, read.zoom), (Layout::ThreeUp, 3.0));
    std::fs::write(folder.path().join("config/preferences.json"), "{\"layout\": 7").unwrap();
    assert_eq!(program(folder.path(), 1.0).preferences, Preferences::default());
}

#[test]
fn without_a_shelf_nothing_happens() {
    let mut state = State::default();
    tick(&mut state, &egui::Context::default());
    leave(&mut state);
    saved(&mut state, SESSION_NAME);
    restore_offer(&mut state);
    assert!(state.notices.is_empty());
}

#[test]
fn ages_are_for_people() {
    let ages = [5, 60, 200, 3600, 90_000, 1_000_000].map(age);
    assert_eq!(
        ages,
        ["less than a minute ago", "1 minute ago", "3 minutes ago", "1 hour ago", "1 day ago", "11 days ago"]
    );
}

#[test]
fn what_was_kept_is_offered_whatever_tab_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = program(folder.path(), 1.0);
    paint(&mut first, 3.0);
    leave(&mut first);
    drop(first);
    for (answer, expected) in [("Restore 1 voxel", 1), ("Discard them", 0)] {
        let second = program(folder.path(), 1.0);
        let mut harness =
            Harness::builder().with_size(egui::vec2(1280.0, 720.0)).build_ui_state(crate::panels::show, second);
        harness.run_steps(3);
        harness.get_by_label(answer).click();
        harness.run_steps(3);
        assert!(harness.query_by_label(answer).is_none());
        assert_eq!((hearts(harness.state()), harness.state().memory.offer()), (expected, None));
        // For the next round: as if the program had ended before it was saved.
        leave(harness.state_mut());
    }
}
