//! The 33 organs and the 5 regions of the body: one table, used by everything.
//!
//! Labels, names, colours, sides and the regions where an organ can lie are needed by readers, losses, metrics, exports
//! and the viewer. A second copy of any of them would sooner or later swap a left for a right, so this module is the only
//! place that knows them. [`Organ`] is the key, `table.rs` holds the rows, `names.rs` maps what files call an organ to it.

mod colours;
mod names;
mod organ;
mod region;
mod set;
mod table;

pub use organ::{CLASS_COUNT, ORGAN_COUNT, Organ, Side, SnomedCode};
pub use region::{REGION_COUNT, Region};
pub use set::{OrganSet, UnknownOrgan};

#[cfg(test)]
mod tests;
