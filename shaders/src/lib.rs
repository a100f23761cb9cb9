//! The WGSL of the viewer and of the network: text only, one drawing or one kernel per file. Bindings and limits: `shaders/README.md`.

pub mod network;
mod template;

/// One slice through a CT with labels, outlines and an overlay; entry points `vertex` and `fragment`.
pub const SLICE: &str = include_str!("../slice.wgsl");

/// Bytes of the uniform `Slice` of [`SLICE`].
pub const SLICE_VIEW_BYTES: usize = 160;

/// Bytes of the uniform `Palette` of [`SLICE`].
pub const SLICE_PALETTE_BYTES: usize = 1168;

#[cfg(test)]
mod tests;
