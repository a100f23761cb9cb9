//! `cargo xtask gpu`: all that is to be measured on a machine with a real GPU, in one go and in at most ten minutes.
//!
//! Nothing is built and nothing downloaded: the program lies beside this one, as `cargo build --release` leaves both, or as they
//! were carried to a machine that is lent for minutes. What is printed is Markdown for docs/performance.md.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::program;
use crate::say;

/// What all of it may take.
const MOST: Duration = Duration::from_secs(600);

/// Runs the command; `configs` are training files, of which a step each is measured.
///
/// # Errors
/// Where the program is not there or there is no GPU that answers rightly.
pub fn run(configs: &[String]) -> Result<ExitCode> {
    let own = std::env::current_exe().context("the folder of the programs is unknown")?;
    let binary = own.with_file_name(format!("attention-anatomy{}", std::env::consts::EXE_SUFFIX));
    if !binary.is_file() {
        bail!("{} is not there; build it first: cargo build --release --workspace", binary.display());
    }
    let end = Instant::now() + MOST;
    say::heading("devices");
    finish(program(&binary).arg("devices"), end)?;
    say::heading("kernels and slices, weights and maps in f32 and in f16");
    if !finish(program(&binary).args(["bench", "--gpu", "--slices", "50"]), end)? {
        bail!("the GPU is not measured");
    }
    let configs: Vec<PathBuf> = configs.iter().map(PathBuf::from).collect();
    let configs = if configs.is_empty() { presets() } else { configs };
    for config in configs {
        // Its kernels are checked against the processor before the first step.
        for engine in ["own", "burn"] {
            say::heading(&format!("a training step of {} ({engine})", config.display()));
            let mut step = program(&binary);
            step.args(["bench", "--device", "gpu", "--engine", engine, "--steps", "5", "--training"]).arg(&config);
            if !finish(&mut step, end)? {
                say::line("not measured");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The training files of the presets, where they were carried along.
fn presets() -> Vec<PathBuf> {
    let folder = Path::new("configs");
    let files = ["light", "fine", "paper"].map(|name| folder.join(format!("{name}.toml")));
    files.into_iter().filter(|file| file.is_file()).collect()
}

/// Whether a program ends well before `end`; afterwards it is ended.
fn finish(command: &mut Command, end: Instant) -> Result<bool> {
    let mut child: Child = command.spawn().context("the program cannot be started")?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            say::line(&format!("ended after {} minutes", MOST.as_secs() / 60));
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
