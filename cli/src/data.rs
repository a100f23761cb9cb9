//! Trainings and their data on the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::dataset::{CaseSource, DataSet, LoadError, LoadedSet, NamedFiles, Patients, Prepared, Scans};
use attention_anatomy::formats::dicom::SeriesRequest;
use attention_anatomy::formats::{self, FormatError, Reference};
use attention_anatomy::train::{TrainEvent, TrainingConfig, TrainingData};
use attention_anatomy::volume::LabelVolume;

use crate::{files, progress, series};

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

/// A path that a file names, relative to that file.
pub fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// The CT that something was drawn on.
///
/// # Errors
/// A scan that cannot be read.
pub fn read_reference(path: &Path) -> Result<Reference> {
    chosen_reference(path, &series::named(None))
}

/// As [`read_reference`], of the series that is asked for.
///
/// # Errors
/// A scan that cannot be read.
pub fn chosen_reference(path: &Path, asked: &SeriesRequest) -> Result<Reference> {
    Reference::choose(files::collect(path)?, asked)
        .map_err(|error| series::hint(error, asked))
        .with_context(|| path.display().to_string())
}

/// The organs of two label maps of one CT, in any format; what was assumed is said. Where one of them has no grid of its own, that
/// of the other serves.
///
/// # Errors
/// A file that cannot be read, or that holds no labels; two structure sets and no CT.
pub fn read_labels_of_both(a: &Path, b: &Path, ct: Option<&Reference>) -> Result<(LabelVolume, LabelVolume)> {
    let read = |path: &Path, ct: Option<&Reference>| match formats::read_organs_on(files::collect_labels(path)?, ct) {
        Err(FormatError::NeedsReference) => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
        Ok(labels) => {
            for warning in &labels.warnings {
                progress::warn(&format!("{}: {warning}", path.display()));
            }
            Ok(Some(labels))
        }
    };
    let on = |path: &Path, grid: &LabelVolume| {
        let found = read(path, Some(&Reference::of(grid, None)))?;
        found.ok_or_else(|| anyhow!("{}: {}", path.display(), FormatError::NeedsReference))
    };
    match (read(a, ct)?, read(b, ct)?) {
        (Some(a), Some(b)) => Ok((a, b)),
        (Some(one), None) => on(b, &one).map(|other| (one, other)),
        (None, Some(other)) => on(a, &other).map(|one| (one, other)),
        (None, None) => bail!("{}: {}; name it with --reference", a.display(), FormatError::NeedsReference),
    }
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

/// All files that a training reads, none of which may be written: its own, the manifests, and what they name. A manifest that cannot be read
/// is refused where it is needed.
pub fn inputs(training: &Path, config: &TrainingConfig, root: &Path) -> Vec<PathBuf> {
    let mut inputs = vec![training.to_path_buf()];
    if root.is_file() {
        inputs.push(root.to_path_buf());
        return inputs;
    }
    for data in &config.data {
        let manifest = root.join(&data.manifest);
        let text = std::fs::read_to_string(&manifest).unwrap_or_default();
        let folder = manifest.parent().unwrap_or(Path::new("")).to_path_buf();
        for case in DataSet::parse(&text, data.manifest.ends_with(".toml")).iter().flat_map(|set| &set.cases) {
            let masks = case.masks.values().flat_map(|files| files.as_slice());
            let named = [Some(&case.ct), case.label.as_ref(), case.truth.as_ref()].into_iter().flatten().chain(masks);
            inputs.extend(named.map(|path| folder.join(path)));
        }
        inputs.push(manifest);
    }
    inputs
}

/// Who is who in the sets, by the scans of all their cases.
///
/// # Errors
/// A patient who is there to be trained on and to be tested with.
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
