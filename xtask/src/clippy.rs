//! Clippy over the workspace's own crates, on the dependencies that a build has compiled anyway.
//!
//! `cargo clippy` reads the dependencies' metadata, and has cargo compile all of them once more for it: six minutes on two cores.
//! Here cargo builds as ever, but calls this program where it would call the compiler for a crate of the workspace
//! (`RUSTC_WORKSPACE_WRAPPER`), and this program calls `clippy-driver`, with code generation and linking taken out. Cargo keeps
//! what comes out of a wrapper apart from what does not; and as no program comes out of it, the one that an earlier build has made
//! stays where it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::process::{cargo, program, succeeds};
use crate::say;
use crate::stages::Outcome;

/// Set where this program is called as the compiler: the package to look at, or nothing for all.
const ACTIVE: &str = "ATTENTION_ANATOMY_CLIPPY";
const WARNINGS_ARE_ERRORS: [&str; 2] = ["-D", "warnings"];

/// Runs `cargo build` with these arguments, and clippy in place of the compiler. With `only`, what an earlier run has found of other
/// packages is taken as it is.
///
/// # Errors
/// Where cargo cannot be started or `only` names no package.
pub fn check(arguments: &[&str], only: Option<&str>) -> Result<Outcome> {
    let own = std::env::current_exe().context("the path of this program is unknown")?;
    let mut build = cargo(&[&["build", "--release"], arguments].concat());
    build.env("RUSTC_WORKSPACE_WRAPPER", own).env(ACTIVE, only.unwrap_or_default());
    Ok(Outcome::passed(succeeds(&mut build)?, "see above"))
}

/// What this program does where cargo calls it as the compiler; `None` where it is not.
pub fn as_compiler() -> Option<ExitCode> {
    let only = std::env::var(ACTIVE).ok()?;
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // The compiler's own path comes first.
    let (compiler, arguments) = arguments.split_first()?;
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let call = Call::of(arguments);
    let mut command = match call.crate_name.as_deref() {
        // Questions about the compiler.
        None | Some("___") => program(compiler),
        _ if !only.is_empty() && only != package && call.is_known() => return Some(ExitCode::SUCCESS),
        _ => {
            let mut command = program("clippy-driver");
            command.arg(compiler);
            command
        }
    };
    // Cargo has chosen the folder; this is not a command of the workspace root.
    if let Ok(folder) = std::env::current_dir() {
        command.current_dir(folder);
    }
    if call.crate_name.as_deref().is_some_and(|name| name != "___") {
        command.args(call.without_code(arguments)).args(WARNINGS_ARE_ERRORS);
    } else {
        command.args(arguments);
    }
    Some(match succeeds(&mut command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say::error(&format!("{error:#}; install it: rustup component add clippy"));
            ExitCode::FAILURE
        }
    })
}

/// What cargo asks the compiler for.
#[derive(Debug, Default)]
struct Call {
    crate_name: Option<String>,
    out_dir: PathBuf,
    extra_filename: String,
    is_library: bool,
    /// Runs while other crates are compiled.
    is_needed_as_code: bool,
}

impl Call {
    fn of(arguments: &[OsString]) -> Self {
        let mut call = Self::default();
        for (n, argument) in arguments.iter().enumerate() {
            let next = arguments.get(n + 1).map(|a| a.to_string_lossy().into_owned()).unwrap_or_default();
            match argument.to_string_lossy().as_ref() {
                "--crate-name" => {
                    call.is_needed_as_code |= next.starts_with("build_script_");
                    call.crate_name = Some(next);
                }
                "--crate-type" => {
                    call.is_library |= next == "lib";
                    call.is_needed_as_code |= next == "proc-macro";
                }
                "--out-dir" => call.out_dir = next.into(),
                other => {
                    if let Some(hash) = other.strip_prefix("extra-filename=") {
                        call.extra_filename = hash.into();
                    }
                }
            }
        }
        call
    }

    /// Whether nothing more has to be found out so that others can be looked at.
    fn is_known(&self) -> bool {
        let name = self.crate_name.as_deref().unwrap_or_default();
        !self.is_library || self.out_dir.join(format!("lib{name}{}.rmeta", self.extra_filename)).is_file()
    }

    fn without_code(&self, arguments: &[OsString]) -> Vec<OsString> {
        if self.is_needed_as_code {
            return arguments.to_vec();
        }
        arguments.iter().map(|argument| metadata_only(argument.to_string_lossy().as_ref(), Path::is_file)).collect()
    }
}

/// An argument of the compiler so that it neither makes code nor asks for code of a crate that was treated alike.
fn metadata_only(argument: &str, is_file: impl Fn(&Path) -> bool) -> OsString {
    if argument.starts_with("--emit=") {
        return "--emit=dep-info,metadata".into();
    }
    // `name=path` after `--extern`.
    if let Some(stem) = argument.strip_suffix(".rlib")
        && let Some((_, path)) = argument.split_once('=')
        && !is_file(Path::new(path))
    {
        return format!("{stem}.rmeta").into();
    }
    argument.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_asked_of_nobody() {
        let there = |path: &Path| path == Path::new("deps/libburn-1.rlib");
        let changed = |argument| metadata_only(argument, there).into_string().unwrap();
        assert_eq!(changed("--emit=dep-info,metadata,link"), "--emit=dep-info,metadata");
        assert_eq!(changed("--emit=dep-info,link"), "--emit=dep-info,metadata");
        assert_eq!(changed("burn=deps/libburn-1.rlib"), "burn=deps/libburn-1.rlib");
        assert_eq!(changed("core=deps/libcore-2.rlib"), "core=deps/libcore-2.rmeta");
        assert_eq!(changed("--cap-lints"), "--cap-lints");
    }

    #[test]
    fn a_call_is_understood() {
        let words = "--crate-name viewer --edition=2024 lib.rs --crate-type lib -C extra-filename=-7 --out-dir deps";
        let arguments: Vec<OsString> = words.split(' ').map(Into::into).collect();
        let call = Call::of(&arguments);
        assert_eq!((call.crate_name.as_deref(), call.is_library), (Some("viewer"), true));
        assert_eq!((call.extra_filename.as_str(), call.out_dir.as_path()), ("-7", Path::new("deps")));
        assert!(!call.is_known(), "its metadata is not there");
        assert!(Call::of(&["-vV".into()]).crate_name.is_none());
        let script: Vec<OsString> = ["--crate-name", "build_script_build"].map(Into::into).into();
        assert_eq!(Call::of(&script).without_code(&["--emit=link".into()]), ["--emit=link"]);
    }
}
