//! `attention-anatomy crossval`: every patient is held out once.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::dataset::Fold;
use attention_anatomy::metrics::DEFAULT_TOLERANCE_MM;
use attention_anatomy::train::experiment::cross_validation;
use attention_anatomy::train::{Choice, TrainingRun};

use super::tasks::{self, Purpose, TaskArgs};
use crate::device::DeviceChoice;
use crate::output::Overwrite;
use crate::store::FolderStore;
use crate::{data, interrupt, number, training};

/// Cross-validates a training by patient. Stop with Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file; its `validation_patients` do not count here.
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for the folds and the results.
    #[arg(short, long)]
    output: PathBuf,
    /// Number of folds.
    #[arg(long, default_value_t = 7, value_parser = number::folds)]
    folds: usize,
    #[command(flatten)]
    tasks: TaskArgs,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// Where the networks are trained.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let (_, config) = data::training_file(&args.config)?;
    let of = args.folds;
    let folds: Vec<TrainingRun> = (1..=of).map(|index| TrainingRun::of_fold(&config, Fold { index, of })).collect();
    let read = data::inputs(&args.config, &config, &args.data);
    let store = FolderStore::guarded(&args.output, "crossval", read.clone(), args.overwrite)?;
    let choice = match args.tasks.purpose() {
        Purpose::Plan => {
            args.tasks.print_plan(&tasks::planned(&folds, &store), &config, &args.device.open()?, &read)?;
            return Ok(ExitCode::SUCCESS);
        }
        Purpose::Collect => None,
        Purpose::Train(choice) => Some(choice),
    };
    // Tasks of an array job work in folders beside each other.
    if choice.as_ref().is_none_or(Choice::is_all) {
        store.claim()?;
    }
    if let Some(choice) = choice {
        let chosen = choice.of(folds.clone(), |run| &run.folder)?;
        let device = args.device.open_with_tensors()?;
        let stop = interrupt::flag()?;
        let done = training::experiment(&args.data, &store, &device, args.tolerance_mm, stop, |e| e.all(&chosen))?;
        if !done || !choice.is_all() {
            return Ok(tasks::ended(done));
        }
    }
    training::publish(&cross_validation(&config, &folds, &store)?, &store)?;
    Ok(ExitCode::SUCCESS)
}
