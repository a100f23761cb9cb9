//! The label map and all that changes it.
//!
//! | file | what |
//! |---|---|
//! | `layer.rs` | a byte for every voxel, and which slices have changed |
//! | `labels.rs` | the labels: the network's, and edits over them |
//! | `history.rs` | undo and redo |
//! | `tally.rs` | volumes, HU and places of the organs, kept up to date |
//! | `settings.rs` | how the tools work |
//! | `strokes.rs` | what the mouse drew in the views becomes edits |
//! | `brush.rs` | brush and eraser, in mm |
//! | `fill.rs` | an area of the plane; holes |
//! | `interpolate.rs` | outlines between outlined slices |
//! | `smooth.rs` | surfaces |
//! | `organ.rs` | clear, reassign, largest component |
//! | `mask.rs` | one organ cut out and put back |

mod brush;
mod fill;
mod history;
mod interpolate;
mod labels;
mod layer;
mod mask;
mod organ;
#[cfg(test)]
pub(crate) mod samples;
mod settings;
mod smooth;
mod strokes;
mod tally;
#[cfg(test)]
mod tests;

pub use brush::{Dab, Ink};
pub use fill::FillError;
pub use history::HISTORY_BYTES;
pub use interpolate::Between;
pub use labels::{LabelStore, NOT_EDITED};
pub use layer::ByteLayer;
pub use settings::{EditSettings, HU_LIMITS, PaintOver, RADIUS_MM};
pub use strokes::{StrokeError, apply_strokes};
