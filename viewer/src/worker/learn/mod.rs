//! A small training that one can watch: core's training session on phantoms, one step at a time.
//!
//! Whoever teaches wants to show *why* attention and re-calibration are there, now, on whatever machine stands in the room.
//! So a small network learns coarse slices of synthetic patients in a minute or two, from three sets that each outline
//! only their own organs, and is looked at again and again on patients that it never saw.
//!
//! | file | what |
//! |---|---|
//! | `demo.rs` | what is learned: grid, network, schedule, phantoms |
//! | `evaluation.rs` | the held-out slices and what the network says of them |
//! | `mod.rs` | the task: a state machine that does a little whenever it is asked |
//!
//! The task has no thread and never waits: on a processor a step is done when it is asked for, on a GPU it is asked again.

mod demo;
mod evaluation;
#[cfg(test)]
mod tests;

use attention_anatomy::dataset::PatientSplit;
use attention_anatomy::infer::ComputeDevice;
use attention_anatomy::train::{Advance, Cohort, Session, TrainingDevice};
use burn::module::Module;

use super::error::DemoError;
use super::platform::{Promise, ask};
use super::protocol::{LearnEvent, LearnPlan, LearnSettings, LearnUpdate};
use demo::{DemoTraining, Scan};
use evaluation::Evaluation;

/// A small training in progress.
pub(super) struct LearnTask {
    run: u64,
    setup: Setup,
    activity: Activity,
}

/// What a step has to know.
#[derive(Clone)]
struct Setup {
    settings: LearnSettings,
    demo: DemoTraining,
    device: TrainingDevice,
    device_name: String,
}

enum Activity {
    /// Nothing is under way.
    Resting(Work),
    /// A step is.
    Stepping(Promise<Advanced>),
    Over,
}

/// What a step goes on with, and what it came to. No work left: it is over.
type Advanced = Result<(Option<Work>, Vec<LearnUpdate>), DemoError>;

enum Work {
    /// Scans are made one by one: those to learn from, then those of the evaluation.
    Preparing(Vec<Scan>),
    Training(Box<Training>),
}

struct Training {
    session: Session,
    evaluation: Evaluation,
}

impl LearnTask {
    /// A training that has not begun, on a device [for training](ComputeDevice::for_training).
    pub(super) fn new(run: u64, settings: LearnSettings, device: &ComputeDevice) -> Self {
        let (device, device_name) = (device.into(), device.name.clone());
        Self::with_demo(run, Setup { settings, demo: DemoTraining::standard(), device, device_name })
    }

    fn with_demo(run: u64, setup: Setup) -> Self {
        Self { run, setup, activity: Activity::Resting(Work::Preparing(Vec::new())) }
    }

    /// Whether it has ended: all steps done, or failed.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.activity, Activity::Over)
    }

    /// Does a little - a scan is made, or one step of the trainer done - and says what came of it; `None` while a device is at it.
    pub(super) fn step(&mut self) -> Option<Vec<LearnEvent>> {
        let mut promise: Promise<Advanced> = match std::mem::replace(&mut self.activity, Activity::Over) {
            Activity::Resting(work) => {
                let setup = self.setup.clone();
                Box::pin(async move { setup.go_on(work).await })
            }
            Activity::Stepping(promise) => promise,
            Activity::Over => return Some(Vec::new()),
        };
        let Some(advanced) = ask(&mut promise) else {
            self.activity = Activity::Stepping(promise);
            return None;
        };
        let (work, updates) = advanced.unwrap_or_else(|reason| (None, vec![LearnUpdate::Failed(reason.to_string())]));
        if let Some(work) = work {
            self.activity = Activity::Resting(work);
        }
        Some(updates.into_iter().map(|update| LearnEvent { run: self.run, update }).collect())
    }
}

impl Setup {
    async fn go_on(self, work: Work) -> Advanced {
        match work {
            Work::Preparing(scans) => self.prepare(scans).await,
            Work::Training(training) => self.train(training).await,
        }
    }

    async fn prepare(self, mut scans: Vec<Scan>) -> Advanced {
        let of = self.demo.scans();
        scans.push(self.demo.scan(scans.len(), &self.settings)?);
        let preparing = LearnUpdate::Preparing { done: scans.len(), of };
        if scans.len() < of {
            return Ok((Some(Work::Preparing(scans)), vec![preparing]));
        }
        let config = self.demo.config(&self.settings);
        let held_out = scans.split_off(self.demo.training_scans());
        let evaluation = Evaluation::new(held_out, &scans, &config.input());
        let training: Vec<_> = scans.into_iter().map(|scan| scan.case).collect();
        let (phases, scans) = (config.phase_ends(), training.len());
        let patients = PatientSplit { training, ..PatientSplit::default() };
        let cohort = Cohort::new(config, &patients)?;
        let session = Session::new(cohort, self.device.clone());
        let plan = LearnPlan {
            device: self.device_name,
            phases,
            scans,
            parameters: session.trainer().network().num_params(),
            size: [self.demo.crop; 2],
            slices: evaluation.shown(),
        };
        let measured = evaluation.measure(session.trainer(), &self.device.tensors).await?;
        let work = Work::Training(Box::new(Training { session, evaluation }));
        Ok((Some(work), vec![preparing, LearnUpdate::Started(plan), LearnUpdate::Evaluation(measured)]))
    }

    async fn train(self, mut training: Box<Training>) -> Advanced {
        let Training { session, evaluation } = &mut *training;
        let batch = session.next_batch();
        let Advance { report, due, finished } = session.step(&batch).await?;
        let losses = [report.dice, report.focal, report.region];
        let mut updates = vec![LearnUpdate::Step { step: report.step, losses }];
        if due {
            updates.push(LearnUpdate::Evaluation(evaluation.measure(session.trainer(), &self.device.tensors).await?));
        }
        if finished {
            updates.push(LearnUpdate::Finished);
        }
        Ok(((!finished).then_some(Work::Training(training)), updates))
    }
}
