//! Shapes on grids of pixels and voxels: each operation once, for preprocessing, clean-up, metrics, reports and editing.
//!
//! Grids are given as `[nx, ny, nz]`, x fastest in memory; a slice has an nz of 1.
//!
//! | file | what |
//! |---|---|
//! | `algebra.rs` | margins, unions, differences of structures |
//! | `components.rs` | which runs of cells belong together |
//! | `distance.rs` | exact Euclidean distances, in mm |
//! | `flood.rs` | what is joined to some cells; pieces; holes |
//! | `gaussian.rs` | blurring along an axis |
//! | `runs.rs` | runs of a label in a row |

mod algebra;
mod components;
mod distance;
mod flood;
mod gaussian;
mod runs;

pub use algebra::{Margin, crop_from, crop_to, difference, grow, intersection, shrink, union};
pub use components::{Groups, Row};
pub use distance::{Distance, signed_distance, squared_distances};
pub use flood::{fill_holes, flood, pieces, take};
pub use gaussian::Gaussian;
pub use runs::label_runs;
