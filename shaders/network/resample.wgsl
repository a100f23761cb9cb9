// Before the two that follow: how slices of a CT become slices of the model grid, first down their columns, then across their rows. What
// is filtered is counted from air, so that air stays exactly air.

struct Resample {
    // Columns and rows of the box of a slice that is given, and the input pixel at which it begins.
    columns: u32,
    rows: u32,
    x: u32,
    y: u32,
    // Words of a row of it, two pixels each.
    pitch: u32,
    // Columns and rows of the model grid.
    width: u32,
    height: u32,
    // Input pixels that a model pixel is made of at most: across, down.
    across: u32,
    down: u32,
    // The word at which the first of the slices begins.
    begin: u32,
    // HU that the intensity curve tells apart.
    low: f32,
    high: f32,
    // Where each slice goes, in slices of the model grid.
    place: array<vec4<u32>, {PLACES4}>,
}

const AIR = -1000.0;

@group(0) @binding(0) var<uniform> resample: Resample;
// Of each model pixel along an axis the first input pixel that it is made of; then of each the weights of that one and those behind it.
@group(0) @binding(1) var<storage, read> weights: array<u32>;
