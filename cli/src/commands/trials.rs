//! `attention-anatomy trials`: variants of one training, alike but for what is to be judged.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use attention_anatomy::metrics::DEFAULT_TOLERANCE_MM;
use attention_anatomy::train::{Choice, TrainingConfig, Trials};

use super::tasks::{self, Purpose, TaskArgs};
use crate::device::DeviceChoice;
use crate::output::Overwrite;
use crate::store::FolderStore;
use crate::{data, interrupt, number, training};

/// Trains variants of one training alike, with several seeds, and puts them side by side on the held-out patients. Stop with
/// Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File of the trials: a training file, seeds, variants (see configs/trials/).
    trials: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for the trainings and the results.
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    tasks: TaskArgs,
    /// Organs whose mean Dice decides, by id, instead of those of the file.
    #[arg(long, value_delimiter = ',')]
    organs: Vec<String>,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// Where the networks are trained.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    #[command(flatten)]
    overwrite: Overwrite,
}

fn read(path: &Path) -> Result<(Trials, TrainingConfig)> {
    let named = || path.display().to_string();
    let trials = Trials::parse(&data::text_file(path)?).with_context(named)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (_, base) = data::training_file(&folder.join(&trials.training))?;
    trials.check(&base).with_context(named)?;
    Ok((trials, base))
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let (trials, base) = read(&args.trials)?;
    let chosen = trials.deciding(&args.organs)?;
    let read = data::inputs(&args.trials, &base, &args.data);
    let store = FolderStore::guarded(&args.output, "trials", read.clone(), args.overwrite)?;
    let all = trials.runs(&base);
    let choice = match args.tasks.purpose() {
        Purpose::Plan => {
            args.tasks.print_plan(&tasks::planned(&all, &store), &base, &args.device.open()?, &read)?;
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
        let mine = choice.of(all, |run| &run.folder)?;
        let device = args.device.open_with_tensors()?;
        let stop = interrupt::flag()?;
        let done = training::experiment(&args.data, &store, &device, args.tolerance_mm, stop, |e| e.all(&mine))?;
        if !done || !choice.is_all() {
            return Ok(tasks::ended(done));
        }
    }
    training::publish(&trials.comparison(&base, chosen, &store)?, &store)?;
    Ok(ExitCode::SUCCESS)
}
