mod files;

use std::ops::{Deref, DerefMut};
use std::path::Path;

use attention_anatomy::anatomy::Organ;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

use super::*;
use crate::display::Layout;
use crate::document::Task;
use crate::document::bench::Bench;
use crate::edit::samples::ct;
use crate::edit::{Dab, EditSettings, Extra, Ink};
use crate::panels::Panels;
use crate::worker::{Event, Export, SentFile, StructureExport, StructureFormat};

impl Autosave {
    /// Edits that were found for the open CT and are offered to the user.
    fn offer(&self) -> Option<&Offer> {
        self.study.as_ref()?.offers.first()
    }
}

/// A program; its document can be reached as if it were this.
#[derive(Default)]
struct Program {
    bench: Bench,
    autosave: Autosave,
    panels: Panels,
}

impl Deref for Program {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.bench
    }
}

impl Program {
    fn started(folder: &Path) -> Self {
        let mut program = Self::default();
        let Self { bench, autosave, .. } = &mut program;
        autosave.start_on(Storage::within(folder).unwrap(), &mut bench.document.preferences);
        program
    }

    fn tick(&mut self) {
        self.autosave.tick(&mut self.bench.document, &mut self.bench.outbox, &egui::Context::default());
    }

    fn flush(&mut self) {
        self.autosave.flush(&self.bench.document);
    }

    /// What was asked of the worker goes to it.
    fn ask(&mut self) {
        let study = self.bench.document.study.as_ref();
        for command in std::mem::take(&mut self.bench.outbox.commands) {
            self.autosave.about_to_export(&command, study);
        }
    }

    /// The worker has made a file under a name, and its request to be saved has a number.
    fn offered(&mut self, name: &str, number: u64) {
        self.autosave.about_to_save(name, number);
    }

    fn file_saved(&mut self, number: u64) {
        self.autosave.file_saved(number, &self.bench.document);
    }

    /// An archive has the two files of a request; it has named one of them, and the other too if `both` are told.
    fn files_sent(&mut self, number: u64, both: bool) {
        let file = |is_told| SentFile { what: "SEG".into(), bytes: 1500, warnings: Vec::new(), is_told };
        self.autosave.files_sent(number, &[file(true), file(both)], &self.bench.document);
    }

    /// A session file from the wish for one to the disk.
    fn save_session(&mut self, number: u64) {
        self.bench.document.save_session(&mut self.bench.outbox);
        self.ask();
        self.offered("sample-session.json", number);
        self.file_saved(number);
    }

    /// Asks the worker for a file with these organs and structures.
    fn export(&mut self, file_name: &str, format: StructureFormat, organs: &[Organ], extras: Vec<Extra>) {
        let labels = self.study.as_ref().unwrap().labels.layer().share();
        let file_name = file_name.into();
        let organs = organs.iter().copied().collect();
        let what =
            Export::Structures(Box::new(StructureExport { format, file_name, organs, extras, ..Default::default() }));
        self.outbox.send(Command::Export { what, labels, notes: Vec::new(), opened_from: None });
        self.ask();
    }

    /// Whether the next start would offer edits of this one.
    fn is_offered(&mut self, folder: &Path) -> bool {
        self.flush();
        program(folder, 1.0).autosave.offer().is_some()
    }

    fn restore(&mut self, newest_only: bool) {
        self.autosave.restore(&mut self.bench.document, &mut self.bench.outbox, newest_only);
        self.work();
    }

    /// What the worker would do.
    fn work(&mut self) {
        for command in std::mem::take(&mut self.outbox.commands) {
            match command {
                Command::PackEdits { number, ct, saved, labels } => {
                    self.autosave.store(number, EditsRecord::of(&labels, ct, saved).to_text());
                }
                Command::UnpackEdits { study, record } => {
                    self.autosave.restored(study);
                    let (edits, edited_voxels) = (record.edits().unwrap(), record.edited_voxels);
                    let extras = record.extras().unwrap();
                    self.apply(Event::EditsUnpacked { study, edits, edited_voxels, extras });
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn save_edits(&mut self, at_once: bool) -> Option<Duration> {
        let Bench { document, outbox } = &mut self.bench;
        self.autosave.save_edits(document.study.as_ref(), outbox, at_once)
    }

    fn discard(&mut self) {
        self.autosave.discard(&mut self.bench.document);
    }

    /// A frame as the application draws it, without a worker.
    fn show(&mut self, ui: &mut egui::Ui) {
        self.panels.show(ui, &mut self.bench.document, &mut self.bench.outbox);
        for task in std::mem::take(&mut self.outbox.tasks) {
            match task {
                Task::RestoreEdits { newest_only } => self.restore(newest_only),
                Task::DiscardEdits => self.discard(),
                _ => {}
            }
        }
    }
}

/// A program that has opened a CT, and knows it.
fn program(folder: &Path, spacing: f64) -> Program {
    let mut program = Program::started(folder);
    let number = program.outbox.next_number();
    program.study = Some(Study::of_ct(number, "sample".into(), ct([12, 10, 6], [spacing, 1.0, 2.0])));
    frame(&mut program);
    frame(&mut program);
    program
}

fn frame(program: &mut Program) {
    program.tick();
    if let Some(storage) = &program.autosave.storage {
        storage.flush();
    }
}

fn paint(state: &mut Program, i: f64) {
    let dab = Dab { way: [[i, 4.0, 2.0]; 2], radius_mm: 0.4, plane: None };
    let labels = &mut state.study.as_mut().unwrap().labels;
    assert_eq!(labels.stroke(&dab, Ink::Paint(Organ::Heart), &EditSettings::default()), 1);
}

fn hearts(state: &Program) -> u64 {
    state.study.as_ref().unwrap().labels.voxel_count(Organ::Heart)
}

#[test]
fn edits_are_offered_after_a_crash_on_the_same_ct_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = program(folder.path(), 1.0);
    assert_eq!(first.autosave.offer(), None);
    paint(&mut first, 3.0);
    paint(&mut first, 4.0);
    frame(&mut first);
    assert_eq!(first.save_edits(false).map(|d| d > Duration::from_secs(15)), Some(true), "not yet");
    first.flush();
    drop(first);

    assert_eq!(program(folder.path(), 1.5).autosave.offer(), None);
    let mut second = program(folder.path(), 1.0);
    assert_eq!(second.autosave.offer().map(Offer::edited_voxels), Some(2));
    assert_eq!(hearts(&second), 0, "nothing is laid over the labels unasked");
    // Edits made before the answer are kept beside the offer.
    paint(&mut second, 8.0);
    second.flush();
    drop(second);

    let mut third = program(folder.path(), 1.0);
    assert_eq!(third.autosave.study.as_ref().unwrap().offers.len(), 2);
    third.restore(false);
    assert_eq!((hearts(&third), third.autosave.offer()), (3, None));
    third.flush();
    third.study.as_mut().unwrap().labels.undo();
    third.study.as_mut().unwrap().labels.undo();
    assert_eq!(hearts(&third), 0);
    drop(third);

    let mut fourth = program(folder.path(), 1.0);
    assert_eq!(fourth.autosave.offer().map(Offer::edited_voxels), Some(3));
    fourth.discard();
    frame(&mut fourth);
    assert_eq!(program(folder.path(), 1.0).autosave.offer(), None);
}

#[test]
fn one_offer_tells_what_each_holds_and_older_edits_never_cover_newer_ones() {
    let folder = tempfile::tempdir().unwrap();
    // The same voxel three times: heart, then liver, then rubbed out; and one more each.
    for (n, ink) in [Ink::Paint(Organ::Heart), Ink::Paint(Organ::Liver), Ink::Erase(None)].into_iter().enumerate() {
        let mut state = Program::started(folder.path());
        state.study = Some(Study::of_ct(n as u64, "sample".into(), ct([12, 10, 6], [1.0, 1.0, 2.0])));
        let labels = &mut state.study.as_mut().unwrap().labels;
        labels.apply_run_slice(2, &[Organ::Spleen.label(); 120]);
        for i in [5.0, 7.0 + n as f64] {
            let dab = Dab { way: [[i, 4.0, 2.0]; 2], radius_mm: 0.4, plane: None };
            let over = crate::edit::PaintOver::Everything;
            assert_eq!(labels.stroke(&dab, ink, &EditSettings { over, ..EditSettings::default() }), 1);
        }
        state.tick();
        state.flush();
        // A second apart, as the record counts.
        for entry in std::fs::read_dir(folder.path().join("edits")).unwrap() {
            let path = entry.unwrap().path();
            let mut record: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let saved = record["saved"].as_u64().unwrap();
            record["saved"] = (saved - 60).into();
            std::fs::write(&path, record.to_string()).unwrap();
        }
    }
    let label = |state: &Program, i: usize| state.study.as_ref().unwrap().labels.layer().get([i, 4, 2]);
    let mut state = program(folder.path(), 1.0);
    let offer = state.unsaved_edits.clone().unwrap();
    assert_eq!(offer.voxels, 6);
    let told: Vec<(&str, u64)> = offer.kept.iter().map(|kept| (kept.holds.as_str(), kept.voxels)).collect();
    assert_eq!(told, [("spleen", 2), ("liver, spleen", 2), ("heart, spleen", 2)], "the newest first");
    state.study.as_mut().unwrap().labels.apply_run_slice(2, &[Organ::Spleen.label(); 120]);
    state.restore(false);
    assert_eq!((5..10).map(|i| label(&state, i)).collect::<Vec<_>>(), {
        let [spleen, heart, liver] = [Organ::Spleen, Organ::Heart, Organ::Liver].map(Organ::label);
        [0, spleen, heart, liver, 0]
    });
    drop(state);
    // The newest alone: the others are still kept, and what was edited since then stays.
    let mut state = program(folder.path(), 1.0);
    paint(&mut state, 9.0);
    state.restore(true);
    assert_eq!((label(&state, 5), label(&state, 9), label(&state, 7)), (0, Organ::Heart.label(), 0));
    assert!(state.unsaved_edits.is_none());
    frame(&mut state);
    drop(state);
    assert!(program(folder.path(), 1.0).unsaved_edits.as_ref().is_some_and(|offer| offer.kept.len() >= 2));
}

#[test]
fn what_another_window_discards_is_kept_once_more_by_the_window_that_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = program(folder.path(), 1.0);
    paint(&mut first, 3.0);
    first.flush();
    // A second window of the same scan is offered it, and discards it.
    let mut second = program(folder.path(), 1.0);
    assert!(second.unsaved_edits.is_some());
    second.discard();
    frame(&mut second);
    assert!(program(folder.path(), 1.0).unsaved_edits.is_none());
    // The first one looks after a while, and keeps it again.
    first.autosave.study.as_mut().unwrap().looked = Instant::now().checked_sub(LOOK_AFTER);
    frame(&mut first);
    frame(&mut first);
    first.flush();
    assert_eq!(program(folder.path(), 1.0).unsaved_edits.as_ref().map(|offer| offer.voxels), Some(1));
    // What it has saved itself is not.
    first.save_session(1);
    first.autosave.study.as_mut().unwrap().looked = Instant::now().checked_sub(LOOK_AFTER);
    frame(&mut first);
    frame(&mut first);
    first.flush();
    assert!(program(folder.path(), 1.0).unsaved_edits.is_none());
}

#[test]
fn what_is_kept_before_earlier_edits_are_known_replaces_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..10 {
        let mut state = Program::started(folder.path());
        state.study = Some(Study::of_ct(n, "sample".into(), ct([12, 10, 6], [1.0, 1.0, 2.0])));
        state.tick();
        paint(&mut state, 3.0);
        state.flush();
        // What is asked for then is answered too late; what was found does not hide what is edited now.
        frame(&mut state);
        assert_eq!(state.autosave.study.as_ref().unwrap().offers.len(), MOST_OFFERS.min(n as usize));
    }
}

#[test]
fn preferences_are_kept_when_they_rest_and_damaged_ones_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    state.preferences.layout = Layout::ThreeUp;
    state.preferences.zoom = 40.0;
    frame(&mut state);
    assert!(!folder.path().join("config/preferences.json").exists(), "they may still change");
    state.flush();
    let read = program(folder.path(), 1.0).preferences.clone();
    assert_eq!((read.layout, read.zoom), (Layout::ThreeUp, 3.0));
    std::fs::write(folder.path().join("config/preferences.json"), "{\"layout\": 7").unwrap();
    assert_eq!(program(folder.path(), 1.0).preferences, Preferences::default());
}

#[test]
fn without_a_storage_nothing_happens() {
    let mut state = Program::default();
    state.tick();
    state.flush();
    state.file_saved(1);
    state.restore(false);
    assert!(state.outbox.notices.is_empty());
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
    first.flush();
    drop(first);
    for (answer, expected) in [("Restore 1 voxel", 1), ("Discard", 0)] {
        let second = program(folder.path(), 1.0);
        let mut harness = Harness::builder()
            .with_size(egui::vec2(1280.0, 720.0))
            .build_ui_state(|ui, program: &mut Program| program.show(ui), second);
        harness.run_steps(3);
        harness.get_by_label(answer).click();
        harness.run_steps(3);
        assert!(harness.query_by_label(answer).is_none());
        assert_eq!((hearts(harness.state()), harness.state().autosave.offer()), (expected, None));
        // For the next round: as if the program had ended before it was saved.
        harness.state_mut().flush();
    }
}

#[test]
fn the_window_gives_edits_to_the_worker_and_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    let stored = || std::fs::read_dir(folder.path().join("edits")).map_or(0, Iterator::count);
    paint(&mut state, 3.0);
    assert_eq!(state.save_edits(true), None);
    // The worker has been asked and never answers; the window goes on, and asks once for the same edits.
    frame(&mut state);
    frame(&mut state);
    assert_eq!((state.outbox.commands.len(), stored()), (1, 0));
    // What the worker says of older edits comes after newer ones were asked for, and is not stored.
    paint(&mut state, 5.0);
    state.save_edits(true);
    let mut late = state.outbox.commands.split_off(1);
    state.work();
    frame(&mut state);
    assert_eq!(stored(), 0);
    state.outbox.commands.append(&mut late);
    state.work();
    frame(&mut state);
    assert_eq!((stored(), state.autosave.packing.len()), (1, 0));
    // The program ends before the worker has answered.
    paint(&mut state, 7.0);
    state.save_edits(true);
    state.flush();
    assert_eq!(program(folder.path(), 1.0).autosave.offer().map(Offer::edited_voxels), Some(3));
    // Another CT takes the place of this one in the meantime.
    paint(&mut state, 9.0);
    state.autosave.save(&state.bench.document, &mut state.bench.outbox);
    state.study = Some(Study::of_ct(99, "other".into(), ct([12, 10, 6], [3.0, 1.0, 2.0])));
    state.outbox.commands.retain(|c| matches!(c, Command::PackEdits { .. }));
    state.work();
    frame(&mut state);
    assert_eq!(program(folder.path(), 1.0).autosave.offer().map(Offer::edited_voxels), Some(4));
}

#[test]
fn what_is_not_stored_when_a_frame_fails_is_rescued() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = program(folder.path(), 1.0);
    let mut rescue = None;
    paint(&mut first, 3.0);
    first.autosave.prepare_rescue(&first.bench.document, &mut rescue);
    // The next frame fails, and nobody comes to anything more.
    drop(first);
    assert!(rescue.take().unwrap().store());
    let mut second = program(folder.path(), 1.0);
    assert_eq!(second.autosave.offer().map(Offer::edited_voxels), Some(1));
    // What is stored needs no rescue.
    paint(&mut second, 8.0);
    second.flush();
    second.autosave.prepare_rescue(&second.bench.document, &mut rescue);
    let stored = format!("{:?}", rescue.take().unwrap());
    assert!(stored.contains("edits: None"), "{stored}");
}
