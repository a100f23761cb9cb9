//! NIfTI of both versions, as CT and as labels.
#![no_main]

use attention_anatomy::formats::{ReadOptions, nifti};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lenient = ReadOptions { allow_missing_orientation: true };
    let _ = nifti::read_header(bytes, &lenient);
    let _ = nifti::read_ct(bytes, &lenient);
    let _ = nifti::read_labels(bytes, &lenient);
    let _ = nifti::read_label_names(bytes);
});
