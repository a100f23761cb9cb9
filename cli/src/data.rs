//! Trainings and their data on the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::dataset::{CaseSource, LoadError, LoadedSet, NamedFiles, Patients, Prepared, Scans};
use attention_anatomy::formats;
use attention_anatomy::train::{TrainEvent, TrainingConfig, TrainingData};
use attention_anatomy::volume::LabelVolume;

use crate::{files, progress};

/// The text of a training file, and what it says.
///
/// # Errors
/// A file that cannot be read, or that is no training.
pub fn training_file(path: &Path) -> Result<(String, TrainingConfig)> {
    let text = text_file(path)?;
    let config = TrainingConfig::parse(&text).with_context(|| path.display().to_string())?;
    Ok((text, config))
}

/// A text file.
///
/// # Errors
/// A file that cannot be read, or that is no text.
pub fn text_file(path: &Path) -> Result<String> {
    String::from_utf8(files::read(path)?).map_err(|_| anyhow!("{}: not a text file", path.display()))
}

/// The organs of a label map, by names where something has them; what was assumed is said.
///
/// # Errors
/// A file that cannot be read, or that is no label map.
pub fn read_organs(path: &Path) -> Result<LabelVolume> {
    let named = || path.display().to_string();
    let labels = formats::read_organs(files::collect_labels(path)?).with_context(named)?;
    for warning in &labels.warnings {
        progress::warn(&format!("{}: {warning}", named()));
    }
    Ok(labels)
}

/// Manifests and the files that they name, below a folder.
#[derive(Debug)]
pub struct FolderSource {
    root: PathBuf,
    /// What was said already.
    said: Mutex<BTreeSet<String>>,
}

impl FolderSource {
    /// The folder that manifests are relative to.
    ///
    /// # Errors
    /// A file of prepared cases: here scans and contours are needed.
    pub fn new(root: &Path) -> Result<Self> {
        if root.is_file() {
            bail!("{}: a file, not the folder of the data sets; prepared cases can only be trained on", root.display());
        }
        Ok(Self { root: root.into(), said: Mutex::default() })
    }

    /// What a manifest names is relative to it.
    fn path(&self, manifest: &str, path: Option<&str>) -> PathBuf {
        let manifest = self.root.join(manifest);
        match path {
            None => manifest,
            Some(path) => manifest.parent().unwrap_or(Path::new("")).join(path),
        }
    }
}

/// What went wrong with a file is one sentence that names it.
fn file_error(error: anyhow::Error) -> LoadError {
    LoadError::File(format!("{error:#}"))
}

impl CaseSource for FolderSource {
    fn manifest(&self, manifest: &str) -> Result<String, LoadError> {
        text_file(&self.path(manifest, None)).map_err(file_error)
    }

    fn image(&self, manifest: &str, path: &str) -> Result<NamedFiles, LoadError> {
        files::collect(&self.path(manifest, Some(path))).map_err(file_error)
    }

    fn label_map(&self, manifest: &str, path: &str) -> Result<NamedFiles, LoadError> {
        files::collect_labels(&self.path(manifest, Some(path))).map_err(file_error)
    }

    fn place(&self, manifest: &str, path: Option<&str>) -> String {
        self.path(manifest, path).display().to_string()
    }

    fn note(&self, sentence: &str) {
        if self.said.lock().is_ok_and(|mut said| said.insert(sentence.to_string())) {
            progress::warn(sentence);
        }
    }
}

/// Who is who in the sets, by the scans of all their cases.
pub fn identities(sets: &[LoadedSet], source: &dyn CaseSource) -> Result<Patients> {
    let bar = progress::bar(sets.iter().map(|set| set.set.cases.len() as u64).sum(), "compare scans");
    let identities = Scans::of(sets, source, &mut |done, _| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(identities)
}

/// Everything that a training file names, prepared and divided; `root` is the folder of its manifests, or a file of prepared cases.
///
/// # Errors
/// A case that cannot be used, by name.
pub fn load(config: &TrainingConfig, root: &Path, events: &mut dyn FnMut(TrainEvent)) -> Result<TrainingData> {
    if !root.is_file() {
        return Ok(TrainingData::load(config, &FolderSource::new(root)?, &mut Prepared::default(), events)?);
    }
    let place = root.display().to_string();
    let (mut prepared, sets) = Prepared::read(&files::map(root)?, &place, &config.data, &config.input())?;
    let patients =
        prepared.divide(&sets, config.split_spec(), &config.input(), &OnlyPrepared { place }, &mut |_, _| {})?;
    Ok(TrainingData { sets, patients })
}

/// A file of prepared cases has all cases of its sets, or it is not of this training.
struct OnlyPrepared {
    place: String,
}

impl CaseSource for OnlyPrepared {
    fn manifest(&self, manifest: &str) -> Result<String, LoadError> {
        Err(LoadError::Other { place: self.place.clone(), reason: format!("does not hold {manifest}") })
    }

    fn image(&self, manifest: &str, path: &str) -> Result<NamedFiles, LoadError> {
        let reason = format!("does not hold {path} of {manifest}, which the training needs");
        Err(LoadError::Other { place: self.place.clone(), reason })
    }

    fn place(&self, _: &str, _: Option<&str>) -> String {
        self.place.clone()
    }
}
