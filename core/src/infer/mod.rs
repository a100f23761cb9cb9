//! Inference.

pub mod device;
