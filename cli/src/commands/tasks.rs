//! What `crossval`, `ablation` and `trials` have in common: trainings that can be done apart, as tasks of an array or of a workflow.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::infer::ComputeDevice;
use attention_anatomy::metrics::{Comparison, DEFAULT_TOLERANCE_MM};
use attention_anatomy::train::{
    Choice, Experiment, Part, PlannedTask, TrainError, Trainer, TrainingConfig, TrainingRun,
};
use serde_json::json;

use super::bench_training::made_up_batch;
use crate::device::{DeviceChoice, EngineChoice};
use crate::output::Overwrite;
use crate::store::FolderStore;
use crate::{data, interrupt, number, progress, threads, training};

/// Trainings that are measured together.
pub trait Job {
    /// The command whose results these are.
    const COMMAND: &'static str;

    /// The training that all of them come from.
    fn base(&self) -> &TrainingConfig;

    /// What there is to do.
    fn plan(&self, store: &dyn ArtifactStore) -> Vec<PlannedTask>;

    /// Does what is chosen and is not done. False when it was asked to stop.
    ///
    /// # Errors
    /// [`TrainError`].
    fn train(&self, choice: &Choice, experiment: &mut Experiment<'_>) -> Result<bool, TrainError>;

    /// What all of them say together.
    ///
    /// # Errors
    /// [`TrainError::NotDone`].
    fn comparison(&self, store: &dyn ArtifactStore) -> Result<Comparison, TrainError>;
}

/// Where a job finds its data, and which of its trainings are done.
#[derive(Clone, Debug, clap::Args)]
pub struct JobArgs {
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for the trainings and the results.
    #[arg(short, long)]
    output: PathBuf,
    /// Only list the trainings as tasks, a line of JSON each: id, command, steps, estimated hours, what it needs.
    #[arg(long, conflicts_with_all = ["part", "task", "collect"])]
    plan: bool,
    /// Do only the training of this id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["part", "collect"])]
    task: Option<String>,
    /// Do only part k of n of the trainings, as one task of an array job.
    #[arg(long, value_name = "K/N", conflicts_with = "collect")]
    part: Option<Part>,
    /// Do nothing but make the results of trainings that are done.
    #[arg(long)]
    collect: bool,
    /// Seconds of a step on the machine that will train, for --plan; measured here where not given.
    #[arg(long, value_name = "SECONDS", requires = "plan", value_parser = number::seconds)]
    step_seconds: Option<f64>,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// Where the networks are trained.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// What computes the layers on a GPU.
    #[arg(long, default_value = "own")]
    engine: EngineChoice,
    #[command(flatten)]
    overwrite: Overwrite,
}

impl JobArgs {
    /// Lists, trains or puts together what `file` describes.
    ///
    /// # Errors
    /// What the user is told.
    pub fn run<J: Job>(&self, file: &Path, job: &J) -> Result<ExitCode> {
        let read = data::inputs(file, job.base(), &self.data);
        let store = FolderStore::guarded(&self.output, J::COMMAND, read.clone(), self.overwrite)?;
        if self.plan {
            self.print_plan(&job.plan(&store), job.base(), &read)?;
            return Ok(ExitCode::SUCCESS);
        }
        let choice = self.choice();
        // Tasks of an array job work in folders beside each other.
        if choice.is_all() {
            store.claim()?;
        }
        if !self.collect {
            let device = self.device.open_for_training(self.engine)?;
            let work = |experiment: &mut Experiment<'_>| job.train(&choice, experiment);
            let stop = interrupt::flag()?;
            if !training::experiment(&self.data, &store, &device, self.tolerance_mm, stop, work)? {
                return Ok(interrupt::STOPPED.into());
            }
            if !choice.is_all() {
                return Ok(ExitCode::SUCCESS);
            }
        }
        training::publish(&job.comparison(&store)?, &store)?;
        Ok(ExitCode::SUCCESS)
    }

    fn choice(&self) -> Choice {
        match (&self.task, self.part) {
            (Some(id), _) => Choice::Task(id.clone()),
            (_, Some(part)) => Choice::Part(part),
            _ => Choice::All,
        }
    }

    fn print_plan(&self, tasks: &[PlannedTask], base: &TrainingConfig, files: &[PathBuf]) -> Result<()> {
        let device = self.device.open_for_training(self.engine)?;
        let seconds = match self.step_seconds {
            Some(seconds) => seconds,
            None => measured(base, &device)?,
        };
        let own: Vec<String> = std::env::args().filter(|word| word != "--plan").collect();
        let words = without_option(own, "--step-seconds");
        for task in tasks {
            let mut command = words.clone();
            command.extend(["--task".into(), task.id.clone()]);
            let line = json!({
                "id": task.id,
                "name": task.name,
                "command": command,
                "steps": task.steps,
                "hours": (task.steps as f64 * seconds / 36.0).ceil() / 100.0,
                "done": task.done,
                "needs": {
                    "device": device.name,
                    "threads": threads::count(),
                    "files": files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
                },
            });
            progress::print_line(&line.to_string());
        }
        progress::note(&format!(
            "{} tasks, {} of them done; {seconds:.2} s a step{}",
            tasks.len(),
            tasks.iter().filter(|task| task.done).count(),
            if self.step_seconds.is_some() {
                ""
            } else {
                ", measured here (--step-seconds gives that of another machine)"
            }
        ));
        Ok(())
    }
}

/// A call without an option and its value.
fn without_option(words: Vec<String>, option: &str) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == option {
            words.next();
        } else if !word.starts_with(&format!("{option}=")) {
            kept.push(word);
        }
    }
    kept
}

/// Seconds of a step of the last phase: the fastest of three.
fn measured(config: &TrainingConfig, device: &ComputeDevice) -> Result<f64> {
    let mut config = config.clone();
    config.phases = config.phases.pop().into_iter().collect();
    let batch = made_up_batch(&config);
    let mut trainer = Trainer::new(config, device);
    let mut seconds = f64::INFINITY;
    for _ in 0..3 {
        let clock = Instant::now();
        trainer.step(&batch)?;
        seconds = seconds.min(clock.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// Trainings as tasks, of a folder that is only looked at.
pub fn planned(runs: &[TrainingRun], store: &dyn ArtifactStore) -> Vec<PlannedTask> {
    runs.iter().map(|run| run.task(store)).collect()
}
