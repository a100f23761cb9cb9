//! Series that come from an archive, and files that go to one.

use std::sync::Arc;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::dicomweb::store_body;
use attention_anatomy::formats::archive::unzip;
use attention_anatomy::formats::dicom::Transfer;
use whole_program_tests::{SERIES, STUDY, identified};

use super::*;
use crate::worker::platform::fake::Answering;
use crate::worker::{Access, ArchiveAnswer, ArchiveCommand, ArchiveSeries, Export, StructureExport, StructureFormat};

/// The four slices of a real scan, each under its UID.
fn slices() -> Vec<(String, Vec<u8>)> {
    let path = format!("{}/../tests/data/ct-dicom-jpeg2000.zip", env!("CARGO_MANIFEST_DIR"));
    let mut files = unzip(&std::fs::read(path).unwrap(), 1 << 30).unwrap();
    files.sort();
    let slice = |(n, (_, bytes)): (usize, (String, Vec<u8>))| {
        let bytes = identified(bytes, n + 1);
        (Transfer::of_file("", &bytes).unwrap().instance, bytes)
    };
    files.into_iter().enumerate().map(slice).collect()
}

fn wanted() -> ArchiveSeries {
    let access = Access { name: "Ours".into(), root: "/dicom-web".parse().unwrap(), authorization: None };
    ArchiveSeries { access, study: STUDY.into(), series: vec![SERIES.into()] }
}

fn message(files: &[&[u8]]) -> (u16, String, Vec<u8>, bool) {
    let body = store_body(files);
    (200, body.content_type, body.bytes, false)
}

/// An archive with the four slices; whose answer with all of them breaks off behind so many bytes, and which has not the last where it is
/// asked for it alone as often as `missing` says.
fn archive(cut: Option<usize>, missing: usize) -> Answering {
    let slices = slices();
    Answering(Arc::new(move |address, before| match address.split_once("/instances") {
        None => {
            let all: Vec<&[u8]> = slices.iter().map(|(_, bytes)| bytes.as_slice()).collect();
            let (status, content_type, mut bytes, _) = message(&all);
            bytes.truncate(cut.unwrap_or(usize::MAX));
            (status, content_type, bytes, cut.is_some())
        }
        Some((_, list)) if list.starts_with('?') => {
            let row = |(uid, _): &(String, Vec<u8>)| format!("{{\"00080018\":{{\"Value\":[\"{uid}\"]}}}}");
            let rows: Vec<String> = slices.iter().filter(|_| list.contains("offset=0")).map(row).collect();
            (200, "application/dicom+json".into(), format!("[{}]", rows.join(",")).into(), false)
        }
        Some((_, one)) => {
            let uid = one.trim_start_matches('/');
            if before < missing && uid == slices[3].0 {
                return (404, String::new(), Vec::new(), false);
            }
            let (_, bytes) = slices.iter().find(|(own, _)| own == uid).unwrap();
            message(&[bytes])
        }
    }))
}

fn rig(answering: Answering) -> Rig {
    let rig = Rig::new();
    rig.platform.state().archive = Some(answering);
    rig
}

fn opened(events: &[Event]) -> Option<[usize; 3]> {
    events.iter().find_map(|event| match event {
        Event::Opened { what: Opened::Ct { ct, name, .. }, .. } if name == "Ours" => Some(ct.geometry.size),
        _ => None,
    })
}

#[test]
fn a_series_of_an_archive_opens_as_its_folder_does_and_a_slice_is_seen_before() {
    let mut rig = rig(archive(None, 0));
    let events = rig.open(vec![Input::Archive(Box::new(wanted()))]);
    let mut folder = Rig::new();
    let files = slices().into_iter().map(|(name, contents)| bytes(&format!("{name}.dcm"), contents)).collect();
    let expected = folder.open(files).iter().find_map(|event| match event {
        Event::Opened { what: Opened::Ct { ct, about, .. }, .. } => Some((ct.clone(), about.clone())),
        _ => None,
    });
    let found = events.iter().find_map(|event| match event {
        Event::Opened { what: Opened::Ct { ct, about, .. }, .. } => Some((ct.clone(), about.clone())),
        _ => None,
    });
    let ((found, about), (expected, told)) = (found.unwrap(), expected.unwrap());
    assert!(found.voxels == expected.voxels && found.geometry == expected.geometry && about == told);
    let at = |wanted: fn(&Event) -> bool| events.iter().position(wanted);
    let seen = at(
        |event| matches!(event, Event::OpenPicture { picture, .. } if picture.pixels.len() == picture.size[0] * picture.size[1]),
    );
    assert!(seen.unwrap() < at(|event| matches!(event, Event::Opened { .. })).unwrap());
    assert!(
        events.iter().any(|e| matches!(e, Event::OpenProgress { step, .. } if step.contains("of 4 slices"))),
        "{events:?}"
    );
}

#[test]
fn a_connection_that_breaks_is_gone_on_with_and_a_volume_with_holes_is_none() {
    let length = message(&slices().iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>()).2.len();
    for cut in [0, 300, length / 3, length / 2, length - 1] {
        let mut rig = rig(archive(Some(cut), 0));
        let events = rig.open(vec![Input::Archive(Box::new(wanted()))]);
        assert_eq!(opened(&events).unwrap()[2], 4, "cut at {cut}");
        let said = |e: &&Event| matches!(e, Event::Warning(text) if text.contains("asked for one by one"));
        assert_eq!(events.iter().filter(said).count(), 1, "cut at {cut}: {events:?}");
    }
    // The last slice cannot be had: nothing opens, and the same again goes on with what had come.
    let mut rig = rig(archive(Some(length - 200), 1));
    let events = rig.open(vec![Input::Archive(Box::new(wanted()))]);
    assert!(refusal(&events).contains("1 of 4 instances of the series did not come"), "{events:?}");
    let before = rig.platform.state().asked.len();
    let events = rig.open(vec![Input::Archive(Box::new(wanted()))]);
    assert_eq!(opened(&events).unwrap()[2], 4);
    let asked = rig.platform.state().asked.split_off(before);
    let images: Vec<&String> = asked.iter().filter(|address| !address.contains("/instances?")).collect();
    assert_eq!(images.len(), 1, "only what was missing: {images:?}");
}

#[test]
fn what_is_given_up_is_not_asked_for_any_more() {
    let mut rig = rig(archive(None, 0));
    rig.platform.state().patience = 50;
    rig.tell(Command::Open {
        job: 1,
        inputs: vec![Input::Archive(Box::new(wanted()))],
        as_what: OpenAs::Whatever,
        even_if_large: false,
    });
    for _ in 0..200 {
        rig.step();
    }
    rig.tell(Command::CancelOpen);
    let events = rig.rest();
    assert!(matches!(&events[..], [Event::OpenFailed { message, .. }] if message.is_empty()), "{events:?}");
    let asked = rig.platform.state().asked.len();
    rig.rest();
    assert_eq!(rig.platform.state().asked.len(), asked);
}

fn answers(events: Vec<Event>) -> Vec<ArchiveAnswer> {
    events.into_iter().filter_map(|e| if let Event::Archive { answer, .. } = e { Some(answer) } else { None }).collect()
}

fn ask_for(rig: &mut Rig, access: Access, what: ArchiveCommand) -> Vec<ArchiveAnswer> {
    rig.tell(Command::Archive { number: 7, access, what });
    answers(rig.rest())
}

#[test]
fn refusals_are_sentences_and_a_token_goes_only_where_nobody_reads_it() {
    let refuse =
        |status: u16| Answering(Arc::new(move |_: &str, _| (status, "text/html".into(), b"<html>".to_vec(), false)));
    for (status, said) in
        [(401, "does not know who asks"), (403, "does not allow to"), (404, "check the root"), (200, "a web page")]
    {
        let mut rig = rig(refuse(status));
        let told = ask_for(&mut rig, wanted().access, ArchiveCommand::Series { study: "1.2".into() });
        assert!(matches!(&told[..], [ArchiveAnswer::Failed(text)] if text.contains(said)), "{status}: {told:?}");
    }
    let mut rig = rig(refuse(200));
    let root = "http://archive.example/dicom-web".parse().unwrap();
    let access = Access { name: "Far".into(), root, authorization: Some("Bearer x".into()) };
    let told = ask_for(&mut rig, access, ArchiveCommand::Series { study: "1.2".into() });
    assert!(
        matches!(&told[..], [ArchiveAnswer::Failed(text)] if text.contains("must begin with https://")),
        "{told:?}"
    );
    assert!(rig.platform.state().asked.is_empty());
}

#[test]
fn structures_go_back_and_are_read_again_on_their_scan() {
    let mut rig = rig(archive(None, 0));
    rig.open(vec![Input::Archive(Box::new(wanted()))]);
    let size = rig.executor.study.as_ref().unwrap().ct.geometry.size;
    let mut labels = vec![0u8; size.iter().product()];
    let (slice, row) = (size[0] * size[1], size[0]);
    for k in 1..3 {
        for j in 200..240 {
            labels[k * slice + j * row + 200..][..30].fill(Organ::Liver.label());
        }
    }
    let own = archive(None, 0);
    rig.platform.state().archive = Some(Answering(Arc::new(move |address, before| {
        if address.ends_with("/studies") { (200, String::new(), Vec::new(), false) } else { (own.0)(address, before) }
    })));
    let export = |format| {
        let organs = OrganSet::ALL;
        Export::Structures(Box::new(StructureExport {
            format,
            organs,
            label: "AI contours".into(),
            ..StructureExport::default()
        }))
    };
    let what = ArchiveCommand::Send {
        what: vec![export(StructureFormat::StructureSet), export(StructureFormat::Segmentation)],
        labels: ByteSlices::cut(&labels, slice),
        notes: Vec::new(),
        opened_from: None,
    };
    let said = ask_for(&mut rig, wanted().access, what);
    let Some(ArchiveAnswer::Sent(files)) = said.last() else { panic!("{said:?}") };
    assert_eq!(files.iter().map(|file| file.what.as_str()).collect::<Vec<_>>(), ["RTSTRUCT", "SEG"]);
    assert!(said.contains(&ArchiveAnswer::Sending { done: 1, of: 2 }) || said.len() == 1, "{said:?}");
    let posted = std::mem::take(&mut rig.platform.state().posted);
    for (body, file) in posted.iter().zip(files) {
        let start = body.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let events = rig.open(vec![bytes("back.dcm", body[start..start + file.bytes].to_vec())]);
        let back = events.iter().find_map(|event| match event {
            Event::Opened { what: Opened::Labels { labels, .. }, .. } => labels.clone(),
            _ => None,
        });
        assert!(back.unwrap().to_vec() == labels, "{}", file.what);
    }
    let series = format!("/dicom-web/studies/{STUDY}/series/{SERIES}");
    assert!(rig.platform.state().asked.contains(&series));
}
