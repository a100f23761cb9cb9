//! The WGSL of the viewer: text only, one drawing per file.
