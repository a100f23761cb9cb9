//! The viewer's window, in programs that are built with it (feature `viewer`, which is on unless left out). Servers and clusters
//! have no screen, and their builds need none of what draws on one.

#[cfg(not(feature = "viewer"))]
mod absent;
#[cfg(feature = "viewer")]
mod viewer;

#[cfg(not(feature = "viewer"))]
pub use absent::{IS_BUILT_IN, open};
#[cfg(feature = "viewer")]
pub use viewer::{IS_BUILT_IN, open};

use std::path::PathBuf;

/// What the window shows first.
#[derive(Debug)]
pub enum Shown {
    /// The start page, or a scan and label maps on its grid.
    Paths(#[cfg_attr(not(feature = "viewer"), expect(dead_code, reason = "nothing is shown"))] Vec<PathBuf>),
    /// The bundled CT.
    Sample,
}
