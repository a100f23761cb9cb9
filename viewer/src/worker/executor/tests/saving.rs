use attention_anatomy::formats;

use super::samples::ORGAN;
use super::*;
use crate::worker::Export;

fn network_labels(rig: &mut Rig) -> Vec<u8> {
    rig.run(5, 0);
    let mut labels = vec![0; 3600 * SLICES];
    for event in rig.rest() {
        if let Event::SliceDone { slice, labels: map, .. } | Event::SliceCleaned { slice, labels: map, .. } = event {
            labels[slice * 3600..(slice + 1) * 3600].copy_from_slice(&map);
        }
    }
    labels
}

fn export(rig: &mut Rig, what: Export, labels: &[u8]) -> (String, Vec<u8>) {
    let notes = vec!["edited by hand: liver".to_string()];
    rig.tell(Command::Export { what, labels: shared(labels.to_vec()), notes });
    match rig.rest().pop() {
        Some(Event::Exported { name, bytes }) => (name, bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_saved_names_weights_hash_device_notes_and_the_statement() {
    let mut rig = Rig::with_sample();
    let labels = network_labels(&mut rig);
    for (nrrd, file) in [(false, "labels.nii.gz"), (true, "labels.nrrd")] {
        let (name, bytes) = export(&mut rig, Export::Labels { nrrd }, &labels);
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
    for what in [Export::Labels { nrrd: false }, Export::StatisticsCsv, Export::AttentionJson, Export::ReportHtml] {
        assert!(!export(&mut rig, what, &labels).1.is_empty());
    }
    rig.tell(Command::Export { what: Export::ReportHtml, labels: shared(vec![0; 3]), notes: Vec::new() });
    assert!(matches!(&rig.rest()[..], [Event::Failed(_)]));
}

#[test]
fn structures_of_a_dicom_series_are_saved_and_opened_again() {
    use attention_anatomy::anatomy::{Organ, OrganSet};
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
    for (what, file) in [
        (Export::StructureSet { edited }, "structures.dcm"),
        (Export::DicomSegmentation { edited }, "segmentation.dcm"),
    ] {
        rig.tell(Command::Export { what, labels: ByteSlices::cut(&labels, 512 * 512), notes: Vec::new() });
        let Some(Event::Exported { name, bytes: saved }) = rig.rest().pop() else { panic!("{file} is not there") };
        assert_eq!(name, file);
        let opened = rig.open(vec![bytes(&name, saved)]);
        let found = opened.iter().find_map(|event| match event {
            Event::Opened { what: Opened::Labels { labels, .. }, .. } => Some(labels.to_vec()),
            _ => None,
        });
        assert_eq!(found.as_deref(), Some(&labels[..]), "{file}");
    }
    // A CT that is no series has no slices to refer to.
    let mut rig = Rig::with_sample();
    let labels = shared(vec![ORGAN.label(); 3600 * SLICES]);
    rig.tell(Command::Export { what: Export::StructureSet { edited }, labels, notes: Vec::new() });
    assert!(matches!(&rig.rest()[..], [Event::Failed(why)] if why.contains("DICOM series")));
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
