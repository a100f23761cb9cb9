//! `cargo xtask test`: everything that must pass before a change is taken, on a bare machine too.
//!
//! One profile and one set of features: `cargo build --release`, `cargo run --release` and `cargo test --release
//! --workspace --exclude xtask` resolve every dependency alike, so that they are built once. Testing a package alone would
//! not. The page as it is hosted is not built here: its own profile compiles all of its dependencies once more, for 23 minutes on two
//! cores; `cargo xtask web` builds it and fails above its 8 MB, and so does the workflow.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, succeeds};
use crate::stages::{Outcome, Stages};
use crate::web;
use crate::{lint, setup, suites};

/// Runs the command.
///
/// # Errors
/// Where the stages themselves cannot be run; a stage that fails is a line of the table.
pub fn run() -> Result<ExitCode> {
    let mut stages = Stages::default();
    // First what takes seconds; with clippy come the dependencies, which all that follows uses.
    lint::quick(&mut stages);
    stages.run("Vulkan driver", setup::vulkan);
    stages.run("browser", setup::browser);
    stages.run("archive", setup::archive);
    lint::compiled(&mut stages);

    // The tests of the whole program run the binary and open the page, which `cargo test` does not build.
    stages.run("build", || Ok(Outcome::passed(succeeds(&mut cargo(&["build", "--release"]))?, "see above")));
    stages.run("page", || web::build_for_tests().map(|_| Outcome::Ok));
    suites::run(&mut stages, "tests", &["--workspace", "--exclude", "xtask"]);
    // Apart, because what it builds the page with asks for other features of shared dependencies: together, burn would be
    // built a second time.
    suites::run(&mut stages, "tests of xtask", &["--package", "xtask"]);
    Ok(stages.finish())
}
