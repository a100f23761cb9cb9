//! Dialogs, drops and downloads of each platform, behind one interface.

use crate::state::FileRequest;
use crate::worker::{Input, OpenAs};

/// What was chosen or dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// What to open.
    pub inputs: Vec<Input>,
    /// What it is taken for.
    pub as_what: OpenAs,
}

/// The platform's dialogs. Nothing here waits: what was chosen comes from [`Files::poll`] later.
#[derive(Debug, Default)]
pub struct Files {}

impl Files {
    /// Does what was asked, in its own time.
    pub fn request(&mut self, _request: FileRequest, _ctx: &egui::Context) {}

    /// Files that were dropped on the window in this frame.
    pub fn dropped(&mut self, _ctx: &egui::Context) {}

    /// What was chosen or dropped meanwhile.
    pub fn poll(&mut self) -> Option<Chosen> {
        None
    }

    /// What could not be done, one sentence; and files that were saved, by name.
    pub fn outcome(&mut self) -> Option<Result<String, String>> {
        None
    }
}
