//! What is asked of the worker, and what it answers.
//!
//! Everything that may arrive late carries the number of what it answers; whoever applies an event drops those of jobs,
//! runs and questions that are over. Large data are shared natively and transferred in the browser: the fields marked
//! `wire` travel beside the text that everything else becomes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use attention_anatomy::anatomy::{ORGAN_COUNT, OrganSet, REGION_COUNT};
use attention_anatomy::dataset::Hpa;
use attention_anatomy::infer::{ComputeKind, DevicePreference, SliceAnatomy, WeightsUsed};
use attention_anatomy::metrics::OrganMetrics;
use attention_anatomy::network::weights::ModelInfo;
use attention_anatomy::volume::CtVolume;

use super::wire;
use crate::edit::{ByteSlices, Change, LabelSnapshot, OrganEdit};
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
        #[serde(with = "wire::bytes")]
        bytes: Arc<[u8]>,
    },
    /// A file that the browser holds; the worker reads it.
    #[cfg(target_family = "wasm")]
    Browser(#[serde(with = "wire::file")] web_sys::File),
    /// The bundled sample CT.
    Sample,
}

/// What the inputs are taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenAs {
    /// By content: a CT, a label map on the grid of the open CT (it replaces the labels), a session or weights.
    #[default]
    Whatever,
    /// A label map to compare with.
    Reference,
    /// Weights.
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
    /// Whether pieces apart from their organ, and organs below 0.1 ml, are taken away at the end.
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
    #[serde(with = "wire::organs")]
    pub attention: [f32; ORGAN_COUNT],
    /// Organs that may be labelled.
    pub enabled: OrganSet,
}

/// A file to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Export {
    /// The labels on the stored grid of the CT.
    Labels {
        /// `labels.nrrd` rather than `labels.nii.gz`.
        nrrd: bool,
    },
    /// Volume, HU and extent of every organ.
    StatisticsCsv,
    /// Regions and attention of every slice.
    AttentionCsv,
    /// The same as JSON.
    AttentionJson,
    /// The report of the command line: one HTML file.
    ReportHtml,
    /// An RT Structure Set on the slices of the DICOM series that the CT is.
    StructureSet {
        /// Organs that the user has changed.
        edited: OrganSet,
    },
    /// A DICOM Segmentation on the same.
    DicomSegmentation {
        /// Organs that the user has changed.
        edited: OrganSet,
    },
}

/// What the small training of a lesson is to be done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnSettings {
    /// With the region branch and its attention vector.
    pub attention: bool,
    /// What makes a re-calibration weight 1.
    pub hpa: Hpa,
    /// Seed of the start weights, of the phantoms and of the order of the slices.
    pub seed: u64,
}

/// For the panel that trains a small network on phantoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearnCommand {
    /// Begins anew; a training under way is dropped.
    Start {
        /// Its number.
        run: u64,
        /// How.
        settings: LearnSettings,
    },
    /// Holds or goes on.
    Pause(bool),
    /// Ends.
    Stop,
}

/// Something that the small training says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnEvent {
    /// Which training.
    pub run: u64,
    /// What.
    pub news: LearnNews,
}

/// What the small training says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LearnNews {
    /// Phantoms are being made.
    Preparing {
        /// Done.
        done: usize,
        /// In all.
        of: usize,
    },
    /// All is ready; steps follow.
    Started(LearnPlan),
    /// A step was done.
    Step {
        /// Steps so far.
        step: u64,
        /// Dice, focal and region loss, where the phase has them.
        losses: [Option<f32>; 3],
    },
    /// The network's present answers on slices of patients that it was not trained on.
    Look(LearnLook),
    /// All steps are done, or it was stopped.
    Finished,
    /// It cannot go on, and why.
    Failed(String),
}

/// What a small training is about to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnPlan {
    /// The device, for people.
    pub device: String,
    /// Name of each phase and the step at which it ends; the last one ends the training.
    pub phases: Vec<(String, u64)>,
    /// Scans trained on.
    pub scans: usize,
    /// Parameters of the network.
    pub parameters: usize,
    /// Pixels across and down of the pictures.
    pub size: [usize; 2],
    /// The slices that are shown, from the head down.
    pub slices: Vec<LearnSlice>,
}

/// A slice that is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnSlice {
    /// Where it lies, for people.
    pub title: String,
    /// Grey values.
    #[serde(with = "wire::bytes")]
    pub image: Vec<u8>,
    /// True labels.
    #[serde(with = "wire::bytes")]
    pub truth: Vec<u8>,
    /// True region probabilities.
    pub regions: [f32; REGION_COUNT],
}

/// The network's answers after a step. Dice is the mean over organs, each over all held-out slices, shown or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnLook {
    /// Steps done.
    pub step: u64,
    /// Dice of organs where every set that reaches a slice's height outlines them.
    pub dice_outlined: Option<f32>,
    /// Dice of organs where some set reaches a slice's height without outlining them.
    pub dice_contested: Option<f32>,
    /// Share of held-out slices whose most likely region is the true one; `None` for a plain U-Net.
    pub region_accuracy: Option<f32>,
    /// One for each slice that is shown.
    pub answers: Vec<LearnAnswer>,
}

/// The network's answer on a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LearnAnswer {
    /// Labels.
    #[serde(with = "wire::bytes")]
    pub labels: Vec<u8>,
    /// Region probabilities; `None` for a plain U-Net.
    pub regions: Option<[f32; REGION_COUNT]>,
    /// Its attention vector; `None` for a plain U-Net.
    #[serde(with = "wire::organs")]
    pub attention: Option<[f32; ORGAN_COUNT]>,
    /// Mean Dice over the organs of the slice.
    pub dice: Option<f32>,
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
    /// Stop opening.
    CancelOpen,
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
        #[serde(with = "wire::slices")]
        labels: ByteSlices,
        /// Labels of the reference.
        #[serde(with = "wire::slices")]
        reference: ByteSlices,
    },
    /// Make a file.
    Export {
        /// Which.
        what: Export,
        /// Labels of the study.
        #[serde(with = "wire::slices")]
        labels: ByteSlices,
        /// Warnings and facts that the user's side knows (edited by hand...). One sentence each.
        notes: Vec<String>,
    },
    /// Use a tool on an organ as a whole; the answer is [`Event::Edited`] or [`Event::EditFailed`].
    Edit {
        /// Number of the edit.
        number: u64,
        /// What to do.
        edit: OrganEdit,
        /// The labels that it is done to.
        #[serde(with = "wire::snapshot")]
        labels: LabelSnapshot,
    },
    /// Write a session file; the answer is [`Event::Exported`].
    SaveSession {
        /// All but the labels.
        head: Box<SessionHead>,
        /// The labels.
        #[serde(with = "wire::snapshot")]
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
        #[serde(with = "wire::snapshot")]
        labels: LabelSnapshot,
    },
    /// Unpack edits that were stored; the answer is [`Event::EditsUnpacked`].
    UnpackEdits {
        /// The study that they are for.
        study: u64,
        /// The stored edits.
        record: Box<EditsRecord>,
    },
    /// The small training.
    Learn(LearnCommand),
}

/// A device that is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceReady {
    /// For people.
    pub name: String,
    /// GPU or CPU.
    pub kind: ComputeKind,
    /// Why it is not the one that one would expect.
    pub notes: Vec<String>,
}

/// Weights that are in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightsReady {
    /// Name for people.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// What the file says of itself.
    pub info: ModelInfo,
}

impl From<WeightsReady> for WeightsUsed {
    fn from(WeightsReady { name, sha256, info }: WeightsReady) -> Self {
        Self { name, sha256, info }
    }
}

/// What was opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "there is one for each file that a user opens")]
pub enum Opened {
    /// A CT; the study before it is gone.
    Ct {
        /// File or folder.
        name: String,
        /// HU.
        #[serde(with = "wire::ct")]
        ct: Arc<CtVolume>,
        /// What tells it from other CTs.
        key: CtKey,
    },
    /// A label map on the grid of the open CT.
    Labels {
        /// File.
        name: String,
        /// Its labels.
        #[serde(with = "wire::slices")]
        labels: ByteSlices,
        /// To compare with, rather than to work on.
        reference: bool,
        /// What was assumed of it or left out. One sentence each.
        warnings: Vec<String>,
    },
    /// Weights; they are in use.
    Weights(WeightsReady),
    /// A session file: labels, edits and settings for the open CT.
    Session {
        /// All but the volumes.
        head: Box<SessionHead>,
        /// The network's labels.
        #[serde(with = "wire::slices")]
        network: ByteSlices,
        /// The label of every edited voxel, [`crate::edit::NOT_EDITED`] elsewhere.
        #[serde(with = "wire::slices")]
        edits: ByteSlices,
        /// Number of edited voxels.
        edited_voxels: u64,
    },
}

/// What the worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The device is ready.
    Device(DeviceReady),
    /// No device can be had, or the one asked for cannot.
    DeviceFailed(String),
    /// These weights are in use.
    Weights(WeightsReady),
    /// Opening goes on.
    OpenProgress {
        /// Which job.
        job: u64,
        /// What is done now, for people.
        step: String,
        /// How much of it, 0 to 1, where that is known.
        part: Option<f32>,
    },
    /// It will need more memory than there may be: ask before going on.
    OpenLarge {
        /// Which job.
        job: u64,
        /// Bytes that it will need.
        bytes: u64,
    },
    /// Something was opened.
    Opened {
        /// Which job.
        job: u64,
        /// What.
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
        #[serde(with = "wire::bytes")]
        labels: Vec<u8>,
        /// How far ahead of the runner-up the winner is, 0 to 255 for 0 to 1.
        #[serde(with = "wire::bytes")]
        margin: Vec<u8>,
        /// Voxels of each organ that there would be without attention and are not with it; `None` for a plain U-Net.
        #[serde(with = "wire::organs")]
        removed: Option<[u32; ORGAN_COUNT]>,
    },
    /// What the region branch says of a slice.
    Anatomy {
        /// Which run.
        run: u64,
        /// Regions and attention.
        #[serde(with = "wire::anatomy")]
        anatomy: SliceAnatomy,
    },
    /// Slices done and in all.
    Progress {
        /// Which run.
        run: u64,
        /// Done.
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
        #[serde(with = "wire::bytes")]
        labels: Vec<u8>,
    },
    /// All slices are there.
    RunFinished {
        /// Which run.
        run: u64,
        /// Voxels that the clean-up took away.
        removed: usize,
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
        #[serde(with = "wire::bytes")]
        labels: Vec<u8>,
    },
    /// The answer to a comparison, by organ; `None` where neither map has the organ.
    Compared {
        /// Which question.
        number: u64,
        /// Metrics.
        metrics: Vec<Option<OrganMetrics>>,
    },
    /// A file is made.
    Exported {
        /// Suggested name.
        name: String,
        /// Contents.
        #[serde(with = "wire::bytes")]
        bytes: Vec<u8>,
    },
    /// What a tool changes.
    Edited {
        /// Number of the edit.
        number: u64,
        /// By slice.
        #[serde(with = "wire::changes")]
        changes: Vec<Change>,
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
        #[serde(with = "wire::slices")]
        edits: ByteSlices,
        /// Number of edited voxels.
        edited_voxels: u64,
    },
    /// Something that was asked cannot be done, and why.
    Failed(String),
    /// From the small training.
    Learn(LearnEvent),
}
