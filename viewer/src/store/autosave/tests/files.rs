//! What lies in files that the user saved or opened is not kept beside them, and not offered as if it were lost.

use std::sync::Arc;

use attention_anatomy::anatomy::Organ;

use super::{Program, hearts, paint, program};
use crate::edit::{ByteSlices, Dab, EditSettings, Extra, Ink, NOT_EDITED, PaintOver};
use crate::worker::{Access, ArchiveCommand, Command, Export, StructureExport, StructureFormat};

#[test]
fn a_file_with_all_edits_makes_keeping_them_needless_and_one_without_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    for late in [true, false] {
        paint(&mut state, if late { 3.0 } else { 4.0 });
        let Program { bench, .. } = &mut state;
        bench.document.save_session(&mut bench.outbox);
        state.ask();
        if late {
            paint(&mut state, 5.0);
        }
        state.flush();
        // Called after the study by then.
        state.offered("sample-session.json", 1);
        state.file_saved(1);
        assert_eq!(state.is_offered(folder.path()), late);
    }
    paint(&mut state, 7.0);
    state.offered("view.png", 2);
    state.file_saved(2);
    assert!(state.is_offered(folder.path()));
    while state.study.as_mut().unwrap().labels.undo() {}
    state.flush();
    assert_eq!(program(folder.path(), 1.0).autosave.offer(), None, "nothing is edited any more");
}

#[test]
fn edits_may_lie_in_several_files_and_whoever_saves_more_beside_them_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    let labels = &mut state.study.as_mut().unwrap().labels;
    labels.apply_run_slice(2, &[Organ::Spleen.label(); 120]);
    let over = EditSettings { over: PaintOver::Everything, ..EditSettings::default() };
    let dab = Dab { way: [[3.0, 4.0, 2.0]; 2], radius_mm: 0.4, plane: None };
    labels.stroke(&dab, Ink::Paint(Organ::Heart), &over);
    let target = Extra { number: 4, name: "PTV".into(), edited: true, runs: vec![[0, 9]], ..Extra::default() };
    assert!(labels.change_extras("new structure", vec![Arc::new(target.clone())]));
    let (heart, spleen) = (Organ::Heart, Organ::Spleen);

    // Labels without what was painted over, then a table, and a picture that is there first.
    state.export("a.nii.gz", StructureFormat::Nifti, &[heart], Vec::new());
    let labels = state.study.as_ref().unwrap().labels.layer().share();
    state.outbox.send(Command::Export { what: Export::StatisticsCsv, labels, notes: Vec::new(), opened_from: None });
    state.ask();
    for (name, number) in [("view.png", 1), ("a.nii.gz", 2), ("sample-statistics.csv", 3)] {
        state.offered(name, number);
    }
    for number in [1, 3, 2] {
        state.file_saved(number);
    }
    assert!(state.is_offered(folder.path()), "the spleen has lost a voxel");
    // The spleen, and the target in a file that planning systems read, saved under whatever name.
    state.export("b.nrrd", StructureFormat::Nrrd, &[spleen], Vec::new());
    state.export("c.dcm", StructureFormat::StructureSet, &[], vec![target.clone()]);
    state.offered("b.nrrd", 4);
    state.offered("c.dcm", 5);
    state.file_saved(5);
    assert!(state.is_offered(folder.path()), "a dialog is still open");
    state.file_saved(4);
    assert!(!state.is_offered(folder.path()));
    // A stroke after that is in none of them.
    state.study.as_mut().unwrap().labels.stroke(&Dab { way: [[7.0, 4.0, 2.0]; 2], ..dab }, Ink::Paint(heart), &over);
    state.export("d.dcm", StructureFormat::Segmentation, &[heart, spleen], Vec::new());
    state.offered("d.dcm", 6);
    state.file_saved(6);
    assert!(state.is_offered(folder.path()), "the target is in a file of the edits before");
    // An organ that was erased altogether is not among those that can be written.
    let labels = &mut state.study.as_mut().unwrap().labels;
    for i in [3.0, 7.0] {
        labels.stroke(&Dab { way: [[i, 4.0, 2.0]; 2], ..dab }, Ink::Erase(Some(heart)), &over);
    }
    assert_eq!(labels.voxel_count(heart), 0);
    state.export("e.zip", StructureFormat::Nifti, &[spleen], vec![target]);
    state.offered("e.zip", 7);
    state.file_saved(7);
    assert!(!state.is_offered(folder.path()));
}

#[test]
fn what_an_archive_says_that_it_keeps_is_not_kept_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    let target = Extra { number: 4, name: "PTV".into(), edited: true, runs: vec![[0, 9]], ..Extra::default() };
    let labels = &mut state.study.as_mut().unwrap().labels;
    assert!(labels.change_extras("new structure", vec![Arc::new(target.clone())]));
    // Contours of the target, and voxels of the heart.
    let send = |state: &mut Program, number: u64| {
        let file = |format, organs: &[Organ], extras| {
            let organs = organs.iter().copied().collect();
            Export::Structures(Box::new(StructureExport { format, organs, extras, ..Default::default() }))
        };
        let what = vec![
            file(StructureFormat::StructureSet, &[], vec![target.clone()]),
            file(StructureFormat::Segmentation, &[Organ::Heart], Vec::new()),
        ];
        let labels = state.study.as_ref().unwrap().labels.layer().share();
        let what = ArchiveCommand::Send { what, labels, notes: Vec::new(), opened_from: None };
        let root = "https://archive.example/dicom-web".parse().unwrap();
        let access = Access { name: "Ours".into(), root, authorization: None };
        state.outbox.send(Command::Archive { number, access, what });
        state.ask();
    };
    paint(&mut state, 3.0);
    send(&mut state, 7);
    assert!(state.is_offered(folder.path()), "it has not answered yet");
    // A file that is saved has numbers of its own.
    state.file_saved(7);
    assert!(state.is_offered(folder.path()));
    state.files_sent(7, true);
    assert!(!state.is_offered(folder.path()));
    // What is drawn while it is under way is in none of them.
    paint(&mut state, 4.0);
    send(&mut state, 8);
    paint(&mut state, 5.0);
    state.files_sent(8, true);
    assert!(state.is_offered(folder.path()));
    // Sent once more: what the archive says nothing of may be lost there.
    send(&mut state, 9);
    state.files_sent(9, false);
    assert!(state.is_offered(folder.path()));
    send(&mut state, 10);
    state.files_sent(10, true);
    assert!(!state.is_offered(folder.path()));
}

#[test]
fn edits_that_came_with_a_file_are_in_it_until_one_more_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = program(folder.path(), 1.0);
    let slices = |at: usize, label: u8, else_: u8| {
        let voxels: Vec<u8> = (0..720).map(|n| if n == at { label } else { else_ }).collect();
        ByteSlices::cut(&voxels, 120)
    };
    let open = |state: &mut Program| {
        let labels = &mut state.study.as_mut().unwrap().labels;
        let edits = Some(slices(300, Organ::Liver.label(), NOT_EDITED));
        labels.open_labels("corrected.nii.gz", slices(0, 0, 0), edits, Vec::new());
        labels.finish();
        assert_eq!(labels.edited_voxels(), 1);
    };
    open(&mut state);
    assert!(!state.is_offered(folder.path()));
    paint(&mut state, 3.0);
    assert!(state.is_offered(folder.path()), "a stroke over them is in no file");
    // The same of a session; a structure that was made before is in no file, whatever is opened.
    let labels = &mut state.study.as_mut().unwrap().labels;
    labels.restore_session(slices(0, 0, 0), slices(300, Organ::Liver.label(), NOT_EDITED), Vec::new());
    labels.finish();
    assert!(!state.is_offered(folder.path()));
    let target = Extra { number: 4, name: "PTV".into(), edited: true, runs: vec![[0, 9]], ..Extra::default() };
    state.study.as_mut().unwrap().labels.change_extras("new structure", vec![Arc::new(target)]);
    open(&mut state);
    assert!(state.is_offered(folder.path()));
}

#[test]
fn what_was_restored_and_saved_at_once_is_not_offered_again() {
    // What was restored is stored again by nobody yet: the worker has been asked to pack it, or not even that.
    for is_asked in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = program(folder.path(), 1.0);
        paint(&mut first, 3.0);
        first.flush();
        let mut second = program(folder.path(), 1.0);
        second.restore(false);
        assert_eq!(hearts(&second), 1);
        if is_asked {
            second.save_edits(true);
            second.outbox.commands.clear();
        }
        second.save_session(1);
        assert!(!second.is_offered(folder.path()));
    }
}
