//! What of a study is written down, and read again: session files, and edits that were not saved. Neither the voxels of the
//! CT nor its file's name is in any of it. All of it is the size of a volume, so the worker does it; the window only takes
//! and gives shared slices.
//!
//! | file | what |
//! |---|---|
//! | `file.rs`, `view.rs` | session files |
//! | `record.rs` | edits that were not saved |
//! | `fingerprint.rs` | whether a CT is the one that they belong to |
//! | `structures.rs` | structures that are none of the 33 organs |
//! | `packed.rs` | volumes of bytes as text |

mod file;
mod fingerprint;
mod packed;
mod record;
mod structures;
#[cfg(test)]
mod tests;
mod view;

pub use file::{Session, SessionError, SessionHead, SessionModel, SessionSlice, read, write};
pub use fingerprint::{CtKey, Hashing};
pub use packed::UnpackError;
pub use record::{EditsRecord, RecordError, pack, unpack_slices};
pub use view::SessionView;

/// Name under which a session file is offered for saving.
pub const SESSION_NAME: &str = "attention-anatomy-session.json";
