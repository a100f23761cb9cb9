//! The label map and all that changes it.
//!
//! | file | what |
//! |---|---|
//! | `labels.rs` | the labels: the network's, and edits over them |
//! | `history.rs` | undo and redo |
//! | `tally.rs` | volumes, HU and places of the organs, kept up to date |

mod history;
mod labels;
mod tally;

pub use history::HISTORY_BYTES;
pub use labels::{LabelStore, NOT_EDITED};
