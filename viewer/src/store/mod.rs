//! What survives the program: preferences, autosave, session files.

use crate::state::State;

/// Name under which a session file is offered for saving.
pub const SESSION_NAME: &str = "attention-anatomy-session.json";

/// The open study's labels, edits and settings as a session file, without voxels of the CT; `None` without a study.
pub fn save_session(_state: &State) -> Option<String> {
    None
}

/// Brings the edits and settings of a session file back onto the open CT.
pub fn restore_session(_state: &mut State, _text: &str) {}
