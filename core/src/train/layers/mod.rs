//! What computes the layers of a step in place of burn's graph: their static plan, on this processor or on a GPU of our own.
//!
//! Natively only: in a browser a training is burn's.

mod device;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;
#[cfg(target_family = "wasm")]
mod wasm;

pub use device::TrainingDevice;
#[cfg(not(target_family = "wasm"))]
pub use native::Layers;
#[cfg(target_family = "wasm")]
pub use wasm::Layers;
