//! The model grid in the plane of a slice, and how a slice is brought onto it.
//!
//! One separable kernel does it all: Catmull-Rom interpolation convolved with a Gaussian. The pixel of the image counts
//! as its own full width at half maximum (FWHM), so the Gaussian adds what is missing to the target,
//! sigma^2 = (target^2 - pixel^2) / (8 ln 2). For fine pixels the kernel is practically that Gaussian; where the image is
//! coarser than the target it is plain cubic interpolation, which unlike bilinear adds no blur on average (its second
//! moment is zero: at 5.4 mm pixels bilinear would widen 5.4 mm to 7.5 mm). Both halves reproduce straight ramps
//! exactly, so nothing is ever shifted.

use super::{AIR_HU, Body, InputConfig, PreprocessError};
use crate::parallel::vectors;
use crate::volume::{CtVolume, Geometry};
use pulp::{Simd, WithSimd};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a model pixel gets of a body with less weight than this is air: 4 HU of soft tissue.
const FAINT: f32 = 1.0 / 256.0;

/// Largest side of a model grid: a metre at 0.25 mm.
const MAX_SIDE: f64 = 4096.0;

/// The grid of model pixels over the whole field of view of a volume, the same for all its slices.
///
/// It covers the input matrix edge to edge and is centred on it; whole numbers are pixel centres on both grids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelGrid {
    /// Model pixels `[w, h]` along i (to the patient's left) and j (to the posterior).
    pub size: [usize; 2],
    /// Model pixel along i and j in mm.
    pub spacing_mm: [f64; 2],
    /// Slices of the volume; the model grid keeps every one.
    pub slices: usize,
    /// Distance of these slices in mm.
    pub slice_mm: f64,
    /// Pixels of the input matrix `[nx, ny]`.
    pub input_size: [usize; 2],
    /// Input pixel along i and j in mm.
    pub input_spacing_mm: [f64; 2],
}

impl ModelGrid {
    /// The grid for a volume.
    ///
    /// # Errors
    /// [`PreprocessError::FieldOfView`] when a side would have more than 4096 model pixels.
    pub fn new(geometry: &Geometry, config: &InputConfig) -> Result<Self, PreprocessError> {
        let [sx, sy, slice_mm] = geometry.spacing();
        let input_spacing_mm = [sx, sy];
        let [nx, ny, slices] = geometry.size;
        let input_size = [nx, ny];
        let spacing_mm = input_spacing_mm.map(|s| config.spacing_mm.unwrap_or(s));
        // A sliver of less than a thousandth of a pixel is rounding of the spacing in the file, not image.
        let sides: [f64; 2] = std::array::from_fn(|a| {
            (input_size[a] as f64 * input_spacing_mm[a] / spacing_mm[a] - 1e-3).ceil().max(1.0)
        });
        if sides.iter().any(|&s| s.is_nan() || s > MAX_SIDE) {
            return Err(PreprocessError::FieldOfView(nx as f64 * sx, ny as f64 * sy, spacing_mm[0]));
        }
        Ok(Self { size: sides.map(|s| s as usize), spacing_mm, slices, slice_mm, input_size, input_spacing_mm })
    }

    /// Model pixel (fractional) of an input pixel (fractional).
    pub fn input_to_model(&self, i: f64, j: f64) -> (f64, f64) {
        (self.to_model(0, i), self.to_model(1, j))
    }

    /// Number of model pixels.
    pub fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Coordinate along `axis` (0: i, 1: j), input to model.
    pub(super) fn to_model(&self, axis: usize, index: f64) -> f64 {
        let middle = (self.input_size[axis] as f64 - 1.0) / 2.0;
        (index - middle) * (self.input_spacing_mm[axis] / self.spacing_mm[axis]) + (self.size[axis] as f64 - 1.0) / 2.0
    }

    /// Coordinate along `axis` (0: i, 1: j), model to input.
    pub(super) fn to_input(&self, axis: usize, pixel: f64) -> f64 {
        let middle = (self.size[axis] as f64 - 1.0) / 2.0;
        (pixel - middle) * (self.spacing_mm[axis] / self.input_spacing_mm[axis])
            + (self.input_size[axis] as f64 - 1.0) / 2.0
    }
}

/// Which input pixels, with which weights, make each output pixel along one axis. Weights sum to 1.
#[derive(Clone, Debug)]
struct AxisWeights {
    /// First input pixel and range in `weights`, for each output pixel.
    spans: Vec<(usize, Range<usize>)>,
    weights: Vec<f32>,
}

impl AxisWeights {
    fn new(grid: &ModelGrid, axis: usize, sigma_px: f64) -> Self {
        /// Nodes on either side of the middle, over 3.5 sigma: 0.11 sigma apart.
        const NODES: i32 = 32;
        let nodes: Vec<(f64, f64)> = if sigma_px > 1e-3 {
            (-NODES..=NODES)
                .map(|q| {
                    let t = 3.5 * f64::from(q) / f64::from(NODES);
                    (t * sigma_px, (-0.5 * t * t).exp())
                })
                .collect()
        } else {
            vec![(0.0, 1.0)]
        };
        let last = grid.input_size[axis] as i64 - 1;
        let mut spans = Vec::with_capacity(grid.size[axis]);
        let mut weights = Vec::new();
        for pixel in 0..grid.size[axis] {
            let centre = grid.to_input(axis, pixel as f64);
            let first = ((centre - 3.5 * sigma_px).floor() as i64 - 1).clamp(0, last);
            let end = ((centre + 3.5 * sigma_px).floor() as i64 + 2).clamp(0, last);
            let mut sums = vec![0.0; (end - first + 1) as usize];
            for (shift, weight) in &nodes {
                let position = centre + shift;
                let base = position.floor();
                for (neighbour, value) in catmull_rom(position - base).into_iter().enumerate() {
                    // Beyond the matrix the edge pixel goes on.
                    let index = (base as i64 - 1 + neighbour as i64).clamp(first, end);
                    sums[(index - first) as usize] += weight * value;
                }
            }
            let total: f64 = sums.iter().sum();
            let used = |w: &f64| (w / total).abs() > 1e-7;
            let skip = sums.iter().position(used).unwrap_or(0);
            let stop = sums.iter().rposition(used).map_or(sums.len(), |p| p + 1);
            let start = weights.len();
            weights.extend(sums[skip..stop].iter().map(|w| (w / total) as f32));
            spans.push((first as usize + skip, start..weights.len()));
        }
        Self { spans, weights }
    }

    /// Of each of `inputs` pixels the outputs that it has a part in, with what lies between them.
    fn outputs(&self, inputs: usize) -> Vec<Range<usize>> {
        let mut outputs = vec![0..0; inputs];
        for (output, (first, range)) in self.spans.iter().enumerate() {
            for own in &mut outputs[*first..first + range.len()] {
                *own = if own.start == own.end { output..output + 1 } else { own.start..output + 1 };
            }
        }
        outputs
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, &[f32])> + ExactSizeIterator {
        self.spans.iter().map(|(first, range)| (*first, &self.weights[range.clone()]))
    }
}

/// Weights of the pixels at -1, 0, 1, 2 for a position `t` in [0, 1) between pixels 0 and 1 (Keys 1981, a = -1/2).
fn catmull_rom(t: f64) -> [f64; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * t3 - 0.5 * t2]
}

/// The low-pass and the sampling of one volume's slices, weights computed once.
#[derive(Clone, Debug)]
pub struct InPlaneFilter {
    across: AxisWeights,
    down: AxisWeights,
    /// Of each row of the image the rows that it has a part in.
    outputs: Vec<Range<usize>>,
    input_width: usize,
    output_width: usize,
    hu_range: [f32; 2],
}

impl InPlaneFilter {
    /// The filter from the input matrix of `grid` to its model pixels.
    pub fn new(grid: &ModelGrid, config: &InputConfig) -> Self {
        let sigma_px = |axis: usize| {
            let pixel = grid.input_spacing_mm[axis];
            // Shrinking needs at least the width of the model pixel, whatever the configuration asks.
            let target = config.input_fwhm_mm.unwrap_or(0.0).max(grid.spacing_mm[axis]);
            ((target * target - pixel * pixel).max(0.0) / (8.0 * std::f64::consts::LN_2)).sqrt() / pixel
        };
        let down = AxisWeights::new(grid, 1, sigma_px(1));
        Self {
            across: AxisWeights::new(grid, 0, sigma_px(0)),
            outputs: down.outputs(grid.input_size[1]),
            down,
            input_width: grid.input_size[0],
            output_width: grid.size[0],
            hu_range: config.hu_range(),
        }
    }

    /// Of each model pixel along an axis (0: i, 1: j) the first input pixel that it is made of, and the weights of this one and of those
    /// that follow.
    pub fn weights(&self, axis: usize) -> impl DoubleEndedIterator<Item = (usize, &[f32])> + ExactSizeIterator {
        [&self.across, &self.down][axis].iter()
    }

    /// The model pixels along an axis that show something of some input pixels.
    pub(super) fn shows(&self, axis: usize, input: &Range<usize>) -> Range<usize> {
        let shows = |(first, weights): (usize, &[f32])| {
            let [from, to] = [input.start, input.end].map(|n| n.saturating_sub(first).min(weights.len()));
            weights[from..to].iter().sum::<f32>().abs() > FAINT
        };
        let end = self.weights(axis).rposition(shows).map_or(0, |last| last + 1);
        self.weights(axis).position(shows).unwrap_or(end)..end
    }

    /// Slice `k` of `ct` on the model grid, `[h, w]` in HU: outside `body` -1000, values that the intensity curve cannot
    /// tell apart clipped (so that metal and padding do not bleed through the low-pass), then filtered.
    pub fn apply(&self, ct: &CtVolume, body: &Body, k: usize) -> Vec<f32> {
        let slice = ct.slice(k);
        let [low, high] = self.hu_range;
        self.filter(|j, row| {
            let parts = body.row(j, k);
            let whole = parts.fold(0..0, |all: Range<usize>, columns| {
                let first = if all.is_empty() { columns.start } else { all.start.min(columns.start) };
                first..all.end.max(columns.end)
            });
            row[whole.clone()].fill(AIR_HU);
            let source = &slice[j * self.input_width..(j + 1) * self.input_width];
            for columns in body.row(j, k) {
                for (to, &from) in row[columns.clone()].iter_mut().zip(&source[columns]) {
                    *to = f32::from(from).clamp(low, high);
                }
            }
            whole
        })
    }

    /// Filters a slice. `fill` writes row j as far as it holds anything but air, and says where that is.
    fn filter(&self, fill: impl Fn(usize, &mut [f32]) -> Range<usize>) -> Vec<f32> {
        vectors(Filtered { filter: self, fill })
    }
}

/// A slice to be filtered.
struct Filtered<'a, F> {
    filter: &'a InPlaneFilter,
    fill: F,
}

impl<F: Fn(usize, &mut [f32]) -> Range<usize>> WithSimd for Filtered<'_, F> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<f32> {
        let Self { filter, fill } = self;
        let width = filter.input_width;
        let mut row = vec![0.0; width];
        // Counted from air, so that air stays exactly air. Down first: that adds whole rows, which vectors do.
        let mut short = vec![0.0; filter.down.spans.len() * width];
        let mut columns = width..0;
        for (j, outputs) in filter.outputs.iter().enumerate() {
            let here = fill(j, &mut row);
            if here.is_empty() {
                continue;
            }
            columns = columns.start.min(here.start)..columns.end.max(here.end);
            row[here.clone()].iter_mut().for_each(|v| *v -= AIR_HU);
            for output in outputs.clone() {
                let (first, range) = &filter.down.spans[output];
                let weights = &filter.down.weights[range.clone()];
                if let Some(&weight) = j.checked_sub(*first).and_then(|n| weights.get(n)) {
                    let out = &mut short[output * width..(output + 1) * width][here.clone()];
                    out.iter_mut().zip(&row[here.clone()]).for_each(|(value, v)| *value += weight * v);
                }
            }
        }
        let mut result = Vec::with_capacity(filter.down.spans.len() * filter.output_width);
        for row in short.chunks_exact(width) {
            for (first, range) in &filter.across.spans {
                let air = *first >= columns.end || first + range.len() <= columns.start;
                let weights = &filter.across.weights[range.clone()];
                result.push(if air { AIR_HU } else { AIR_HU + product(&row[*first..], weights) });
            }
        }
        result
    }
}

/// The scalar product of the weights with as many values, in eight sums side by side.
#[inline(always)]
fn product(values: &[f32], weights: &[f32]) -> f32 {
    let (values, weights) = (values[..weights.len()].as_chunks::<8>(), weights.as_chunks::<8>());
    let rest: f32 = values.1.iter().zip(weights.1).map(|(v, w)| v * w).sum();
    let mut sums = [0.0f32; 8];
    for (values, weights) in values.0.iter().zip(weights.0) {
        for ((sum, v), w) in sums.iter_mut().zip(values).zip(weights) {
            *sum += v * w;
        }
    }
    rest + sums.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(n: usize, spacing: f64, config: &InputConfig) -> ModelGrid {
        let g = Geometry::axial([n, n - 3, 1], [spacing, spacing * 1.1, 3.0], [-120.0, 35.0, 0.0]).unwrap();
        ModelGrid::new(&g, config).unwrap()
    }

    fn filtered(grid: &ModelGrid, config: &InputConfig, value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        InPlaneFilter::new(grid, config).filter(|j, row| {
            for (i, v) in row.iter_mut().enumerate() {
                *v = value(i, j);
            }
            0..row.len()
        })
    }

    #[test]
    fn a_ramp_in_patient_mm_stays_that_ramp_at_every_spacing() {
        for config in [InputConfig::light(), InputConfig::fine(), InputConfig::paper()] {
            for spacing in [0.7, 1.37, 3.0, 3.9, 5.4] {
                let grid = grid((400.0 / spacing) as usize, spacing, &config);
                // HU = 2 x - y in mm of the patient.
                let ramp = |i: f64, j: f64| 2.0 * (i * spacing - 120.0) - (j * spacing * 1.1 + 35.0);
                let out = filtered(&grid, &config, |i, j| ramp(i as f64, j as f64) as f32);
                let [w, h] = grid.size;
                // The edge pixel is repeated beyond the matrix, so keep clear of it by the reach of the kernel.
                let margin = |a: usize| ((7.0 + 2.0 * grid.input_spacing_mm[a]) / grid.spacing_mm[a]).ceil() as usize;
                for y in margin(1)..h - margin(1) {
                    for x in margin(0)..w - margin(0) {
                        // Independently of the grid's own functions: the two fields of view share their centre.
                        let mm =
                            |a: usize, p: usize| (p as f64 - (grid.size[a] as f64 - 1.0) / 2.0) * grid.spacing_mm[a];
                        let middle = |a: usize| (grid.input_size[a] as f64 - 1.0) / 2.0;
                        let (i, j) = (mm(0, x) / spacing + middle(0), mm(1, y) / (spacing * 1.1) + middle(1));
                        let error = (out[y * w + x] - ramp(i, j) as f32).abs();
                        assert!(error < 5e-3, "{spacing} mm: off by {error} HU at {x}, {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_grid_covers_the_matrix_and_both_directions_agree() {
        for spacing in [0.7, 1.37, 3.0, 3.9, 5.4] {
            let grid = grid(130, spacing, &InputConfig::light());
            for (a, n) in [(0, 130.0), (1, 127.0)] {
                assert!(grid.to_model(a, -0.5) >= -0.501 && grid.to_model(a, n - 0.5) <= grid.size[a] as f64 - 0.499);
                assert!(grid.to_model(a, -0.5) < 0.0, "a pixel centre lies outside the matrix");
            }
            let (x, y) = grid.input_to_model(17.25, 3.5);
            let (i, j) = (grid.to_input(0, x), grid.to_input(1, y));
            assert!((i - 17.25).abs() < 1e-9 && (j - 3.5).abs() < 1e-9);
        }
    }

    #[test]
    fn native_pixels_pass_unchanged() {
        let config = InputConfig::paper();
        let grid = grid(40, 0.9, &config);
        assert_eq!(grid.size, grid.input_size);
        let out = filtered(&grid, &config, |i, j| (i * 31 % 17) as f32 * 50.0 - (j * 7 % 13) as f32);
        for j in 0..37 {
            for i in 0..40 {
                assert_eq!(out[j * 40 + i], (i * 31 % 17) as f32 * 50.0 - (j * 7 % 13) as f32);
            }
        }
    }

    /// FWHM of the kernel (from the second moment of its response to an edge, sampled densely) and the pixel together.
    fn edge_fwhm(spacing: f64, config: &InputConfig) -> f64 {
        let dense = InputConfig { spacing_mm: Some(0.2), ..config.clone() };
        let n = (100.0 / spacing) as usize;
        let grid = grid(n, spacing, &dense);
        let [w, h] = grid.size;
        let out = filtered(&grid, &dense, |i, _| if i >= n / 2 { 1000.0 } else { 0.0 });
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        for (x, pair) in out[h / 2 * w..][..w].windows(2).enumerate() {
            let (t, d) = ((x as f64 - w as f64 / 2.0) * 0.2, f64::from(pair[1] - pair[0]) / 1000.0);
            mass += d;
            first += d * t;
            second += d * t * t;
        }
        assert!((mass - 1.0).abs() < 1e-4, "{mass}");
        // The response to one pixel is that to the step at its one side minus that at its other: wider by a box of a pixel.
        let kernel = second - first * first + spacing * spacing / 12.0;
        (8.0 * std::f64::consts::LN_2 * kernel + spacing * spacing).sqrt()
    }

    #[test]
    fn finer_images_get_the_wanted_fwhm_and_coarser_ones_keep_theirs() {
        let light = InputConfig::light();
        for spacing in [0.5, 0.7, 0.977, 1.37, 2.0, 3.0, 3.9] {
            let fwhm = edge_fwhm(spacing, &light);
            assert!((fwhm - 4.0).abs() < 0.2, "{spacing} mm: {fwhm} mm");
        }
        let fwhm = edge_fwhm(5.4, &light);
        assert!((fwhm - 5.4).abs() < 0.27, "{fwhm} mm");
        let fwhm = edge_fwhm(0.7, &InputConfig { input_fwhm_mm: Some(1.5), ..light });
        assert!((fwhm - 1.5).abs() < 0.075, "{fwhm} mm");
    }

    #[test]
    fn shrinking_low_passes_at_least_to_the_model_pixel() {
        // Stripes of one 0.5 mm pixel are far beyond what 1.5 mm pixels can carry: grey, not moire.
        let config = InputConfig::fine();
        let grid = grid(201, 0.5, &config);
        let out = filtered(&grid, &config, |i, _| if i % 2 == 0 { 400.0 } else { -400.0 });
        let [w, h] = grid.size;
        assert!((5..w - 5).all(|x| out[h / 2 * w + x].abs() < 8.0));
    }

    #[test]
    fn the_impulse_response_is_the_gaussian_of_the_wanted_width() {
        let config = InputConfig::light();
        let grid = grid(301, 0.7, &config);
        let out = filtered(&grid, &config, |i, j| if (i, j) == (150, 149) { 1000.0 } else { 0.0 });
        let [w, h] = grid.size;
        let peak = |sigma: f64, pixel: f64| pixel / (sigma * (2.0 * std::f64::consts::PI).sqrt());
        let sigma = |pixel: f64| ((16.0 - pixel * pixel) / (8.0 * 2f64.ln())).sqrt();
        let (s0, s1) = (sigma(0.7), sigma(0.77));
        let mut worst: f64 = 0.0;
        for y in 0..h {
            for x in 0..w {
                let (i, j) = (grid.to_input(0, x as f64), grid.to_input(1, y as f64));
                let (dx, dy) = ((i - 150.0) * 0.7, (j - 149.0) * 0.77);
                let wanted =
                    1000.0 * peak(s0, 0.7) * peak(s1, 0.77) * (-0.5 * ((dx / s0).powi(2) + (dy / s1).powi(2))).exp();
                worst = worst.max((f64::from(out[y * w + x]) - wanted).abs());
            }
        }
        assert!(worst < 0.01 * 1000.0 * peak(s0, 0.7) * peak(s1, 0.77), "{worst}");
    }

    #[test]
    fn a_field_of_view_beyond_any_scanner_is_refused() {
        let g = Geometry::axial([512, 512, 2], [1e4, 1e4, 1.0], [0.0; 3]).unwrap();
        let error = ModelGrid::new(&g, &InputConfig::light()).unwrap_err();
        assert!(error.to_string().contains("5120000"), "{error}");
    }
}
