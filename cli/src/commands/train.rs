//! `attention-anatomy train`: from a training file to a weights file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::data;
use crate::training::{self, Data, Ended, Options};
use crate::{interrupt, progress};

/// Trains a network as a TOML file says. Stop with Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file (see configs/).
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to, or a file that `prepare` made.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for checkpoints, metrics and weights.
    #[arg(short, long)]
    output: PathBuf,
    /// Start anew even if the output folder holds a checkpoint.
    #[arg(long)]
    restart: bool,
    /// Weights to begin with, instead of random ones. Their training must have held out who is held out now.
    #[arg(long, value_name = "WEIGHTS")]
    from: Option<PathBuf>,
    /// Write `report.html` with the curves of losses and Dice, anew at every validation.
    #[arg(long)]
    report: bool,
    /// Device.
    #[arg(long, default_value = "cpu")]
    device: crate::device::DeviceChoice,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let (text, config) = data::training_file(&args.config)?;
    let device = args.device.open()?;
    let data = Data::load(&config, &args.data, &mut data::Prepared::default())?;
    let stop = interrupt::flag()?;
    let options = Options { restart: args.restart, from: args.from.as_deref(), report: args.report };
    if training::train((&text, &config), &data, &args.output, options, &device, &stop)? == Ended::Finished {
        progress::say(&args.output.join(training::FINAL).display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}
