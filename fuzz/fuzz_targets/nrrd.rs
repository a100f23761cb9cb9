//! NRRD, as CT and as labels.
#![no_main]

use attention_anatomy::formats::{ReadOptions, nrrd};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lenient = ReadOptions { allow_missing_orientation: true };
    let _ = nrrd::read_ct(bytes, &lenient);
    let _ = nrrd::read_labels(bytes, &lenient);
});
