//! `cargo xtask lint`: clippy over everything. Apart from `test`, because clippy cannot use what `cargo build` has built
//! and checks all dependencies once more.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, succeeds};
use crate::stages::{Outcome, Stages};
use crate::test;

/// Runs the command.
pub fn run() -> Result<ExitCode> {
    let mut stages = Stages::default();
    stages.run("format", test::format);
    stages.run("clippy", || {
        let arguments = ["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"];
        Ok(Outcome::passed(succeeds(&mut cargo(&arguments))?, "see above (missing? rustup component add clippy)"))
    });
    Ok(stages.finish())
}
