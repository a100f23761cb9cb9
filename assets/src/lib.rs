//! What the program reads from the machine without being told how: the weights and the sample CT that it brings along, and the
//! files below a path that it is given.
//!
//! A crate of its own, so that command line and viewer carry the megabytes once, and so that a command line without the viewer
//! has them too. A page carries names alone and fetches the rest from its own server.
//!
//! | file | what |
//! |---|---|
//! | `embedded.rs` | the bytes, everywhere but in a browser |
//! | `files.rs` | one file, or all below a folder |

#[cfg(not(target_family = "wasm"))]
mod embedded;
#[cfg(not(target_family = "wasm"))]
mod files;

#[cfg(not(target_family = "wasm"))]
pub use embedded::{SAMPLE, WEIGHTS};
#[cfg(not(target_family = "wasm"))]
pub use files::{list, list_labels};

/// How the bundled weights are called in outputs.
pub const WEIGHTS_NAME: &str = "light (bundled)";
/// How the bundled CT is called in outputs.
pub const SAMPLE_NAME: &str = "neck-chest.nii.gz";
/// The weights beside the page.
pub const WEIGHTS_ON_THE_PAGE: &str = "light.safetensors";
/// The CT beside the page, not compressed: its server compresses what it sends, and brotli is better at it than gzip.
pub const SAMPLE_ON_THE_PAGE: &str = "sample.nii";
