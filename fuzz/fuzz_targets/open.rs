//! Whatever somebody opens: what it is, a CT, structures, and all that is wrong with it.
#![no_main]

use attention_anatomy::formats::{check, read_ct, read_structures, sniff};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = || vec![("fuzz".to_owned(), bytes.to_vec())];
    let _ = sniff(bytes);
    let _ = read_ct(file());
    let _ = read_structures(file(), None);
    let _ = check(file());
});
