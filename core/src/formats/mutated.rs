//! Real files of every format, changed at random, through everything that a user's file can go through: an answer or an error, never a
//! panic, and never much more memory than the bytes back.
//!
//! A few thousand changes a run; `MUTATIONS=2000000` makes as many as somebody has the time for, spread over the files. The targets of
//! `fuzz/` start from the same files.

use super::analytic::damaged_versions;
use super::archive::unzip;
use super::{LabelNames, ReadOptions, check, dicom, read_ct, read_header, read_structures};

/// Changes of a run, over all files.
const MUTATIONS: usize = 3000;
/// What all of it may take beyond what the program had before, bytes.
const MOST_MEMORY: u64 = 1 << 30;

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Files to begin with: one of each format and encoding, none of them large.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<(String, Vec<u8>)> = [
        "nifti/minimal.nii.gz",
        "nifti/second.nii.gz",
        "nifti/second-big-endian.nii",
        "nifti/datatypes/int16.nii",
        "exchange/rt-utils.dcm",
        "exchange/highdicom-seg.dcm",
        "exchange/highdicom-labelmap.dcm",
        "exchange/ct.zip",
        "dicom-broken.zip",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), data(name)))
    .collect();
    seeds.extend(unzip(&data("rtstruct.zip"), 64 << 20).unwrap().into_iter().filter(|(n, _)| n.ends_with("rt.dcm")));
    seeds.extend(unzip(&data("exchange/ct.zip"), 1 << 20).unwrap().into_iter().take(1));
    let nrrd = b"NRRD0005\ntype: short\ndimension: 3\nsizes: 3 2 2\nencoding: raw\nendian: little\nspace: LPS\n\
        space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nSegment0_Name:=liver\nSegment0_LabelValue:=1\n\n";
    seeds.push(("small.nrrd".into(), [nrrd.as_slice(), &[1; 24]].concat()));
    seeds.push(("labels.json".into(), b"{\"labels\": {\"background\": 0, \"liver\": 1, \"spleen\": [2, 3]}}".to_vec()));
    seeds
}

/// Everything that is done with what somebody opens.
fn open(name: &str, bytes: &[u8]) {
    let file = || vec![(name.to_owned(), bytes.to_vec())];
    let _ = read_header(bytes, &ReadOptions::default());
    let _ = read_ct(file());
    let _ = read_structures(file(), None);
    let _ = check(file());
    let _ = LabelNames::parse(bytes);
    let _ = dicom::Transfer::of_file(name, bytes);
    let _ = dicom::series_of(bytes);
}

/// The most memory that the process has had, bytes; where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

#[test]
fn real_files_changed_at_random_give_an_answer() {
    let before = peak();
    let seeds = seeds();
    let wanted = std::env::var("MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTATIONS);
    for (name, bytes) in &seeds {
        open(name, bytes);
        for (n, damaged) in damaged_versions(bytes, wanted / seeds.len()).enumerate() {
            let opened = std::panic::catch_unwind(|| open(name, &damaged));
            assert!(opened.is_ok(), "change {n} of {name}");
        }
    }
    // Other tests run beside this one; a run by hand has the process to itself.
    if let (Some(before), Some(after), true) = (before, peak(), wanted > MUTATIONS) {
        assert!(after - before < MOST_MEMORY, "{} MB", (after - before) >> 20);
    }
}

#[test]
fn headers_that_promise_the_world_are_refused_at_once() {
    // A gzip of nothing but zeros that says it is 32767 voxels along each axis: 64 TB.
    let mut head = vec![0; 352];
    head[..4].copy_from_slice(&348i32.to_le_bytes());
    for (at, value) in [(40, 3i16), (42, 32767), (44, 32767), (46, 32767), (70, 4), (254, 1)] {
        head[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    for (at, value) in [(108, 352f32), (280, 0.5), (300, 0.5), (320, 0.5)] {
        head[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    head[344..348].copy_from_slice(b"n+1\0");
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut bomb, &head).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..64).for_each(|_| std::io::Write::write_all(&mut bomb, &zeros).unwrap());
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 17);
    let error = read_ct(vec![("bomb.nii.gz".into(), bomb)]).unwrap_err().to_string();
    assert!(error.contains("promises") || error.contains("fit in memory"), "{error}");
    let nrrd = b"NRRD0005\ntype: short\ndimension: 3\nsizes: 100000 100000 100000\nencoding: gzip\nendian: little\nspace: LPS\n\
        space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n\n\x1f\x8b";
    assert!(read_ct(vec![("bomb.nrrd".into(), nrrd.to_vec())]).is_err());
}
