//! `attention-anatomy crossval`: every patient is held out once.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::dataset::Fold;
use attention_anatomy::metrics::Comparison;
use attention_anatomy::train::experiment::cross_validation;
use attention_anatomy::train::{Choice, Experiment, PlannedTask, TrainError, TrainingConfig, TrainingRun};

use super::tasks::{self, Job, JobArgs};
use crate::{data, number};

/// Cross-validates a training by patient. Stop with Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file; its `validation_patients` do not count here.
    config: PathBuf,
    /// Number of folds.
    #[arg(long, default_value_t = 7, value_parser = number::folds)]
    folds: usize,
    #[command(flatten)]
    job: JobArgs,
}

struct CrossValidation {
    config: TrainingConfig,
    folds: Vec<TrainingRun>,
}

impl Job for CrossValidation {
    const COMMAND: &'static str = "crossval";

    fn base(&self) -> &TrainingConfig {
        &self.config
    }

    fn plan(&self, store: &dyn ArtifactStore) -> Vec<PlannedTask> {
        tasks::planned(&self.folds, store)
    }

    fn train(&self, choice: &Choice, experiment: &mut Experiment<'_>) -> Result<bool, TrainError> {
        experiment.all(&choice.of(self.folds.clone(), |run| &run.folder)?)
    }

    fn comparison(&self, store: &dyn ArtifactStore) -> Result<Comparison, TrainError> {
        cross_validation(&self.config, &self.folds, store)
    }
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let (_, config) = data::training_file(&args.config)?;
    let of = args.folds;
    let folds = (1..=of).map(|index| TrainingRun::of_fold(&config, Fold { index, of })).collect();
    args.job.run(&args.config, &CrossValidation { config, folds })
}
