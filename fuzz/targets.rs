//! What is fuzzed: a function for each reader, which may say no and may not panic. The tests run them over the files that the corpora begin
//! with, and some changes of them (`tests/whole_program/fuzzing.rs`); cargo-fuzz runs them for as long as somebody likes.

use attention_anatomy::formats::archive::unzip;
use attention_anatomy::formats::dicom::{Repairs, SeriesChoice, SeriesRequest, Transfer, read_series, series_of};
use attention_anatomy::formats::structures::TargetGrid;
use attention_anatomy::formats::{
    LabelNames, ReadOptions, Rule, check, nifti, nrrd, read_ct, read_structures, rtstruct, seg, sniff,
};
use attention_anatomy::volume::Geometry;

const LENIENT: ReadOptions = ReadOptions { allow_missing_orientation: true };

/// One file as a series, mended, and as an object from the network.
pub fn dicom(bytes: &[u8]) {
    let _ = series_of(bytes);
    let _ = Transfer::of_file("fuzz", bytes);
    let repairs = Repairs { fill_gaps: true, correct_tilt: true };
    let _ = read_series(vec![("fuzz".into(), bytes.to_vec())], SeriesRequest { choice: SeriesChoice::Best, repairs });
}

/// A structure set, drawn on a small grid.
pub fn structure_set(bytes: &[u8]) {
    let grid = Geometry::axial([32, 32, 8], [8.0, 8.0, 5.0], [-128.0, -128.0, -220.0]);
    if let (Ok(set), Some(grid)) = (rtstruct::read(bytes), grid.ok().and_then(|grid| TargetGrid::new(grid).ok())) {
        let _ = rtstruct::structures(&set, &grid, None);
    }
}

/// A segmentation on its own grid.
pub fn segmentation(bytes: &[u8]) {
    if let Ok(read) = seg::read(bytes) {
        let _ = seg::structures(&read, None, None);
    }
}

/// NIfTI of both versions, as CT and as labels.
pub fn nifti(bytes: &[u8]) {
    let _ = nifti::read_header(bytes, &LENIENT);
    let _ = nifti::read_ct(bytes, &LENIENT);
    let _ = nifti::read_labels(bytes, &LENIENT);
    let _ = nifti::read_label_names(bytes);
}

/// NRRD, as CT and as labels.
pub fn nrrd(bytes: &[u8]) {
    let _ = nrrd::read_ct(bytes, &LENIENT);
    let _ = nrrd::read_labels(bytes, &LENIENT);
}

/// A zip archive, which may not unpack to more than 64 MB.
pub fn archive(bytes: &[u8]) {
    let _ = unzip(bytes, 64 << 20);
}

/// Tables that say what the numbers of a label map mean.
pub fn label_names(bytes: &[u8]) {
    let _ = LabelNames::parse(bytes);
}

/// Rules by which structures are made of others.
pub fn rule(bytes: &[u8]) {
    if let Ok(rule) = Rule::parse(&String::from_utf8_lossy(bytes)) {
        let _ = rule.needs_body();
    }
}

/// Whatever somebody opens: what it is, a CT, structures, and all that is wrong with it.
pub fn open(bytes: &[u8]) {
    let file = || vec![("fuzz".to_owned(), bytes.to_vec())];
    let _ = sniff(bytes);
    let _ = read_ct(file());
    let _ = read_structures(file(), None);
    let _ = check(file());
}
