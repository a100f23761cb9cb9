//! `attention-anatomy view`: the window.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use attention_anatomy_viewer::Launch;
use attention_anatomy_viewer::worker::Input;

/// Opens the viewer.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scan (NIfTI, NRRD, DICOM folder, zip), and label maps on its grid; without any, the start page.
    inputs: Vec<PathBuf>,
    /// Open the bundled sample CT.
    #[arg(long, conflicts_with = "inputs")]
    sample: bool,
    /// What computes: the best device there is, a GPU, or the processor.
    #[arg(long, value_enum, default_value_t)]
    device: crate::device::DeviceChoice,
}

/// Runs the command; returns when the window is closed.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut inputs = Vec::new();
    for path in args.inputs {
        // Said here, where it was typed, rather than in a window.
        std::fs::metadata(&path).with_context(|| path.display().to_string())?;
        inputs.push(Input::Path(path));
    }
    if args.sample {
        inputs.push(Input::Sample);
    }
    attention_anatomy_viewer::run_native(Launch { inputs, device: args.device.into(), remember: true })
        .context("the window cannot be opened; is there a display?")?;
    Ok(ExitCode::SUCCESS)
}
