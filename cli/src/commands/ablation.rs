//! `attention-anatomy ablation`: the paper's table, with and without attention and re-calibration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use attention_anatomy::dataset::Hpa;
use attention_anatomy::metrics::DEFAULT_TOLERANCE_MM;
use attention_anatomy::train::{Ablation, Choice, Experiment, TrainingConfig};

use super::tasks::{self, Purpose, TaskArgs};
use crate::device::DeviceChoice;
use crate::output::Overwrite;
use crate::store::FolderStore;
use crate::{data, interrupt, number, training};

/// Trains the four systems of the paper and a region router alike and puts them side by side. Stop with Ctrl-C; the same
/// command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file of the full system, AttentionAnatomy + HPA; the others are derived from it.
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for the trainings and the results.
    #[arg(short, long)]
    output: PathBuf,
    /// Trainings of each system, with the seed of the training file and those that follow it.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Instead of a validation part: so many folds, each of which holds out other patients, with every seed.
    #[arg(long, value_parser = number::folds)]
    folds: Option<usize>,
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

/// Reads the training file of the full system.
///
/// # Errors
/// A file that is no training, or not of the full system.
pub fn full_system(path: &Path) -> Result<TrainingConfig> {
    let (_, config) = data::training_file(path)?;
    if !config.network.attention || config.hpa == Hpa::Off {
        bail!(
            "{}: an ablation begins with the full system; it needs network.attention = true and hpa = \"source_region\" or \"source\"",
            path.display()
        );
    }
    Ok(config)
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let config = full_system(&args.config)?;
    let ablation = Ablation::new(&config, args.seeds, args.folds);
    let read = data::inputs(&args.config, &config, &args.data);
    let store = FolderStore::guarded(&args.output, "ablation", read.clone(), args.overwrite)?;
    let choice = match args.tasks.purpose() {
        Purpose::Plan => {
            args.tasks.print_plan(&ablation.plan(&store), &config, &args.device.open()?, &read)?;
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
        let device = args.device.open_with_tensors()?;
        let stop = interrupt::flag()?;
        let work = |experiment: &mut Experiment<'_>| ablation.run(&choice, experiment);
        let done = training::experiment(&args.data, &store, &device, args.tolerance_mm, stop, work)?;
        if !done || !choice.is_all() {
            return Ok(tasks::ended(done));
        }
    }
    training::publish(&ablation.comparison(&store)?, &store)?;
    Ok(ExitCode::SUCCESS)
}
