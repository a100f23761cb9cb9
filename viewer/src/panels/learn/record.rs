//! What is known of the trainings. No drawing.

use attention_anatomy::dataset::Hpa;
use web_time::{Duration, Instant};

use crate::worker::{LearnEvaluation, LearnEvent, LearnPlan, LearnSettings, LearnUpdate};

/// Start weights, phantoms and order of a demo training, unless another seed is asked for: runs with other switches are compared, and
/// all else should be equal.
const SEED: u64 = 7;

/// Earlier trainings that are kept; there are six settings of one seed.
const KEPT: usize = 6;

/// The panel's cx.
#[derive(Clone, Debug)]
pub struct Learn {
    /// For the next start.
    pub settings: LearnSettings,
    /// What the training is at.
    pub state: TrainingState,
    /// The present training, once its scans are made.
    pub current: Option<Record>,
    /// Earlier trainings, the newest last, one of each settings.
    pub earlier: Vec<Record>,
    /// Which earlier one is drawn in grey; the newest unless chosen.
    pub compared: Option<LearnSettings>,
    /// Which evaluation is on the board; the newest unless chosen.
    pub chosen_evaluation: Option<usize>,
    run: u64,
}

/// What a training is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrainingState {
    /// None was started.
    #[default]
    Idle,
    /// Scans are being made: so many of so many.
    Preparing(usize, usize),
    /// Steps are done.
    Running,
    /// Held by the user.
    Paused,
    /// All steps are done, or the user ended it.
    Over,
    /// It broke, and why.
    Failed(String),
}

/// A training.
#[derive(Clone, Debug)]
pub struct Record {
    /// How it is done.
    pub settings: LearnSettings,
    /// What it does.
    pub plan: LearnPlan,
    /// Dice, focal and region loss of each step.
    pub losses: Vec<[Option<f32>; 3]>,
    /// Evaluations on the held-out slices.
    pub evaluations: Vec<LearnEvaluation>,
    pace: Pace,
}

/// How fast steps come; pauses do not count.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    last: Option<Instant>,
    time: Duration,
    steps: u32,
}

impl Default for Learn {
    fn default() -> Self {
        Self {
            settings: LearnSettings { attention: true, hpa: Hpa::SourceRegion, seed: SEED },
            state: TrainingState::Idle,
            current: None,
            earlier: Vec::new(),
            compared: None,
            chosen_evaluation: None,
            run: 0,
        }
    }
}

impl Learn {
    /// A training with the chosen settings begins; what was learned before is kept to compare with.
    pub fn start(&mut self, run: u64) {
        if let Some(mut record) = self.current.take()
            && record.evaluations.len() > 1
        {
            // Curves are what is compared; the pictures of all evaluations would be megabytes.
            record.evaluations.iter_mut().for_each(|evaluation| evaluation.answers.clear());
            self.earlier.retain(|e| e.settings != record.settings);
            self.earlier.push(record);
            if self.earlier.len() > KEPT {
                self.earlier.remove(0);
            }
        }
        self.state = TrainingState::Preparing(0, 0);
        (self.run, self.compared, self.chosen_evaluation) = (run, None, None);
    }

    /// Holds it, or lets it go on.
    pub fn pause(&mut self, paused: bool) {
        self.state = match (&self.state, paused) {
            (TrainingState::Running, true) => TrainingState::Paused,
            (TrainingState::Paused, false) => TrainingState::Running,
            _ => return,
        };
        if let Some(record) = &mut self.current {
            record.pace.last = None;
        }
    }

    /// Whether steps may still come.
    pub fn is_active(&self) -> bool {
        matches!(self.state, TrainingState::Preparing(..) | TrainingState::Running | TrainingState::Paused)
    }

    /// The training has got further; what an earlier one says is late.
    pub fn apply(&mut self, event: &LearnEvent) {
        if event.run != self.run || !self.is_active() {
            return;
        }
        match &event.update {
            LearnUpdate::Preparing { done, of } => self.state = TrainingState::Preparing(*done, *of),
            LearnUpdate::Started(plan) => {
                let (losses, evaluations) = (Vec::new(), Vec::new());
                let pace = Pace { last: Some(Instant::now()), ..Pace::default() };
                let plan = plan.clone();
                self.current = Some(Record { settings: self.settings, plan, losses, evaluations, pace });
                self.state = TrainingState::Running;
            }
            LearnUpdate::Step { losses, .. } => {
                if let Some(record) = &mut self.current {
                    record.losses.push(*losses);
                    record.pace.step();
                }
            }
            LearnUpdate::Evaluation(evaluation) => {
                if let Some(record) = &mut self.current {
                    record.evaluations.push(evaluation.clone());
                }
            }
            LearnUpdate::Finished => self.state = TrainingState::Over,
            LearnUpdate::Failed(reason) => self.state = TrainingState::Failed(reason.clone()),
        }
    }

    /// The earlier training that is drawn in grey.
    pub fn grey(&self) -> Option<&Record> {
        let chosen = self.compared.and_then(|c| self.earlier.iter().find(|e| e.settings == c));
        chosen.or(self.earlier.last())
    }

    /// The evaluation that is on the board.
    pub fn evaluation(&self) -> Option<&LearnEvaluation> {
        let evaluations = &self.current.as_ref()?.evaluations;
        self.chosen_evaluation.and_then(|n| evaluations.get(n)).or(evaluations.last())
    }
}

impl Record {
    /// Steps in all.
    pub fn total(&self) -> u64 {
        self.plan.phases.last().map_or(0, |p| p.1)
    }

    /// Steps done.
    pub fn done(&self) -> u64 {
        self.losses.len() as u64
    }

    /// The phase of the next step, or of the last one when all are done.
    pub fn phase(&self) -> &str {
        let phases = &self.plan.phases;
        let phase = phases.iter().find(|p| self.done() < p.1).or(phases.last());
        phase.map_or("", |p| &p.0)
    }

    /// Steps a second, once there is something to say.
    pub fn steps_per_second(&self) -> Option<f64> {
        let seconds = self.pace.time.as_secs_f64();
        (self.pace.steps > 0 && seconds > 0.0).then(|| f64::from(self.pace.steps) / seconds)
    }

    /// Seconds that it will still take.
    pub fn seconds_left(&self) -> Option<f64> {
        Some(self.total().saturating_sub(self.done()) as f64 / self.steps_per_second()?)
    }
}

impl Pace {
    fn step(&mut self) {
        let now = Instant::now();
        // The first step after a pause has nothing to be measured from.
        if let Some(last) = self.last.replace(now) {
            self.time += now.duration_since(last);
            self.steps += 1;
        }
    }
}

/// The switches of a training in a few words.
pub fn label(settings: &LearnSettings) -> String {
    let attention = if settings.attention { "attention" } else { "no attention" };
    format!("{attention}, {}", hpa_name(settings.hpa))
}

/// What is taken for annotated, in a few words.
pub fn hpa_name(hpa: Hpa) -> &'static str {
    match hpa {
        Hpa::Off => "HPA off",
        Hpa::Source => "HPA by source",
        Hpa::SourceRegion => "HPA by source and region",
    }
}
