//! What is asked of the worker, and what it answers.
//!
//! Everything that may arrive late carries the number of what it answers; whoever applies an event drops those of jobs,
//! runs and questions that are over. Large data are shared natively and transferred in the browser: the fields marked
//! `codec` travel beside the text that everything else becomes.

mod about;
mod archive;
mod export;
mod learn;
mod model;
mod questions;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use attention_anatomy::anatomy::{ORGAN_COUNT, OrganSet};
use attention_anatomy::infer::{DevicePreference, SliceAnatomy};
use attention_anatomy::metrics::OrganMetrics;
use attention_anatomy::volume::CtVolume;

pub use about::AboutScan;
pub use archive::{Access, ArchiveAnswer, ArchiveCommand, ArchiveSeries, SentFile};
pub use export::{Export, Identifiers, StructureExport, StructureFormat};
pub use learn::{
    LearnAnswer, LearnCommand, LearnEvaluation, LearnEvent, LearnPlan, LearnSettings, LearnSlice, LearnUpdate,
};
pub use model::{DeviceInfo, WeightsInfo};
pub use questions::{DoubtfulOrgan, OpenAnswer, OpenPicture, OpenQuestion, SeriesEntry};

use super::{PackedMargin, codec};
use crate::edit::{ByteSlices, Change, Extra, LabelSnapshot, OrganEdit, PackedSlice, StructureEdit};
use crate::session::{CtKey, EditsRecord, SessionHead};

/// Something to be opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A file or a folder of this machine (desktop).
    Path(std::path::PathBuf),
    /// A file with its contents.
    Bytes {
        /// Its name, for messages and for telling header and data apart.
        name: String,
        /// Its contents.
        #[serde(with = "codec::bytes")]
        bytes: Arc<[u8]>,
    },
    /// A file that the browser holds; the worker reads it.
    #[cfg(target_family = "wasm")]
    Browser(#[serde(with = "codec::file")] web_sys::File),
    /// The bundled sample CT.
    Sample,
    /// Series of an archive.
    Archive(Box<ArchiveSeries>),
}

/// What the inputs are taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenAs {
    /// By content: a CT, a label map on the grid of the open CT (it replaces the labels), a session or weights.
    #[default]
    Whatever,
    /// A label map to compare with.
    Reference,
    /// A weights file, which replaces the model.
    Weights,
}

/// A segmentation to be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Its number.
    pub run: u64,
    /// The slice to begin with.
    pub first: usize,
    /// Organs that may be labelled.
    pub enabled: OrganSet,
    /// Whether what lies outside the body, pieces apart from their organ, and what is none by its side, size or place, are taken away at the end.
    pub cleanup: bool,
}

/// A question about one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Its number.
    pub number: u64,
    /// Canonical slice.
    pub slice: usize,
    /// The attention vector to put in place of the network's own.
    #[serde(with = "codec::organs")]
    pub attention: [f32; ORGAN_COUNT],
    /// Organs that may be labelled.
    pub enabled: OrganSet,
}

/// What the application asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Open these; what was being opened before is given up. After [`Event::OpenLarge`] the same number with
    /// `even_if_large` goes on where the question was asked, whatever the inputs.
    Open {
        /// Number of the job.
        job: u64,
        /// What to open.
        inputs: Vec<Input>,
        /// What it is taken for.
        as_what: OpenAs,
        /// Go on although it will hardly fit into memory.
        even_if_large: bool,
    },
    /// Goes on where [`Event::OpenAsks`] asked.
    AnswerOpen {
        /// Number of the job.
        job: u64,
        /// What the user said.
        answer: OpenAnswer,
    },
    /// Stop opening.
    CancelOpen,
    /// Values that do not look like HU are taken as HU, as long as this study is open.
    AssumeHu,
    /// Forget the study.
    Close,
    /// Compute on this kind of device.
    UseDevice(DevicePreference),
    /// Use the bundled weights, as the worker does from the start; a run under way is cancelled.
    UseBundledWeights,
    /// Segment the study; a run under way is cancelled.
    Run(RunRequest),
    /// This slice is on screen: it comes first, then its neighbours outwards.
    Focus {
        /// Canonical slice.
        slice: usize,
    },
    /// Hold the run, or go on.
    Pause(bool),
    /// Stop the run.
    CancelRun,
    /// What if.
    Ask(Ask),
    /// Measure the labels against a reference.
    Compare {
        /// Number of the question.
        number: u64,
        /// Labels of the study.
        #[serde(with = "codec::slices")]
        labels: ByteSlices,
        /// Labels of the reference.
        #[serde(with = "codec::slices")]
        reference: ByteSlices,
    },
    /// Make a file.
    Export {
        /// Which kind of file.
        what: Export,
        /// Labels of the study.
        #[serde(with = "codec::slices")]
        labels: ByteSlices,
        /// Warnings and facts that the user's side knows (edited by hand...). One sentence each.
        notes: Vec<String>,
        /// The file that the labels were opened from: no network of this program drew what is not edited.
        opened_from: Option<String>,
    },
    /// Use a tool on an organ as a whole; the answer is [`Event::Edited`] or [`Event::EditFailed`].
    Edit {
        /// Number of the edit.
        number: u64,
        /// What to do.
        edit: OrganEdit,
        /// The labels that it is done to.
        #[serde(with = "codec::snapshot")]
        labels: LabelSnapshot,
    },
    /// Make a structure of others; the answer is [`Event::Edited`], [`Event::Made`] or [`Event::EditFailed`].
    Combine {
        /// Number of the edit.
        number: u64,
        /// What to do.
        edit: StructureEdit,
        /// The labels and structures that it is made of.
        #[serde(with = "codec::snapshot")]
        labels: LabelSnapshot,
    },
    /// Write a session file; the answer is [`Event::Exported`].
    SaveSession {
        /// All but the labels.
        head: Box<SessionHead>,
        /// The labels.
        #[serde(with = "codec::snapshot")]
        labels: LabelSnapshot,
    },
    /// Pack edits so that they can be stored; the answer is [`Event::EditsPacked`].
    PackEdits {
        /// Number of the answer.
        number: u64,
        /// The CT that was edited.
        ct: CtKey,
        /// When, seconds since 1970.
        saved: u64,
        /// The edits.
        #[serde(with = "codec::snapshot")]
        labels: LabelSnapshot,
    },
    /// Unpack edits that were stored; the answer is [`Event::EditsUnpacked`].
    UnpackEdits {
        /// The study that they are for.
        study: u64,
        /// The stored edits.
        record: Box<EditsRecord>,
    },
    /// Ask an archive; the answer is [`Event::Archive`].
    Archive {
        /// Number of the answer.
        number: u64,
        /// Which, and who asks.
        access: Access,
        /// What for.
        what: ArchiveCommand,
    },
    /// The small training.
    Learn(LearnCommand),
}

/// What was opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each file that a user opens; in a browser it is smaller"
)]
pub enum Opened {
    /// A CT; the study before it is gone.
    Ct {
        /// File or folder.
        name: String,
        /// The volume in HU.
        #[serde(with = "codec::ct")]
        ct: Arc<CtVolume>,
        /// What tells it from other CTs.
        key: CtKey,
        /// Whose it is, where the files say so.
        about: Option<Box<AboutScan>>,
        /// Whether labels or structures follow that were opened with it.
        labels_follow: bool,
    },
    /// A label map on the grid of the open CT.
    Labels {
        /// Name of the file.
        name: String,
        /// Its labels; where it says what was edited, those beneath. None where it holds no organ.
        #[serde(with = "codec::maybe_slices")]
        labels: Option<ByteSlices>,
        /// The label of every voxel that somebody edited, [`crate::edit::NOT_EDITED`] elsewhere, where the file says so.
        #[serde(with = "codec::maybe_slices")]
        edits: Option<ByteSlices>,
        /// What is none of the 33 organs.
        #[serde(with = "codec::extras")]
        extras: Vec<Extra>,
        /// To compare with, rather than to work on.
        reference: bool,
        /// What was assumed of it or left out. One sentence each.
        warnings: Vec<String>,
    },
    /// Weights; they are in use.
    Weights(WeightsInfo),
    /// A session file: labels, edits and settings for the open CT.
    Session {
        /// All but the volumes.
        head: Box<SessionHead>,
        /// The network's labels.
        #[serde(with = "codec::slices")]
        network: ByteSlices,
        /// The label of every edited voxel, [`crate::edit::NOT_EDITED`] elsewhere.
        #[serde(with = "codec::slices")]
        edits: ByteSlices,
        /// Number of edited voxels.
        edited_voxels: u64,
        /// Structures that are none of the 33 organs.
        #[serde(with = "codec::extras")]
        extras: Vec<Extra>,
    },
}

/// What the worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The device is ready.
    Device(DeviceInfo),
    /// No device can be had, or the one asked for cannot.
    DeviceFailed(String),
    /// These weights are in use.
    Weights(WeightsInfo),
    /// Opening goes on.
    OpenProgress {
        /// Which job.
        job: u64,
        /// What is done now, for people.
        step: String,
        /// How much of it, 0 to 1, where that is known.
        part: Option<f32>,
    },
    /// A slice of what is being opened is there already, for whoever waits.
    OpenPicture {
        /// Which job.
        job: u64,
        /// The slice.
        picture: OpenPicture,
    },
    /// It will need more memory than there may be: ask before going on.
    OpenLarge {
        /// Which job.
        job: u64,
        /// Bytes that it will need.
        bytes: u64,
    },
    /// It cannot go on without an answer: [`Command::AnswerOpen`], or [`Command::CancelOpen`].
    OpenAsks {
        /// Which job.
        job: u64,
        /// What it has to know.
        question: OpenQuestion,
    },
    /// Something was opened.
    Opened {
        /// Which job.
        job: u64,
        /// What it turned out to be.
        what: Opened,
    },
    /// Nothing was opened, and why.
    OpenFailed {
        /// Which job.
        job: u64,
        /// One sentence; empty after a cancel.
        message: String,
    },
    /// The labels of a slice are there.
    SliceDone {
        /// Which run.
        run: u64,
        /// Canonical slice.
        slice: usize,
        /// Labels 0..=33, `[ny, nx]`.
        #[serde(with = "codec::slice")]
        labels: PackedSlice,
        /// How far ahead of the runner-up the winner is.
        margin: PackedMargin,
        /// Voxels of each organ that there would be without attention and are not with it; `None` for a plain U-Net.
        #[serde(with = "codec::organs")]
        removed: Option<[u32; ORGAN_COUNT]>,
    },
    /// What the region branch says of a slice.
    Anatomy {
        /// Which run.
        run: u64,
        /// Regions and attention.
        #[serde(with = "codec::anatomy")]
        anatomy: SliceAnatomy,
    },
    /// Slices done and in all.
    Progress {
        /// Which run.
        run: u64,
        /// Slices that are done.
        done: usize,
        /// In all.
        total: usize,
    },
    /// The clean-up changed this slice after its labels had been sent.
    SliceCleaned {
        /// Which run.
        run: u64,
        /// Canonical slice.
        slice: usize,
        /// Labels after it.
        #[serde(with = "codec::slice")]
        labels: PackedSlice,
    },
    /// All slices are there.
    RunFinished {
        /// Which run.
        run: u64,
        /// Voxels that the clean-up took away.
        removed: usize,
    },
    /// The run does not begin, because the values do not look like HU: [`Command::AssumeHu`] and another run, or none.
    NotHu {
        /// Which run.
        run: u64,
        /// What they look like, and what to do. One sentence.
        message: String,
    },
    /// The run was stopped.
    RunCancelled {
        /// Which run.
        run: u64,
    },
    /// The run cannot go on; what was done stays.
    RunFailed {
        /// Which run.
        run: u64,
        /// One sentence.
        message: String,
        /// The device is gone: another one must be opened before the next run.
        device_lost: bool,
    },
    /// The answer to a what-if.
    Answer {
        /// Which question.
        number: u64,
        /// Canonical slice.
        slice: usize,
        /// Labels under the vector, `[ny, nx]`.
        #[serde(with = "codec::bytes")]
        labels: Vec<u8>,
    },
    /// The answer to a comparison, by organ; `None` where neither map has the organ.
    Compared {
        /// Which question.
        number: u64,
        /// Dice, distances and volumes of each organ.
        metrics: Vec<Option<OrganMetrics>>,
    },
    /// A file is made.
    Exported {
        /// Suggested name.
        name: String,
        /// What the file contains.
        #[serde(with = "codec::bytes")]
        bytes: Vec<u8>,
    },
    /// What a tool changes.
    Edited {
        /// Number of the edit.
        number: u64,
        /// By slice.
        #[serde(with = "codec::changes")]
        changes: Vec<Change>,
    },
    /// A structure that is none of the 33 organs was made.
    Made {
        /// Number of the edit.
        number: u64,
        /// The structure, alone in its list.
        #[serde(with = "codec::extras")]
        extra: Vec<Extra>,
    },
    /// A tool cannot be used, and why.
    EditFailed {
        /// Number of the edit.
        number: u64,
        /// One sentence.
        message: String,
    },
    /// Edits as they are stored.
    EditsPacked {
        /// The number that was asked under.
        number: u64,
        /// What is stored.
        text: String,
    },
    /// Edits that were stored.
    EditsUnpacked {
        /// The study that they are for.
        study: u64,
        /// The label of every edited voxel, [`crate::edit::NOT_EDITED`] elsewhere.
        #[serde(with = "codec::slices")]
        edits: ByteSlices,
        /// Number of edited voxels.
        edited_voxels: u64,
        /// Structures that are none of the 33 organs and were made or changed.
        #[serde(with = "codec::extras")]
        extras: Vec<Extra>,
    },
    /// Something that was asked cannot be done, and why.
    Failed(String),
    /// Something goes on, but not as it should.
    Warning(String),
    /// What came of a question to an archive.
    Archive {
        /// The number that was asked under.
        number: u64,
        /// What it says.
        answer: ArchiveAnswer,
    },
    /// From the small training.
    Learn(LearnEvent),
}
