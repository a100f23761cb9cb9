//! What `crossval`, `ablation` and `trials` have in common: trainings that can be done apart, as tasks of an array or of a workflow.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::infer::ComputeDevice;
use attention_anatomy::train::{Choice, Part, PlannedTask, Trainer, TrainingConfig, TrainingRun};
use serde_json::json;

use super::bench_training::made_up_batch;
use crate::{interrupt, number, progress, threads};

/// Which trainings are done.
#[derive(Clone, Debug, clap::Args)]
pub struct TaskArgs {
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
}

/// What a call is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// Say what there is to do.
    Plan,
    /// Train, and put the results together if it was everything.
    Train(Choice),
    /// Put the results together.
    Collect,
}

impl TaskArgs {
    /// What the call is for.
    pub fn purpose(&self) -> Purpose {
        match (self.plan, self.collect, &self.task, self.part) {
            (true, ..) => Purpose::Plan,
            (_, true, ..) => Purpose::Collect,
            (_, _, Some(id), _) => Purpose::Train(Choice::Task(id.clone())),
            (_, _, _, Some(part)) => Purpose::Train(Choice::Part(part)),
            _ => Purpose::Train(Choice::All),
        }
    }

    /// Prints the plan.
    ///
    /// # Errors
    /// Where a step cannot be measured.
    pub fn print_plan(
        &self,
        tasks: &[PlannedTask],
        base: &TrainingConfig,
        device: &ComputeDevice,
        files: &[PathBuf],
    ) -> Result<()> {
        let seconds = match self.step_seconds {
            Some(seconds) => seconds,
            None => measured(base, device)?,
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

/// Seconds of a step of the last phase, which is the longest in every training file of this repository; the faster of two.
fn measured(config: &TrainingConfig, device: &ComputeDevice) -> Result<f64> {
    let mut config = config.clone();
    config.phases = config.phases.pop().into_iter().collect();
    let batch = made_up_batch(&config);
    let mut trainer = Trainer::new(config, &device.burn);
    let mut seconds = f64::INFINITY;
    for _ in 0..3 {
        let clock = Instant::now();
        trainer.step(&batch)?;
        seconds = seconds.min(clock.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// How a call ends that trained.
pub fn ended(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { interrupt::STOPPED.into() }
}

/// Trainings as tasks, of a folder that is only looked at.
pub fn planned(runs: &[TrainingRun], store: &dyn ArtifactStore) -> Vec<PlannedTask> {
    runs.iter().map(|run| run.task(store)).collect()
}
