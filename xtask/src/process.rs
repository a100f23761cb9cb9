//! Running other programs from the workspace root, whatever the current directory is.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::say;

/// The workspace root.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// A program that runs in the workspace root.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that runs this program, so that a `cargo +toolchain xtask` stays with its toolchain; it finds the variables that a cargo
/// typed by hand finds.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    remove_package(&mut command, std::env::vars_os().map(|(name, _)| name));
    command
}

/// Takes out of `names` what cargo has told this program of its package. ring's build script asks to run again where `CARGO_MANIFEST_DIR`
/// and its like change; cargo compares what it finds, not what it sets for the script (rust-lang/cargo#16134), so that ring and all
/// above it were compiled again after every change between `cargo xtask test` and `cargo run`.
fn remove_package(command: &mut Command, names: impl IntoIterator<Item = OsString>) {
    let of_package = |name: &OsString| {
        name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    };
    for name in names.into_iter().filter(of_package) {
        command.env_remove(name);
    }
}

/// Runs a command on this terminal; whether it succeeded.
///
/// # Errors
/// If it cannot be started.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    let name = name(command);
    Ok(command.status().with_context(|| format!("{name} cannot be started"))?.success())
}

/// Runs a command without showing its output; whether it succeeded, and what it wrote to standard output and error.
///
/// # Errors
/// If it cannot be started.
pub fn captured(command: &mut Command) -> Result<(bool, String)> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).trim().to_string()))
}

/// What a command wrote to standard output.
///
/// # Errors
/// If it cannot be started or fails, with what it complained of.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Like [`succeeds`], and what the command wrote to standard error, which is shown at the same time.
///
/// # Errors
/// If it cannot be started.
pub fn succeeds_with_errors(command: &mut Command) -> Result<(bool, String)> {
    let name = name(command);
    let mut child = command.stderr(Stdio::piped()).spawn().with_context(|| format!("{name} cannot be started"))?;
    let mut text = String::new();
    if let Some(errors) = child.stderr.take() {
        for line in BufReader::new(errors).split(b'\n') {
            let line = line.with_context(|| format!("the output of {name} cannot be read"))?;
            let line = String::from_utf8_lossy(&line);
            say::error_line(&line);
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok((child.wait().with_context(|| format!("{name} cannot be waited for"))?.success(), text))
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_folder_of_the_workspace() {
        assert!(std::fs::read_to_string(root().join("Cargo.toml")).unwrap().contains("[workspace]"));
    }

    #[test]
    fn cargo_is_not_told_of_the_package_that_starts_it() {
        let mut command = Command::new("cargo");
        let names = [
            "CARGO",
            "CARGO_BUILD_JOBS",
            "CARGO_HOME",
            "CARGO_MANIFEST_DIR",
            "CARGO_MANIFEST_PATH",
            "CARGO_NET_OFFLINE",
            "CARGO_PKG_NAME",
            "CARGO_PKG_VERSION_PRE",
            "CARGO_TARGET_DIR",
            "PATH",
        ];
        remove_package(&mut command, names.map(OsString::from));
        let removed: Vec<&OsStr> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        assert_eq!(removed, ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION_PRE"]);
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = succeeds(&mut program("no-such-program-here")).unwrap_err();
        assert!(format!("{error:#}").starts_with("no-such-program-here cannot be started"), "{error:#}");
    }
}
