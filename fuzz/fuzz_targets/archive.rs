//! A zip archive, which may not unpack to more than 64 MB.
#![no_main]

use attention_anatomy::formats::archive::unzip;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = unzip(bytes, 64 << 20);
});
