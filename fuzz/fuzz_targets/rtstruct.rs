//! A structure set, drawn on a small grid.
#![no_main]

use attention_anatomy::formats::rtstruct;
use attention_anatomy::formats::structures::TargetGrid;
use attention_anatomy::volume::Geometry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(set) = rtstruct::read(bytes) else { return };
    let grid = Geometry::axial([32, 32, 8], [8.0, 8.0, 5.0], [-128.0, -128.0, -220.0]).expect("a grid");
    let _ = rtstruct::structures(&set, &TargetGrid::new(grid).expect("axial"), None);
});
