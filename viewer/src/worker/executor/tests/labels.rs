use attention_anatomy::anatomy::Organ;

use super::samples::ORGAN;
use super::*;
use crate::display::{Layout, View};
use crate::edit::{Dab, EditSettings, Ink, LabelStore, NOT_EDITED, OrganEdit, OrganTool, PaintOver};
use crate::session::{CtKey, EditsRecord, SESSION_NAME, SessionHead, SessionView};

/// The labels of the sample with a stroke of the spleen.
fn labels() -> LabelStore {
    let ct = std::sync::Arc::new(samples::ct(SLICES));
    let mut labels = LabelStore::new(ct);
    for k in 0..SLICES {
        labels.apply_run_slice(k, &(0..3600).map(|n| if n % 60 < 20 { ORGAN.label() } else { 0 }).collect::<Vec<_>>());
    }
    let dab = Dab { way: [[30.0, 30.0, 4.0]; 2], radius_mm: 9.0, plane: None };
    labels.stroke(&dab, Ink::Paint(Organ::Spleen), &EditSettings::default());
    labels
}

fn key() -> CtKey {
    CtKey::of(&std::sync::Arc::new(samples::ct(SLICES)))
}

#[test]
fn a_tool_gives_its_changes_under_its_number_and_needs_its_ct() {
    let mut rig = Rig::with_sample();
    let mut labels = labels();
    let edit =
        OrganEdit { tool: OrganTool::Reassign(None, 2..4), organ: ORGAN, three_d: false, over: PaintOver::Background };
    rig.tell(Command::Edit { number: 8, edit: edit.clone(), labels: labels.snapshot_for(&edit) });
    let Some(Event::Edited { number: 8, changes }) = rig.rest().pop() else { panic!("no changes") };
    labels.await_changes(8, edit.name());
    labels.apply_changes(8, changes);
    assert_eq!(labels.voxel_count(ORGAN), (20 * 60 * (SLICES - 2)) as u64);

    let mut rig = Rig::new();
    rig.rest();
    rig.tell(Command::Edit { number: 9, edit: edit.clone(), labels: labels.snapshot_for(&edit) });
    assert!(matches!(&rig.rest()[..], [Event::EditFailed { number: 9, .. }]));
}

#[test]
fn edits_are_packed_and_come_back_as_they_were() {
    let mut rig = Rig::new();
    rig.rest();
    let labels = labels();
    rig.tell(Command::PackEdits { number: 12, ct: key(), saved: 7, labels: labels.snapshot_of_edits() });
    let Some(Event::EditsPacked { number: 12, text }) = rig.rest().pop() else { panic!("nothing is packed") };
    let record = Box::new(EditsRecord::from_text(&text, &key()).unwrap());
    rig.tell(Command::UnpackEdits { study: 3, record });
    let Some(Event::EditsUnpacked { study: 3, edits, edited_voxels, .. }) = rig.rest().pop() else { panic!("nothing") };
    assert_eq!(edited_voxels, labels.edited_voxels());
    for (n, code) in edits.to_vec().into_iter().enumerate() {
        let at = [n % 60, n / 60 % 60, n / 3600];
        assert_eq!(code, if labels.is_edited(at) { labels.layer().get(at) } else { NOT_EDITED });
    }
}

#[test]
fn a_session_file_is_written_and_opened_on_its_ct_alone() {
    let mut rig = Rig::with_sample();
    let labels = labels();
    let head = SessionHead {
        ct: key(),
        model: None,
        drawn: OrganSet::ALL,
        run_finished: true,
        view: SessionView::of(&View::default(), Layout::OneBig),
        anatomy: Vec::new(),
    };
    rig.tell(Command::SaveSession { head: Box::new(head.clone()), labels: labels.snapshot() });
    let Some(Event::Exported { name, bytes: file }) = rig.rest().pop() else { panic!("no file") };
    assert_eq!(name, SESSION_NAME);
    match rig.open(vec![bytes("mine", file.clone())]).pop() {
        Some(Event::Opened { what: Opened::Session { head: opened, network, edits, edited_voxels, .. }, .. }) => {
            assert_eq!((*opened, edited_voxels), (head, labels.edited_voxels()));
            let snapshot = labels.snapshot();
            assert!((0..SLICES).all(|k| network.slice(k) == snapshot.network_slice(k)));
            assert_eq!(edits.to_vec().iter().filter(|&&e| e != NOT_EDITED).count() as u64, edited_voxels);
        }
        other => panic!("{other:?}"),
    }
    // With its CT in one drop; and on another CT.
    let opened = Rig::new().open(vec![bytes("mine", file.clone()), Input::Sample]);
    assert!(matches!(opened.last(), Some(Event::Opened { what: Opened::Session { .. }, .. })));
    rig.open(vec![bytes("other", samples::nifti(&samples::ct(SLICES + 1)))]);
    assert!(refusal(&rig.open(vec![bytes("mine", file.clone())])).contains("belongs to another CT"));
    assert!(refusal(&Rig::new().open(vec![bytes("mine", file)])).contains("open the CT"));
}
