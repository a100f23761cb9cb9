//! Real files of every format, changed at random, through everything that a user's file can go through: an answer or an error, never a
//! panic, and never much more memory than the bytes back.
//!
//! A few thousand changes a run; `MUTATIONS=2000000` makes as many as somebody has the time for, spread over the files, and says of each
//! file what its worst change took; with `MUTATED=rt.dcm` only of those whose names hold this. The targets of `fuzz/` start from the same files.

use std::io::Write;
use std::time::{Duration, Instant};

use super::allocated;
use super::analytic::damaged_versions;
use super::archive::unzip;
use super::{LabelNames, ReadOptions, check, dicom, read_ct, read_header, read_structures};

/// Changes of a run, over all files.
const MUTATIONS: usize = 3000;
/// What the opening of one file may ask for beyond what the program had before, bytes.
const MOST_MEMORY: usize = 1 << 30;

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

/// The worst of some changes.
#[derive(Default)]
struct Worst {
    /// The most that one of them asked for, bytes, and which it was.
    memory: (usize, usize),
    /// The longest that one of them took, and which it was.
    time: (Duration, usize),
}

#[test]
fn real_files_changed_at_random_give_an_answer() {
    let seeds = seeds();
    let wanted = std::env::var("MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTATIONS);
    let by_hand = wanted > MUTATIONS;
    let mut refused = Vec::new();
    // Those of files whose names hold this.
    let only = std::env::var("MUTATED").unwrap_or_default();
    for (name, bytes) in seeds.iter().filter(|(name, _)| name.contains(&only)) {
        open(name, bytes);
        let mut worst = Worst::default();
        for (n, damaged) in damaged_versions(bytes, wanted / seeds.len()).enumerate() {
            let before = allocated::begin();
            let begun = Instant::now();
            if std::panic::catch_unwind(|| open(name, &damaged)).is_err() {
                refused.push(format!("change {n} of {name} panics"));
            }
            worst.memory = worst.memory.max((allocated::most().saturating_sub(before), n));
            worst.time = worst.time.max((begun.elapsed(), n));
        }
        // Other tests run beside this one; a run by hand has the process to itself.
        if by_hand {
            let (memory, time) = (worst.memory, worst.time);
            let told = format!(
                "{name}: {} changes, at most {} MB (change {}) and {} ms (change {})\n",
                wanted / seeds.len(),
                memory.0 >> 20,
                memory.1,
                time.0.as_millis(),
                time.1
            );
            let _ = std::io::stderr().write_all(told.as_bytes());
            assert!(memory.0 >= bytes.len(), "nothing is counted");
            if memory.0 >= MOST_MEMORY {
                refused.push(told);
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
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
