//! All that the viewer knows. Panels and views read it, change it, and put what others have to do into its outboxes; the
//! application empties these once a frame. Nothing here draws, and nothing here waits.

mod layer;
mod measurement;
mod model;
mod notices;
mod preferences;
mod run;
mod study;
mod update;
mod view;

pub use layer::ByteLayer;
pub use measurement::{HuStatistics, Measurement, MeasurementKind};
pub use model::Model;
pub use notices::{Notice, Notices, Severity};
pub use preferences::{Layout, Preferences};
pub use run::{Run, RunPhase};
pub use study::{Reference, Study, WhatIf};
pub use view::{
    Camera, DisplayWindow, Drag, Gesture, OrganStyle, Overlay, Plane, Stroke, StrokePhase, Tool, View, WINDOW_PRESETS,
    WindowPreset,
};

use crate::edit::EditSettings;
use crate::store::Memory;
use crate::worker::Command;

/// What only the platform can do: dialogs, downloads. Emptied by the application once a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum FileRequest {
    /// Choose files and open them.
    OpenFiles,
    /// Choose a folder and open what is in it.
    OpenFolder,
    /// Choose a weights file.
    OpenWeights,
    /// Choose a label map to compare with.
    OpenReference,
    /// Open one of the recent files (desktop).
    OpenRecent(String),
    /// Offer these bytes for saving under this name.
    Save {
        /// Suggested file name.
        name: String,
        /// Contents.
        bytes: Vec<u8>,
    },
}

/// Everything.
#[derive(Debug, Default)]
pub struct State {
    /// The CT that is open, its labels and what the network says of it.
    pub study: Option<Study>,
    /// How it is looked at.
    pub view: View,
    /// How its labels are edited.
    pub edit: EditSettings,
    /// Weights and device.
    pub model: Model,
    /// The segmentation under way.
    pub run: Run,
    /// What is remembered between sessions.
    pub preferences: Preferences,
    /// What is kept of it all.
    pub memory: Memory,
    /// What the user should read.
    pub notices: Notices,
    /// The panels' own state.
    pub panels: crate::panels::PanelState,
    /// Commands for the worker.
    pub commands: Vec<Command>,
    /// Requests to the platform.
    pub requests: Vec<FileRequest>,
    /// Numbers jobs, runs and questions, so that late answers are told from current ones.
    pub last_number: u64,
}

impl State {
    /// A number that was not used before.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Sends the worker a command at the end of this frame.
    pub fn send(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Asks the platform for something at the end of this frame.
    pub fn request(&mut self, request: FileRequest) {
        self.requests.push(request);
    }
}
