//! DICOM files with many frames: decoded while they are read.

use super::opening::opened_ct;
use super::*;

/// Frames, and pixels along their sides.
const FRAMES: usize = 40;
const SIDE: u16 = 32;

/// An element that names its representation, little endian.
fn element([group, number]: [u16; 2], vr: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.extend(vr.as_bytes());
    match vr {
        "OB" | "OW" | "SQ" => bytes.extend([[0; 2].as_slice(), &(value.len() as u32).to_le_bytes()].concat()),
        _ => bytes.extend((value.len() as u16).to_le_bytes()),
    }
    [bytes, value.to_vec()].concat()
}

fn text(tag: [u16; 2], vr: &str, value: &str) -> Vec<u8> {
    let padding = if vr == "UI" { "\0" } else { " " };
    element(tag, vr, format!("{value}{}", if value.len() % 2 == 1 { padding } else { "" }).as_bytes())
}

fn number(tag: [u16; 2], value: u16) -> Vec<u8> {
    element(tag, "US", &value.to_le_bytes())
}

/// A sequence of these items.
fn sequence(tag: [u16; 2], items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let item = |value: Vec<u8>| [&[0xFE, 0xFF, 0x00, 0xE0], &(value.len() as u32).to_le_bytes()[..], &value].concat();
    element(tag, "SQ", &items.into_iter().flat_map(item).collect::<Vec<u8>>())
}

/// An enhanced CT, whose frame k lies 2 k mm up and has k HU.
fn enhanced() -> Vec<u8> {
    let class = "1.2.840.10008.5.1.4.1.1.2.1";
    let frame = |k: usize| {
        let position = text([0x20, 0x32], "DS", &format!("0\\0\\{}", 2 * k));
        sequence([0x20, 0x9113], [position])
    };
    let shared = [
        sequence([0x20, 0x9116], [text([0x20, 0x37], "DS", "1\\0\\0\\0\\1\\0")]),
        sequence([0x28, 0x9110], [text([0x28, 0x30], "DS", "2\\2")]),
        sequence([0x28, 0x9145], [[text([0x28, 0x1052], "DS", "-1024"), text([0x28, 0x1053], "DS", "1")].concat()]),
    ];
    let area = usize::from(SIDE).pow(2);
    let pixels: Vec<u8> = (0..FRAMES).flat_map(|k| (1024 + k as u16).to_le_bytes().repeat(area)).collect();
    let parts = [
        vec![0; 128],
        b"DICM".to_vec(),
        text([2, 2], "UI", class),
        text([2, 0x10], "UI", "1.2.840.10008.1.2.1"),
        text([8, 0x16], "UI", class),
        text([8, 0x18], "UI", "1.2.3.4"),
        text([8, 0x60], "CS", "CT"),
        text([0x20, 0x0d], "UI", "1.2"),
        text([0x20, 0x0e], "UI", "1.2.3"),
        number([0x28, 2], 1),
        text([0x28, 4], "CS", "MONOCHROME2"),
        text([0x28, 8], "IS", &FRAMES.to_string()),
        number([0x28, 0x10], SIDE),
        number([0x28, 0x11], SIDE),
        number([0x28, 0x100], 16),
        number([0x28, 0x101], 16),
        number([0x28, 0x102], 15),
        number([0x28, 0x103], 0),
        sequence([0x5200, 0x9229], [shared.concat()]),
        sequence([0x5200, 0x9230], (0..FRAMES).map(frame)),
        element([0x7fe0, 0x10], "OW", &pixels),
    ];
    parts.concat()
}

fn check(events: &[Event]) {
    let ct = opened_ct(events);
    assert_eq!(ct.geometry.size, [usize::from(SIDE), usize::from(SIDE), FRAMES]);
    for k in 0..FRAMES {
        assert!(ct.slice(k).iter().all(|&v| v == k as i16), "slice {k}");
    }
}

#[test]
fn a_large_file_with_many_frames_becomes_voxels_while_it_is_read() {
    let mut rig = Rig::on(samples::platform());
    rig.platform.state().large = 1 << 14;
    let events = rig.open(vec![bytes("enhanced", enhanced())]);
    check(&events);
    let told =
        |e: &&Event| matches!(e, Event::OpenProgress { step, part: Some(p), .. } if step == "Reading" && *p > 0.0);
    assert!(events.iter().filter(told).count() >= 2, "how much of it is told: {events:?}");
    assert_eq!(rig.platform.state().read_whole, 0);
    // As it lies on a disc: with a directory and notes, which are read whole.
    check(&rig.open(vec![bytes("DICOMDIR", b"no directory".to_vec()), bytes("enhanced", enhanced())]));
    assert_eq!(rig.platform.state().read_whole, 1);
    // Smaller ones are read whole, and then decoded.
    rig.platform.state().large = u64::MAX;
    check(&rig.open(vec![bytes("enhanced", enhanced())]));
    assert_eq!(rig.platform.state().read_whole, 2);
}

#[test]
fn a_large_file_with_many_frames_that_does_not_fit_is_asked_about_before_it_is_decoded() {
    let mut rig = Rig::on(samples::platform());
    rig.platform.state().large = 1 << 14;
    let voxels = u64::from(SIDE).pow(2) * FRAMES as u64;
    rig.platform.state().memory_limit = voxels * 6;
    let events = rig.open(vec![bytes("enhanced", enhanced())]);
    assert!(matches!(events.last(), Some(Event::OpenLarge { bytes, .. }) if *bytes == voxels * 7), "{events:?}");
    assert!(rig.rest().is_empty());
    rig.tell(Command::Open { job: 1, inputs: Vec::new(), as_what: OpenAs::Whatever, even_if_large: true });
    check(&rig.rest());
    rig.platform.state().most_needed = voxels * 6;
    assert!(refusal(&rig.open(vec![bytes("enhanced", enhanced())])).contains("of memory"));
    assert_eq!(rig.platform.state().read_whole, 0);
    // One that ends early is read whole by the reader that says so.
    rig.platform.state().most_needed = u64::MAX;
    rig.platform.state().memory_limit = u64::MAX;
    let mut cut = enhanced();
    cut.truncate(cut.len() / 2);
    assert!(refusal(&rig.open(vec![bytes("enhanced", cut)])).contains("the file ends before they do"));
}
