//! What survives the program: preferences, edits that were not saved, session files. Neither the voxels of a CT nor its file's
//! name is written anywhere.
//!
//! | file | what |
//! |---|---|
//! | `autosave.rs` | when things are kept and when they come back |
//! | `record.rs` | edits as they are kept |
//! | `session.rs`, `session_view.rs` | session files |
//! | `fingerprint.rs` | whether a CT is the one that edits belong to |
//! | `packed.rs` | volumes of bytes as text |
//! | `native.rs` | files in the user's folders |
//! | `wasm.rs` | localStorage and IndexedDB |

mod autosave;
mod fingerprint;
mod packed;
mod record;
mod session;
mod session_view;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
use native::{AUTOSAVE_SECONDS, Storage};
#[cfg(target_family = "wasm")]
use wasm::{AUTOSAVE_SECONDS, Storage};

pub use autosave::{Autosave, Offer};
pub use fingerprint::CtKey;

pub use session::{SESSION_NAME, restore_session, save_session};

/// Something that was kept under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    name: String,
    text: String,
}
