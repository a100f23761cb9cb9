use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::formats::{nifti, nrrd};
use attention_anatomy::volume::{CtVolume, Geometry};
use proptest::prelude::*;

use std::sync::Arc;

use super::*;

fn opened_ct(events: &[Event]) -> Arc<CtVolume> {
    match events.last() {
        Some(Event::Opened { what: Opened::Ct { ct, .. }, job: 1 }) => ct.clone(),
        other => panic!("no CT: {other:?}"),
    }
}

fn labels_of(ct: &CtVolume) -> Vec<u8> {
    ct.voxels.iter().map(|&v| if v > 300 { Organ::Liver.label() } else { 0 }).collect()
}

#[test]
fn real_files_of_every_format_open() {
    for name in ["ct-trunk-small.nii.gz", "ct-dicom-jpeg2000.zip", "nifti/datatypes/int16.nii"] {
        let mut rig = Rig::new();
        let events = rig.open(vec![file(name)]);
        match events.last() {
            Some(Event::Opened { what: Opened::Ct { ct, name: shown, .. }, .. }) => {
                assert_eq!((shown.as_str(), ct.voxels.len()), (name, ct.geometry.voxel_count()));
            }
            Some(Event::OpenFailed { message, .. }) => {
                // Files without orientation are refused, and that is said.
                assert!(
                    name.starts_with("nifti/") && !message.contains('\n') && !message.is_empty(),
                    "{name}: {message}"
                );
            }
            other => panic!("{name}: {other:?}"),
        }
        assert!(events.iter().any(|e| matches!(e, Event::OpenProgress { part: Some(_), .. })), "{name}");
    }
}

#[test]
fn nifti_and_nrrd_give_the_same_ct_and_replace_the_study() {
    let ct = samples::ct(SLICES);
    let mut rig = Rig::with_sample();
    rig.run(5, 0);
    rig.step();
    let opened = opened_ct(&rig.open(vec![bytes("download", nrrd::write_ct(&ct, "").unwrap())]));
    assert_eq!(opened.voxels, ct.voxels);
    // The run on the old study is over, and nothing of it comes any more.
    assert!(rig.rest().is_empty());
    let opened = opened_ct(&rig.open(vec![bytes("download (1)", samples::nifti(&ct))]));
    assert_eq!((&opened.voxels, &opened.geometry), (&ct.voxels, &ct.geometry));
}

#[test]
fn the_end_of_a_run_that_a_new_study_ends_is_said() {
    let mut rig = Rig::with_sample();
    rig.run(5, 0);
    rig.until(|e| matches!(e, Event::SliceDone { .. }));
    let events = rig.open(vec![Input::Sample]);
    let cancelled = events.iter().position(|e| matches!(e, Event::RunCancelled { run: 5 })).unwrap();
    let opened = events.iter().position(|e| matches!(e, Event::Opened { .. })).unwrap();
    assert!(cancelled < opened);
    assert!(!events[cancelled..].iter().any(|e| matches!(e, Event::SliceDone { .. })));
}

#[test]
fn a_label_map_is_known_by_its_content_and_needs_its_ct() {
    let ct = samples::ct(SLICES);
    let labels = ct.with_voxels(labels_of(&ct));
    let map = nifti::write_labels(&labels, "").unwrap();
    let mut rig = Rig::new();
    assert!(refusal(&rig.open(vec![bytes("map", map.clone())])).contains("open the CT"));
    let mut rig = Rig::with_sample();
    // Stored as bytes, and stored as 16-bit numbers.
    let wide = ct.with_voxels(labels.voxels.iter().map(|&l| i16::from(l)).collect());
    for (file, as_what) in [
        (map.clone(), OpenAs::Whatever),
        (nifti::write_ct(&wide, "").unwrap(), OpenAs::Whatever),
        (nrrd::write_labels(&labels, "").unwrap(), OpenAs::Reference),
    ] {
        match rig.open_as(vec![bytes("map", file)], as_what).last() {
            Some(Event::Opened { what: Opened::Labels { labels: found, reference, .. }, .. }) => {
                assert_eq!((&found.to_vec(), *reference), (&labels.voxels, as_what == OpenAs::Reference));
            }
            other => panic!("{other:?}"),
        }
    }
    // Both in one drop, in whatever order.
    for inputs in [
        vec![bytes("map", map.clone()), Input::Sample],
        vec![Input::Sample, bytes("map", nifti::write_ct(&wide, "").unwrap())],
    ] {
        let events = Rig::new().open(inputs);
        let opened: Vec<bool> = events
            .iter()
            .filter_map(
                |e| if let Event::Opened { what, .. } = e { Some(matches!(what, Opened::Ct { .. })) } else { None },
            )
            .collect();
        assert_eq!(opened, [true, false]);
    }
}

#[test]
fn a_label_map_on_another_grid_is_refused_with_both_sizes() {
    let mut rig = Rig::with_sample();
    let other = samples::ct(SLICES + 2);
    let map = nifti::write_labels(&other.with_voxels(labels_of(&other)), "").unwrap();
    for as_what in [OpenAs::Whatever, OpenAs::Reference] {
        let events = rig.open_as(vec![bytes("map", map.clone())], as_what);
        let message = refusal(&events);
        assert!(message.contains("60 x 60 x 11") && message.contains("60 x 60 x 9"), "{message}");
    }
    let mut moved = samples::ct(SLICES).with_voxels(labels_of(&samples::ct(SLICES)));
    moved.stored = Geometry::axial(moved.geometry.size, [3.0; 3], [0.0; 3]).unwrap();
    let message = rig.open(vec![bytes("map", nifti::write_labels(&moved, "").unwrap())]);
    assert!(refusal(&message).contains("another place"));
    let ct = samples::ct(SLICES);
    let foreign = ct.with_voxels(labels_of(&ct).into_iter().map(|l| if l > 0 { 99 } else { 0 }).collect());
    let events = rig.open(vec![bytes("map", nifti::write_labels(&foreign, "").unwrap())]);
    assert!(refusal(&events).contains("99") && refusal(&events).contains("renumber it"));
}

#[test]
fn what_does_not_fit_is_asked_before_it_is_decoded() {
    let ct = samples::nifti(&samples::ct(SLICES));
    let voxels = (60 * 60 * SLICES) as u64;
    let platform = samples::platform();
    platform.state().memory_limit = voxels * 6;
    let mut rig = Rig::on(platform);
    let events = rig.open(vec![bytes("ct", ct.clone())]);
    match events.last() {
        Some(Event::OpenLarge { job: 1, bytes }) => assert_eq!(*bytes, voxels * 7 + ct.len() as u64),
        other => panic!("{other:?}"),
    }
    // Parked: nothing happens until the answer.
    assert!(rig.rest().is_empty());
    rig.tell(Command::Open { job: 1, inputs: Vec::new(), as_what: OpenAs::Whatever, even_if_large: true });
    opened_ct(&rig.rest());
    // DICOM says its size by its headers, too.
    rig.platform.state().memory_limit = 1 << 20;
    let events = rig.open(vec![file("dicom-geometry.zip")]);
    assert!(matches!(events.last(), Some(Event::OpenLarge { .. } | Event::OpenFailed { .. })), "{events:?}");
    rig.tell(Command::CancelOpen);
    assert!(matches!(&rig.rest()[..], [] | [Event::OpenFailed { .. }]));
}

#[test]
fn opening_is_given_up_between_files_and_then_says_nothing_more() {
    let mut rig = Rig::new();
    let inputs = (0..20).map(|n| bytes(&format!("study/{n}"), vec![0; 10])).collect();
    rig.tell(Command::Open { job: 1, inputs, as_what: OpenAs::Whatever, even_if_large: false });
    rig.until(|e| matches!(e, Event::OpenProgress { part: Some(p), .. } if *p > 0.2));
    rig.tell(Command::CancelOpen);
    let events = rig.rest();
    assert!(matches!(&events[..], [Event::OpenFailed { job: 1, message }] if message.is_empty()), "{events:?}");
}

#[test]
fn weights_are_known_by_content_checked_and_used() {
    let mut rig = Rig::new();
    assert!(matches!(&rig.rest()[..], [Event::Weights(w)] if w.name == "light (bundled)"));
    let events = rig.open(vec![bytes("mine", samples::weights())]);
    match events.last() {
        Some(Event::Opened { what: Opened::Weights(w), .. }) => {
            assert_eq!((w.name.as_str(), w.sha256.len(), w.info.name.as_str()), ("mine", 64, "tiny"));
        }
        other => panic!("{other:?}"),
    }
    let mut cut = samples::weights();
    cut.truncate(cut.len() - 9);
    refusal(&rig.open(vec![bytes("cut", cut)]));
    let events = rig.open_as(vec![Input::Sample], OpenAs::Weights);
    assert!(refusal(&events).contains("no weights"));
    rig.tell(Command::UseBundledWeights);
    assert!(matches!(&rig.rest()[..], [Event::Weights(w)] if w.name == "light (bundled)"));
}

#[test]
fn a_session_is_known_by_its_key() {
    let mut rig = Rig::with_sample();
    let text = "\n{ \"attention_anatomy_session\": 1, \"edits\": [] }";
    assert!(refusal(&rig.open(vec![bytes("x", text.into())])).contains("no session file that can be read"));
    refusal(&rig.open(vec![bytes("x", b"{ \"other\": 1 }".to_vec())]));
}

#[test]
fn the_study_waits_for_the_weights_that_the_program_starts_with() {
    let platform = samples::platform();
    platform.state().patience = 50;
    let mut rig = Rig::on(platform);
    let events = rig.open(vec![Input::Sample]);
    let weights = events.iter().position(|e| matches!(e, Event::Weights(_))).unwrap();
    let ct = events.iter().position(|e| matches!(e, Event::Opened { .. })).unwrap();
    assert!(weights < ct);
}

#[test]
fn broken_and_foreign_files_are_one_sentence() {
    let mut rig = Rig::new();
    rig.rest();
    for name in [
        "dicom-broken.zip",
        "nifti/malformed/crash-1.nii",
        "nifti/malformed/crash-08123ef33416bd6f0c5fa63d44b681b8581d62a0",
        "nifti/malformed/crash-d03c6346fe83a026738f6b8cd2a9335a3f8cb158",
        "nifti/minimal.hdr.gz",
        "README.md",
    ] {
        refusal(&rig.open(vec![file(name)]));
    }
    refusal(&rig.open(Vec::new()));
    refusal(&rig.open(vec![Input::Path("/nowhere".into())]));
    refusal(&rig.open(vec![bytes("empty", Vec::new())]));
    let two = vec![bytes("a", samples::nifti(&samples::ct(9))), bytes("b", samples::nifti(&samples::ct(10)))];
    assert!(refusal(&rig.open(two)).contains("2 images"));
}

#[test]
fn a_run_names_no_organ_that_was_not_asked_for() {
    let mut rig = Rig::with_sample();
    rig.tell(Command::Run(RunRequest { run: 5, first: 0, enabled: OrganSet::EMPTY, cleanup: false }));
    for event in rig.rest() {
        if let Event::SliceDone { labels, .. } = event {
            assert!(labels.iter().all(|&l| l == 0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the damage: an event, never a panic, and the worker goes on.
    #[test]
    fn damaged_files_never_hurt(which in 0usize..4, damage in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..6), cut in 0.0f64..1.3) {
        let ct = samples::ct(3);
        let mut file = match which {
            0 => samples::nifti(&ct),
            1 => nrrd::write_ct(&ct, "").unwrap(),
            2 => samples::weights(),
            _ => nifti::write_labels(&ct.with_voxels(labels_of(&ct)), "").unwrap(),
        };
        for (at, value) in damage {
            // Half of it in the header, where it hurts.
            let reach = if value % 2 == 0 { file.len().min(400) } else { file.len() };
            let at = (at * reach as f64) as usize;
            file[at] = value;
        }
        file.truncate((file.len() as f64 * cut) as usize);
        let mut rig = Rig::new();
        let events = rig.open(vec![bytes("damaged", file)]);
        let ended = |e: &Event| matches!(e, Event::Opened { .. } | Event::OpenFailed { .. } | Event::OpenLarge { .. });
        prop_assert!(events.last().is_some_and(ended), "{events:?}");
        opened_ct(&rig.open(vec![Input::Sample]));
    }
}
