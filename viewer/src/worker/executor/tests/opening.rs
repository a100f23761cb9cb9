use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::formats::dicom::Repair;
use attention_anatomy::formats::{nifti, nrrd};
use attention_anatomy::volume::{CtVolume, Geometry};
use proptest::prelude::*;

use std::io::Read;
use std::sync::Arc;

use super::*;
use crate::worker::Export;

pub(super) fn opened_ct(events: &[Event]) -> Arc<CtVolume> {
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
    let map = nifti::write_organs(&labels, "", None).unwrap();
    let mut rig = Rig::new();
    assert!(refusal(&rig.open(vec![bytes("map", map.clone())])).contains("open the CT"));
    let mut rig = Rig::with_sample();
    // Stored as bytes, and stored as 16-bit numbers.
    let wide = ct.with_voxels(labels.voxels.iter().map(|&l| i16::from(l)).collect());
    for (file, as_what) in [
        (map.clone(), OpenAs::Whatever),
        (nifti::write_ct(&wide, "").unwrap(), OpenAs::Whatever),
        (nrrd::write_labels(&labels, "").unwrap(), OpenAs::Reference),
        (nrrd::write_organs(&labels, "", None).unwrap(), OpenAs::Reference),
    ] {
        let mut events = rig.open_as(vec![bytes("map", file)], as_what);
        events.extend(names_are_right(&mut rig, &events));
        match events.last() {
            Some(Event::Opened { what: Opened::Labels { labels: Some(found), reference, .. }, .. }) => {
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
        let mut rig = Rig::new();
        let mut events = rig.open(inputs);
        events.extend(names_are_right(&mut rig, &events));
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
}

/// Says yes where the names of a label map are asked about.
fn names_are_right(rig: &mut Rig, events: &[Event]) -> Vec<Event> {
    match events.last() {
        Some(Event::OpenAsks { question: OpenQuestion::Names { .. }, .. }) => {
            rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::NamesAreRight });
            rig.rest()
        }
        _ => Vec::new(),
    }
}

#[test]
fn numbers_that_nothing_names_are_shown_under_no_name_before_the_user_has_said_so() {
    let ct = samples::ct(SLICES);
    // The rod is 20 ml of 600 HU: no eye, and no organ has the number 99.
    let rod: Vec<bool> = ct.voxels.iter().map(|&v| v > 300).collect();
    let numbers = |n: usize, inside: bool| if inside { [Organ::EyeLeft.label(), 99][n % 2] } else { 0 };
    let map = ct.with_voxels(rod.iter().enumerate().map(|(n, &inside)| numbers(n, inside)).collect());
    let file = || vec![bytes("theirs.nii.gz", nifti::write_labels(&map, "").unwrap())];
    let mut rig = Rig::with_sample();
    let events = rig.open(file());
    let Some(Event::OpenAsks { job: 1, question: OpenQuestion::Names { name, organs } }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((name.as_str(), organs.len()), ("theirs.nii.gz", 2));
    assert!(
        organs[0].organ == "Eye left" && organs[0].doubts.iter().any(|doubt| doubt.contains("dense")),
        "{organs:?}"
    );
    assert!(organs[1].label == 99 && organs[1].doubts[0].contains("no organ"), "{organs:?}");
    assert!(rig.rest().is_empty(), "nothing is shown meanwhile");
    rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::ByNumber });
    let opened = rig.rest();
    let Some(Event::Opened { what: Opened::Labels { labels: None, extras, .. }, .. }) = opened.last() else {
        panic!("{opened:?}")
    };
    assert_eq!(extras.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["Label 5", "Label 99"]);
    assert_eq!(extras[0].mask(map.voxels.len()), map.voxels.iter().map(|&v| u8::from(v == 5)).collect::<Vec<_>>());
    // Who says that the names are right gets them, but for numbers that no organ has.
    rig.open(file());
    rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::NamesAreRight });
    assert!(refusal(&rig.rest()).contains("99"));
    // A comparison needs names.
    rig.open_as(file(), OpenAs::Reference);
    rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::ByNumber });
    assert!(refusal(&rig.rest()).contains("under the names of organs"));
    // And whoever gives up gets nothing.
    rig.open(file());
    rig.tell(Command::CancelOpen);
    assert!(matches!(&rig.rest()[..], [Event::OpenFailed { message, .. }] if message.is_empty()));
}

/// Files of an archive of the tests, each by its name.
fn archive(name: &str, part: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = attention_anatomy::formats::archive::unzip(&std::fs::read(path).unwrap(), 256 << 20).unwrap();
    files.into_iter().filter(|(name, _)| name.contains(part)).collect()
}

fn inputs(files: Vec<(String, Vec<u8>)>) -> Vec<Input> {
    files.into_iter().map(|(name, contents)| bytes(&name, contents)).collect()
}

#[test]
fn structures_beside_their_series_are_shown_with_it_and_several_are_chosen_from() {
    let slices = || archive("rtstruct.zip", "mock_data/ct_");
    let structures = || archive("rtstruct.zip", "mock_data/rt.dcm");
    let mut files = structures();
    files.extend(slices());
    let mut rig = Rig::new();
    let events = rig.open(inputs(files));
    let opened: Vec<&Opened> =
        events.iter().filter_map(|e| if let Event::Opened { what, .. } = e { Some(what) } else { None }).collect();
    let [Opened::Ct { labels_follow: true, ct, .. }, Opened::Labels { labels: None, extras, .. }] = &opened[..] else {
        panic!("{opened:?}")
    };
    assert!(ct.warnings.iter().all(|warning| !warning.contains("left out")), "{:?}", ct.warnings);
    assert_eq!(extras.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["ROI-1"]);

    // Two of them: one is chosen, by its label.
    let mut files = slices();
    for n in 0..2 {
        files.extend(structures().into_iter().map(|(name, contents)| (format!("{n}/{name}"), contents)));
    }
    for (answer, shown) in [(Some(1), 1), (None, 0)] {
        let mut rig = Rig::new();
        let events = rig.open(inputs(files.clone()));
        assert!(events.iter().any(|e| matches!(e, Event::Opened { what: Opened::Ct { .. }, .. })), "the scan is there");
        let Some(Event::OpenAsks { question: OpenQuestion::Structures(titles), .. }) = events.last() else {
            panic!("{events:?}")
        };
        assert!(titles.len() == 2 && titles[0].contains("1 structure"), "{titles:?}");
        rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::Structures(answer) });
        let labels =
            rig.rest().iter().filter(|e| matches!(e, Event::Opened { what: Opened::Labels { .. }, .. })).count();
        assert_eq!(labels, shown);
    }
    // A damaged one costs no more than a sentence.
    let mut files = slices();
    files.extend(structures().into_iter().map(|(name, contents)| (name, contents[..contents.len() / 2].to_vec())));
    let events = Rig::new().open(inputs(files));
    assert!(events.iter().any(|e| matches!(e, Event::Opened { what: Opened::Ct { .. }, .. })), "{events:?}");
}

#[test]
fn of_several_series_the_user_chooses_one_by_its_picture() {
    let files = || inputs(archive("dicom-geometry.zip", ""));
    let mut rig = Rig::new();
    let events = rig.open(files());
    let Some(Event::OpenAsks { job: 1, question: OpenQuestion::Series(series) }) = events.last() else {
        panic!("{events:?}")
    };
    assert!(series.len() > 2 && series.iter().filter(|entry| entry.best.is_some()).count() == 1, "{series:?}");
    // Every series that forms a volume has a picture and its size; the slices of series 201 are of one grey each.
    for entry in series.iter().filter(|entry| entry.problem.is_none()) {
        assert_eq!(entry.picture.len(), entry.picture_size[0] * entry.picture_size[1]);
        let greys = entry.picture.iter().any(|&p| p != entry.picture[0]);
        assert!(greys != (entry.number == Some(201)) && entry.spacing.is_some(), "{:?}", entry.number);
    }
    let wanted = series.iter().rposition(|entry| entry.problem.is_none() && entry.best.is_none()).unwrap();
    let [slices, columns, rows] = series[wanted].size;
    rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::Series(wanted) });
    let events = rig.rest();
    let Some(Event::Opened { what: Opened::Ct { ct, .. }, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(ct.stored.size, [columns, rows, slices]);
    assert!(ct.warnings.iter().all(|warning| !warning.contains("because")), "nobody else chose: {:?}", ct.warnings);
    // Given up, nothing comes.
    rig.open(files());
    rig.tell(Command::CancelOpen);
    assert!(matches!(&rig.rest()[..], [Event::OpenFailed { message, .. }] if message.is_empty()));
}

#[test]
fn missing_slices_are_filled_in_only_if_the_user_says_so() {
    let files = || {
        let mut slices = archive("ct-dicom-jpeg2000.zip", "");
        slices.remove(1);
        inputs(slices)
    };
    let mut rig = Rig::new();
    let events = rig.open(files());
    let Some(Event::OpenAsks { job: 1, question: OpenQuestion::Repair { problem, repair } }) = events.last() else {
        panic!("{events:?}")
    };
    assert!(*repair == Repair::FillGaps && problem.contains("slices are missing (1 in all"), "{problem}");
    rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::Repair });
    let ct = opened_ct(&rig.rest());
    assert_eq!(ct.geometry.size[2], 4);
    assert!(ct.warnings.iter().any(|w| w.contains("interpolated between their neighbours")), "{:?}", ct.warnings);
}

#[test]
fn slices_without_anything_between_slices_of_the_body_are_warned_of_and_the_report_says_so() {
    let mut ct = samples::ct(SLICES);
    let area = 60 * 60;
    ct.voxels[4 * area..5 * area].fill(-1000);
    // At the end of a scan, as padding, they are nothing to speak of.
    ct.voxels[..area].fill(-1000);
    let mut rig = Rig::new();
    let opened = opened_ct(&rig.open(vec![bytes("ct.nii.gz", samples::nifti(&ct))]));
    let said: Vec<&String> = opened.warnings.iter().filter(|w| w.contains("slices hold nothing")).collect();
    assert!(matches!(&said[..], [one] if one.contains("at z = 22.00 mm;")), "{:?}", opened.warnings);
    let labels = ByteSlices::cut(&vec![0; opened.voxels.len()], area);
    rig.tell(Command::Export { what: Export::ReportHtml, labels, notes: Vec::new(), opened_from: None });
    let Some(Event::Exported { bytes, .. }) = rig.rest().pop() else { panic!("no report") };
    assert!(
        String::from_utf8(bytes).unwrap().contains("lices hold nothing although both their neighbours show the body")
    );
    let whole = opened_ct(&rig.open(vec![self::bytes("whole.nii.gz", samples::nifti(&samples::ct(SLICES)))]));
    assert!(whole.warnings.iter().all(|w| !w.contains("slices hold nothing")), "{:?}", whole.warnings);
}

#[test]
fn a_large_file_becomes_voxels_while_it_is_read_and_is_never_in_memory_whole() {
    let ct = samples::ct(SLICES);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&samples::nifti(&ct)[..]).read_to_end(&mut plain).unwrap();
    let platform = samples::platform();
    platform.state().large = 1;
    let mut rig = Rig::on(platform);
    for file in [samples::nifti(&ct), plain.clone()] {
        let opened = opened_ct(&rig.open(vec![bytes("ct", file)]));
        assert_eq!((&opened.voxels, &opened.geometry), (&ct.voxels, &ct.geometry));
    }
    // Labels without names are asked about, as ever.
    let labels = ct.with_voxels(labels_of(&ct).into_iter().map(i16::from).collect());
    let events = rig.open(vec![bytes("map", samples::nifti(&labels))]);
    assert!(matches!(events.last(), Some(Event::OpenAsks { question: OpenQuestion::Names { .. }, .. })), "{events:?}");
    rig.tell(Command::CancelOpen);
    rig.rest();
    // What does not fit is asked before it is decoded; a file that ends early is refused.
    rig.platform.state().memory_limit = 60 * 60 * SLICES as u64;
    let events = rig.open(vec![bytes("ct", samples::nifti(&ct))]);
    assert!(matches!(events.last(), Some(Event::OpenLarge { .. })), "{events:?}");
    rig.platform.state().memory_limit = u64::MAX;
    refusal(&rig.open(vec![bytes("ct", plain[..plain.len() / 2].to_vec())]));
    assert_eq!(rig.platform.state().read_whole, 0);
    // What cannot be decoded so is read first.
    let opened = opened_ct(&rig.open(vec![bytes("download", nrrd::write_ct(&ct, "").unwrap())]));
    assert_eq!((&opened.voxels, rig.platform.state().read_whole), (&ct.voxels, 1));
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
fn what_is_in_an_archive_without_a_ct_is_named() {
    let zip = |files: &[(&str, &[u8])]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, data) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zip, data).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let mut rig = Rig::new();
    let mut refused = |data: Vec<u8>| refusal(&rig.open(vec![bytes("mail.zip", data)])).to_string();
    let one = refused(zip(&[("letter.pdf", b"%PDF-1.7")]));
    assert!(one.starts_with("mail.zip: there is no CT and no label map in it, only letter.pdf;"), "{one}");
    let two = refused(zip(&[("letter.pdf", b"%PDF-1.7"), ("notes.txt", b"Dear colleague")]));
    assert!(two.contains("only 2 files such as letter.pdf;"), "{two}");
    let inner = zip(&[("1.dcm", b"x")]);
    let nested = refused(zip(&[("read me.txt", b"unpack"), ("series.zip", &inner)]));
    assert_eq!(
        nested,
        "mail.zip: series.zip is a zip archive within the archive; unpack it and open the folder that comes out"
    );
}

#[test]
fn a_run_names_no_organ_that_was_not_asked_for() {
    let mut rig = Rig::with_sample();
    rig.tell(Command::Run(RunRequest { run: 5, first: 0, enabled: OrganSet::EMPTY, cleanup: false }));
    for event in rig.rest() {
        if let Event::SliceDone { labels, .. } = event {
            assert!(labels.is_all(0));
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
        let ended = |e: &Event| {
            matches!(
                e,
                Event::Opened { .. } | Event::OpenFailed { .. } | Event::OpenLarge { .. } | Event::OpenAsks { .. }
            )
        };
        prop_assert!(events.last().is_some_and(ended), "{events:?}");
        opened_ct(&rig.open(vec![Input::Sample]));
    }
}
