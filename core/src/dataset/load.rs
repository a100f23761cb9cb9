//! From the description of sets to prepared cases: which files a case is made of, who is held out, and who has been prepared already.
//!
//! Where the files lie is a [`CaseSource`]'s business: folders of a disk, or what a test made up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::case_archive::{CaseArchive, CaseArchiveError};
use super::labels::{JoinedMasks, OtherGrid, renumber};
use super::patients::Sides;
use super::planes::Bytes;
use super::regions::{LUNGS, label_lungs};
use super::scans::Scans;
use super::{
    CaseEntry, DataConfig, DataSet, Fold, LabelFiles, ManifestError, Patients, PrepareError, PreparedCase,
    SplitConflict,
};
use crate::anatomy::{OrganSet, UnknownOrgan};
use crate::formats::{self, FormatError};
use crate::preprocess::{Body, InputConfig};
use crate::volume::{CtVolume, LabelVolume, NotCt, require_ct};

/// The files of one image, with names for messages.
pub type NamedFiles = Vec<(String, Vec<u8>)>;

/// Where the files come from that manifests name.
pub trait CaseSource: Sync {
    /// The text of a manifest that a training file names.
    ///
    /// # Errors
    /// [`LoadError::File`].
    fn manifest(&self, manifest: &str) -> Result<String, LoadError>;

    /// The file, or all files below the folder, that `path` is in what `manifest` says.
    ///
    /// # Errors
    /// [`LoadError::File`].
    fn image(&self, manifest: &str, path: &str) -> Result<NamedFiles, LoadError>;

    /// As [`image`](Self::image), with the tables beside a label map that may say what its numbers mean.
    ///
    /// # Errors
    /// [`LoadError::File`].
    fn label_map(&self, manifest: &str, path: &str) -> Result<NamedFiles, LoadError> {
        self.image(manifest, path)
    }

    /// What people call a manifest, or what it names.
    fn place(&self, manifest: &str, path: Option<&str>) -> String;

    /// Takes a sentence that a user should read; the same one may come with every case of a set.
    fn note(&self, sentence: &str) {
        let _ = sentence;
    }
}

/// Why the cases of a training cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that cannot be read.
    #[error("{0}")]
    File(String),
    /// A manifest.
    #[error("{place}: {error}")]
    Manifest {
        /// Which one.
        place: String,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// A scan or a label map.
    #[error("{place}: {error}")]
    Image {
        /// Which one.
        place: String,
        /// What is wrong with it.
        error: FormatError,
    },
    /// A scan that is no CT.
    #[error("{place}: {error}{}", insist(.error))]
    NotCt {
        /// Which one.
        place: String,
        /// What is wrong with it.
        error: NotCt,
    },
    /// A mask.
    #[error("{place}: {error}")]
    Mask {
        /// Which one.
        place: String,
        /// What is wrong with it.
        error: OtherGrid,
    },
    /// A case without labels.
    #[error("{0}: there is no mask")]
    NoMask(String),
    /// A case whose parts do not go together.
    #[error("{case}: {error}")]
    Case {
        /// Which one.
        case: String,
        /// What is wrong with it.
        error: PrepareError,
    },
    /// Anything about a case, by its name.
    #[error("{case}: {error}")]
    Of {
        /// Which one.
        case: String,
        /// What is wrong with it.
        error: Box<LoadError>,
    },
    /// A patient to train on and to test with.
    #[error(transparent)]
    Patients(#[from] SplitConflict),
    /// An organ's name that the training file has.
    #[error(transparent)]
    Organ(#[from] UnknownOrgan),
    /// A file of prepared cases.
    #[error("{place}: {error}")]
    Archive {
        /// Which one.
        place: String,
        /// What is wrong with it.
        error: CaseArchiveError,
    },
    /// A file of prepared cases that is for another training.
    #[error("{place}: {reason}; make it anew with `prepare`")]
    Other {
        /// Which one.
        place: String,
        /// What is different.
        reason: String,
    },
}

fn insist(odd: &NotCt) -> &'static str {
    match odd {
        NotCt::Values(_) => {
            "; or, if they are HU, say so with `assume_hu = true` under its [[data]] in the training file"
        }
        NotCt::Modality(_) | NotCt::TooFew(_) => "",
    }
}

/// Who is held out of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// The seed of the order of the patients.
    pub seed: u64,
    /// The fold that is held out, instead of so many patients of each set.
    pub fold: Option<Fold>,
}

/// A set of a training.
#[derive(Clone, Debug)]
pub struct LoadedSet {
    /// As the manifest describes it.
    pub set: DataSet,
    /// What the training file says of it.
    pub config: DataConfig,
}

impl LoadedSet {
    /// Reads the manifest of every set.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn all(data: &[DataConfig], source: &dyn CaseSource) -> Result<Vec<Self>, LoadError> {
        let one = |config: &DataConfig| {
            let text = source.manifest(&config.manifest)?;
            let set = DataSet::parse(&text, config.manifest.ends_with(".toml"))
                .map_err(|error| LoadError::Manifest { place: source.place(&config.manifest, None), error })?;
            Ok(Self { set, config: config.clone() })
        };
        data.iter().map(one).collect()
    }

    fn key(&self, id: &str) -> Key {
        let DataConfig { manifest, derive_lungs, organs, .. } = &self.config;
        (manifest.clone(), *derive_lungs, organs.clone(), id.to_string())
    }

    /// `set/id`.
    pub fn case_name(&self, entry: &CaseEntry) -> String {
        format!("{}/{}", self.set.name, entry.id)
    }

    /// CT, labels and annotated organs of a case: those that the training uses, with lungs labelled by rule where it asks for that.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn read_case(
        &self,
        entry: &CaseEntry,
        source: &dyn CaseSource,
    ) -> Result<(CtVolume, LabelVolume, OrganSet), LoadError> {
        let mut ct = formats::read_ct(source.image(&self.config.manifest, &entry.ct)?)
            .map_err(|error| LoadError::Image { place: self.place(source, &entry.ct), error })?;
        require_ct(&mut ct, self.config.assume_hu)
            .map_err(|error| LoadError::NotCt { place: self.place(source, &entry.ct), error })?;
        let mut labels = self.read_drawn(entry, source)?;
        let mut annotated = self.config.used(entry.organs().map_err(|error| self.wrong(source, error))?)?;
        if self.config.derive_lungs && label_lungs(&ct, &Body::find(&ct), &mut labels, annotated) {
            annotated = annotated.union(LUNGS.into_iter().collect());
        }
        Ok((ct, labels, annotated))
    }

    /// What was drawn for a case, with the labels of the anatomy table.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn read_drawn(&self, entry: &CaseEntry, source: &dyn CaseSource) -> Result<LabelVolume, LoadError> {
        match self.set.label_files(entry).map_err(|error| self.wrong(source, error))? {
            LabelFiles::Map(path, meant) => self.read_map(path, &meant, source),
            LabelFiles::Masks(masks) => {
                let mut joined = JoinedMasks::default();
                for (organ, path) in masks {
                    joined
                        .add(organ, self.read_labels(path, source)?)
                        .map_err(|error| LoadError::Mask { place: self.place(source, path), error })?;
                }
                joined.finish().ok_or_else(|| LoadError::NoMask(entry.id.clone()))
            }
        }
    }

    /// The whole truth of a case, where its manifest has one.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn read_truth(&self, entry: &CaseEntry, source: &dyn CaseSource) -> Result<Option<LabelVolume>, LoadError> {
        let meant = self.set.numbers().map_err(|error| self.wrong(source, error))?;
        entry.truth.as_ref().map(|path| self.read_map(path, &meant, source)).transpose()
    }

    /// A case on the model grid, of set number `set`.
    ///
    /// # Errors
    /// [`LoadError`], with the name of the case.
    pub fn prepare(
        &self,
        set: usize,
        entry: &CaseEntry,
        input: &InputConfig,
        source: &dyn CaseSource,
    ) -> Result<PreparedCase, LoadError> {
        let case = self.case_name(entry);
        let named = |error| LoadError::Of { case: case.clone(), error: Box::new(error) };
        let (ct, labels, annotated) = self.read_case(entry, source).map_err(named)?;
        let given = entry.region_boundaries_mm;
        PreparedCase::prepare(case.clone(), set, Arc::new(ct), &labels, annotated, input, given)
            .map_err(|error| LoadError::Case { case: case.clone(), error })
    }

    /// A label map, with the labels of the anatomy table: by the numbers of the manifest, or, where it has none, by the names in the
    /// map or beside it, or as it is. What was drawn and counts as background is noted.
    fn read_map(&self, path: &str, meant: &[u8; 256], source: &dyn CaseSource) -> Result<LabelVolume, LoadError> {
        let wrong = |error| LoadError::Image { place: self.place(source, path), error };
        if self.set.labels.is_empty() {
            let labels = formats::read_organs(source.label_map(&self.config.manifest, path)?).map_err(wrong)?;
            // That the numbers of a map without names are those of the table is what such a manifest says.
            for warning in labels.warnings.iter().filter(|warning| warning.contains("count as background")) {
                source.note(&format!("{}: {warning}", self.set.name));
            }
            return Ok(labels);
        }
        let mut labels = self.read_labels(path, source)?;
        let listed = self.set.listed();
        let unlisted: BTreeSet<u8> = labels.voxels.iter().copied().filter(|&v| !listed[usize::from(v)]).collect();
        if !unlisted.is_empty() {
            source.note(&format!(
                "{}: `labels` does not list the numbers {}, which occur; they count as background",
                self.set.name,
                unlisted.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
            ));
        }
        renumber(&mut labels, meant);
        Ok(labels)
    }

    fn read_labels(&self, path: &str, source: &dyn CaseSource) -> Result<LabelVolume, LoadError> {
        formats::read_labels(source.image(&self.config.manifest, path)?)
            .map_err(|error| LoadError::Image { place: self.place(source, path), error })
    }

    fn place(&self, source: &dyn CaseSource, path: &str) -> String {
        source.place(&self.config.manifest, Some(path))
    }

    fn wrong(&self, source: &dyn CaseSource, error: ManifestError) -> LoadError {
        LoadError::Manifest { place: source.place(&self.config.manifest, None), error }
    }
}

/// Training and held-out cases of each set. A patient stands on one side in all of them.
pub fn divide<'a>(sets: &'a [LoadedSet], patients: &Patients, division: Division) -> Vec<Sides<'a>> {
    let all: Vec<&DataSet> = sets.iter().map(|set| &set.set).collect();
    let validation: Vec<usize> = sets.iter().map(|set| set.config.validation_patients).collect();
    match division.fold {
        Some(fold) => patients.fold(&all, fold, division.seed),
        None => patients.divide(&all, &validation, division.seed),
    }
}

/// Manifest, whether lungs are labelled by rule, organs, id.
type Key = (String, bool, Option<Vec<String>>, String);

/// Training and held-out patients, prepared.
#[derive(Clone, Debug, Default)]
pub struct Divided {
    /// Patients that are learned from.
    pub training: Vec<PreparedCase>,
    /// Patients that are held out.
    pub validation: Vec<PreparedCase>,
    /// Who is who in the sets.
    pub identities: Patients,
}

/// Cases on the model grid, each prepared once for all trainings that use it.
#[derive(Debug, Default)]
pub struct Prepared {
    input: Option<InputConfig>,
    /// By manifest, what is used of its labels, and id.
    cases: HashMap<Key, PreparedCase>,
    scans: Scans,
}

impl Prepared {
    /// What a file of prepared cases holds for a training: the cases, and the sets of which they are. `place` is what people call the
    /// file.
    ///
    /// # Errors
    /// [`LoadError::Archive`], and [`LoadError::Other`] for a file that was made for another training.
    pub fn read(
        bytes: &Bytes,
        place: &str,
        data: &[DataConfig],
        input: &InputConfig,
    ) -> Result<(Self, Vec<LoadedSet>), LoadError> {
        let archive = CaseArchive::read(bytes).map_err(|error| LoadError::Archive { place: place.into(), error })?;
        let other = |reason: String| LoadError::Other { place: place.into(), reason };
        if archive.input != *input {
            return Err(other("prepared for another [input] than the training file's".into()));
        }
        let mut prepared = Self { input: Some(archive.input), ..Self::default() };
        let mut known = archive.sets;
        let mut sets = Vec::new();
        for config in data {
            let used = |c: &DataConfig| (c.manifest.clone(), c.derive_lungs, c.organs.clone());
            let Some(n) = known.iter().position(|set| used(&set.config) == used(config)) else {
                return Err(other(format!("does not hold {} as the training file uses it", config.manifest)));
            };
            let found = known.swap_remove(n);
            let set = LoadedSet { set: found.set, config: config.clone() };
            prepared.cases.extend(found.cases.into_iter().map(|(id, case)| (set.key(&id), case)));
            sets.push(set);
        }
        Ok((prepared, sets))
    }

    /// Training and validation cases. What is not known yet is prepared on all cores; a case that cannot be used is named and ends it: a
    /// training on other data than asked for is not the training asked for. `progress(done, of)` tells how far it is.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn divide(
        &mut self,
        sets: &[LoadedSet],
        division: Division,
        input: &InputConfig,
        source: &dyn CaseSource,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Divided, LoadError> {
        if self.input.as_ref() != Some(input) {
            (self.input, self.cases) = (Some(input.clone()), HashMap::new());
        }
        // What is wrong by name alone is said before anything is read.
        self.scans.tell_apart(sets)?;
        let wanted =
            sets.iter().flat_map(|set| set.set.shuffled(division.seed).into_iter().map(move |entry| (set, entry)));
        let missing: Vec<_> = wanted.filter(|(set, entry)| !self.cases.contains_key(&set.key(&entry.id))).collect();
        prepare(&missing, input, source, progress, |n, case| {
            let (set, entry) = missing[n];
            self.cases.insert(set.key(&entry.id), case);
            Ok::<(), LoadError>(())
        })?;
        for set in sets {
            for entry in set.set.cases.iter().filter(|entry| entry.split == "train") {
                if let Some(case) = self.cases.get(&set.key(&entry.id)) {
                    self.scans.remember(set, &entry.id, case.scan);
                }
            }
        }
        // Those to test with are read for this alone, once; that one is not there harms nobody who does not test with it.
        self.scans.read(sets, |entry| entry.split == "test", source, &mut |_, _| {})?;
        let identities = self.scans.tell_apart(sets)?;
        let known = |n: usize, set: &LoadedSet, entry: &CaseEntry| {
            let patient = Some(identities.number(n, &entry.id));
            self.cases.get(&set.key(&entry.id)).map(|case| PreparedCase { set: n, patient, ..case.clone() })
        };
        let mut result = Divided::default();
        for (n, (set, (learned, held_out))) in sets.iter().zip(divide(sets, &identities, division)).enumerate() {
            result.training.extend(learned.iter().filter_map(|entry| known(n, set, entry)));
            result.validation.extend(held_out.iter().filter_map(|entry| known(n, set, entry)));
        }
        Ok(Divided { identities, ..result })
    }
}

/// Most threads that prepare cases: each holds a scan.
#[cfg(not(target_family = "wasm"))]
const MOST_THREADS: usize = 8;

/// Brings cases to the model grid, on all cores where there are threads, and hands them over with their numbers, in order.
///
/// # Errors
/// [`LoadError`]; what `take` returns ends it, too.
pub fn prepare<E: From<LoadError>>(
    jobs: &[(&LoadedSet, &CaseEntry)],
    input: &InputConfig,
    source: &dyn CaseSource,
    progress: &mut dyn FnMut(usize, usize),
    mut take: impl FnMut(usize, PreparedCase) -> Result<(), E>,
) -> Result<(), E> {
    progress(0, jobs.len());
    let one = |n: usize| jobs[n].0.prepare(0, jobs[n].1, input, source);
    // Asked for in order, made in any.
    let (mut ready, mut due) = (BTreeMap::new(), 0);
    let mut done = 0;
    in_any_order(jobs.len(), one, &mut |n, case| {
        ready.insert(n, case?);
        while let Some(case) = ready.remove(&due) {
            take(due, case)?;
            due += 1;
        }
        done += 1;
        progress(done, jobs.len());
        Ok(())
    })
}

/// Does `one` for every number on all cores; `each` sees the results here, as they come, until it is no longer content.
#[cfg(not(target_family = "wasm"))]
pub(super) fn in_any_order<T: Send, E>(
    count: usize,
    one: impl Fn(usize) -> T + Sync,
    each: &mut dyn FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(threads);
        for _ in 0..threads {
            let (send, next, one) = (send.clone(), &next, &one);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || send.send((n, one(n))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        receive.into_iter().try_for_each(|(n, result)| each(n, result))
    })
}

/// Does `one` for every number.
#[cfg(target_family = "wasm")]
pub(super) fn in_any_order<T, E>(
    count: usize,
    one: impl Fn(usize) -> T,
    each: &mut dyn FnMut(usize, T) -> Result<(), E>,
) -> Result<(), E> {
    (0..count).try_for_each(|n| each(n, one(n)))
}

#[cfg(test)]
mod tests;
