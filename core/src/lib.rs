//! AttentionAnatomy: segmentation of 33 organs at risk on CT, head to abdomen, by a two-branch network whose attention
//! vector modulates its output, trained on partially annotated sets.
//!
//! Method: Sun et al., "AttentionAnatomy: a unified framework for whole-body organs at risk segmentation using multiple
//! partially annotated datasets" (ISBI 2020). Not a medical device.
//!
//! This library needs no window, no file dialog and no file path where bytes will do; it compiles for wasm32.

#![warn(clippy::missing_errors_doc)]

pub mod anatomy;
#[cfg(test)]
mod arrows;
pub mod artifacts;
pub mod cohort;
pub mod contour;
mod csv;
pub mod dataset;
pub mod dicomweb;
pub mod formats;
pub mod infer;
pub mod kernels;
pub mod loss;
pub mod metrics;
pub mod network;
pub mod parallel;
pub mod phantom;
pub mod preprocess;
pub mod random;
pub mod raster;
pub mod report;
#[doc(hidden)]
pub mod testing;
pub mod train;
pub mod volume;
