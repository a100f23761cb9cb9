//! Rules by which structures are made of others.
#![no_main]

use attention_anatomy::formats::Rule;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(rule) = Rule::parse(text) {
        let _ = rule.needs_body();
    }
});
