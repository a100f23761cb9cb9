//! `cargo xtask test`: everything that must pass before a change is taken, on a bare machine too.
//!
//! One profile and one set of features: `cargo build --release`, `cargo run --release` and `cargo test --release
//! --workspace --exclude xtask` resolve every dependency alike, so that they are built once. Testing a package alone would
//! not.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, succeeds, succeeds_with_errors};
use crate::setup;
use crate::stages::{Outcome, Stages};
use crate::web;

/// Platforms whose code paths differ from those of the machine that runs this.
const DESKTOPS: [&str; 2] = ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"];

/// Runs the command.
pub fn run() -> Result<ExitCode> {
    let mut stages = Stages::default();
    stages.run("rustfmt is there", setup::rustfmt);
    stages.run("format", format);
    stages.run("Vulkan driver", setup::vulkan);
    stages.run("browser", setup::browser);

    let mut desktops = Vec::new();
    for triple in DESKTOPS {
        stages.run(&format!("standard library for {triple}"), || {
            let there = setup::target(triple);
            desktops.push((triple, there.clone()));
            Ok(there.map_or_else(Outcome::NotChecked, |()| Outcome::Ok))
        });
    }

    // The tests of the whole program run the binary and open the page, which `cargo test` does not build.
    stages.run("build", || Ok(Outcome::passed(succeeds(&mut cargo(&["build", "--release"]))?, "see above")));
    stages.run("page", || web::build().map(|_| Outcome::Ok));
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
    for (triple, there) in desktops {
        stages.run(&format!("program compiles for {triple}"), || match there {
            Ok(()) => check_desktop(triple),
            Err(why) => Ok(Outcome::NotChecked(why)),
        });
    }
    Ok(stages.finish())
}

/// Whether every file is formatted.
pub fn format() -> Result<Outcome> {
    let formatted = succeeds(&mut cargo(&["fmt", "--all", "--check"]))?;
    Ok(Outcome::passed(formatted, "some files are not formatted; run: cargo fmt --all"))
}

fn check_desktop(triple: &str) -> Result<Outcome> {
    let arguments = ["check", "--release", "--package", "attention-anatomy-cli", "--target", triple];
    let (passed, errors) = succeeds_with_errors(&mut cargo(&arguments))?;
    Ok(match failed_build_script(&errors) {
        _ if passed => Outcome::Ok,
        Some(of) => Outcome::NotChecked(format!(
            "the build script of {of} failed; most often it wants a C compiler for {triple}, which this machine lacks"
        )),
        None => Outcome::Failed("see above".into()),
    })
}

/// The package whose build script made cargo fail: a lack of the machine, not a fault in our code. `None` when
/// anything failed to compile.
fn failed_build_script(errors: &str) -> Option<&str> {
    if errors.contains("error: could not compile") {
        return None;
    }
    let (_, rest) = errors.split_once("error: failed to run custom build command for `")?;
    rest.split_once('`').map(|(package, _)| package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_c_compiler_is_told_from_a_fault_in_the_code() {
        let script = "   Compiling zstd-sys v2.1.3\nerror: failed to run custom build command for `zstd-sys v2.1.3`\n";
        assert_eq!(failed_build_script(script), Some("zstd-sys v2.1.3"));
        let fault = "error[E0308]: mismatched types\nerror: could not compile `attention_anatomy` (lib)\n";
        assert_eq!(failed_build_script(fault), None);
        assert_eq!(failed_build_script(&format!("{script}{fault}")), None);
    }
}
