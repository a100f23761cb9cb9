//! The WGSL of the viewer: text only, one drawing per file. Bindings and limits: `shaders/README.md`.

/// One slice through a CT with labels, outlines and an overlay; entry points `vertex` and `fragment`.
pub const SLICE: &str = include_str!("../slice.wgsl");

/// Bytes of the uniform `Slice` of [`SLICE`].
pub const SLICE_VIEW_BYTES: usize = 160;

/// Bytes of the uniform `Palette` of [`SLICE`].
pub const SLICE_PALETTE_BYTES: usize = 1168;

#[cfg(test)]
mod tests;
