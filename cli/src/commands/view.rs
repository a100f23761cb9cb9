//! `attention-anatomy view`: the window.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::device::DeviceOptions;
use crate::window::{self, Shown};

/// Opens the viewer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scan (NIfTI, NRRD, DICOM folder, zip), and label maps on its grid; without any, the start page.
    inputs: Vec<PathBuf>,
    /// Open the bundled sample CT.
    #[arg(long, conflicts_with = "inputs")]
    sample: bool,
    #[command(flatten)]
    on: DeviceOptions,
}

/// Runs the command; returns when the window is closed.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    for path in &args.inputs {
        // Said here, where it was typed, rather than in a window.
        std::fs::metadata(path).with_context(|| path.display().to_string())?;
    }
    let shown = if args.sample { Shown::Sample } else { Shown::Paths(args.inputs) };
    window::open(shown, args.on)?;
    Ok(ExitCode::SUCCESS)
}
