//! The losses of the paper, and the re-calibration that makes them fit for partially annotated sets.
//!
//! Everything is computed on the re-calibrated probabilities p^ of equation (4), in f32:
//!
//! | file | what |
//! |---|---|
//! | `recalibration.rs` | equation (4): what is not annotated goes to background |
//! | `batch_dice.rs` | batch Dice over the classes present in the batch |
//! | `focal.rs` | equation (3): spatially balanced focal loss |
//! | `region.rs` | cross entropy of the region classifier on soft targets |
//! | `total.rs` | equation (2), and exact accumulation over micro-batches |

pub mod batch_dice;
pub mod focal;
pub mod recalibration;
pub mod region;
pub mod total;

pub use recalibration::{Recalibrated, recalibrate};
pub use total::{BatchCounts, FocalNorm, LossParts, LossWeights, Target, total};
