//! What the worker cannot do, by kind. It becomes text once: where it leaves the worker as an event.

use attention_anatomy::anatomy::ORGAN_COUNT;
use attention_anatomy::dicomweb::Trouble;
use attention_anatomy::formats::FormatError;
use attention_anatomy::formats::archive::ArchiveError;
use attention_anatomy::formats::dicom::DicomError;
use attention_anatomy::infer::DeviceError;
use attention_anatomy::network::weights::WeightsError;
use attention_anatomy::preprocess::PreprocessError;
use attention_anatomy::report::ResultFileError;
use attention_anatomy::volume::NotCt;

use crate::session::SessionError;

/// What the platform refuses.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// A file that is there and cannot be read.
    #[error("{name}: cannot be read ({reason})")]
    Unreadable {
        /// Path or name.
        name: String,
        /// What the system says.
        reason: String,
    },
    /// A file beside the page.
    #[error("{name} cannot be fetched ({reason}); reload the page")]
    NotFetched {
        /// Its name.
        name: &'static str,
        /// What the browser or the server says.
        reason: String,
    },
    /// More than can be read at all.
    #[error(
        "these files have {:.1} GB, and a browser tab reads at most {:.1} GB; open fewer of them, or use the desktop program",
        *bytes as f64 / 1e9,
        *most as f64 / 1e9
    )]
    TooMuch {
        /// Bytes of the files.
        bytes: u64,
        /// The most that can be read.
        most: u64,
    },
    /// More than can be held at all.
    #[error(
        "this scan needs {} MB of memory, and a browser tab has {} MB for it; open a part of its slices or every other one, or use \
         the desktop program",
        bytes.div_ceil(1_000_000),
        most / 1_000_000
    )]
    NeedsTooMuch {
        /// Bytes that it needs while it is opened and once it is open.
        bytes: u64,
        /// The most that there can be.
        most: u64,
    },
    /// A path in a browser.
    #[error("{0}: a web page reads no paths; drop the file on it")]
    NoPaths(String),
    /// A device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Weights that no engine runs.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Anything else, one sentence.
    #[error("{0}")]
    Refused(String),
}

/// Why a label map does not go with the open CT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelMapError {
    /// It has a number that is no organ.
    #[error(
        "the label map contains the number {0}, but organs are numbered 1 to {ORGAN_COUNT}; convert its numbers first"
    )]
    UnknownLabel(u8),
    /// There is no CT.
    #[error("this is a label map; open the CT that it belongs to first")]
    NoCt,
    /// It lies elsewhere.
    #[error("the label map ({own}) does not lie on the grid of the open CT ({ct}); resample it onto the CT first")]
    OtherGrid {
        /// Its grid, for people.
        own: String,
        /// That of the CT.
        ct: String,
    },
}

/// Why a file is not opened.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its format.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A DICOM series.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// A weights file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A label map that does not go with the CT.
    #[error(transparent)]
    Labels(#[from] LabelMapError),
    /// Files of other kinds.
    #[error(
        "there is no CT and no label map in it, only {0}; open a folder or a .zip with the slices of a CT (DICOM), or a .nii, \
         .nii.gz or .nrrd file"
    )]
    NoImage(String),
    /// Something else where weights were asked for.
    #[error("this is no weights file; choose one written by `attention-anatomy train`")]
    NoWeights,
    /// Something else where a label map was asked for.
    #[error("this is no label map; choose a NIfTI or NRRD file")]
    NoLabelMap,
    /// Labels by number where names are needed.
    #[error("labels can be compared only under the names of organs; put a table of its names beside the label map")]
    NotNamed,
    /// A session file that is no text.
    #[error("the session file is damaged")]
    SessionDamaged,
}

/// Why nothing is opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The platform.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A file, by its name.
    #[error("{name}: {error}")]
    File {
        /// What was opened.
        name: String,
        /// What is wrong with it.
        error: FileError,
    },
    /// A session file.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An archive.
    #[error(transparent)]
    Archive(Trouble),
}

impl OpenError {
    /// Of a file.
    pub fn of(name: &str, error: impl Into<FileError>) -> Self {
        Self::File { name: name.into(), error: error.into() }
    }
}

/// Why the network cannot be run on a study.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// There are no weights.
    #[error("there are no weights to segment with; open a weights file")]
    NoWeights,
    /// No engine runs the weights.
    #[error("{name}: {error}")]
    Engine {
        /// The weights.
        name: String,
        /// What the platform said.
        error: PlatformError,
    },
    /// The image is no CT.
    #[error("{0}")]
    NotCt(NotCt),
    /// Its values do not look like HU.
    #[error("{0}")]
    NotHu(NotCt),
    /// It cannot be prepared.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
}

impl From<NotCt> for NetworkError {
    fn from(odd: NotCt) -> Self {
        match odd {
            NotCt::Values(_) => Self::NotHu(odd),
            NotCt::Modality(_) | NotCt::TooFew(_) | NotCt::TooSmall(_) => Self::NotCt(odd),
        }
    }
}

/// Why a file is not made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No CT is open.
    #[error("there is nothing to save; open a CT first")]
    NoStudy,
    /// Another CT was opened meanwhile.
    #[error("the labels do not belong to the open CT; save again")]
    OtherCt,
    /// It cannot be written.
    #[error(transparent)]
    Result(#[from] ResultFileError),
    /// Several files in one.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Why the small training breaks off: whatever core says.
#[derive(Debug)]
pub struct DemoError(Box<dyn std::error::Error>);

impl<E: std::error::Error + 'static> From<E> for DemoError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl std::fmt::Display for DemoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
