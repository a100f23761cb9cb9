use attention_anatomy::formats;

use super::samples::ORGAN;
use super::*;
use crate::edit::{Dab, EditSettings, Extra, Ink, LabelStore};
use crate::worker::{Export, Identifiers, StructureExport, StructureFormat};

fn network_labels(rig: &mut Rig) -> Vec<u8> {
    rig.run(5, 0);
    let mut labels = vec![0; 3600 * SLICES];
    for event in rig.rest() {
        if let Event::SliceDone { slice, labels: map, .. } | Event::SliceCleaned { slice, labels: map, .. } = event {
            labels[slice * 3600..(slice + 1) * 3600].copy_from_slice(&map.to_vec());
        }
    }
    labels
}

fn export(rig: &mut Rig, what: Export, labels: &[u8]) -> (String, Vec<u8>) {
    let notes = vec!["edited by hand: liver".to_string()];
    rig.tell(Command::Export { what, labels: shared(labels.to_vec()), notes, opened_from: None });
    match rig.rest().pop() {
        Some(Event::Exported { name, bytes }) => (name, bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_report_of_values_that_were_taken_as_hu_says_so() {
    let mut odd = samples::ct(SLICES);
    odd.voxels.iter_mut().for_each(|v| *v = 2000 + *v % 7);
    for (ct, said) in [(odd, true), (samples::ct(SLICES), false)] {
        let mut rig = Rig::new();
        rig.open(vec![bytes("scan", samples::nifti(&ct))]);
        rig.tell(Command::AssumeHu);
        let labels = network_labels(&mut rig);
        let (_, page) = export(&mut rig, Export::ReportHtml, &labels);
        assert_eq!(String::from_utf8(page).unwrap().contains("taken as HU because that was asked for"), said);
    }
}

/// All of it, as it is offered.
fn structures(format: StructureFormat) -> Export {
    let (organs, file_name) = (OrganSet::ALL, format.ending().into());
    Export::Structures(Box::new(StructureExport { format, organs, file_name, ..StructureExport::default() }))
}

#[test]
fn what_is_saved_names_weights_hash_device_notes_and_the_statement() {
    let mut rig = Rig::with_sample();
    let labels = network_labels(&mut rig);
    for (format, file) in [(StructureFormat::Nifti, "labels.nii.gz"), (StructureFormat::Nrrd, "labels.nrrd")] {
        let (name, bytes) = export(&mut rig, structures(format), &labels);
        assert_eq!(name, file);
        let read = formats::read_labels(vec![(name, bytes.clone())]).unwrap();
        assert_eq!(read.voxels, labels);
        let header = formats::read_header(&bytes, &Default::default()).unwrap().unwrap();
        for word in ["Not a medical device", "light (bundled)"] {
            assert!(header.description.contains(word), "{}", header.description);
        }
    }
    let text = |(name, bytes): (String, Vec<u8>)| (name, String::from_utf8(bytes).unwrap());
    let (name, page) = text(export(&mut rig, Export::ReportHtml, &labels));
    assert_eq!(name, "report.html");
    for word in ["Not a medical device", "light (bundled)", "fake GPU", "by hand: liver"] {
        assert!(page.contains(word), "{word}");
    }
    let (name, table) = text(export(&mut rig, Export::StatisticsCsv, &labels));
    assert!(name == "statistics.csv" && table.contains(ORGAN.id()));
    let (name, table) = text(export(&mut rig, Export::AttentionCsv, &labels));
    assert!(name == "attention.csv" && table.lines().count() > SLICES);
    let (name, json) = text(export(&mut rig, Export::AttentionJson, &labels));
    assert!(name == "attention.json" && json.contains("Not a medical device"));
}

#[test]
fn labels_drawn_by_hand_can_be_saved_without_any_run() {
    let mut rig = Rig::with_sample();
    let mut labels = vec![0; 3600 * SLICES];
    labels[1830] = ORGAN.label();
    let labels_file = structures(StructureFormat::Nifti);
    for what in [labels_file, Export::StatisticsCsv, Export::AttentionJson, Export::ReportHtml] {
        assert!(!export(&mut rig, what, &labels).1.is_empty());
    }
    rig.tell(Command::Export {
        what: Export::ReportHtml,
        labels: shared(vec![0; 3]),
        notes: Vec::new(),
        opened_from: None,
    });
    assert!(matches!(&rig.rest()[..], [Event::Failed(_)]));
}

#[test]
fn structures_of_a_dicom_series_are_saved_and_opened_again() {
    use attention_anatomy::anatomy::Organ;
    use attention_anatomy::formats::archive;

    let path = format!("{}/../tests/data/rtstruct.zip", env!("CARGO_MANIFEST_DIR"));
    let files = archive::unzip(&std::fs::read(path).unwrap(), 64 << 20).unwrap();
    let slices = files.into_iter().filter(|(name, _)| name.contains("/ct_")).map(|(name, b)| bytes(&name, b));
    let mut rig = Rig::new();
    let opened = rig.open(slices.collect());
    assert!(opened.iter().any(|e| matches!(e, Event::Opened { what: Opened::Ct { .. }, .. })), "{opened:?}");
    let mut labels = vec![0u8; 512 * 512 * 2];
    labels[100_000..100_040].fill(Organ::Liver.label());
    labels[400_000..400_002].fill(Organ::Heart.label());
    let edited: OrganSet = [Organ::Heart].into_iter().collect();
    // A target across the liver's border, which no label map can hold.
    let target =
        Extra { number: 1, name: "PTV".into(), colour: [9, 8, 7], runs: vec![[100_030, 100_050]], ..Extra::default() };
    for format in [StructureFormat::StructureSet, StructureFormat::Segmentation] {
        let Export::Structures(whole) = structures(format) else { panic!() };
        let whole = StructureExport { edited, extras: vec![target.clone()], body: true, ..*whole };
        let few = StructureExport { organs: edited, extras: Vec::new(), body: false, ..whole.clone() };
        for (export, organs, others) in
            [(whole, labels.clone(), &["PTV", "BODY"][..]), (few, only(&labels, Organ::Heart), &[])]
        {
            let what = Export::Structures(Box::new(export));
            let labels = ByteSlices::cut(&labels, 512 * 512);
            rig.tell(Command::Export { what, labels, notes: Vec::new(), opened_from: None });
            let Some(Event::Exported { name, bytes: saved }) = rig.rest().pop() else {
                panic!("{format:?} is not there")
            };
            assert_eq!(name, format.ending());
            let opened = rig.open(vec![bytes(&name, saved)]);
            let Some(Event::Opened { what: Opened::Labels { labels, extras, .. }, .. }) = opened.last() else {
                panic!("{opened:?}")
            };
            assert_eq!(labels.as_ref().map(ByteSlices::to_vec), Some(organs), "{format:?}");
            assert_eq!(extras.iter().map(|extra| extra.name.as_str()).collect::<Vec<_>>(), others, "{format:?}");
            if let Some(found) = extras.first() {
                assert_eq!(found.runs, target.runs, "{format:?}");
            }
        }
    }
    // Beside a label map: in an archive, which opens as what went into it.
    let Export::Structures(whole) = structures(StructureFormat::Nifti) else { panic!() };
    let second = Extra { number: 2, name: "GTV".into(), runs: vec![[7, 9]], ..Extra::default() };
    let whole = StructureExport { edited, extras: vec![target.clone(), second], ..*whole };
    let what = Export::Structures(Box::new(whole));
    let slices = ByteSlices::cut(&labels, 512 * 512);
    rig.tell(Command::Export { what, labels: slices, notes: Vec::new(), opened_from: None });
    let Some(Event::Exported { bytes: saved, .. }) = rig.rest().pop() else { panic!("no archive") };
    let names = archive::unzip(&saved, 64 << 20).unwrap().into_iter().map(|(name, _)| name);
    assert!(names.eq(["labels.nii.gz", "structures/PTV.nii.gz", "structures/GTV.nii.gz"]));
    let (mut organs, mut others) = (None, Vec::new());
    for event in rig.open(vec![bytes("saved.zip", saved)]) {
        if let Event::Opened { what: Opened::Labels { labels, extras, .. }, .. } = event {
            organs = organs.or(labels);
            others.extend(extras.into_iter().map(|extra| (extra.name, extra.runs)));
        }
    }
    others.sort();
    assert_eq!(organs.as_ref().map(ByteSlices::to_vec), Some(labels.clone()));
    assert_eq!(others, [("GTV".to_owned(), vec![[7, 9]]), ("PTV".to_owned(), target.runs.clone())]);
    // Without its patient, and with other identifiers unless they are kept.
    let uid = {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut files = Vec::new();
        for deidentify in [None, Some(Identifiers::Kept), Some(Identifiers::Replaced)] {
            let Export::Structures(whole) = structures(StructureFormat::StructureSet) else { panic!() };
            let what = Export::Structures(Box::new(StructureExport { deidentify, ..*whole }));
            let labels = ByteSlices::cut(&labels, 512 * 512);
            rig.tell(Command::Export { what, labels, notes: Vec::new(), opened_from: None });
            let Some(Event::Exported { bytes, .. }) = rig.rest().pop() else { panic!("{deidentify:?}") };
            files.push(text(&bytes));
        }
        files
    };
    assert!(!uid[0].contains("ANONYMOUS") && uid[1].contains("ANONYMOUS") && uid[2].contains("ANONYMOUS"));
    // A CT that is no series has no slices to refer to.
    let mut rig = Rig::with_sample();
    let labels = shared(vec![ORGAN.label(); 3600 * SLICES]);
    let what = structures(StructureFormat::StructureSet);
    rig.tell(Command::Export { what, labels, notes: Vec::new(), opened_from: None });
    assert!(matches!(&rig.rest()[..], [Event::Failed(why)] if why.contains("DICOM series")));
}

fn only(labels: &[u8], organ: attention_anatomy::anatomy::Organ) -> Vec<u8> {
    labels.iter().map(|&label| if label == organ.label() { label } else { 0 }).collect()
}

#[test]
fn a_label_map_opened_again_says_what_was_edited_and_nothing_else_counts_as_edited() {
    let mut rig = Rig::with_sample();
    let mut store = LabelStore::new(std::sync::Arc::new(samples::ct(SLICES)));
    for k in 0..SLICES {
        store.apply_run_slice(k, &[ORGAN.label(); 3600]);
    }
    let dab = Dab { way: [[30.0, 30.0, 4.0]; 2], radius_mm: 9.0, plane: None };
    store.stroke(&dab, Ink::Erase(None), &EditSettings::default());
    let edited = store.edited_voxels();
    assert!(edited > 50);
    for format in [StructureFormat::Nifti, StructureFormat::Nrrd] {
        let Export::Structures(whole) = structures(format) else { panic!() };
        let what = Export::Structures(Box::new(StructureExport { beneath: store.snapshot().beneath(), ..*whole }));
        let labels = store.layer().share();
        rig.tell(Command::Export { what, labels, notes: Vec::new(), opened_from: None });
        let Some(Event::Exported { name, bytes: saved }) = rig.rest().pop() else { panic!("{format:?}") };
        let opened = rig.open(vec![bytes(&name, saved)]).pop();
        let Some(Event::Opened { what: Opened::Labels { labels, edits, warnings, .. }, .. }) = opened else {
            panic!("{opened:?}")
        };
        assert_eq!(warnings, [""; 0]);
        let mut again = LabelStore::new(std::sync::Arc::new(samples::ct(SLICES)));
        again.open_labels(&name, labels.unwrap(), edits, Vec::new());
        while again.advance(std::time::Duration::MAX) {}
        assert_eq!((again.edited_voxels(), again.snapshot()), (edited, store.snapshot()), "{format:?}");
    }
}

#[test]
fn a_comparison_is_answered_under_its_number_and_a_newer_one_replaces_it() {
    let mut rig = Rig::with_sample();
    let mut truth = vec![0u8; 3600 * SLICES];
    truth[3600 * 2 + 1000..3600 * 2 + 1020].fill(ORGAN.label());
    let mut other = truth.clone();
    other[3600 * 2 + 1010..3600 * 2 + 1020].fill(0);
    let compare = |number, labels: &[u8], reference: &[u8]| Command::Compare {
        number,
        labels: shared(labels.to_vec()),
        reference: shared(reference.to_vec()),
    };
    rig.tell(compare(1, &truth, &truth));
    rig.step();
    rig.tell(compare(2, &other, &truth));
    let events = rig.rest();
    let [Event::Compared { number: 2, metrics }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(metrics.len(), ORGAN_COUNT);
    let organ = metrics[ORGAN.index()].unwrap();
    // 10 of 20 found, nothing else: 2 * 10 / (10 + 20).
    assert!((organ.dice - 20.0 / 30.0).abs() < 1e-12 && !organ.missed);
    assert_eq!(metrics.iter().flatten().count(), 1);
    rig.tell(compare(3, &[0; 5], &[0; 5]));
    assert!(matches!(&rig.rest()[..], [Event::Failed(_)]));
}
