//! Loading the sets of a training from disk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::dataset::labels::{self, JoinedMasks};
use attention_anatomy::dataset::{CaseEntry, Compact, DataConfig, DataSet, LabelFiles, PreparedCase, regions};
use attention_anatomy::formats;
use attention_anatomy::preprocess::{Body, InputConfig};
use attention_anatomy::train::TrainingConfig;
use attention_anatomy::volume::{CtVolume, LabelVolume, NotCt, require_ct};

use crate::{files, progress};

/// A set of a training.
#[derive(Debug)]
pub struct LoadedSet {
    /// As the manifest describes it.
    pub set: DataSet,
    /// The folder that its paths are relative to.
    pub folder: PathBuf,
    /// What the training file says of it.
    pub config: DataConfig,
}

impl LoadedSet {
    fn key(&self, id: &str) -> Key {
        let DataConfig { manifest, derive_lungs, organs, .. } = &self.config;
        (manifest.clone(), *derive_lungs, organs.clone(), id.to_string())
    }

    /// Training and held-out patients.
    pub fn divide(&self, config: &TrainingConfig) -> (Vec<&CaseEntry>, Vec<&CaseEntry>) {
        match config.fold {
            Some(fold) => self.set.fold(fold, config.seed),
            None => self.set.divide(self.config.validation_patients, config.seed),
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

/// Refuses a file of prepared cases where scans and contours are needed.
pub fn not_prepared(root: &Path) -> Result<()> {
    if root.is_file() {
        bail!("{}: a file, not the folder of the data sets; prepared cases can only be trained on", root.display());
    }
    Ok(())
}

/// Reads the manifests of a training; `root` is the folder that they are relative to.
pub fn manifests(config: &TrainingConfig, root: &Path) -> Result<Vec<LoadedSet>> {
    not_prepared(root)?;
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
            Ok(LoadedSet { set, folder, config: data.clone() })
        })
        .collect()
}

/// CT, labels and annotated organs of a case: those that the training uses, with lungs labelled by rule where it asks for that.
pub fn read_case(set: &LoadedSet, entry: &CaseEntry) -> Result<(CtVolume, LabelVolume, OrganSet)> {
    let path = set.folder.join(&entry.ct);
    let mut ct = formats::read_ct(files::collect(&path)?).with_context(|| path.display().to_string())?;
    if let Err(odd) = require_ct(&mut ct, set.config.assume_hu) {
        let insist = match odd {
            NotCt::Values(_) => {
                "; or, if they are HU, say so with `assume_hu = true` under its [[data]] in the training file"
            }
            NotCt::Modality(_) | NotCt::TooFew(_) => "",
        };
        bail!("{}: {odd}{insist}", path.display());
    }
    let mut labels = read_drawn(set, entry)?;
    let mut annotated = set.config.used(entry.organs()?)?;
    if set.config.derive_lungs && regions::label_lungs(&ct, &Body::find(&ct), &mut labels, annotated) {
        annotated = annotated.union(regions::LUNGS.into_iter().collect());
    }
    Ok((ct, labels, annotated))
}

/// What was drawn for a case, with the labels of the anatomy table.
pub fn read_drawn(set: &LoadedSet, entry: &CaseEntry) -> Result<LabelVolume> {
    match set.set.label_files(entry)? {
        LabelFiles::Map(path, meant) => read_map(&set.folder.join(path), &meant),
        LabelFiles::Masks(masks) => {
            let mut joined = JoinedMasks::default();
            for (organ, path) in masks {
                let path = set.folder.join(path);
                joined.add(organ, read_labels(&path)?).with_context(|| path.display().to_string())?;
            }
            joined.finish().ok_or_else(|| anyhow!("{}: there is no mask", entry.id))
        }
    }
}

/// The whole truth of a case, where its manifest has one.
pub fn read_truth(set: &LoadedSet, entry: &CaseEntry) -> Result<Option<LabelVolume>> {
    let meant = set.set.numbers()?;
    entry.truth.as_ref().map(|truth| read_map(&set.folder.join(truth), &meant)).transpose()
}

/// A label map, with the labels of the anatomy table.
fn read_map(path: &Path, meant: &[u8; 256]) -> Result<LabelVolume> {
    let mut labels = read_labels(path)?;
    labels::renumber(&mut labels, meant);
    Ok(labels)
}

/// A label map.
pub fn read_labels(path: &Path) -> Result<LabelVolume> {
    formats::read_labels(files::collect(path)?).with_context(|| path.display().to_string())
}

/// Manifest, whether lungs are labelled by rule, organs, id.
type Key = (String, bool, Option<Vec<String>>, String);

/// Cases on the model grid, each prepared once for all trainings of a run of the program that use it.
#[derive(Debug, Default)]
pub struct Prepared {
    input: Option<InputConfig>,
    /// By manifest, what is used of its labels, and id.
    cases: HashMap<Key, PreparedCase>,
}

impl Prepared {
    /// What a file of prepared cases holds for a training: the cases, and the sets of which they are.
    pub fn read(path: &Path, config: &TrainingConfig) -> Result<(Self, Vec<LoadedSet>)> {
        let compact = Compact::read(&files::map(path)?).with_context(|| path.display().to_string())?;
        let mut prepared = Self { input: Some(compact.input), cases: HashMap::new() };
        if prepared.input != Some(config.input()) {
            bail!(
                "{}: prepared for another [input] than the training file's; make it anew with `prepare`",
                path.display()
            );
        }
        let mut known = compact.sets;
        let mut sets = Vec::new();
        for data in &config.data {
            let used = |c: &DataConfig| (c.manifest.clone(), c.derive_lungs, c.organs.clone());
            let Some(n) = known.iter().position(|set| used(&set.config) == used(data)) else {
                bail!(
                    "{}: does not hold {} as the training file uses it; make it anew with `prepare`",
                    path.display(),
                    data.manifest
                );
            };
            let found = known.swap_remove(n);
            let set = LoadedSet { set: found.set, folder: PathBuf::new(), config: data.clone() };
            prepared.cases.extend(found.cases.into_iter().map(|(id, case)| (set.key(&id), case)));
            sets.push(set);
        }
        Ok((prepared, sets))
    }

    /// Training and validation cases. What is not known yet is prepared on all cores; a case that cannot be used is named and
    /// ends the run: a training on other data than asked for is not the training asked for.
    pub fn divide(
        &mut self,
        config: &TrainingConfig,
        sets: &[LoadedSet],
    ) -> Result<(Vec<PreparedCase>, Vec<PreparedCase>)> {
        let input = config.input();
        if self.input.as_ref() != Some(&input) {
            *self = Self { input: Some(input.clone()), cases: HashMap::new() };
        }
        let divided: Vec<_> = sets.iter().map(|set| (set, set.divide(config))).collect();
        let wanted = divided.iter().flat_map(|(set, (a, b))| a.iter().chain(b).map(move |entry| (*set, *entry)));
        let missing: Vec<_> = wanted.filter(|(set, entry)| !self.cases.contains_key(&set.key(&entry.id))).collect();
        prepare(&missing, &input, |n, case| {
            let (set, entry) = missing[n];
            self.cases.insert(set.key(&entry.id), case);
            Ok(())
        })?;
        let known = |n: usize, set: &LoadedSet, entry: &CaseEntry| {
            self.cases.get(&set.key(&entry.id)).map(|case| PreparedCase { set: n, ..case.clone() })
        };
        let (mut training, mut validation) = (Vec::new(), Vec::new());
        for (n, (set, (learned, held_out))) in divided.iter().enumerate() {
            training.extend(learned.iter().filter_map(|entry| known(n, set, entry)));
            validation.extend(held_out.iter().filter_map(|entry| known(n, set, entry)));
        }
        Ok((training, validation))
    }
}

/// Brings cases to the model grid, on all cores, and hands them over with their numbers, in order.
pub fn prepare(
    jobs: &[(&LoadedSet, &CaseEntry)],
    input: &InputConfig,
    mut take: impl FnMut(usize, PreparedCase) -> Result<()>,
) -> Result<()> {
    let bar = progress::bar(jobs.len() as u64, "prepare");
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| -> Result<()> {
        let (send, receive) = mpsc::sync_channel(threads);
        for _ in 0..threads {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some((set, entry)) = jobs.get(n) else { return };
                    let result = read_case(set, entry).and_then(|(ct, labels, annotated)| {
                        let name = format!("{}/{}", set.set.name, entry.id);
                        let ct = Arc::new(ct);
                        let given = entry.region_boundaries_mm;
                        PreparedCase::prepare(name.clone(), 0, ct, &labels, annotated, input, given).context(name)
                    });
                    if send.send((n, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let (mut ready, mut due) = (BTreeMap::new(), 0);
        for (n, result) in receive {
            ready.insert(n, result?);
            while let Some(case) = ready.remove(&due) {
                take(due, case)?;
                due += 1;
            }
            bar.inc(1);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(())
}
