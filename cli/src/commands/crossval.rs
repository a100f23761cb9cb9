//! `attention-anatomy crossval`: every patient is held out once.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use attention_anatomy::dataset::Fold;
use attention_anatomy::metrics::DEFAULT_TOLERANCE_MM;
use attention_anatomy::train::experiment::cross_validation;
use attention_anatomy::train::{Part, TrainingRun};

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
    /// Do only fold k of n, as one task of an array job: 1/7 to 7/7.
    #[arg(long, value_name = "K/N", conflicts_with_all = ["folds", "merge"])]
    fold: Option<Part>,
    /// Do nothing but make the results of folds that are done.
    #[arg(long)]
    merge: bool,
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
    let of = args.fold.map_or(args.folds, |part| part.0.of);
    if of < 2 {
        bail!("{of} folds leave nothing to train on; at least 2 are needed");
    }
    let folds: Vec<TrainingRun> = (1..=of).map(|index| TrainingRun::of_fold(&config, Fold { index, of })).collect();
    let read = data::inputs(&args.config, &config, &args.data);
    let store = FolderStore::guarded(&args.output, "crossval", read, args.overwrite)?;
    // Tasks of an array job work in folders beside each other.
    if args.fold.is_none() {
        store.claim()?;
    }
    if !args.merge {
        let chosen = args.fold.map_or_else(|| folds.clone(), |part| part.of(folds.clone()));
        let device = args.device.open()?;
        let stop = interrupt::flag()?;
        let done = training::experiment(&args.data, &store, &device, args.tolerance_mm, stop, |e| e.all(&chosen))?;
        if !done || args.fold.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    training::publish(&cross_validation(&config, &folds, &store)?, &store)?;
    Ok(ExitCode::SUCCESS)
}
