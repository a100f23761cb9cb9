//! A small training that one can watch: core's trainer on phantoms, one step at a time.
//!
//! Whoever teaches wants to show *why* attention and re-calibration are there, now, on whatever machine stands in the room.
//! So a network of a tenth of a million parameters learns coarse slices of synthetic patients in a minute or two, from
//! three sets that each outline only their own organs, and is looked at again and again on patients that it never saw.
//!
//! | file | what |
//! |---|---|
//! | `lesson.rs` | the task: grid, network, schedule, phantoms |
//! | `exam.rs` | the held-out slices and what the network says of them |
//! | `mod.rs` | the job: a state machine that does a little whenever it is asked |
//!
//! The job has no thread and never waits: natively its futures are ready when they are polled or soon after, in the browser
//! they let the event loop go on while a GPU works.

mod exam;
mod lesson;
#[cfg(test)]
mod tests;

use attention_anatomy::dataset::{PreparedCase, Sampler};
use attention_anatomy::train::Trainer;
use burn::module::Module;
use burn::tensor::Device;

use super::protocol::{LearnEvent, LearnNews, LearnPlan, LearnSettings};
use exam::Exam;
use lesson::{Lesson, Scan};

/// A small training in progress.
#[derive(Debug)]
pub struct LearnJob {
    run: u64,
    settings: LearnSettings,
    lesson: Lesson,
    device: Device,
    device_name: String,
    paused: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Scans are made one by one: those to learn from, then those of the exam.
    Preparing(Vec<Scan>),
    Training(Box<Training>),
    Over,
}

#[derive(Debug)]
struct Training {
    trainer: Trainer,
    cases: Vec<PreparedCase>,
    sampler: Sampler,
    exam: Exam,
}

impl LearnJob {
    /// A training that has not begun. `device` is a plain one; `device_name` is for people.
    pub fn new(run: u64, settings: LearnSettings, device: Device, device_name: String) -> Self {
        Self::with_lesson(run, settings, Lesson::standard(), device, device_name)
    }

    fn with_lesson(run: u64, settings: LearnSettings, lesson: Lesson, device: Device, device_name: String) -> Self {
        Self { run, settings, lesson, device, device_name, paused: false, stage: Stage::Preparing(Vec::new()) }
    }

    /// Its number.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Holds it, or lets it go on.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Whether [`step`](Self::step) would do anything.
    pub fn wants_step(&self) -> bool {
        !self.paused && !self.is_over()
    }

    /// Whether it has ended: all steps done, or failed.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Ends it; the event to be sent, unless it had ended before.
    pub fn stop(&mut self) -> Option<LearnEvent> {
        let news = (!self.is_over()).then_some(LearnNews::Finished)?;
        self.stage = Stage::Over;
        Some(LearnEvent { run: self.run, news })
    }

    /// Does a little - a scan is made, or one step of the trainer done - and says what came of it. A future that is dropped before
    /// its end ends the training.
    pub async fn step(&mut self) -> Vec<LearnEvent> {
        if !self.wants_step() {
            return Vec::new();
        }
        let outcome = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Preparing(scans) => self.prepare(scans).await,
            Stage::Training(training) => self.train(training).await,
            Stage::Over => Ok(Vec::new()),
        };
        let news = outcome.unwrap_or_else(|reason| vec![LearnNews::Failed(reason)]);
        news.into_iter().map(|news| LearnEvent { run: self.run, news }).collect()
    }

    async fn prepare(&mut self, mut scans: Vec<Scan>) -> Result<Vec<LearnNews>, String> {
        let of = self.lesson.scans();
        scans.push(self.lesson.scan(scans.len(), &self.settings)?);
        let preparing = LearnNews::Preparing { done: scans.len(), of };
        if scans.len() < of {
            self.stage = Stage::Preparing(scans);
            return Ok(vec![preparing]);
        }
        let config = self.lesson.config(&self.settings);
        let held_out = scans.split_off(self.lesson.training_scans());
        let exam = Exam::new(held_out, &scans, &config.input());
        let trainer = Trainer::new(config, &self.device);
        let cases: Vec<PreparedCase> = scans.into_iter().map(|scan| scan.case).collect();
        let sampler = Sampler::new(&cases, &[1.0; lesson::SETS.len()], self.settings.seed);
        let plan = LearnPlan {
            device: self.device_name.clone(),
            phases: lesson::ends(trainer.config()),
            scans: cases.len(),
            parameters: trainer.network().num_params(),
            size: [self.lesson.crop; 2],
            slices: exam.shown(),
        };
        let look = exam.look(&trainer, &self.device).await?;
        self.stage = Stage::Training(Box::new(Training { trainer, cases, sampler, exam }));
        Ok(vec![preparing, LearnNews::Started(plan), LearnNews::Look(look)])
    }

    async fn train(&mut self, mut training: Box<Training>) -> Result<Vec<LearnNews>, String> {
        let Training { trainer, cases, sampler, exam } = &mut *training;
        let batch = Trainer::batch(trainer.config(), cases, sampler, trainer.steps_done());
        let report = trainer.step_async(&batch).await.map_err(|e| e.to_string())?;
        let mut news = vec![LearnNews::Step { step: report.step, losses: [report.dice, report.focal, report.region] }];
        if report.step % self.lesson.look_every == 0 || trainer.finished() {
            news.push(LearnNews::Look(exam.look(trainer, &self.device).await?));
        }
        if trainer.finished() {
            news.push(LearnNews::Finished);
        } else {
            self.stage = Stage::Training(training);
        }
        Ok(news)
    }
}
