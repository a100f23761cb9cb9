//! `cargo xtask lint`: what is seen without running anything; with `--systems` also whether the program compiles for other desktops,
//! which cannot use what `cargo build` has built: all dependencies are checked once more for each.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{cargo, succeeds, succeeds_with_errors};
use crate::stages::{Outcome, Stages};
use crate::{clippy, deny, headless, lengths, setup, unit_tests, web};

/// Platforms whose code paths differ from those of the machine that runs this.
const DESKTOPS: [&str; 2] = ["x86_64-pc-windows-msvc", "aarch64-apple-darwin"];

/// Runs the command; with `systems`, for other desktops too.
///
/// # Errors
/// Where cargo cannot be started.
pub fn run(systems: bool) -> Result<ExitCode> {
    let mut stages = Stages::default();
    quick(&mut stages);
    compiled(&mut stages);
    stages.run("known vulnerabilities", deny::advisories);
    for triple in DESKTOPS.iter().filter(|_| systems) {
        stages.run(&format!("program compiles for {triple}"), || match setup::target(triple) {
            Ok(()) => check_desktop(triple),
            Err(why) => Ok(Outcome::NotChecked(why)),
        });
    }
    Ok(stages.finish())
}

/// What is seen without compiling.
pub fn quick(stages: &mut Stages) {
    stages.run("rustfmt and clippy are there", setup::components);
    stages.run("format", || {
        let formatted = succeeds(&mut cargo(&["fmt", "--all", "--check"]))?;
        Ok(Outcome::passed(formatted, "some files are not formatted; run: cargo fmt --all"))
    });
    stages.run("length of files", lengths::check);
    stages.run("every unit test is in a test program", unit_tests::check);
    stages.run("licences and sources", deny::check);
}

/// What the compiler sees, on the dependencies of an ordinary build.
pub fn compiled(stages: &mut Stages) {
    stages.run("clippy", || clippy::check(&["--workspace", "--exclude", "xtask", "--all-targets"], None));
    stages.run("program without the viewer", headless::check);
    stages.run("clippy of xtask", || clippy::check(&["--package", "xtask", "--all-targets"], None));
    stages.run("clippy of the page", || match setup::target(web::TRIPLE) {
        Ok(()) => clippy::check(&["--package", web::PACKAGE, "--target", web::TRIPLE], None),
        Err(why) => Ok(Outcome::Failed(why)),
    });
}

fn check_desktop(triple: &str) -> Result<Outcome> {
    // Without the archive: the cryptography of its client wants a C compiler for the other system, and with it nothing at all would be
    // checked on a machine that lacks one.
    let features = ["--no-default-features", "--features", "viewer"];
    let arguments =
        [&["check", "--release", "--package", "attention-anatomy-cli", "--target", triple][..], &features].concat();
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
