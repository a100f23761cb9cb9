//! From the description of sets to their cases: which files a case is made of, and who is held out.
//!
//! Where the files lie is a [`CaseSource`]'s business: folders of a disk, or what a test made up.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::case_archive::CaseArchiveError;
use super::labels::{JoinedMasks, OtherGrid, renumber};
use super::patients::Sides;
use super::regions::{LUNGS, label_lungs};
use super::{
    CaseEntry, DataConfig, DataSet, Fold, LabelFiles, ManifestError, Patients, PrepareError, PreparedCase,
    SplitConflict,
};
use crate::anatomy::{OrganSet, UnknownOrgan};
use crate::formats::dicom::SeriesChoice;
use crate::formats::structures::Structures;
use crate::formats::{self, FormatError, Reference};
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
        NotCt::Modality(_) | NotCt::TooFew(_) | NotCt::TooSmall(_) => "",
    }
}

/// Who is held out of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitSpec {
    /// The seed of the order of the patients.
    pub seed: u64,
    /// The fold that is held out, instead of so many patients of each set.
    pub fold: Option<Fold>,
}

/// What tells the cases of trainings apart.
pub(super) type Key = (String, bool, Option<Vec<String>>, String);

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

    /// What tells the cases of trainings apart: manifest, whether lungs are labelled by rule, organs, id.
    pub(super) fn key(&self, id: &str) -> Key {
        let DataConfig { manifest, derive_lungs, organs, .. } = &self.config;
        (manifest.clone(), *derive_lungs, organs.clone(), id.to_string())
    }

    /// Set and case, as `set/id`.
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
        let files = source.image(&self.config.manifest, &entry.ct)?;
        let (mut ct, series) = formats::read_ct_and_series(files, SeriesChoice::default())
            .map_err(|error| LoadError::Image { place: self.place(source, &entry.ct), error })?;
        require_ct(&mut ct, self.config.assume_hu)
            .map_err(|error| LoadError::NotCt { place: self.place(source, &entry.ct), error })?;
        // Two series in a folder, a header that contradicts itself: what `segment` would say of this scan.
        ct.warnings.iter().for_each(|warning| source.note(&format!("{}: {warning}", self.case_name(entry))));
        let mut labels = self.read_drawn_on(entry, Some(&Reference::of(&ct, series.as_ref())), source)?;
        let mut annotated = self.config.used(entry.organs().map_err(|error| self.wrong(source, error))?)?;
        if self.config.derive_lungs && label_lungs(&ct, &Body::find(&ct), &mut labels, annotated) {
            annotated = annotated.union(LUNGS.into_iter().collect());
        }
        Ok((ct, labels, annotated))
    }

    /// What was drawn for a case, with the labels of the anatomy table. The CT is looked at where a structure set is to be drawn on
    /// it.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn read_drawn(&self, entry: &CaseEntry, source: &dyn CaseSource) -> Result<LabelVolume, LoadError> {
        match self.read_drawn_on(entry, None, source) {
            Err(LoadError::Image { error: FormatError::NeedsReference, .. }) => {
                let ct = Reference::read(source.image(&self.config.manifest, &entry.ct)?)
                    .map_err(|error| LoadError::Image { place: self.place(source, &entry.ct), error })?;
                self.read_drawn_on(entry, Some(&ct), source)
            }
            drawn => drawn,
        }
    }

    fn read_drawn_on(
        &self,
        entry: &CaseEntry,
        ct: Option<&Reference>,
        source: &dyn CaseSource,
    ) -> Result<LabelVolume, LoadError> {
        match self.set.label_files(entry).map_err(|error| self.wrong(source, error))? {
            LabelFiles::Map(path, meant) => self.read_map(path, &meant, ct, source),
            LabelFiles::Masks(masks) => {
                let mut joined = JoinedMasks::default();
                for (organ, path) in masks {
                    let Structures { mut labels, by_number, .. } = self.read_numbered(path, ct, source)?;
                    if !by_number {
                        // Of all structures of the file, the one that is asked for.
                        labels.voxels.iter_mut().for_each(|label| *label = u8::from(*label == organ.label()));
                    }
                    joined
                        .add(organ, labels)
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
        entry.truth.as_ref().map(|path| self.read_map(path, &meant, None, source)).transpose()
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
    fn read_map(
        &self,
        path: &str,
        meant: &[u8; 256],
        ct: Option<&Reference>,
        source: &dyn CaseSource,
    ) -> Result<LabelVolume, LoadError> {
        let wrong = |error| LoadError::Image { place: self.place(source, path), error };
        if self.set.labels.is_empty() {
            let files = source.label_map(&self.config.manifest, path)?;
            let labels = formats::read_organs_on(files, ct).map_err(wrong)?;
            // That the numbers of a map without names are those of the table is what such a manifest says.
            for warning in labels.warnings.iter().filter(|warning| warning.contains("count as background")) {
                source.note(&format!("{}: {warning}", self.set.name));
            }
            return Ok(labels);
        }
        let Structures { mut labels, by_number, .. } = self.read_numbered(path, ct, source)?;
        if !by_number {
            // Structures that go by their names need no translation.
            return Ok(labels);
        }
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

    fn read_numbered(
        &self,
        path: &str,
        ct: Option<&Reference>,
        source: &dyn CaseSource,
    ) -> Result<Structures, LoadError> {
        formats::read_numbered(source.image(&self.config.manifest, path)?, ct)
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
pub fn divide<'a>(sets: &'a [LoadedSet], patients: &Patients, spec: SplitSpec) -> Vec<Sides<'a>> {
    let all: Vec<&DataSet> = sets.iter().map(|set| &set.set).collect();
    let validation: Vec<usize> = sets.iter().map(|set| set.config.validation_patients).collect();
    match spec.fold {
        Some(fold) => patients.fold(&all, fold, spec.seed),
        None => patients.divide(&all, &validation, spec.seed),
    }
}

#[cfg(test)]
mod tests;
