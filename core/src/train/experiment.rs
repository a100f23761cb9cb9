//! Trainings that are measured: what a cross-validation, an ablation and trials are made of.
//!
//! A run is a folder of a store: checkpoints, weights, and last of all `evaluation.json`. Where that is, the run is done and is not done
//! again, so whatever was stopped or killed goes on with the same call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::persistent::{CONFIG, FINAL, PersistentSession, ReportPage, TrainingTask};
use super::tasks::PlannedTask;
use super::{Ended, TrainError, TrainEvent, TrainingConfig};
use crate::artifacts::{ArtifactStore, Folder};
use crate::dataset::{CaseSource, DataConfig, Fold, LoadedSet, PatientSplit, Prepared, PreparedCase, SplitSpec};
use crate::infer::{ComputeDevice, Model};
use crate::metrics::{self, Comparison, Evaluation, MeasureError, MeasureOptions, Patient, Subject, System};
use crate::network::count::multiply_adds;

/// Where a run keeps what was measured of it.
const RESULTS: &str = "evaluation.json";

/// A training and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingRun {
    /// For messages.
    pub name: String,
    /// The training.
    pub config: TrainingConfig,
    /// Its folder in the store of the experiment.
    pub folder: String,
}

impl TrainingRun {
    /// One fold of a cross-validation.
    pub fn of_fold(config: &TrainingConfig, fold: Fold) -> Self {
        Self {
            name: format!("fold {fold}"),
            config: TrainingConfig { fold: Some(fold), ..config.clone() },
            folder: fold.folder(),
        }
    }

    /// As a task that can be done by itself.
    pub fn task(&self, store: &dyn ArtifactStore) -> PlannedTask {
        PlannedTask {
            id: self.folder.clone(),
            name: self.name.clone(),
            steps: self.config.total_steps(),
            done: self.store(store).exists(RESULTS),
        }
    }

    /// Its store.
    pub fn store<'a>(&self, store: &'a dyn ArtifactStore) -> Folder<&'a dyn ArtifactStore> {
        Folder::new(store, self.folder.clone())
    }

    /// The weights that came out.
    ///
    /// # Errors
    /// [`TrainError`], also where there are none.
    pub fn model(&self, store: &dyn ArtifactStore) -> Result<Model, TrainError> {
        let own = self.store(store);
        let bytes = own.read(FINAL)?.ok_or_else(|| TrainError::NoWeights(own.place(FINAL)))?;
        Model::read(FINAL, bytes).map_err(|error| TrainError::Start { place: own.place(FINAL), error })
    }

    /// What was measured, if the run is done.
    ///
    /// # Errors
    /// [`TrainError::Result`] for what cannot be read.
    pub fn finished(&self, store: &dyn ArtifactStore) -> Result<Option<Evaluation>, TrainError> {
        let own = self.store(store);
        let read = |bytes: Vec<u8>| {
            serde_json::from_slice(&bytes)
                .map_err(|e| TrainError::Result { place: own.place(RESULTS), reason: e.to_string() })
        };
        own.read(RESULTS)?.map(read).transpose()
    }

    /// Refuses a folder in which another training was begun.
    fn check(&self, own: &dyn ArtifactStore) -> Result<(), TrainError> {
        let Some(text) = own.read_text(CONFIG)? else { return Ok(()) };
        match TrainingConfig::parse(&text) {
            Ok(before) if before == self.config => Ok(()),
            _ => Err(TrainError::OtherTraining(own.place(""))),
        }
    }
}

/// Sets of a training and their patients, prepared and divided.
#[derive(Debug)]
pub struct TrainingData {
    /// The sets.
    pub sets: Vec<LoadedSet>,
    /// Their patients.
    pub patients: PatientSplit,
}

impl TrainingData {
    /// Reads and prepares everything that a training names and that is not in `prepared`.
    ///
    /// # Errors
    /// [`TrainError::Load`].
    pub fn load(
        config: &TrainingConfig,
        source: &dyn CaseSource,
        prepared: &mut Prepared,
        events: &mut dyn FnMut(TrainEvent),
    ) -> Result<Self, TrainError> {
        let sets = LoadedSet::all(&config.data, source)?;
        let mut progress = |done, of| events(TrainEvent::Preparing { done, of });
        let patients = prepared.divide(&sets, config.split_spec(), &config.input(), source, &mut progress)?;
        Ok(Self { sets, patients })
    }
}

/// What decides who is trained on: seed, fold and sets.
type Key = (SplitSpec, Vec<DataConfig>);

/// Where runs take patients from, what computes, and where results go.
pub struct ExperimentSetup<'a> {
    /// Where patients come from.
    pub source: &'a dyn CaseSource,
    /// Where results are kept.
    pub store: &'a dyn ArtifactStore,
    /// What computes.
    pub device: &'a ComputeDevice,
    /// How it is measured.
    pub options: MeasureOptions,
    /// Makes the page with the curves, where one is wanted.
    pub report: Option<ReportPage>,
    /// Set to end in good order.
    pub stop: Arc<AtomicBool>,
    /// Hears what is done.
    pub events: &'a mut dyn FnMut(TrainEvent),
}

/// Does runs one after the other. Patients are prepared once for all of them.
pub struct Experiment<'a> {
    setup: ExperimentSetup<'a>,
    prepared: Prepared,
    divided: Option<(Key, Arc<TrainingData>)>,
}

impl std::fmt::Debug for Experiment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Experiment").field("store", &self.setup.store.place("")).finish_non_exhaustive()
    }
}

impl<'a> Experiment<'a> {
    /// Nothing is read yet.
    pub fn new(setup: ExperimentSetup<'a>) -> Self {
        Self { setup, prepared: Prepared::default(), divided: None }
    }

    /// Where results are kept.
    pub fn store(&self) -> &'a dyn ArtifactStore {
        self.setup.store
    }

    /// Trains and measures whatever is not done. False when it was asked to stop.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn all(&mut self, runs: &[TrainingRun]) -> Result<bool, TrainError> {
        for (n, run) in runs.iter().enumerate() {
            if !self.next(run, &format!("{} of {}", n + 1, runs.len()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Trains and measures a run that is not done; `of` says how far the whole is. False when it was asked to stop.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn next(&mut self, run: &TrainingRun, of: &str) -> Result<bool, TrainError> {
        let (name, own) = (format!("{} ({of})", run.name), run.store(self.setup.store));
        if own.exists(RESULTS) {
            run.check(&own)?;
            (self.setup.events)(TrainEvent::DoneBefore { run: name });
            return Ok(true);
        }
        (self.setup.events)(TrainEvent::Run { run: name, place: own.place("") });
        self.one(run).map_err(of_run(&run.name))
    }

    fn one(&mut self, run: &TrainingRun) -> Result<bool, TrainError> {
        if !self.trained(run)? {
            return Ok(false);
        }
        let model = run.model(self.setup.store)?;
        self.measured(run, |device, patients, options| {
            Ok((Subject::of(&model, device, options)?, metrics::subject(&model, "held-out", patients)))
        })
    }

    /// Says that a whole of several trainings begins.
    pub(super) fn announce(&mut self, run: &TrainingRun, of: &str) {
        let place = run.store(self.setup.store).place("");
        (self.setup.events)(TrainEvent::Run { run: format!("{} ({of})", run.name), place });
    }

    /// Trains a run, unless that is done. False when it was asked to stop.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn trained(&mut self, run: &TrainingRun) -> Result<bool, TrainError> {
        let own = run.store(self.setup.store);
        run.check(&own)?;
        if own.exists(FINAL) {
            return Ok(true);
        }
        let data = self.data(&run.config)?;
        let text = toml::to_string(&run.config)
            .map_err(|e| TrainError::Write { what: "the training file", reason: e.to_string() })?;
        let task = TrainingTask {
            text: &text,
            config: &run.config,
            sets: &data.sets,
            patients: &data.patients,
            store: &own,
            restart: false,
            from: None,
            report: self.setup.report,
        };
        let session = PersistentSession::begin(task, self.setup.device, self.setup.events)?;
        Ok(session.run(&self.setup.stop, self.setup.events)? == Ended::Finished)
    }

    /// Measures the held-out patients of a run and keeps the result in its folder. False when it was asked to stop.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn measured(
        &mut self,
        run: &TrainingRun,
        subject: impl FnOnce(&ComputeDevice, &[Patient<'_>], MeasureOptions) -> Result<(Subject, String), MeasureError>,
    ) -> Result<bool, TrainError> {
        let data = self.data(&run.config)?;
        let ExperimentSetup { source, store, device, options, stop, events, .. } = &mut self.setup;
        let patients = Patient::held_out(&data.sets, &data.patients.identities, run.config.split_spec());
        let (subject, head) = subject(device, &patients, *options)?;
        let mut progress = |done, of| events(TrainEvent::Measuring { done, of });
        let found = metrics::evaluate(subject, device, &patients, *source, head, *options, stop, &mut progress);
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        keep(found?.files().map_err(unwritable)?, &run.store(*store))?;
        Ok(true)
    }

    /// Whether there are slices of the region that a training is about.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn has_slices(&mut self, config: &TrainingConfig) -> Result<bool, TrainError> {
        let data = self.data(config)?;
        let wanted = |case: &PreparedCase, k: usize| config.region.is_none() || case.region(k) == config.region;
        let usable = |case: &PreparedCase| case.usable.iter().any(|&k| wanted(case, k));
        Ok(data.patients.training.iter().any(usable))
    }

    /// The patients of a training, divided as it asks for.
    fn data(&mut self, config: &TrainingConfig) -> Result<Arc<TrainingData>, TrainError> {
        let key = (config.split_spec(), config.data.clone());
        if let Some((known, data)) = &self.divided
            && *known == key
        {
            return Ok(data.clone());
        }
        // Before the next ones are read, so that no more than one division is in memory.
        self.divided = None;
        let data = TrainingData::load(config, self.setup.source, &mut self.prepared, self.setup.events)?;
        let data = Arc::new(data);
        self.divided = Some((key, data.clone()));
        Ok(data)
    }
}

/// The same error, with the name of the run.
pub(super) fn of_run(run: &str) -> impl FnOnce(TrainError) -> TrainError {
    move |error| TrainError::Of { run: run.into(), error: Box::new(error) }
}

fn unwritable(error: serde_json::Error) -> TrainError {
    TrainError::Write { what: "the result", reason: error.to_string() }
}

fn keep(files: impl IntoIterator<Item = (&'static str, String)>, store: &dyn ArtifactStore) -> Result<(), TrainError> {
    files.into_iter().try_for_each(|(name, text)| Ok(store.write(name, text.as_bytes())?))
}

/// Keeps the files of a comparison.
///
/// # Errors
/// [`TrainError`].
pub fn save_comparison(comparison: &Comparison, store: &dyn ArtifactStore) -> Result<(), TrainError> {
    keep(comparison.files().map_err(unwritable)?, store)
}

/// The results of all runs.
///
/// # Errors
/// [`TrainError::NotDone`] names those that have none.
pub fn results(runs: &[TrainingRun], store: &dyn ArtifactStore) -> Result<Vec<Evaluation>, TrainError> {
    let found = runs.iter().map(|run| run.finished(store)).collect::<Result<Vec<_>, _>>()?;
    let missing: Vec<&str> = runs.iter().zip(&found).filter(|r| r.1.is_none()).map(|r| r.0.name.as_str()).collect();
    if !missing.is_empty() {
        return Err(TrainError::NotDone(missing.join(", ")));
    }
    Ok(found.into_iter().flatten().collect())
}

/// What the folds of a cross-validation say together.
///
/// # Errors
/// [`TrainError::NotDone`].
pub fn cross_validation(
    config: &TrainingConfig,
    folds: &[TrainingRun],
    store: &dyn ArtifactStore,
) -> Result<Comparison, TrainError> {
    Ok(Comparison {
        subject: format!("Cross-validation of {} by patient.", config.name),
        over: "folds".into(),
        systems: vec![System {
            name: config.name.clone(),
            multiply_adds: multiply_adds(&config.network, config.input().crop).total(),
            runs: results(folds, store)?,
            against: Vec::new(),
        }],
        chosen: None,
    })
}

#[cfg(test)]
mod tests;
