//! The label map and all that changes it.
//!
//! | file | what |
//! |---|---|
//! | `layer.rs` | a byte for every voxel, and which slices have changed |
//! | `labels.rs` | the labels: the network's, and edits over them |
//! | `algebra.rs` | margins, unions and the like |
//! | `extras.rs` | structures that are none of the 33 organs |
//! | `packed_slice.rs`, `slices.rs`, `snapshot.rs` | labels, packed; shared with the worker |
//! | `bulk.rs` | edits of many voxels, a few slices in every frame; undo and redo |
//! | `history.rs` | what can be undone |
//! | `tally.rs` | volumes, HU and places of the organs, kept up to date |
//! | `settings.rs` | how the tools work |
//! | `strokes.rs` | what the mouse drew in the views becomes edits |
//! | `brush.rs` | brush and eraser, in mm |
//! | `fill.rs` | an area of the plane; holes |
//! | `interpolate.rs` | outlines between outlined slices |
//! | `smooth.rs` | surfaces |
//! | `organ.rs` | clear, reassign, largest component |
//! | `mask.rs` | one organ cut out and put back |

mod algebra;
mod brush;
mod bulk;
mod extras;
mod fill;
mod history;
mod interpolate;
mod labels;
mod layer;
mod mask;
mod organ;
mod packed_slice;
#[cfg(test)]
pub(crate) mod samples;
mod settings;
mod slices;
mod smooth;
mod snapshot;
mod strokes;
mod tally;
#[cfg(test)]
mod tests;

pub use algebra::{Made, Operand, Operation, SideMargins, StructureEdit, Target};
pub use brush::{Dab, Ink};
pub use bulk::AT_ONCE;
pub use extras::{Extra, runs_of, usual_colour};
pub use fill::FillError;
pub use history::{Change, HISTORY_BYTES};
pub use interpolate::Between;
pub use labels::{LabelStore, NOT_EDITED, take_edits_off};
pub use layer::ByteLayer;
pub use packed_slice::PackedSlice;
pub use settings::{EditSettings, HU_LIMITS, PaintOver, RADIUS_MM};
pub use slices::ByteSlices;
pub use snapshot::{LabelSnapshot, OrganEdit, OrganTool};
pub use strokes::{StrokeError, apply_strokes};
