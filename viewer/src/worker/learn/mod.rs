//! A small training that one can watch: core's training session on phantoms, one step at a time.
//!
//! Whoever teaches wants to show *why* attention and re-calibration are there, now, on whatever machine stands in the room.
//! So a small network learns coarse slices of synthetic patients in a minute or two, from three sets that each outline
//! only their own organs, and is looked at again and again on patients that it never saw.
//!
//! | file | what |
//! |---|---|
//! | `lesson.rs` | the task: grid, network, schedule, phantoms |
//! | `exam.rs` | the held-out slices and what the network says of them |
//! | `mod.rs` | the job: a state machine that does a little whenever it is asked |
//!
//! The job has no thread and never waits: on a processor a step is done when it is asked for, on a GPU it is asked again.

mod exam;
mod lesson;
#[cfg(test)]
mod tests;

use attention_anatomy::dataset::PatientSplit;
use attention_anatomy::train::{Advance, Cohort, Session};
use burn::module::Module;
use burn::tensor::Device;

use super::machine::{Promise, ask};
use super::protocol::{LearnEvent, LearnNews, LearnPlan, LearnSettings};
use exam::Exam;
use lesson::{Lesson, Scan};

/// A small training in progress.
pub(super) struct LearnJob {
    run: u64,
    setup: Setup,
    stage: Stage,
}

/// What a step has to know.
#[derive(Clone)]
struct Setup {
    settings: LearnSettings,
    lesson: Lesson,
    device: Device,
    device_name: String,
}

enum Stage {
    /// Nothing is under way.
    Resting(Work),
    /// A step is.
    Stepping(Promise<Outcome>),
    Over,
}

/// What a step goes on with, and what it came to. No work left: it is over.
type Outcome = Result<(Option<Work>, Vec<LearnNews>), String>;

enum Work {
    /// Scans are made one by one: those to learn from, then those of the exam.
    Preparing(Vec<Scan>),
    Training(Box<Training>),
}

struct Training {
    session: Session,
    exam: Exam,
}

impl LearnJob {
    /// A training that has not begun. `device` is a plain one; `device_name` is for people.
    pub(super) fn new(run: u64, settings: LearnSettings, device: Device, device_name: String) -> Self {
        Self::with_lesson(run, Setup { settings, lesson: Lesson::standard(), device, device_name })
    }

    fn with_lesson(run: u64, setup: Setup) -> Self {
        Self { run, setup, stage: Stage::Resting(Work::Preparing(Vec::new())) }
    }

    /// Whether it has ended: all steps done, or failed.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Does a little - a scan is made, or one step of the trainer done - and says what came of it; `None` while a device is at it.
    pub(super) fn step(&mut self) -> Option<Vec<LearnEvent>> {
        let mut promise: Promise<Outcome> = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Resting(work) => {
                let setup = self.setup.clone();
                Box::pin(async move { setup.go_on(work).await })
            }
            Stage::Stepping(promise) => promise,
            Stage::Over => return Some(Vec::new()),
        };
        let Some(outcome) = ask(&mut promise) else {
            self.stage = Stage::Stepping(promise);
            return None;
        };
        let (work, news) = outcome.unwrap_or_else(|reason| (None, vec![LearnNews::Failed(reason)]));
        if let Some(work) = work {
            self.stage = Stage::Resting(work);
        }
        Some(news.into_iter().map(|news| LearnEvent { run: self.run, news }).collect())
    }
}

impl Setup {
    async fn go_on(self, work: Work) -> Outcome {
        match work {
            Work::Preparing(scans) => self.prepare(scans).await,
            Work::Training(training) => self.train(training).await,
        }
    }

    async fn prepare(self, mut scans: Vec<Scan>) -> Outcome {
        let of = self.lesson.scans();
        scans.push(self.lesson.scan(scans.len(), &self.settings)?);
        let preparing = LearnNews::Preparing { done: scans.len(), of };
        if scans.len() < of {
            return Ok((Some(Work::Preparing(scans)), vec![preparing]));
        }
        let config = self.lesson.config(&self.settings);
        let held_out = scans.split_off(self.lesson.training_scans());
        let exam = Exam::new(held_out, &scans, &config.input());
        let training: Vec<_> = scans.into_iter().map(|scan| scan.case).collect();
        let (phases, scans) = (config.phase_ends(), training.len());
        let patients = PatientSplit { training, ..PatientSplit::default() };
        let cohort = Cohort::new(config, &patients).map_err(|e| e.to_string())?;
        let session = Session::new(cohort, &self.device);
        let plan = LearnPlan {
            device: self.device_name,
            phases,
            scans,
            parameters: session.trainer().network().num_params(),
            size: [self.lesson.crop; 2],
            slices: exam.shown(),
        };
        let look = exam.look(session.trainer(), &self.device).await?;
        let work = Work::Training(Box::new(Training { session, exam }));
        Ok((Some(work), vec![preparing, LearnNews::Started(plan), LearnNews::Look(look)]))
    }

    async fn train(self, mut training: Box<Training>) -> Outcome {
        let Training { session, exam } = &mut *training;
        let batch = session.next_batch();
        let Advance { report, due, finished } = session.step(&batch).await.map_err(|e| e.to_string())?;
        let losses = [report.dice, report.focal, report.region];
        let mut news = vec![LearnNews::Step { step: report.step, losses }];
        if due {
            news.push(LearnNews::Look(exam.look(session.trainer(), &self.device).await?));
        }
        if finished {
            news.push(LearnNews::Finished);
        }
        Ok(((!finished).then_some(Work::Training(training)), news))
    }
}
