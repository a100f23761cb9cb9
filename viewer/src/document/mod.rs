//! The open document: the CT with its labels, the run over it, the model, and how it is looked at. It knows no panel, draws
//! nothing and waits for nothing; what others have to do goes into the [`Outbox`].
//!
//! | file | what |
//! |---|---|
//! | `study.rs` | the CT that is open, with everything that belongs to it |
//! | `readout.rs` | what a voxel is, for people |
//! | `run.rs` | the segmentation under way |
//! | `questions.rs` | what the user has to say before something goes on |
//! | `session.rs` | what goes into a session file, and comes back |
//! | `archive.rs` | archives: which can be asked, and what they said |
//! | `model.rs` | weights and device |
//! | `what_if.rs` | another attention vector on the slice on screen |
//! | `update.rs` | what an event of the worker changes |
//! | `outbox.rs`, `notices.rs` | what others have to do, and what the user should read |

mod archive;
#[cfg(test)]
pub(crate) mod bench;
mod margins;
mod model;
mod notices;
mod outbox;
mod questions;
mod readout;
mod run;
mod session;
mod study;
mod update;
mod what_if;

pub use archive::{Archives, Link, Origin, Sending, Source, Studies, Token, Writes, sources_of};
pub use margins::Margins;
pub use model::Model;
pub use notices::{Notice, Notices, Severity};
pub use outbox::{FileRequest, Outbox, Task};
pub use questions::Question;
pub use readout::on_side;
pub use run::{RunPhase, RunState};
pub use study::{Reference, Study, WhatIf};
pub use what_if::{Change, Wish, changes};

use crate::display::{Preferences, View};
use crate::worker::{Input, OpenAs, OpenPicture};

/// The open document.
#[derive(Debug, Default)]
pub struct Document {
    /// The CT that is open, its labels and what the network says of it.
    pub study: Option<Study>,
    /// Weights and device.
    pub model: Model,
    /// The segmentation under way.
    pub run: RunState,
    /// What is being opened.
    pub opening: Option<Opening>,
    /// How the study is looked at.
    pub view: View,
    /// The attention that the user wishes to see in place of the network's.
    pub wish: Wish,
    /// Unsaved edits of this CT that were found from an earlier start.
    pub unsaved_edits: Option<UnsavedEdits>,
    /// What the user has to say before something goes on.
    pub question: Option<Question>,
    /// How the user likes the window.
    pub preferences: Preferences,
    /// Archives, and what they said.
    pub archives: Archives,
}

/// What is being opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// Number of the job.
    pub job: u64,
    /// What was asked for, to ask again where it is large.
    pub inputs: Vec<Input>,
    /// What it was asked for as.
    pub as_what: OpenAs,
    /// What is done now.
    pub step: String,
    /// How much of it, where that is known.
    pub part: Option<f32>,
    /// Bytes that it will need, where that is a question to the user.
    pub large: Option<u64>,
    /// A slice of it that is there already.
    pub picture: Option<OpenPicture>,
}

/// Unsaved edits of the open CT that were found: for the user to restore or to discard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsavedEdits {
    /// Number of voxels that were edited, all together.
    pub voxels: u64,
    /// What was kept each time, the newest first.
    pub kept: Vec<KeptEdits>,
}

/// Edits that were kept at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEdits {
    /// How long ago, for people.
    pub age: String,
    /// Number of voxels that were edited.
    pub voxels: u64,
    /// What they change, for people; empty where nobody knows.
    pub holds: String,
}

impl Document {
    /// Brings the crosshair to a voxel.
    pub fn go_to(&mut self, voxel: [usize; 3]) {
        let Some(study) = &self.study else { return };
        let size = study.geometry().size;
        self.view.cursor = std::array::from_fn(|n| voxel[n].min(size[n].saturating_sub(1)));
    }

    /// Brings another axial slice on screen.
    pub fn go_to_slice(&mut self, slice: usize) {
        let [i, j, _] = self.view.cursor;
        self.go_to([i, j, slice]);
    }
}
