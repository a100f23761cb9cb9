//! What survives the program: preferences, edits that were not saved, session files. Neither the voxels of a CT nor its file's
//! name is written anywhere.
//!
//! | file | what |
//! |---|---|
//! | `memory.rs` | when things are kept and when they come back |
//! | `autosave.rs` | edits as they are kept |
//! | `session.rs`, `session_view.rs` | session files |
//! | `fingerprint.rs` | whether a CT is the one that edits belong to |
//! | `packed.rs` | volumes of bytes as text |
//! | `native.rs` | files in the user's folders |
//! | `wasm.rs` | localStorage and IndexedDB |

mod autosave;
mod fingerprint;
mod memory;
mod packed;
mod session;
mod session_view;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
use native::{AUTOSAVE_SECONDS, Shelf};
#[cfg(target_family = "wasm")]
use wasm::{AUTOSAVE_SECONDS, Shelf};

pub use fingerprint::CtKey;
pub use memory::{Memory, Offer, discard_offer, keep, leave, remember, restore_offer, saved, tick};
pub use session::{SESSION_NAME, restore_session, save_session};

/// Something that was kept under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    name: String,
    text: String,
}
