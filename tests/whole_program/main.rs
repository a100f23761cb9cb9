//! Promises of the whole program, checked on the binary that users run: command line in, exit code, messages and files out.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it should be")]

mod archive;
mod arrivals;
// The page is the same everywhere, and how its browser is driven is not.
#[cfg(target_os = "linux")]
mod browser;
mod cohort;
mod exchange;
mod formats;
mod fuzzing;
mod inputs;
mod interchange;
#[path = "../../cli/src/output/mod.rs"]
#[allow(
    dead_code,
    missing_docs,
    reason = "the guard of output folders, whose tests run here: the program itself has no test binary"
)]
mod output;
mod outputs;
mod patients;
mod phantom;
mod program;
mod segment;
mod support;
mod training;
