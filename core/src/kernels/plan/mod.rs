//! The network for inference on the processor: folded, laid out once, and then the same list of operations for every slice.
//!
//! Nothing is allocated, zeroed, padded or copied between the operations. Feature maps lie in blocks of sixteen channels
//! with a border, in places that are used again as soon as nobody reads them any more; weights lie in the order
//! in which they are used; bias, shortcut and ReLU are part of the convolution that they follow, and a concatenation is a
//! sum over two inputs.
//!
//! | file | what |
//! |---|---|
//! | `blocked.rs` | how feature maps lie in memory |
//! | `tile.rs` | the innermost loops |
//! | `winograd.rs` | convolutions of 3x3 with fewer multiplications |
//! | `convolution.rs` | convolutions: weights, terms, bands, threads |
//! | `window.rs` | what has to be computed where most of the field is air |
//! | `air.rs` | what lies around that |
//! | `region.rs` | the end of the region branch |
//! | `head.rs` | from the last maps to probabilities |
//! | `layout.rs` | from tensors to the list of operations, for whoever carries it out |
//! | `compile.rs` | its weights in the processor's order |
//! | `run.rs` | carrying it out, and timing it |

mod air;
pub(super) mod blocked;
mod compile;
pub(super) mod convolution;
mod error;
pub(super) mod head;
pub(super) mod layout;
pub(super) mod region;
mod run;
#[cfg(test)]
mod tests;
mod tile;
pub(super) mod window;
pub(super) mod winograd;

pub use air::Air;
pub use compile::Plan;
pub use error::PlanError;
pub use head::Probabilities;
pub use region::{AttentionLine, RegionAnswer};
pub use run::{Arena, Features, Timing};
