//! What computes a step where the device is this processor: the layers by their static plan, in place of burn's graph.
//!
//! Natively only: in a browser a training is burn's.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub use native::Layers;
#[cfg(target_family = "wasm")]
pub use wasm::Layers;
