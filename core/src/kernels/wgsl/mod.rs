//! The network for inference on a GPU: the operations of the processor's plan, carried out by kernels of our own.
//!
//! A tensor library gives a GPU one operation at a time, and its convolution of 3x3 is not made for WGSL. Here all buffers,
//! pipelines and bindings of a network are there before the first slice; a slice is one list of dispatches in one compute pass,
//! and what travels back is labels. Sizes stand in a uniform, so that boxes of any size take the same few pipelines, and
//! maps have no border: a pixel beyond the box is what air gives there, which lies behind the maps in the same buffer.
//!
//! | file | what |
//! |---|---|
//! | `gpu.rs` | a device, how weights and maps are stored there, and what becomes of it |
//! | `tuning.rs` | which kernel for which shape on which kind of device: the one table |
//! | `pipelines.rs` | kernels, compiled, with their bindings |
//! | `uniforms.rs` | what kernels are told, a slice at a time |
//! | `weights.rs` | weights in the order of the kernels |
//! | `steps.rs` | what each operation needs on the device |
//! | `volume.rs` | a CT's slices on the device |
//! | `network.rs` | buffers of a network, and the dispatches of a tile |
//! | `submission.rs` | what is done in one submission |
//! | `outcome.rs` | buffers of what follows |
//! | `labels.rs` | from maps to probabilities and labels |
//! | `profile.rs` | what each operation takes |
//! | `reading.rs` | what is copied to the host, and how far it is |
//! | `readback.rs` | what travels back |
//! | `training/` | a step of training, forward and backward, on the same kernels |

mod gpu;
mod labels;
mod network;
mod outcome;
mod pipelines;
mod profile;
mod readback;
mod reading;
mod steps;
mod submission;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(not(target_family = "wasm"))]
pub mod training;
mod tuning;
mod uniforms;
mod volume;
mod weights;

pub use gpu::{Gpu, GpuError};
pub use labels::{Blend, Drawn, Grid, Region, TileMaps};
pub use network::{Network, Shown, Slot, Window};
pub use outcome::ClassWeights;
pub use readback::{Answer, Labelled, Readback};
pub use tuning::Tuning;
pub use volume::{Room, Volume};

pub use attention_anatomy_shaders::network::Stored;
