//! Why a training cannot begin, go on or be measured.

use super::{CheckpointError, StepError};
use crate::anatomy::Region;
use crate::artifacts::StoreError;
use crate::dataset::load::LoadError;
use crate::metrics::MeasureError;
use crate::network::weights::WeightsError;

/// Why a training cannot begin, go on or be measured.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A set cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A result cannot be kept or read back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// A checkpoint cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint cannot be resumed from.
    #[error("{place}: {error}")]
    Resume {
        /// Which one.
        place: String,
        /// What is wrong with it.
        error: CheckpointError,
    },
    /// Weights cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights cannot be begun with, or measured.
    #[error("{place}: {error}")]
    Start {
        /// Which ones.
        place: String,
        /// What is wrong with them.
        error: WeightsError,
    },
    /// The device gave no answer.
    #[error("the device gave no answer ({0}); go on from the last checkpoint")]
    Device(String),
    /// A set without a patient to train on.
    #[error(
        "{manifest}: no patient is left to train on ({held_out} held out by `validation_patients`); hold out fewer, or set its `weight` to 0"
    )]
    NoPatients {
        /// The manifest of the set.
        manifest: String,
        /// Patients of it that are held out.
        held_out: usize,
    },
    /// No set with a patient to train on.
    #[error("there is nothing to train on: no set with a weight has a usable case{}", of_region(*.0))]
    Nothing(Option<Region>),
    /// Label maps without a label.
    #[error(
        "there is nothing to learn: no label map of the {0} training patients shows an organ that its case annotates; look at the label files and at `labels` in the manifest"
    )]
    NoOrgans(usize),
    /// Patients would change sides.
    #[error(
        "{0}: seed, fold or validation patients differ from those this training began with; patients would change sides. Undo that, or use another output folder"
    )]
    OtherSplit(String),
    /// Weights that may have seen who is held out now: the score would be worth nothing.
    #[error(
        "{place}: these weights were trained on the set of validation patient {case} and did not hold the patient out; use the seed and the validation patients of their training"
    )]
    SeenPatient {
        /// Place of the weights.
        place: String,
        /// The patient, `set/id`.
        case: String,
    },
    /// A run without weights.
    #[error("{0}: there are no weights; train them first")]
    NoWeights(String),
    /// A folder of another training.
    #[error("{0}: holds another training; use another output folder, or undo the change")]
    OtherTraining(String),
    /// A result that cannot be read.
    #[error("{place}: not a result of this program ({reason})")]
    Result {
        /// Which one.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No task of a job.
    #[error("there is no task `{0}` here; --plan lists them")]
    NoTask(String),
    /// Runs that have no results yet.
    #[error("not done yet: {0}; the same command without --collect does what is missing")]
    NotDone(String),
    /// Something that cannot be put into words.
    #[error("{what} cannot be written ({reason})")]
    Write {
        /// What it is.
        what: &'static str,
        /// What the encoder says.
        reason: String,
    },
    /// A case cannot be measured.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// Anything about one of several runs.
    #[error("{run}: {error}")]
    Of {
        /// Which run.
        run: String,
        /// What is wrong.
        error: Box<TrainError>,
    },
}

fn of_region(region: Option<Region>) -> String {
    region.map_or(String::new(), |region| format!(" with slices of region {}", region.id()))
}
