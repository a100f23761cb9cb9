//! `attention-anatomy demo`: the main job on a bundled CT.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::formats;
use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use attention_anatomy_viewer::worker::machine::{SAMPLE, SAMPLE_NAME};

use super::segment::{Options, Session};
use crate::device::DeviceChoice;
use crate::progress;

/// Segments the bundled CT with the bundled weights and writes masks, tables and a report.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output folder.
    #[arg(short, long, default_value = "out/demo")]
    output: PathBuf,
    /// Device.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    // All organs: the point is to see what the weights do, and the report says which of them nobody has measured.
    let options = Options { all_organs: true, device: args.device, ..Options::default() };
    let mut session = Session::open(options)?;
    let ct = formats::read_ct(vec![(SAMPLE_NAME.to_string(), SAMPLE.to_vec())])?;
    let summary = session.segment(ct, SAMPLE_NAME, &args.output, 0.0)?;
    progress::say(&summary.line("bundled neck and chest CT", &args.output));
    progress::say(&format!("open {} in a browser", args.output.join("report.html").display()));
    progress::say(NOT_A_MEDICAL_DEVICE);
    Ok(ExitCode::SUCCESS)
}
