//! What survives the program: preferences, and edits that were not saved.
//!
//! | file | what |
//! |---|---|
//! | `autosave.rs` | when things are stored and when they come back |
//! | `autosave/rescue.rs` | what would be lost if the program ended in a frame |
//! | `native.rs` | files in the user's folders |
//! | `wasm.rs` | localStorage and IndexedDB |

mod autosave;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
use native::{AUTOSAVE_SECONDS, Storage};
#[cfg(target_family = "wasm")]
use wasm::{AUTOSAVE_SECONDS, Storage};

pub use autosave::{Autosave, Offer, Rescue};

/// Something that was stored under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    name: String,
    text: String,
}
