//! `attention-anatomy demo`: the main job on a bundled CT.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::cohort::InputKey;
use attention_anatomy::formats;
use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use attention_anatomy_assets::{SAMPLE, SAMPLE_NAME};

use super::segment::{Options, ReadCt, Session};
use crate::device::DeviceOptions;
use crate::output::Overwrite;
use crate::progress;
use crate::window::{self, Shown};

/// Segments the bundled CT with the bundled weights, writes masks, tables and a report, and opens the viewer where there
/// is a display.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Output folder.
    #[arg(short, long, default_value = "out/demo")]
    output: PathBuf,
    #[command(flatten)]
    on: DeviceOptions,
    /// Do not open the viewer afterwards.
    #[arg(long)]
    no_view: bool,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    // All organs: the point is to see what the weights do, and the report says which of them nobody has measured.
    let options = Options { all_organs: true, on: args.on, ..Options::default() };
    let output = Session::claim(&options, &args.output, &[], args.overwrite)?;
    let mut session = Session::open(options)?;
    let ct = formats::read_ct(vec![(SAMPLE_NAME.to_string(), SAMPLE.to_vec())])?;
    let summary =
        session.segment(ReadCt { ct, series: None, key: InputKey::default(), seconds: 0.0 }, SAMPLE_NAME, output)?;
    progress::print_line(&summary.line("bundled neck and chest CT", &args.output));
    progress::print_line(&format!("open {} in a browser", args.output.join("report.html").display()));
    progress::print_line(NOT_A_MEDICAL_DEVICE);
    if !args.no_view && has_display() {
        if window::IS_BUILT_IN {
            progress::note("opening the viewer; close its window to end");
        }
        // The files are there: a display on which nothing can be drawn is no failure of the demo.
        if let Err(error) = window::open(Shown::Sample, args.on) {
            progress::note(&format!("{error:#}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a window has somewhere to go.
fn has_display() -> bool {
    let named = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !cfg!(all(unix, not(target_os = "macos"))) || named("DISPLAY") || named("WAYLAND_DISPLAY")
}
