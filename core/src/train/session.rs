//! A training while it runs: batches are drawn, steps are done, and it is said when the network is to be looked at.
//!
//! [`Session`] keeps nothing and waits for nobody, so that a panel of the viewer drives the same training as the command line, whose
//! [`PersistentSession`](super::PersistentSession) adds checkpoints, logs and weights.

use std::sync::Arc;

use burn::tensor::Device;

use super::validation::validate;
use super::{StepReport, TrainError, Trainer, TrainingConfig, TrainingDevice, ValidationReport};
use crate::anatomy::OrganSet;
use crate::dataset::{Batch, PatientSplit, PreparedCase, Sampler};
use crate::network::AttentionAnatomy;

/// What a training, or a run of several, says while it works.
#[derive(Clone, Debug)]
pub enum TrainEvent {
    /// A run of several was done before.
    DoneBefore {
        /// Which one.
        run: String,
    },
    /// A run of several begins or goes on.
    Run {
        /// Which one.
        run: String,
        /// Where it keeps what it makes.
        place: String,
    },
    /// Cases are brought to the model grid.
    Preparing {
        /// Cases that are.
        done: usize,
        /// All that have to be.
        of: usize,
    },
    /// What is trained on is ready.
    Began {
        /// Patients that are learned from.
        training: usize,
        /// Patients that are held out.
        validation: usize,
        /// Organs that are learned.
        organs: usize,
        /// Steps of the whole schedule.
        steps: u64,
    },
    /// It goes on from a checkpoint.
    Resumed {
        /// Steps that were done.
        step: u64,
    },
    /// Weights to begin with are not read: it goes on from a checkpoint.
    StartNotRead {
        /// The weights.
        place: String,
    },
    /// The training file is another one than when it began; it goes on with the new one.
    ConfigChanged,
    /// A step was done.
    Step(StepReport),
    /// Held-out slices were looked at.
    Validated {
        /// Steps done.
        step: u64,
        /// What was found.
        report: ValidationReport,
    },
    /// It ends early; it goes on from here if it is begun again.
    Stopped {
        /// Steps done.
        step: u64,
    },
    /// All steps are done and the weights are kept.
    Finished {
        /// Steps done.
        step: u64,
    },
    /// Patients are segmented and measured.
    Measuring {
        /// Patients done.
        done: usize,
        /// All of them.
        of: usize,
    },
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// After its last step.
    Finished,
    /// It was asked to stop; the same call goes on where it stopped.
    Stopped,
}

/// What batches are drawn from. A loader may hold it in a thread of its own.
#[derive(Debug)]
pub struct Cohort {
    config: TrainingConfig,
    training: Vec<PreparedCase>,
    validation: Vec<PreparedCase>,
    sampler: Sampler,
    /// Organs that are learned.
    trained: OrganSet,
}

impl Cohort {
    /// The patients of a training; of one that is about a region, their slices of that region.
    ///
    /// # Errors
    /// [`TrainError::NoPatients`] where a set has no patient left to train on, [`TrainError::Nothing`] where none has,
    /// [`TrainError::NoOrgans`] where no label map shows anything.
    pub fn new(config: TrainingConfig, patients: &PatientSplit) -> Result<Self, TrainError> {
        let validation = patients.validation.clone();
        let training: Vec<PreparedCase> = match config.region {
            None => patients.training.clone(),
            Some(region) => patients.training.iter().map(|case| case.clone().of_region(region)).collect(),
        };
        let open_ends = |case: PreparedCase| {
            let slices = config.data[case.set].open_ends;
            case.with_open_ends(slices)
        };
        let training: Vec<PreparedCase> = training.into_iter().map(open_ends).collect();
        // A fold may be the only patient of a set, and a region may be missing from one.
        if config.fold.is_none() && config.region.is_none() {
            for (n, data) in config.data.iter().enumerate().filter(|(_, data)| data.weight > 0.0) {
                if training.iter().all(|case| case.set != n) {
                    return Err(TrainError::NoPatients {
                        manifest: data.manifest.clone(),
                        held_out: validation.iter().filter(|case| case.set == n).count(),
                    });
                }
            }
        }
        let weights: Vec<f64> = config.data.iter().map(|data| data.weight).collect();
        let sampler = Sampler::new(&training, &weights, config.mixed, config.seed);
        if sampler.is_empty() {
            return Err(TrainError::Nothing(config.region));
        }
        let learned = |case: &PreparedCase| if weights[case.set] > 0.0 { case.shown() } else { OrganSet::EMPTY };
        let trained = training.iter().fold(OrganSet::EMPTY, |all, case| all.union(learned(case)));
        if trained.is_empty() {
            return Err(TrainError::NoOrgans(training.len()));
        }
        Ok(Self { config, training, validation, sampler, trained })
    }

    /// The training.
    pub fn config(&self) -> &TrainingConfig {
        &self.config
    }

    /// Patients that are learned from.
    pub fn training(&self) -> &[PreparedCase] {
        &self.training
    }

    /// Patients that are held out.
    pub fn validation(&self) -> &[PreparedCase] {
        &self.validation
    }

    /// Organs that are learned.
    pub fn trained(&self) -> OrganSet {
        self.trained
    }

    /// The batch of step number `step` (0 is the first). A pure function, so that a loader may work ahead.
    pub fn batch(&self, step: u64) -> Batch {
        Trainer::batch(&self.config, &self.training, &self.sampler, step)
    }
}

/// What a step came to.
#[derive(Clone, Debug)]
pub struct Advance {
    /// What it did.
    pub report: StepReport,
    /// Whether the network is to be looked at now: every so many steps, and at the end.
    pub due: bool,
    /// Whether it was the last one.
    pub finished: bool,
}

/// A training while it runs.
#[derive(Debug)]
pub struct Session {
    trainer: Trainer,
    cohort: Arc<Cohort>,
}

impl Session {
    /// A training that begins with weights that its seed determines.
    pub fn new(cohort: Cohort, device: impl Into<TrainingDevice>) -> Self {
        let trainer = Trainer::new(cohort.config.clone(), device);
        Self::with_trainer(cohort, trainer)
    }

    /// A training that goes on with `trainer`.
    pub fn with_trainer(cohort: Cohort, trainer: Trainer) -> Self {
        Self { trainer, cohort: Arc::new(cohort) }
    }

    /// The network and its optimiser.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// What it draws from.
    pub fn cohort(&self) -> &Arc<Cohort> {
        &self.cohort
    }

    /// The next batch; see [`Cohort::batch`] for whoever works ahead.
    pub fn next_batch(&self) -> Batch {
        self.cohort.batch(self.trainer.steps_done())
    }

    /// One optimiser step on the batch of this step.
    ///
    /// # Errors
    /// [`TrainError::Step`]; the session is not to be used any more.
    pub async fn step(&mut self, batch: &Batch) -> Result<Advance, TrainError> {
        let report = self.trainer.step_async(batch).await?;
        let finished = self.trainer.finished();
        let due = finished || report.step % self.cohort.config.validate_every == 0;
        Ok(Advance { report, due, finished })
    }

    /// Dice of the trained network on held-out slices; `None` where nobody is held out.
    ///
    /// # Errors
    /// [`TrainError::Device`].
    pub async fn validate(&self, device: &Device) -> Result<Option<ValidationReport>, TrainError> {
        self.validate_network(&self.trainer.network(), device).await
    }

    /// The same of another one.
    ///
    /// # Errors
    /// [`TrainError::Device`].
    pub async fn validate_network(
        &self,
        network: &AttentionAnatomy,
        device: &Device,
    ) -> Result<Option<ValidationReport>, TrainError> {
        let Cohort { config, validation, trained, .. } = &*self.cohort;
        if validation.is_empty() {
            return Ok(None);
        }
        let (layers, limit) = (self.trainer.layers.as_ref(), config.validation_slices);
        validate(layers, network, validation, &config.input(), *trained, limit, device).await.map(Some)
    }
}
