//! Python for what is measured beside this program: in the target folder, with what it needs installed.

use std::path::PathBuf;

use anyhow::Result;

use crate::process::{captured, output, program, root};

/// A Python of the target folder that can import `modules`, for which it has `packages` installed if need be.
///
/// # Errors
/// Where Python cannot be started or the packages cannot be installed.
pub fn python_with(modules: &str, packages: &[&str]) -> Result<PathBuf> {
    let environment = root().join("target/bench-python");
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let import = format!("import {modules}");
    if !captured(program(&python).args(["-c", &import])).is_ok_and(|(found, _)| found) {
        let base = if cfg!(windows) { "python" } else { "python3" };
        output(program(base).args(["-m", "venv"]).arg(&environment))?;
        output(program(&python).args(["-m", "pip", "install", "--quiet"]).args(packages))?;
    }
    Ok(python)
}
