//! `attention-anatomy ablation`: the paper's table, with and without attention and re-calibration.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::dataset::Hpa;
use attention_anatomy::metrics::Comparison;
use attention_anatomy::train::{Ablation, Choice, Experiment, PlannedTask, TrainError, TrainingConfig};

use super::tasks::{Job, JobArgs};
use crate::{data, number};

/// Trains the four systems of the paper and a region router alike and puts them side by side. Stop with Ctrl-C; the same
/// command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file of the full system, AttentionAnatomy + HPA; the others are derived from it.
    config: PathBuf,
    /// Trainings of each system, with the seed of the training file and those that follow it.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Instead of a validation part: so many folds, each of which holds out other patients, with every seed.
    #[arg(long, value_parser = number::folds)]
    folds: Option<usize>,
    #[command(flatten)]
    job: JobArgs,
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

impl Job for Ablation {
    const COMMAND: &'static str = "ablation";

    fn base(&self) -> &TrainingConfig {
        self.full_system()
    }

    fn plan(&self, store: &dyn ArtifactStore) -> Vec<PlannedTask> {
        self.plan(store)
    }

    fn train(&self, choice: &Choice, experiment: &mut Experiment<'_>) -> Result<bool, TrainError> {
        self.run(choice, experiment)
    }

    fn comparison(&self, store: &dyn ArtifactStore) -> Result<Comparison, TrainError> {
        self.comparison(store)
    }
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let ablation = Ablation::new(&full_system(&args.config)?, args.seeds, args.folds);
    args.job.run(&args.config, &ablation)
}
