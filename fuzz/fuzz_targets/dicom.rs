//! One file as a series, and what a node would make of it.
#![no_main]

use attention_anatomy::formats::dicom::{Repairs, SeriesChoice, SeriesRequest, Transfer, read_series, series_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = series_of(bytes);
    let _ = Transfer::of_file("fuzz", bytes);
    let repairs = Repairs { fill_gaps: true, correct_tilt: true };
    let _ = read_series(vec![("fuzz".into(), bytes.to_vec())], SeriesRequest { choice: SeriesChoice::Best, repairs });
});
