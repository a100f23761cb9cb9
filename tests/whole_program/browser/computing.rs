//! What the page does with the processor: workers that help one another, thousands of files, and nothing while nothing moves.

use std::path::Path;

use attention_anatomy::volume::{Geometry, Modality, Volume};

use super::*;

/// Ends a helper with its first slice: on a busy machine it may get no other.
const END_HELPERS: &str = "if (self.name === 'helper') {
    let heard = 0;
    self.addEventListener('message', () => {
        heard += 1;
        if (heard === 2) setTimeout(() => { throw new Error('a test ends this helper'); });
    });
}";

#[test]
fn slices_of_helpers_that_are_lost_are_computed_all_the_same() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("short.nii.gz");
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models/sample/neck-chest.nii.gz");
    let ct =
        attention_anatomy::formats::read_ct(vec![("sample.nii.gz".into(), std::fs::read(sample).unwrap())]).unwrap();
    let ([nx, ny, _], spacing) = (ct.geometry.size, ct.geometry.spacing());
    let voxels = ct.voxels[30 * nx * ny..62 * nx * ny].to_vec();
    let geometry = Geometry::axial([nx, ny, 32], spacing, [0.0; 3]).unwrap();
    let short = Volume::from_stored(geometry, voxels, Modality::Ct).unwrap();
    std::fs::write(&file, nifti::write_ct(&short, "").unwrap()).unwrap();

    let mut browser = Chromium::start(&stage.program, false);
    browser.worker_prelude = Some(END_HELPERS.into());
    browser.open(&format!("{}?device=cpu&workers=3", host.origin));
    browser.wait_for(&format!("{STATUS}?.weights"));
    browser.drop(&[&file], [640, 400]);
    browser.wait_for(&format!("{STATUS}?.run.phase === 'finished'"));
    assert_eq!(browser.workers, 3);
    let seen = status(&mut browser);
    let told = seen["notices"].to_string();
    assert!(told.contains("one at a time") && told.contains("a test ends this helper"), "{seen:#}");
    // Whether a browser tells of errors that somebody hears is its own affair.
    browser.complaints.retain(|text| !text.contains("a test ends this helper"));
    check_well(&mut browser, &host);

    succeed(&mut segment(&file, &folder.path().join("out")));
    let bytes = std::fs::read(folder.path().join("out/labels.nii.gz")).unwrap();
    let native = nifti::read_labels(&bytes, &ReadOptions::default()).unwrap();
    let (mut labelled, mut different) = (0, 0);
    for (k, expected) in native.voxels.chunks_exact(nx * ny).enumerate() {
        let (l, d) = differing(expected, &labels_of(&mut browser, k as u64));
        (labelled, different) = (labelled + l, different + d);
    }
    assert!(labelled > 500 && different * 1000 <= labelled, "{different} of {labelled} labelled voxels differ");
}

/// Counts how often the page asks the browser for a frame.
const COUNT_FRAMES: &str = "{
    const ask = window.requestAnimationFrame.bind(window);
    window.frames_asked_for = 0;
    window.requestAnimationFrame = (draw) => { window.frames_asked_for += 1; return ask(draw); };
}";

#[test]
fn nothing_is_drawn_while_nothing_moves_and_at_once_when_something_does() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let mut browser = Chromium::start(&stage.program, false);
    // As browsers are that hand over no folders, but the entries in them.
    browser.at_start(&format!("{COUNT_FRAMES} delete DataTransferItem.prototype.getAsFileSystemHandle;"));
    browser.open(&format!("{}?device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.weights"));
    // Sixty a second it would be; two are left, for what nobody tells. A while after the start all is said and drawn.
    let asked = "new Promise((later) => {
        const before = window.frames_asked_for;
        setTimeout(() => later(window.frames_asked_for - before), 3000);
    })";
    let few = |browser: &mut Chromium| (0..20).any(|_| browser.evaluate(asked).as_u64().unwrap() <= 12);
    assert!(few(&mut browser), "frames are asked for without end");
    // What the worker says is drawn although nobody touches the page.
    let folder = TempDir::new().unwrap();
    write_series(folder.path(), 3);
    lay_deeper(folder.path(), 1);
    browser.drop(&[folder.path()], [640, 400]);
    assert_eq!(browser.wait_for(&format!("{STATUS}.study?.size"))[2], 3);
    assert!(few(&mut browser), "frames are asked for without end");
    check_well(&mut browser, &host);
}

#[test]
fn a_folder_of_three_thousand_files_opens_and_one_that_needs_too_much_is_refused() {
    let Some(stage) = stage() else { return };
    let host = Host::of(&stage.page);
    let folder = TempDir::new().unwrap();
    write_series(&folder.path().join("series"), 3000);
    lay_deeper(&folder.path().join("series"), 700);
    let mut browser = Chromium::start(&stage.program, false);
    browser.worker_prelude = Some(REFUSE_WHOLE.into());
    browser.open(&format!("{}?device=cpu", host.origin));
    browser.wait_for(&format!("{STATUS}?.weights"));
    browser.drop(&[&folder.path().join("series")], [640, 400]);
    let size = serde_json::json!([SIDE, SIDE, 3000]);
    assert_eq!(browser.wait_for(&format!("{STATUS}.study?.size")), size);
    check_well(&mut browser, &host);

    // One large file with many frames never lies in memory whole; the disk holds its header alone.
    let path = folder.path().join("frames.dcm");
    let header = enhanced_header(512, 140);
    std::fs::write(&path, &header).unwrap();
    let whole = header.len() as u64 + 2 * 512 * 512 * 140;
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole).unwrap();
    browser.drop(&[&path], [640, 400]);
    let shown = format!("{STATUS}.study?.size?.[2] === 140 && {STATUS}.study.size");
    let size = serde_json::json!([512, 512, 140]);
    assert_eq!(browser.wait_for(&shown), size);
    check_well(&mut browser, &host);
    std::fs::remove_file(path).unwrap();

    // What does not fit into the memory of a tab is refused before it is read, with its number: 1,500 slices of 512 x 512, of which the
    // disk holds the headers alone.
    let mut bytes = 0;
    for k in 0..1500 {
        let path = folder.path().join(format!("{k:05}.dcm"));
        let header = dicom_header(k, 512);
        std::fs::write(&path, &header).unwrap();
        let whole = header.len() as u64 + 2 * 512 * 512;
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(whole).unwrap();
        bytes += whole;
    }
    std::fs::remove_dir_all(folder.path().join("series")).unwrap();
    browser.drop(&[folder.path()], [640, 400]);
    browser.wait_for(&format!("{STATUS}.notices.some((notice) => notice.startsWith('Error'))"));
    let said = status(&mut browser);
    // A voxel has two bytes in a file, and takes seven more of memory.
    let needed = (bytes + bytes / 2 * 7).div_ceil(1_000_000);
    let refused = format!(
        "this scan needs {needed} MB of memory, and a browser tab has 3000 MB for it; open a part of its slices or every other one, \
         or use the desktop program"
    );
    assert!(said["notices"].to_string().contains(&refused), "{said:#}");
    assert_eq!(said["study"]["size"], size, "what was open stays open");
}

/// Makes a worker fail that asks for all of a large file at once.
const REFUSE_WHOLE: &str = "{
    const whole = Blob.prototype.arrayBuffer;
    Blob.prototype.arrayBuffer = function () {
        return this.size > 60e6 ? Promise.reject(new Error('a test refuses it')) : whole.call(this);
    };
}";

/// Moves the first `count` files of [`write_series`] two folders down.
fn lay_deeper(folder: &Path, count: usize) {
    let deeper = folder.join("CT/1");
    std::fs::create_dir_all(&deeper).unwrap();
    for k in 0..count {
        let name = format!("{k:05}.dcm");
        std::fs::rename(folder.join(&name), deeper.join(&name)).unwrap();
    }
}

/// Columns and rows of the slices of [`write_series`].
const SIDE: u16 = 32;

/// A series of small slices, each in a file of its own: a disc of tissue in air.
fn write_series(folder: &Path, slices: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for k in 0..slices {
        std::fs::write(folder.join(format!("{k:05}.dcm")), dicom_slice(k)).unwrap();
    }
}

fn dicom_slice(k: usize) -> Vec<u8> {
    let middle = f64::from(SIDE) / 2.0;
    let inside = |n: u16| (f64::from(n % SIDE) - middle).hypot(f64::from(n / SIDE) - middle) < 0.38 * f64::from(SIDE);
    let pixels = (0..SIDE * SIDE).flat_map(|n| (if inside(n) { 40i16 } else { -1000 }).to_le_bytes());
    dicom_header(k, SIDE).into_iter().chain(pixels).collect()
}

/// All of a slice up to its pixels. Explicit VR, little endian (PS3.5, section 7).
fn dicom_header(k: usize, side: u16) -> Vec<u8> {
    const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
    let uid = |n: String| format!("1.2.826.0.1.3680043.10.543.{n}");
    let text = |group: u16, element: u16, vr: &str, value: &str| {
        let pad = if vr == "UI" { b'\0' } else { b' ' };
        let mut value = value.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), pad);
        dicom_element(group, element, vr, &value)
    };
    let short = |element: u16, value: u16| dicom_element(0x28, element, "US", &value.to_le_bytes());
    let own = uid(format!("9.{}", k + 1));
    let meta = [
        dicom_element(2, 1, "OB", &[0, 1]),
        text(2, 2, "UI", CT),
        text(2, 3, "UI", &own),
        text(2, 0x10, "UI", "1.2.840.10008.1.2.1"),
    ]
    .concat();
    [
        vec![0; 128],
        b"DICM".to_vec(),
        dicom_element(2, 0, "UL", &(meta.len() as u32).to_le_bytes()),
        meta,
        text(8, 0x16, "UI", CT),
        text(8, 0x18, "UI", &own),
        text(8, 0x60, "CS", "CT"),
        text(0x20, 0xd, "UI", &uid("2".into())),
        text(0x20, 0xe, "UI", &uid("3".into())),
        text(0x20, 0x13, "IS", &(k + 1).to_string()),
        text(0x20, 0x32, "DS", &format!("0\\0\\{:.1}", k as f64 * 0.5)),
        text(0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0"),
        text(0x20, 0x52, "UI", &uid("4".into())),
        short(2, 1),
        text(0x28, 4, "CS", "MONOCHROME2"),
        short(0x10, side),
        short(0x11, side),
        text(0x28, 0x30, "DS", "12\\12"),
        short(0x100, 16),
        short(0x101, 16),
        short(0x102, 15),
        short(0x103, 1),
        text(0x28, 0x1052, "DS", "0"),
        text(0x28, 0x1053, "DS", "1"),
        [&[0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0][..], &(2 * u32::from(side) * u32::from(side)).to_le_bytes()].concat(),
    ]
    .concat()
}

/// All of an enhanced CT up to its pixels (PS3.3, A.38): of a slice, with what is the same for all frames and what is each one's.
fn enhanced_header(side: u16, frames: usize) -> Vec<u8> {
    let sequence = |group: u16, element: u16, items: Vec<Vec<u8>>| {
        let item = |item: &Vec<u8>| [&[0xfe, 0xff, 0, 0xe0], &(item.len() as u32).to_le_bytes()[..], item].concat();
        dicom_element(group, element, "SQ", &items.iter().flat_map(item).collect::<Vec<u8>>())
    };
    let position = |k: usize| {
        let text = format!("0\\0\\{k:<4}");
        sequence(0x20, 0x9113, vec![dicom_element(0x20, 0x32, "DS", text.as_bytes())])
    };
    // Before the pixels come the groups of frames, and before all of group 0028 but one how many there are.
    let slice = dicom_header(0, side);
    let find = |tag: [u8; 4]| slice.windows(4).position(|bytes| bytes == tag).unwrap();
    let (rows, pixels) = (find([0x28, 0, 0x10, 0]), find([0xe0, 0x7f, 0x10, 0]));
    let count = dicom_element(0x28, 8, "IS", format!("{frames:<4}").as_bytes());
    let groups = sequence(0x5200, 0x9230, (0..frames).map(position).collect());
    let bytes = 2 * u32::from(side) * u32::from(side) * frames as u32;
    [
        &slice[..rows],
        &count,
        &slice[rows..pixels],
        &groups,
        &[0xe0, 0x7f, 0x10, 0, b'O', b'W', 0, 0],
        &bytes.to_le_bytes(),
    ]
    .concat()
}

fn dicom_element(group: u16, element: u16, vr: &str, value: &[u8]) -> Vec<u8> {
    let length = match vr {
        "OB" | "OW" | "SQ" => [vec![0; 2], (value.len() as u32).to_le_bytes().to_vec()].concat(),
        _ => (value.len() as u16).to_le_bytes().to_vec(),
    };
    [&group.to_le_bytes()[..], &element.to_le_bytes(), vr.as_bytes(), &length, value].concat()
}
