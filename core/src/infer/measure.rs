//! How long a slice takes: the same made-up slice for every engine and on every platform.

use web_time::Instant;

use std::sync::Arc;
use std::time::Duration;

use super::device;
use super::engine::{Engine, EngineError, LabelOutput, LabelRequest, SliceRequest, VolumeSlice, Wait};
use super::model::plan_engine_of_weights;
use super::tile::Tile;
use super::volume_run::{RunOptions, VolumeRun};
use super::wgsl_engine::WgslEngine;
use crate::kernels::wgsl::Gpu;
use crate::network::Folded;
use crate::network::weights::WeightsError;
use crate::preprocess::{AIR_HU, InputConfig, ModelGrid, ModelSlices};
use crate::volume::{CtVolume, Geometry, GeometryError, Modality, Volume};

/// An ellipse of tissue with noise: an image that costs what a real one does. Around a `body` of some columns and rows there is air;
/// without one the whole field counts.
pub fn made_up_tile(input: &InputConfig, body: Option<[usize; 2]>) -> Tile {
    let crop = input.crop;
    let pixel = |n: usize| {
        let place = [n % crop, n / crop % crop].map(|v| v as f64 + 0.5 - crop as f64 / 2.0);
        let noise = (n * 7919 % 251) as f32 / 2500.0;
        let [x, y] = match body {
            Some(sides) => [0, 1].map(|a| place[a] / (0.5 * sides[a] as f64)),
            None => [place[0] / (0.4 * crop as f64), place[1] / (0.08f64.sqrt() * crop as f64)],
        };
        match x * x + y * y < 1.0 {
            true => 0.45 + noise,
            false if body.is_some() => input.intensity(AIR_HU),
            false => noise,
        }
    };
    let stack = (0..input.stack * crop * crop).map(pixel).collect();
    if body.is_some() { Tile::new([0, 0], stack, input) } else { Tile::whole([0, 0], stack, crop) }
}

/// Milliseconds of each of `slices` slices on the processor, from a stack to probabilities, after one that is not timed.
///
/// # Errors
/// [`WeightsError`].
pub fn milliseconds(weights: &[u8], body: Option<[usize; 2]>, slices: usize) -> Result<Vec<f64>, WeightsError> {
    let mut engine = plan_engine_of_weights(weights, &device::cpu())?;
    let tile = made_up_tile(engine.input(), body);
    let mut times = Vec::with_capacity(slices);
    for slice in 0..=slices {
        let request = SliceRequest { slice, tiles: vec![tile.clone()], centre: None, labels: None };
        let clock = Instant::now();
        engine.submit(request);
        engine.poll(Wait::Yes);
        times.push(clock.elapsed().as_secs_f64() * 1e3);
    }
    times.remove(0);
    Ok(times)
}

/// Milliseconds of each of `slices` slices on a GPU, from a stack to labels on the host, one at a time, after one that is not timed; `None`
/// where it gives no answer. Waits in a browser, too.
///
/// # Errors
/// [`WeightsError`].
pub async fn milliseconds_on_gpu(weights: &[u8], gpu: &Gpu, slices: usize) -> Result<Option<Vec<f64>>, WeightsError> {
    let (network, info) = Folded::read(weights)?;
    let tile = made_up_tile(&info.input, None);
    let enabled = info.organs(true);
    let mut engine = WgslEngine::of_folded(&network, info.input, enabled, gpu)?;
    let mut times = Vec::with_capacity(slices + 1);
    for slice in 0..=slices {
        let request = with_labels(slice, tile.clone(), MATRIX);
        let clock = Instant::now();
        engine.submit(request);
        engine.arrival().await;
        if engine.poll(Wait::No).is_none_or(|result| result.outcome.is_err()) {
            return Ok(None);
        }
        times.push(clock.elapsed().as_secs_f64() * 1e3);
    }
    times.remove(0);
    Ok(Some(times))
}

/// Pixels of a side of a CT's slices.
pub const MATRIX: usize = 512;

/// A slice whose labels are wanted on a matrix of `side` pixels that covers the model grid of `tile`: what travels back of it is what
/// travels back of a slice of a CT.
pub fn with_labels(slice: usize, tile: Tile, side: usize) -> SliceRequest {
    let pixels = tile.place.within.field;
    let spacing = 3.0;
    let grid = ModelGrid {
        size: [pixels; 2],
        spacing_mm: [spacing; 2],
        slices: 1,
        slice_mm: spacing,
        input_size: [side; 2],
        input_spacing_mm: [spacing * pixels as f64 / side as f64; 2],
    };
    let outputs = vec![LabelOutput { slice, parts: vec![(Some(slice), 1.0)] }];
    SliceRequest {
        slice,
        tiles: vec![tile],
        centre: None,
        labels: Some(LabelRequest { grid, outputs, explain: false }),
    }
}

/// A CT of 512 x 512 pixels of 0.9 mm: a trunk of noise, 340 x 230 mm, in air.
///
/// # Errors
/// [`GeometryError`] for slices that are none.
pub fn made_up_ct(slices: usize, slice_mm: f64) -> Result<CtVolume, GeometryError> {
    let side = MATRIX;
    let voxel = |n: usize| {
        let [x, y] = [n % side, n / side % side].map(|v| (v as f64 - 255.5) * 0.9);
        if (x / 170.0).hypot(y / 115.0) < 1.0 { (n * 7919 % 251) as i16 - 80 } else { -1000 }
    };
    let geometry = Geometry::axial([side, side, slices], [0.9, 0.9, slice_mm], [0.0; 3])?;
    Volume::from_stored(geometry, (0..side * side * slices).map(voxel).collect(), Modality::Ct)
}

/// Milliseconds on the clock that a slice of a volume takes this thread, from asking for it to its labels, without what it waits for an
/// engine that computes elsewhere: the median, of slices that are asked for together that of their mean. Then what preparing its stack
/// here takes, whoever does it in that run. Waits: not for a browser.
///
/// # Errors
/// [`EngineError`].
pub fn host_work(engine: &mut dyn Engine, slices: &Arc<ModelSlices>) -> Result<[f64; 2], EngineError> {
    let mut run = VolumeRun::new(slices.clone(), &RunOptions { doubt: true, ..RunOptions::default() });
    let mut order = Vec::new();
    let mut times = Vec::new();
    while !run.is_over() {
        let clock = Instant::now();
        run.feed(engine);
        let mut time = clock.elapsed();
        if run.is_over() {
            break;
        }
        let result = loop {
            let clock = Instant::now();
            if let Some(result) = engine.poll(Wait::No) {
                time += clock.elapsed();
                break result;
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        if let Err(error) = &result.outcome {
            return Err(error.clone());
        }
        order.push(result.slice);
        let clock = Instant::now();
        run.accept(engine, result);
        times.push((time + clock.elapsed()).as_secs_f64() * 1e3);
    }
    let prepare = |&slice: &usize| {
        let clock = Instant::now();
        VolumeSlice::of(slices, slice).map(|wanted| wanted.fitted(slices));
        clock.elapsed().as_secs_f64() * 1e3
    };
    let together = engine.together();
    let means = times.chunks(together).map(|times| times.iter().sum::<f64>() / times.len() as f64).collect();
    Ok([median(means), median(order.iter().map(prepare).collect())])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
