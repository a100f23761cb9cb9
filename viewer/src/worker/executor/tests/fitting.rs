use attention_anatomy::formats::archive;

use super::opening::opened_ct;
use super::*;

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
    assert!(matches!(events.last(), Some(Event::OpenAsks { .. })), "{events:?}");
    let Some(Event::OpenAsks { question: OpenQuestion::Series(series), .. }) = events.last() else { panic!() };
    let best = series.iter().position(|entry| entry.best.is_some()).unwrap();
    rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::Series(best) });
    // One that has to be mended before its size can be told.
    let events = rig.rest();
    assert!(matches!(events.last(), Some(Event::OpenAsks { question: OpenQuestion::Repair { .. }, .. })), "{events:?}");
    rig.tell(Command::AnswerOpen { job: 1, answer: OpenAnswer::Repair });
    let events = rig.rest();
    assert!(matches!(events.last(), Some(Event::OpenLarge { .. } | Event::OpenFailed { .. })), "{events:?}");
    rig.tell(Command::CancelOpen);
    assert!(matches!(&rig.rest()[..], [] | [Event::OpenFailed { .. }]));
}

#[test]
fn what_can_never_be_read_is_refused_with_its_size_before_it_is() {
    let platform = samples::platform();
    platform.state().most_bytes = 2_000_000_000;
    let mut rig = Rig::on(platform);
    let ct = samples::nifti(&samples::ct(SLICES));
    opened_ct(&rig.open(vec![bytes("ct", ct.clone())]));
    rig.platform.state().most_bytes = 1000;
    let events = rig.open(vec![bytes("ct", ct)]);
    assert!(
        !events.iter().any(|e| matches!(e, Event::OpenProgress { part: Some(_), .. })),
        "nothing was read: {events:?}"
    );
    let Some(Event::OpenFailed { message, .. }) = events.last() else { panic!("{events:?}") };
    assert!(message.contains("GB, and a browser tab reads at most"), "{message}");
}

#[test]
fn a_series_that_can_never_fit_is_refused_by_its_heads_and_two_of_which_each_fits_are_not() {
    let path = format!("{}/../tests/data/ct-dicom-jpeg2000.zip", env!("CARGO_MANIFEST_DIR"));
    // Nobody has given these a SeriesInstanceUID.
    let nameless = archive::unzip(&std::fs::read(path).unwrap(), 64 << 20).unwrap();
    let series = |uid: &str| -> Vec<Input> {
        let named = |(name, slice): &(String, Vec<u8>)| {
            let empty = [0x20, 0, 0x0e, 0, b'U', b'I', 0, 0];
            let at = slice.windows(empty.len()).position(|window| window == empty).unwrap();
            let mut slice = slice.clone();
            let filled = [&empty[..6], &(uid.len() as u16).to_le_bytes(), uid.as_bytes()].concat();
            slice.splice(at..at + empty.len(), filled);
            bytes(&format!("{uid}/{name}"), slice)
        };
        nameless.iter().map(named).collect()
    };
    let size_of = |inputs: &[Input]| -> u64 {
        let size = |input: &Input| if let Input::Bytes { bytes, .. } = input { bytes.len() as u64 } else { 0 };
        inputs.iter().map(size).sum()
    };
    let size = size_of(&series("1.2.3.40"));
    let mut rig = Rig::on(samples::platform());
    // Two series are 5.5 times the files of one: all files, and seven bytes for each two of one series.
    rig.platform.state().most_needed = 6 * size;
    let events = rig.open(series("1.2.3.40").into_iter().chain(series("1.2.3.41")).collect());
    let read = std::mem::take(&mut rig.platform.state().read_whole);
    assert_eq!(read, 8, "compressed slices need more, which is known once they are read: {events:?}");
    let without_names = nameless.iter().map(|(name, slice)| bytes(name, slice.clone())).collect();
    for one in [series("1.2.3.40"), without_names] {
        rig.platform.state().most_needed = 4 * size_of(&one);
        let needed = (size_of(&one) + size_of(&one) / 2 * 7).div_ceil(1_000_000);
        let events = rig.open(one);
        assert_eq!(rig.platform.state().read_whole, 0);
        let Some(Event::OpenFailed { message, .. }) = events.last() else { panic!("{events:?}") };
        let said = format!("needs {needed} MB of memory, and a browser tab has 2 MB for it");
        assert!(message.contains(&said), "{message}");
        assert!(
            message.contains("open a part of its slices or every other one, or use the desktop program"),
            "{message}"
        );
    }
}
