//! `attention-anatomy trials`: variants of one training, alike but for what is to be judged.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::metrics::Comparison;
use attention_anatomy::train::{Choice, Experiment, PlannedTask, TrainError, TrainingConfig, Trials};

use super::tasks::{self, Job, JobArgs};
use crate::data;

/// Trains variants of one training alike, with several seeds, and puts them side by side on the held-out patients. Stop with
/// Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File of the trials: a training file, seeds, variants (see configs/trials/).
    trials: PathBuf,
    #[command(flatten)]
    job: JobArgs,
    /// Organs whose mean Dice decides, by id, instead of those of the file.
    #[arg(long, value_delimiter = ',')]
    organs: Vec<String>,
}

fn read(path: &Path) -> Result<(Trials, TrainingConfig)> {
    let named = || path.display().to_string();
    let trials = Trials::parse(&data::text_file(path)?).with_context(named)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (_, base) = data::training_file(&folder.join(&trials.training))?;
    trials.check(&base).with_context(named)?;
    Ok((trials, base))
}

struct Judged {
    trials: Trials,
    base: TrainingConfig,
    /// The organs whose mean Dice decides; all where there are none.
    deciding: Option<OrganSet>,
}

impl Job for Judged {
    const COMMAND: &'static str = "trials";

    fn base(&self) -> &TrainingConfig {
        &self.base
    }

    fn plan(&self, store: &dyn ArtifactStore) -> Vec<PlannedTask> {
        tasks::planned(&self.trials.runs(&self.base), store)
    }

    fn train(&self, choice: &Choice, experiment: &mut Experiment<'_>) -> Result<bool, TrainError> {
        experiment.all(&choice.of(self.trials.runs(&self.base), |run| &run.folder)?)
    }

    fn comparison(&self, store: &dyn ArtifactStore) -> Result<Comparison, TrainError> {
        self.trials.comparison(&self.base, self.deciding, store)
    }
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let (trials, base) = read(&args.trials)?;
    let deciding = trials.deciding(&args.organs)?;
    args.job.run(&args.trials, &Judged { trials, base, deciding })
}
