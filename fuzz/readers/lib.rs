//! What the targets of cargo-fuzz call of the library: the same files, without the network, the training and the GPU, none of which a
//! reader knows.

#![allow(dead_code, reason = "what the library does with files is more than what is fuzzed")]

#[path = "../../core/src/anatomy/mod.rs"]
pub mod anatomy;
#[path = "../../core/src/contour/mod.rs"]
pub mod contour;
#[path = "../../core/src/formats/mod.rs"]
pub mod formats;
#[path = "../../core/src/raster/mod.rs"]
pub mod raster;
#[path = "../../core/src/volume/mod.rs"]
pub mod volume;
