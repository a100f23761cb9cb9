//! What the tests of every crate share: how one that cannot run here says so, and how one waits for what happens elsewhere.
//!
//! The tests of the whole program live in `whole_program/`.
#![allow(clippy::print_stderr, reason = "who runs one test by hand sees it there")]

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

/// Where `cargo xtask test` collects what did not run, and says it in its last lines.
const NOT_RUN: &str = "ATTENTION_ANATOMY_NOT_RUN";

/// How long something may take that is only waited for: a machine under load is slow, and what hangs hangs for ever.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Says that this test did not run, and why. To be called before it returns early.
///
/// # Panics
/// Where nothing may be left out (`CI`).
pub fn not_run(why: &str) {
    assert!(!is_ci(), "{why}");
    left_out(why);
}

/// Says that this test did not run, and why, where a machine may lack what it needs: a server that no package system has everywhere.
///
/// # Panics
/// Where the list of what did not run cannot be written.
pub fn left_out(why: &str) {
    let thread = std::thread::current();
    let line = format!("{}\t{why}\n", thread.name().unwrap_or("a test"));
    eprint!("NOT RUN: {line}");
    if let Some(path) = std::env::var_os(NOT_RUN) {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("what did not run cannot be said");
    }
}

/// Whether this runs where nothing may be left out.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within [`PATIENCE`].
pub fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "not after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Study and series of the CT in `tests/data/ct-dicom-jpeg2000.zip`, once it is [`identified`].
pub const STUDY: &str = "1.2.826.0.1.3680043.10.7";
/// See [`STUDY`].
pub const SERIES: &str = "1.2.826.0.1.3680043.10.8";

/// Gives a slice of that CT, whose identifiers were emptied, new ones: as a scanner would send it. Slices count from 1.
///
/// # Panics
/// For any other file.
pub fn identified(mut bytes: Vec<u8>, slice: usize) -> Vec<u8> {
    let own = format!("1.2.826.0.1.3680043.10.9.{slice}");
    let identifiers: [([u8; 4], &str); 4] = [
        ([0x08, 0, 0x16, 0], "1.2.840.10008.5.1.4.1.1.2"),
        ([0x08, 0, 0x18, 0], &own),
        ([0x20, 0, 0x0D, 0], STUDY),
        ([0x20, 0, 0x0E, 0], SERIES),
    ];
    for (tag, uid) in identifiers {
        let empty = [tag.as_slice(), b"UI\0\0"].concat();
        let at = bytes.windows(8).position(|w| w == empty).expect("a slice of that CT") + 6;
        let mut value = uid.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), 0);
        bytes.splice(at..at + 2, [(value.len() as u16).to_le_bytes().as_slice(), &value].concat());
    }
    bytes
}
