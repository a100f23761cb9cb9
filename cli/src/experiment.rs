//! Trainings that are measured: what `crossval` and `ablation` are made of.
//!
//! A run is a folder: checkpoints, weights, and last of all `evaluation.json`. Where that is, the run is done and is not
//! done again, so whatever was stopped or killed goes on with the same command.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::dataset::{DataConfig, Fold, PreparedCase};
use attention_anatomy::infer::ComputeDevice;
use attention_anatomy::metrics::{Comparison, Evaluation};
use attention_anatomy::train::TrainingConfig;

use crate::commands::data::{self, Prepared};
use crate::evaluation::{self, Options, Patient, Subject};
use crate::model::{self, Model};
use crate::store::FolderStore;
use crate::training::{self, Data, Ended};
use crate::{files, progress};

/// A training and where it goes.
#[derive(Clone, Debug)]
pub struct Run {
    /// For messages.
    pub name: String,
    /// The training.
    pub config: TrainingConfig,
    /// Its folder.
    pub folder: PathBuf,
}

impl Run {
    fn results(&self) -> PathBuf {
        self.folder.join("evaluation.json")
    }

    /// The weights that came out.
    pub fn model(&self) -> Result<Model> {
        model::open(Some(&self.folder.join(training::FINAL))).with_context(|| self.name.clone())
    }

    /// What was measured, if the run is done.
    pub fn finished(&self) -> Result<Option<Evaluation>> {
        let path = self.results();
        if !path.exists() {
            return Ok(None);
        }
        let evaluation = serde_json::from_slice(&files::read(&path)?);
        Ok(Some(evaluation.with_context(|| format!("{}: not a result of this program", path.display()))?))
    }

    /// Refuses a folder in which another training was begun.
    fn check(&self) -> Result<()> {
        let Ok(text) = std::fs::read_to_string(self.folder.join("config.toml")) else { return Ok(()) };
        if TrainingConfig::parse(&text).is_ok_and(|before| before == self.config) {
            return Ok(());
        }
        bail!("{}: holds another training; use another output folder, or undo the change", self.folder.display())
    }
}

/// What decides who is trained on: seed, fold and sets.
type Division = (u64, Option<Fold>, Vec<DataConfig>);

/// Does runs one after the other. Patients are prepared once for all of them.
#[derive(Debug)]
pub struct Experiment<'a> {
    /// Folder of the manifests.
    pub root: &'a Path,
    /// What computes.
    pub device: &'a ComputeDevice,
    /// How it is measured.
    pub options: Options,
    /// Set by Ctrl-C.
    pub stop: Arc<AtomicBool>,
    prepared: Prepared,
    divided: Option<(Division, Data)>,
}

impl<'a> Experiment<'a> {
    /// Nothing is read yet.
    pub fn new(root: &'a Path, device: &'a ComputeDevice, options: Options, stop: Arc<AtomicBool>) -> Self {
        Self { root, device, options, stop, prepared: Prepared::default(), divided: None }
    }

    /// Trains and measures whatever is not done. False when it was asked to stop.
    pub fn all(&mut self, runs: &[Run]) -> Result<bool> {
        for (n, run) in runs.iter().enumerate() {
            if !self.next(run, &format!("{} of {}", n + 1, runs.len()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Trains and measures a run that is not done; `of` says how far the whole is. False when it was asked to stop.
    pub fn next(&mut self, run: &Run, of: &str) -> Result<bool> {
        let name = format!("{} ({of})", run.name);
        if run.results().exists() {
            run.check()?;
            progress::note(&format!("{name}: done before"));
            return Ok(true);
        }
        progress::note(&format!("{name}: {}", run.folder.display()));
        self.one(run).with_context(|| run.name.clone())
    }

    fn one(&mut self, run: &Run) -> Result<bool> {
        if !self.trained(run)? {
            return Ok(false);
        }
        let model = run.model()?;
        self.measured(run, |device, patients, options, stop| {
            let subject = evaluation::subject(&model, "held-out", patients);
            let measured = Subject::of(&model, device, options)?;
            evaluation::evaluate(measured, device, patients, subject, options, stop)
        })
    }

    /// Trains a run, unless that is done. False when it was asked to stop.
    pub fn trained(&mut self, run: &Run) -> Result<bool> {
        run.check()?;
        if run.folder.join(training::FINAL).exists() {
            return Ok(true);
        }
        let (device, stop) = (self.device, self.stop.clone());
        let data = self.data(&run.config)?;
        let text = toml::to_string(&run.config).context("the training file cannot be written")?;
        let options = training::Options { report: true, ..training::Options::default() };
        Ok(training::train((&text, &run.config), data, &run.folder, options, device, &stop)? == Ended::Finished)
    }

    /// Measures the held-out patients of a run and keeps the result in its folder. False when it was asked to stop.
    pub fn measured(
        &mut self,
        run: &Run,
        measure: impl FnOnce(&ComputeDevice, &[Patient<'_>], Options, &Arc<AtomicBool>) -> Result<Evaluation>,
    ) -> Result<bool> {
        let (device, options, stop) = (self.device, self.options, self.stop.clone());
        let data = self.data(&run.config)?;
        let mut patients = Vec::new();
        for set in &data.sets {
            patients.extend(set.divide(&run.config).1.into_iter().map(|entry| Patient { set, entry }));
        }
        let measured = measure(device, &patients, options, &stop);
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        evaluation::write(&measured?, &run.folder)?;
        Ok(true)
    }

    /// Whether there are slices of the region that a training is about.
    pub fn has_slices(&mut self, config: &TrainingConfig) -> Result<bool> {
        let data = self.data(config)?;
        let wanted = |case: &PreparedCase, k: usize| config.region.is_none() || case.region(k) == config.region;
        let usable = |case: &PreparedCase| case.usable.iter().any(|&k| wanted(case, k));
        Ok(data.training.iter().any(usable))
    }

    /// The patients of a training, divided as it asks for.
    fn data(&mut self, config: &TrainingConfig) -> Result<&Data> {
        data::not_prepared(self.root)?;
        let key = (config.seed, config.fold, config.data.clone());
        let data = match self.divided.take() {
            Some((known, data)) if known == key => data,
            _ => Data::load(config, self.root, &mut self.prepared)?,
        };
        Ok(&self.divided.insert((key, data)).1)
    }
}

/// The part `k/n` of a larger job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(pub Fold);

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Self(Fold { index, of })),
            _ => Err("give k/n, with k from 1 to n".into()),
        }
    }
}

/// Prints a comparison and writes its files.
pub fn publish(comparison: &Comparison, folder: &Path) -> Result<()> {
    let store = FolderStore::new(folder);
    for (name, text) in comparison.files()? {
        store.write(name, text.as_bytes())?;
    }
    progress::say(comparison.markdown().trim_end());
    Ok(())
}

/// The results of all runs.
pub fn results(runs: &[Run]) -> Result<Vec<Evaluation>> {
    let found = runs.iter().map(Run::finished).collect::<Result<Vec<_>>>()?;
    let missing: Vec<&str> = runs.iter().zip(&found).filter(|r| r.1.is_none()).map(|r| r.0.name.as_str()).collect();
    if !missing.is_empty() {
        bail!("not done yet: {}; the same command without --merge does what is missing", missing.join(", "));
    }
    Ok(found.into_iter().flatten().collect())
}
