//! Loading the sets of a training from disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result, anyhow};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::dataset::{CaseEntry, DataSet, PreparedCase, regions};
use attention_anatomy::formats;
use attention_anatomy::preprocess::Body;
use attention_anatomy::train::{DataConfig, TrainingConfig};
use attention_anatomy::volume::{CtVolume, LabelVolume};

use crate::{files, progress};

/// A set of a training, its cases divided by patient.
#[derive(Debug)]
pub struct LoadedSet {
    /// As its manifest describes it.
    pub set: DataSet,
    /// The folder that its paths are relative to.
    pub folder: PathBuf,
    /// Held-out patients.
    pub validation_patients: usize,
    /// Whether lungs are labelled by rule where nobody annotated them.
    pub derive_lungs: bool,
}

impl LoadedSet {
    /// Training and held-out patients.
    pub fn divide(&self, config: &TrainingConfig) -> (Vec<&CaseEntry>, Vec<&CaseEntry>) {
        match config.fold {
            Some(fold) => self.set.fold(fold, config.seed),
            None => self.set.divide(self.validation_patients, config.seed),
        }
    }
}

/// The text of a training file, and what it says.
pub fn training_file(path: &Path) -> Result<(String, TrainingConfig)> {
    let named = || path.display().to_string();
    let text = String::from_utf8(files::read(path)?).map_err(|_| anyhow!("{}: not a text file", named()))?;
    let config = TrainingConfig::parse(&text).with_context(named)?;
    Ok((text, config))
}

/// Reads the manifests of a training; `root` is the folder that they are relative to.
pub fn manifests(config: &TrainingConfig, root: &Path) -> Result<Vec<LoadedSet>> {
    config
        .data
        .iter()
        .map(|data| {
            let path = root.join(&data.manifest);
            let text =
                String::from_utf8(files::read(&path)?).map_err(|_| anyhow!("{}: not a text file", path.display()))?;
            let toml = path.extension().is_some_and(|e| e == "toml");
            let set = DataSet::parse(&text, toml).with_context(|| path.display().to_string())?;
            let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
            let DataConfig { validation_patients, derive_lungs, .. } = *data;
            Ok(LoadedSet { set, folder, validation_patients, derive_lungs })
        })
        .collect()
}

/// CT, labels and annotated organs of a case; with lungs labelled by rule where the set asks for it.
pub fn read_case(set: &LoadedSet, entry: &CaseEntry) -> Result<(CtVolume, LabelVolume, OrganSet)> {
    let path = set.folder.join(&entry.ct);
    let ct = formats::read_ct(files::collect(&path)?).with_context(|| path.display().to_string())?;
    let mut labels = read_labels(&set.folder.join(&entry.label))?;
    let mut annotated = entry.organs()?;
    if set.derive_lungs && regions::label_lungs(&ct, &Body::find(&ct), &mut labels, annotated) {
        annotated = annotated.union(regions::LUNGS.into_iter().collect());
    }
    Ok((ct, labels, annotated))
}

/// The whole truth of a case, where its manifest has one.
pub fn read_truth(folder: &Path, entry: &CaseEntry) -> Result<Option<LabelVolume>> {
    entry.truth.as_ref().map(|truth| read_labels(&folder.join(truth))).transpose()
}

/// A label map.
pub fn read_labels(path: &Path) -> Result<LabelVolume> {
    formats::read_labels(files::collect(path)?).with_context(|| path.display().to_string())
}

/// Training and validation cases on the model grid. Cases are prepared on all cores; a case that cannot be used is
/// named and ends the run: a training on other data than asked for is not the training asked for.
pub fn prepare(config: &TrainingConfig, sets: &[LoadedSet]) -> Result<(Vec<PreparedCase>, Vec<PreparedCase>)> {
    let mut jobs: Vec<(usize, &CaseEntry, bool)> = Vec::new();
    for (n, set) in sets.iter().enumerate() {
        let (training, validation) = set.divide(config);
        jobs.extend(training.into_iter().map(|c| (n, c, false)));
        jobs.extend(validation.into_iter().map(|c| (n, c, true)));
    }
    let bar = progress::bar(jobs.len() as u64, "prepare");
    let input = config.input();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let mut prepared: Vec<Option<PreparedCase>> = jobs.iter().map(|_| None).collect();
    std::thread::scope(|scope| -> Result<()> {
        let (send, receive) = mpsc::channel();
        for _ in 0..threads {
            let (send, next, jobs, input) = (send.clone(), &next, &jobs, &input);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some((set, entry, _)) = jobs.get(n) else { return };
                    let result = read_case(&sets[*set], entry).and_then(|(ct, labels, annotated)| {
                        let name = format!("{}/{}", sets[*set].set.name, entry.id);
                        let ct = Arc::new(ct);
                        let given = entry.region_boundaries_mm;
                        PreparedCase::prepare(name.clone(), *set, ct, &labels, annotated, input, config.hpa, given)
                            .context(name)
                    });
                    if send.send((n, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        for (n, result) in receive {
            prepared[n] = Some(result?);
            bar.inc(1);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let (mut training, mut validation) = (Vec::new(), Vec::new());
    for (case, (_, _, held_out)) in prepared.into_iter().flatten().zip(&jobs) {
        if *held_out { validation.push(case) } else { training.push(case) }
    }
    Ok((training, validation))
}
