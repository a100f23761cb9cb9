//! The losses of the paper, and the re-calibration that makes them fit for partially annotated sets.
//!
//! Everything is computed on the re-calibrated probabilities p^ of equation (4), in f32:
//!
//! | file | what |
//! |---|---|
//! | `recalibration.rs` | equation (4): what is not annotated goes to background |
//! | `batch_dice.rs` | batch Dice over the classes present in the batch |
//! | `focal.rs` | equation (3): spatially balanced focal loss |
//! | `cross_entropy.rs` | cross entropy over voxels |
//! | `region.rs` | cross entropy of the region classifier on soft targets |
//! | `presence.rs` | cross entropy of the attention vector on what a slice shows |
//! | `total.rs` | equation (2), and exact accumulation over micro-batches |
//! | `fused_cpu.rs` | equations (1), (4) and the sums of Dice and focal loss in one pass, as a processor computes them |
//! | `fused.rs` | the same as an operation of burn's CPU backend |

pub mod batch_dice;
pub mod cross_entropy;
pub mod focal;
#[cfg(not(target_family = "wasm"))]
mod fused;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod fused_cpu;
pub mod presence;
pub mod recalibration;
pub mod region;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;
pub mod total;

pub use recalibration::{Recalibrated, recalibrate};
pub use total::{FocalNorm, LossParts, LossWeights, total};
