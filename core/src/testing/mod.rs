//! Stand-ins for tests, of this crate and of those above it: an engine without a network, a device to destroy.
//!
//! Not behind a feature: with one, `cargo build` and `cargo test` would want this crate, the heaviest of the workspace, and all
//! above it in two forms. The linker leaves out what no program calls.

pub mod fake_engine;
#[cfg(not(target_family = "wasm"))]
pub mod separate_gpu;

pub use fake_engine::FakeEngine;
#[cfg(not(target_family = "wasm"))]
pub use separate_gpu::separate_gpu;
