//! Promises of the whole program, checked on the binary that users run: command line in, exit code, messages and files out.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it should be")]

mod browser;
mod inputs;
mod phantom;
mod program;
mod segment;
mod support;
mod training;
