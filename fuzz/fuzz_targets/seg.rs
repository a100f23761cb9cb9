//! A segmentation on its own grid.
#![no_main]

use attention_anatomy::formats::seg;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = seg::read(bytes) {
        let _ = seg::structures(&read, None, None);
    }
});
