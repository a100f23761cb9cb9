//! Tables that say what the numbers of a label map mean.
#![no_main]

use attention_anatomy::formats::LabelNames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = LabelNames::parse(bytes);
});
