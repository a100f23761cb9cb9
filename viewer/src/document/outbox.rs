//! What others have to do: the worker, the platform, the application, the user. Panels and views put it here, and the
//! application empties it once a frame, so that nobody who draws ever waits.

use super::notices::Notices;
use crate::worker::Command;

/// What only the platform can do: dialogs, downloads.
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
        /// What the file will contain.
        bytes: Vec<u8>,
    },
}

/// What only the application can do, because it takes the window or what is stored for the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make a PNG of the views and offer it for saving.
    SavePicture,
    /// Lay the unsaved edits that were found over the labels: all, newer ones over older ones, or the newest alone.
    RestoreEdits {
        /// The others stay kept.
        newest_only: bool,
    },
    /// Forget the unsaved edits that were found.
    DiscardEdits,
}

/// Emptied by the application once a frame.
#[derive(Debug, Default)]
pub struct Outbox {
    /// For the worker.
    pub commands: Vec<Command>,
    /// For the platform.
    pub requests: Vec<FileRequest>,
    /// For the application.
    pub tasks: Vec<Task>,
    /// For the user; these stay until they are closed.
    pub notices: Notices,
    /// Numbers jobs, runs and questions, so that late answers are told from current ones.
    pub last_number: u64,
}

impl Outbox {
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

    /// Asks the application for something at the end of this frame.
    pub fn ask(&mut self, task: Task) {
        self.tasks.push(task);
    }
}
