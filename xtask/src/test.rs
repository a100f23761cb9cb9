//! `cargo xtask test`: everything that must pass before a change is taken, on a bare machine too.
//!
//! One profile and one set of features: `cargo build --release`, `cargo run --release` and `cargo test --release
//! --workspace --exclude xtask` resolve every dependency alike, so that they are built once. Testing a package alone would
//! not.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, succeeds};
use crate::setup;
use crate::stages::{Outcome, Stages};
use crate::web;

/// Runs the command.
pub fn run() -> Result<ExitCode> {
    let mut stages = Stages::default();
    stages.run("rustfmt is there", setup::rustfmt);
    stages.run("format", format);
    stages.run("Vulkan driver", setup::vulkan);
    stages.run("browser", setup::browser);

    // The tests of the whole program run the binary and open the page, which `cargo test` does not build.
    stages.run("build", || Ok(Outcome::passed(succeeds(&mut cargo(&["build", "--release"]))?, "see above")));
    stages.run("page", || web::build_for_tests().map(|_| Outcome::Ok));
    stages.run("tests", || {
        Ok(Outcome::passed(
            succeeds(&mut cargo(&["test", "--release", "--workspace", "--exclude", "xtask"]))?,
            "see above",
        ))
    });
    // Apart, because what it builds the page with asks for other features of shared dependencies: together, burn would be
    // built a second time.
    stages.run("tests of xtask", || {
        Ok(Outcome::passed(succeeds(&mut cargo(&["test", "--release", "--package", "xtask"]))?, "see above"))
    });
    Ok(stages.finish())
}

/// Whether every file is formatted.
pub fn format() -> Result<Outcome> {
    let formatted = succeeds(&mut cargo(&["fmt", "--all", "--check"]))?;
    Ok(Outcome::passed(formatted, "some files are not formatted; run: cargo fmt --all"))
}
