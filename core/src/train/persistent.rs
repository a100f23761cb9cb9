//! A training whose results are kept: checkpoints to go on from, a log, the best weights and the last ones.
//!
//! | artefact | when |
//! |---|---|
//! | `config.toml` | at the beginning, and when the training file has changed |
//! | `last.safetensors` | a checkpoint: at the beginning, at every validation, when it is stopped |
//! | `metrics.jsonl` | a line for every step and every validation |
//! | `best.safetensors` | weights, when their validation Dice is better than any before |
//! | `report.html` | if asked for: curves, at every validation |
//! | `average.safetensors` | if asked for: the moving average of the weights, at the end |
//! | `final.safetensors` | weights, at the end |
//!
//! A checkpoint is written last of what belongs to its step: what it says was done, was validated, logged and kept. Whoever is killed
//! goes on from it and ends in the same weights as if it had never been.

use web_time::Instant;

use super::average::STATISTICS_BATCHES;
use super::{
    Cohort, Ended, LogLine, Session, TrainError, TrainEvent, Trainer, TrainingConfig, TrainingDevice, Validation,
    ValidationReport, measure_gauge,
};
use crate::anatomy::Organ;
use crate::artifacts::ArtifactStore;
use crate::dataset::{Batch, LoadedSet, PatientSplit, PreparedCase};
use crate::network::AttentionAnatomy;
use crate::network::weights::{self, DataSource, ModelInfo, Precision, TrainedOrgan};

/// The weights after the last step.
pub const FINAL: &str = "final.safetensors";
/// The moving average of the weights.
pub const AVERAGE: &str = "average.safetensors";
/// The weights of the best validation.
pub const BEST: &str = "best.safetensors";
/// The checkpoint.
pub const LAST: &str = "last.safetensors";
/// The training file that it was begun with, or that it goes on with.
pub const CONFIG: &str = "config.toml";
/// The log.
pub const METRICS: &str = "metrics.jsonl";
/// The page with the curves.
pub const REPORT: &str = "report.html";

/// Weights to begin with.
#[derive(Clone, Copy, Debug)]
pub struct StartWeights<'a> {
    /// What people call the file.
    pub place: &'a str,
    /// The file.
    pub bytes: &'a [u8],
}

/// Makes the page with the curves.
pub type ReportPage = fn(&TrainingConfig, &[LogLine]) -> String;

/// What is to be trained, on whom, and where it is kept.
#[derive(Clone, Copy)]
pub struct TrainingTask<'a> {
    /// The training file, word for word.
    pub text: &'a str,
    /// What it says.
    pub config: &'a TrainingConfig,
    /// Its sets.
    pub sets: &'a [LoadedSet],
    /// Its patients.
    pub patients: &'a PatientSplit,
    /// Where results are kept.
    pub store: &'a dyn ArtifactStore,
    /// Start anew even if there is a checkpoint.
    pub restart: bool,
    /// Weights to begin with, instead of random ones.
    pub from: Option<StartWeights<'a>>,
    /// Makes the page with the curves, where one is wanted.
    pub report: Option<ReportPage>,
}

impl std::fmt::Debug for TrainingTask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingTask").field("store", &self.store.place("")).finish_non_exhaustive()
    }
}

/// A training whose results are kept.
pub struct PersistentSession<'a> {
    session: Session,
    task: TrainingTask<'a>,
    device: TrainingDevice,
    best: Option<f64>,
    /// What the last validation found, if it was made after the last step.
    at_the_end: Option<ValidationReport>,
    started: Instant,
}

impl std::fmt::Debug for PersistentSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersistentSession").field("step", &self.session.trainer().steps_done()).finish_non_exhaustive()
    }
}

impl<'a> PersistentSession<'a> {
    /// Goes on from the checkpoint of the store, unless told to start anew; begins otherwise.
    ///
    /// # Errors
    /// [`TrainError`]. Where patients would change sides, or there is nobody to train on, nothing is written.
    pub fn begin(
        task: TrainingTask<'a>,
        device: impl Into<TrainingDevice>,
        events: &mut dyn FnMut(TrainEvent),
    ) -> Result<Self, TrainError> {
        let device = device.into();
        let TrainingTask { config, store, .. } = task;
        let cohort = Cohort::new(config.clone(), task.patients)?;
        events(TrainEvent::Began {
            training: PreparedCase::count_patients(cohort.training()),
            validation: PreparedCase::count_patients(cohort.validation()),
            organs: cohort.trained().len(),
            steps: config.total_steps(),
        });
        let checkpoint = if task.restart { None } else { store.read(LAST)? };
        let trainer = match checkpoint {
            Some(checkpoint) => resume(&task, &checkpoint, &device, events)?,
            None => start(&task, &device)?,
        };
        let best = best_so_far(&read_log(store)?);
        let session = Session::with_trainer(cohort, trainer);
        Ok(Self { session, task, device, best, at_the_end: None, started: Instant::now() })
    }

    /// The training.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// One step, and all that is due after it. `stopping`: it is the last one for now, and has to be gone on from.
    ///
    /// # Errors
    /// [`TrainError`]. The last checkpoint stays: what is in memory may no longer be finite.
    pub async fn step(
        &mut self,
        batch: &Batch,
        stopping: impl FnOnce() -> bool,
        events: &mut dyn FnMut(TrainEvent),
    ) -> Result<Option<Ended>, TrainError> {
        let advance = self.session.step(batch).await?;
        let step = advance.report.step;
        self.log(&LogLine::Step(advance.report.clone()))?;
        events(TrainEvent::Step(advance.report));
        let stopping = stopping();
        // What is no longer finite ends here.
        let checkpoint = (advance.due || stopping).then(|| self.session.trainer().checkpoint()).transpose()?;
        if advance.due
            && let Some(report) = self.session.validate(&self.device.tensors).await?
        {
            if report.mean_dice > self.best {
                self.best = report.mean_dice;
                self.task.store.write(BEST, &self.weights(Some(&report))?)?;
            }
            let seconds = self.started.elapsed().as_secs_f64();
            self.log(&LogLine::Validation(Validation { step, seconds, report: report.clone() }))?;
            self.at_the_end = advance.finished.then(|| report.clone());
            events(TrainEvent::Validated { step, report });
        }
        if let (Some(page), true) = (self.task.report, advance.due || stopping) {
            let page = page(self.task.config, &read_log(self.task.store)?);
            self.task.store.write(REPORT, page.as_bytes())?;
        }
        if let Some(checkpoint) = checkpoint {
            self.task.store.write(LAST, &checkpoint)?;
        }
        if stopping && !advance.finished {
            events(TrainEvent::Stopped { step });
            return Ok(Some(Ended::Stopped));
        }
        Ok(advance.finished.then_some(Ended::Finished))
    }

    /// Keeps the weights of a training whose steps are all done.
    ///
    /// # Errors
    /// [`TrainError`].
    pub async fn finish(self, events: &mut dyn FnMut(TrainEvent)) -> Result<(), TrainError> {
        // Not yet validated only where the training had ended before this call.
        let found = match &self.at_the_end {
            None => self.session.validate(&self.device.tensors).await?,
            known => known.clone(),
        };
        // `final` comes last and whole: where it is, the training is done.
        if self.best.is_some()
            && let Some(best) = self.task.store.read(BEST)?
        {
            match self.gauged(best).await {
                Ok(best) => self.task.store.write(BEST, &best)?,
                // Not what this training wrote: somebody has replaced it.
                Err(TrainError::Weights(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let weights = self.gauged(self.weights(found.as_ref())?).await?;
        match self.averaged().await? {
            Some(averaged) => self.task.store.write(AVERAGE, &averaged)?,
            None if self.task.store.exists(AVERAGE) => self.task.store.remove(AVERAGE)?,
            None => {}
        }
        // Of an earlier training: this one has found nothing that could be better than anything.
        if self.best.is_none() && self.task.store.exists(BEST) {
            self.task.store.remove(BEST)?;
        }
        self.task.store.write(FINAL, &weights)?;
        events(TrainEvent::Finished { step: self.session.trainer().steps_done() });
        Ok(())
    }

    /// Does all steps that are left, the next batches made ahead of them, and keeps the weights; until `stop` is set. Waits for the
    /// device: not for a browser.
    ///
    /// # Errors
    /// [`TrainError`].
    #[cfg(not(target_family = "wasm"))]
    pub fn run(
        mut self,
        stop: &std::sync::atomic::AtomicBool,
        events: &mut dyn FnMut(TrainEvent),
    ) -> Result<Ended, TrainError> {
        use std::sync::atomic::Ordering;
        use std::sync::mpsc;

        /// Batches that are made ahead.
        const AHEAD: usize = 2;

        let cohort = self.session.cohort().clone();
        let left = self.session.trainer().steps_done()..self.task.config.total_steps();
        let ended = std::thread::scope(|scope| -> Result<Ended, TrainError> {
            let (send, batches) = mpsc::sync_channel(AHEAD);
            scope.spawn(move || left.map(|step| cohort.batch(step)).try_for_each(|batch| send.send(batch)));
            for batch in batches {
                if let Some(Ended::Stopped) =
                    pollster::block_on(self.step(&batch, || stop.load(Ordering::Relaxed), events))?
                {
                    return Ok(Ended::Stopped);
                }
            }
            Ok(Ended::Finished)
        })?;
        if ended == Ended::Finished {
            pollster::block_on(self.finish(events))?;
        }
        Ok(ended)
    }

    fn log(&self, line: &LogLine) -> Result<(), TrainError> {
        let text = line.to_json().map_err(|e| TrainError::Write { what: "the log", reason: e.to_string() })?;
        Ok(self.task.store.append(METRICS, format!("{text}\n").as_bytes())?)
    }

    /// The bytes of the present weights.
    fn weights(&self, found: Option<&ValidationReport>) -> Result<Vec<u8>, TrainError> {
        self.weights_of(&self.session.trainer().network(), found)
    }

    fn weights_of(&self, network: &AttentionAnatomy, found: Option<&ValidationReport>) -> Result<Vec<u8>, TrainError> {
        let steps = self.session.trainer().steps_done();
        let info = model_info(self.session.cohort(), self.task.sets, steps, found);
        Ok(weights::write(network, &info, Precision::Half)?)
    }

    /// The bytes of the moving average, its statistics from the batches that would have come next.
    async fn averaged(&self) -> Result<Option<Vec<u8>>, TrainError> {
        let (trainer, cohort) = (self.session.trainer(), self.session.cohort());
        let next = trainer.steps_done()..trainer.steps_done() + STATISTICS_BATCHES;
        let Some(network) = trainer.averaged(next.map(|step| cohort.batch(step))).await? else { return Ok(None) };
        let found = self.session.validate_network(&network, &self.device.tensors).await?;
        Ok(Some(self.gauged(self.weights_of(&network, found.as_ref())?).await?))
    }

    /// The same weights with the unit of their attention.
    async fn gauged(&self, bytes: Vec<u8>) -> Result<Vec<u8>, TrainError> {
        let (network, mut info) = weights::read(&bytes, &self.device.tensors)?;
        let training = self.session.cohort().training();
        info.gauge = measure_gauge(&network, training, &info.input, &self.device.tensors)
            .await
            .map_err(|error| TrainError::Device(error.to_string()))?;
        Ok(weights::describe(&bytes, &info)?)
    }
}

/// A training that goes on.
fn resume(
    task: &TrainingTask<'_>,
    checkpoint: &[u8],
    device: &TrainingDevice,
    events: &mut dyn FnMut(TrainEvent),
) -> Result<Trainer, TrainError> {
    let TrainingTask { text, config, store, .. } = *task;
    let trainer = Trainer::resume(config.clone(), checkpoint, device.clone())
        .map_err(|error| TrainError::Resume { place: store.place(LAST), error })?;
    events(TrainEvent::Resumed { step: trainer.steps_done() });
    if let Some(from) = task.from {
        events(TrainEvent::StartNotRead { place: from.place.into() });
    }
    let before = store.read_text(CONFIG)?;
    if before.as_ref().is_some_and(|b| TrainingConfig::parse(b).is_ok_and(|before| !before.same_split(config))) {
        return Err(TrainError::OtherSplit(store.place("")));
    }
    if before.as_ref().is_none_or(|before| before != text) {
        // None where the training was killed after its first checkpoint.
        before.iter().for_each(|_| events(TrainEvent::ConfigChanged));
        store.write(CONFIG, text.as_bytes())?;
    }
    forget_after(store, trainer.steps_done())?;
    Ok(trainer)
}

/// A training that begins.
fn start(task: &TrainingTask<'_>, device: &TrainingDevice) -> Result<Trainer, TrainError> {
    let TrainingTask { text, config, store, .. } = *task;
    let trainer = match task.from {
        None => Trainer::new(config.clone(), device.clone()),
        Some(StartWeights { place, bytes }) => {
            let (trainer, info) = Trainer::starting_from(config.clone(), bytes, device.clone())
                .map_err(|error| TrainError::Start { place: place.into(), error })?;
            check_held_out(&info, task.sets, &task.patients.validation, place)?;
            trainer
        }
    };
    // Weights of an earlier training stay until this one has some. From the checkpoint on there is something to go on from, whatever
    // happens: what the log of the other training says beyond it is forgotten then, and the other training file replaced.
    store.write(LAST, &trainer.checkpoint()?)?;
    store.write(METRICS, b"")?;
    store.write(CONFIG, text.as_bytes())?;
    Ok(trainer)
}

/// Refuses weights that may have seen one of the validation patients: its score would be worth nothing.
fn check_held_out(
    info: &ModelInfo,
    sets: &[LoadedSet],
    validation: &[PreparedCase],
    place: &str,
) -> Result<(), TrainError> {
    let seen = validation.iter().find(|case| {
        let known = info.data.iter().any(|data| data.name == sets[case.set].set.name);
        known && !info.held_out.contains(&case.name)
    });
    match seen {
        None => Ok(()),
        Some(case) => Err(TrainError::SeenPatient { place: place.into(), case: case.name.clone() }),
    }
}

/// Drops the lines of steps that a checkpoint does not know; they are done again.
fn forget_after(store: &dyn ArtifactStore, step: u64) -> Result<(), TrainError> {
    let text = log_text(store)?;
    let known = |line: &&str| LogLine::parse_all(line).first().is_some_and(|l| l.step() <= step);
    let kept: String = text.lines().filter(known).flat_map(|line| [line, "\n"]).collect();
    Ok(store.write(METRICS, kept.as_bytes())?)
}

/// The best mean Dice that an earlier part of this training has logged.
fn best_so_far(log: &[LogLine]) -> Option<f64> {
    let dice = |line: &LogLine| if let LogLine::Validation(v) = line { v.report.mean_dice } else { None };
    log.iter().filter_map(dice).max_by(f64::total_cmp)
}

fn read_log(store: &dyn ArtifactStore) -> Result<Vec<LogLine>, TrainError> {
    Ok(LogLine::parse_all(&log_text(store)?))
}

/// A kill, or a disk that ran full, may leave anything at its end.
fn log_text(store: &dyn ArtifactStore) -> Result<String, TrainError> {
    Ok(store.read(METRICS)?.map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// What the weights of a training say of themselves.
fn model_info(cohort: &Cohort, sets: &[LoadedSet], steps: u64, found: Option<&ValidationReport>) -> ModelInfo {
    let (config, training, validation) = (cohort.config(), cohort.training(), cohort.validation());
    let organ = |organ: Organ| {
        let with = |c: &&PreparedCase| config.data[c.set].weight > 0.0 && c.shown().contains(organ);
        let mut source: Vec<String> = training.iter().filter(with).map(|c| sets[c.set].set.name.clone()).collect();
        source.dedup();
        let mut entry = TrainedOrgan {
            organ,
            patients: PreparedCase::count_patients(training.iter().filter(with)),
            source,
            validation_dice: None,
            validation_patients: 0,
            enabled: false,
        };
        let dice = found.and_then(|f| f.dice[organ.index()].1);
        entry.set_validation(
            dice,
            PreparedCase::count_patients(validation.iter().filter(|c| c.shown().contains(organ))),
        );
        entry
    };
    let data = |(n, s): (usize, &LoadedSet)| DataSource {
        name: s.set.name.clone(),
        licence: s.set.license.clone(),
        patients: PreparedCase::count_patients(training.iter().filter(|c| c.set == n)),
    };
    ModelInfo {
        format: weights::FORMAT_VERSION,
        name: config.name.clone(),
        network: config.network.clone(),
        input: config.input(),
        trained_organs: cohort.trained().iter().map(organ).collect(),
        data: sets.iter().enumerate().map(data).collect(),
        held_out: validation.iter().map(|c| c.name.clone()).collect(),
        gauge: None,
        steps,
        note: "Dice as measured while training, on slices of held-out patients on the model grid.".into(),
    }
}

#[cfg(test)]
mod tests;
