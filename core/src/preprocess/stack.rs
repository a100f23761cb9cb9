//! Stacks along z: which slices make the channels of an input, where the crop lies, and which slices are run at all.
//!
//! Everything here is a plain function of slice distance and configuration, without a CT, so that training on stored
//! model-grid slices takes the very same channels as inference on a streamed volume.

use super::{AIR_HU, InputConfig, ModelGrid};
use std::ops::Deref;

/// Slices closer together than this are not all run.
const THIN_MM: f64 = 1.5;
/// ... but never fewer than one in this distance.
const LARGEST_STEP_MM: f64 = 3.0;

/// Which of `slices` input slices, `slice_mm` apart, make the channel at `offset` slice distances from slice `k`, and
/// with which weights. Weights sum to 1; indices rise.
///
/// - Slices at least a slice distance apart: linear interpolation at the exact position.
/// - Thinner slices: the mean over a slab as thick as the slice distance (each slice weighted by its part in the slab), so
///   that thickness and noise look alike whatever the scanner made. This holds for the centre (`offset` 0) too.
/// - No slice distance in the configuration: slice `k + offset` itself.
///
/// Beyond the ends of the scan the edge slice is repeated.
pub fn stack_weights(slice_mm: f64, slices: usize, config: &InputConfig, k: usize, offset: isize) -> Vec<(usize, f32)> {
    let last = slices.saturating_sub(1) as f64;
    let clamped = |n: f64| n.clamp(0.0, last) as usize;
    let distance = config.slice_distance_mm.map_or(1.0, |mm| mm / slice_mm);
    let position = k as f64 + offset as f64 * distance;
    let mut weights: Vec<(usize, f64)> = Vec::new();
    let mut add = |n: f64, weight: f64| {
        if weight < 1e-6 {
            return;
        }
        let slice = clamped(n);
        match weights.last_mut() {
            Some((before, sum)) if *before == slice => *sum += weight,
            _ => weights.push((slice, weight)),
        }
    };
    if distance > 1.0 + 1e-6 {
        let (low, high) = (position - distance / 2.0, position + distance / 2.0);
        let mut n = (low + 0.5).floor();
        while n - 0.5 < high {
            add(n, ((n + 0.5).min(high) - (n - 0.5).max(low)) / distance);
            n += 1.0;
        }
    } else {
        let below = (position + 1e-9).floor();
        let part = (position - below).max(0.0);
        add(below, 1.0 - part);
        add(below + 1.0, part);
    }
    let total: f64 = weights.iter().map(|w| w.1).sum();
    weights.into_iter().map(|(slice, weight)| (slice, (weight / total) as f32)).collect()
}

/// A stack around slice `k` from model-grid slices: `[stack, crop, crop]` in HU.
///
/// `slice(n)` hands out input slice n on the model grid, `[h, w]` HU (f32, f16 or i16), as [`super::ModelSlices::slice_hu`]
/// makes it. `origin` is the model pixel `[x, y]` of the crop's top left, the same for all channels; what lies outside
/// the field of view is [`AIR_HU`].
///
/// # Panics
/// When a slice does not have `grid.size` pixels.
pub fn crop_stack_hu<S, T>(
    slice: impl Fn(usize) -> S,
    grid: &ModelGrid,
    config: &InputConfig,
    k: usize,
    origin: [i64; 2],
) -> Vec<f32>
where
    S: Deref<Target = [T]>,
    T: Copy + Into<f32>,
{
    let crop = config.crop;
    let mut result = vec![AIR_HU; config.stack * crop * crop];
    let [columns, rows] = [0, 1].map(|a| overlap(origin[a], crop, grid.size[a]));
    let (Some((x0, from_x, width)), Some((y0, from_y, height))) = (columns, rows) else {
        return result;
    };
    let half = (config.stack / 2) as isize;
    for (channel, out) in result.chunks_exact_mut(crop * crop).enumerate() {
        let parts = stack_weights(grid.slice_mm, grid.slices, config, k, channel as isize - half);
        for (n, (source, weight)) in parts.into_iter().enumerate() {
            let source = slice(source);
            assert_eq!(source.len(), grid.pixels(), "a slice of the model grid");
            for y in 0..height {
                let to = &mut out[(y0 + y) * crop + x0..][..width];
                let from = &source[(from_y + y) * grid.size[0] + from_x..][..width];
                for (to, &from) in to.iter_mut().zip(from) {
                    let value: f32 = from.into();
                    *to = if n == 0 { weight * value } else { *to + weight * value };
                }
            }
        }
    }
    result
}

/// [`crop_stack_hu`] through the intensity curve: `[stack, crop, crop]` in [0, 1], the input of the network.
pub fn crop_stack<S, T>(
    slice: impl Fn(usize) -> S,
    grid: &ModelGrid,
    config: &InputConfig,
    k: usize,
    origin: [i64; 2],
) -> Vec<f32>
where
    S: Deref<Target = [T]>,
    T: Copy + Into<f32>,
{
    let mut result = crop_stack_hu(slice, grid, config, k, origin);
    for value in &mut result {
        *value = config.intensity(*value);
    }
    result
}

/// Where a crop of `crop` pixels from `origin` meets an axis of `size` pixels: first pixel in the crop, first pixel on
/// the axis, number of pixels.
fn overlap(origin: i64, crop: usize, size: usize) -> Option<(usize, usize, usize)> {
    let start = origin.max(0);
    let end = origin.saturating_add(crop as i64).min(size as i64);
    (start < end).then(|| ((start - origin) as usize, start as usize, (end - start) as usize))
}

/// Origins along one axis of the crops that cover a body from `low` to `high` (edges, in model pixels) around `centre`.
///
/// One crop where it suffices, moved off the smoothed centre only as far as the body demands. The outermost 1/80 of a
/// crop (6 mm: the margin of the body mask, and skin) may be missed on both sides, or many patients would cost twice for
/// it. Otherwise as few tiles as possible with at least a quarter of the crop shared, from edge to edge.
pub(super) fn tile_origins(low: f64, high: f64, centre: f64, crop: usize) -> Vec<i64> {
    let side = crop as f64;
    let centred = centred_origin(centre, crop);
    // Pixel n reaches from n - 0.5 to n + 0.5.
    let first = (low + 0.5).floor() as i64;
    let last = (high + 0.5).ceil() as i64 - crop as i64;
    if last <= first {
        return vec![centred.clamp(last, first)];
    }
    let margin = (crop / 80) as i64;
    if last - first <= 2 * margin {
        return vec![(first + last).div_euclid(2)];
    }
    let shared = (side / 4.0).floor();
    let tiles = ((last - first) as f64 / (side - shared)).ceil() as usize + 1;
    let step = (last - first) as f64 / (tiles - 1) as f64;
    (0..tiles).map(|n| first + (n as f64 * step).round() as i64).collect()
}

/// Origin of the crop whose middle is nearest to `centre`, in model pixels.
pub(super) fn centred_origin(centre: f64, crop: usize) -> i64 {
    (centre - (crop as f64 - 1.0) / 2.0).round() as i64
}

/// Which input slices are run, and how the others follow from them.
///
/// Every slice is run, unless slices are thinner than 1.5 mm: then every n-th, with steps of at most 3 mm and at most the
/// slice distance of the configuration, and always the first and the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Centres {
    slices: usize,
    step: usize,
    run: Vec<usize>,
}

/// The result of a slice as a mixture of two slices that are run: (1 - `weight_above`) `below` + `weight_above` `above`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blend {
    /// The slice itself, or the nearest one below (more inferior) that is run.
    pub below: usize,
    /// The slice itself, or the nearest one above that is run.
    pub above: usize,
    /// In [0, 1); 0 when the slice is run itself.
    pub weight_above: f32,
}

impl Centres {
    /// For a volume of `slices` slices, `slice_mm` apart.
    pub fn new(slice_mm: f64, slices: usize, config: &InputConfig) -> Self {
        let largest = config.slice_distance_mm.unwrap_or(slice_mm).min(LARGEST_STEP_MM);
        let step = if slice_mm < THIN_MM - 1e-6 { ((largest / slice_mm + 1e-6).floor() as usize).max(1) } else { 1 };
        let mut run: Vec<usize> = (0..slices).step_by(step).collect();
        if let Some(&last) = run.last()
            && last + 1 < slices
        {
            run.push(slices - 1);
        }
        Self { slices, step, run }
    }

    /// The slices to run, from the most inferior.
    pub fn run(&self) -> &[usize] {
        &self.run
    }

    /// How slice `k` follows from the slices that are run.
    ///
    /// # Panics
    /// When the volume has no slice `k`.
    pub fn blend(&self, k: usize) -> Blend {
        assert!(k < self.slices, "slice {k} of {}", self.slices);
        let below = k - k % self.step;
        let above = (below + self.step).min(self.slices - 1);
        if k == below || k == above {
            return Blend { below: k, above: k, weight_above: 0.0 };
        }
        Blend { below, above, weight_above: (k - below) as f32 / (above - below) as f32 }
    }

    /// The slices whose result is complete or changes once slice `k` of [`Centres::run`] is done.
    pub fn served_by(&self, k: usize) -> std::ops::Range<usize> {
        let Ok(at) = self.run.binary_search(&k) else {
            return k..k;
        };
        let first = if at == 0 { 0 } else { self.run[at - 1] + 1 };
        let end = self.run.get(at + 1).copied().unwrap_or(self.slices);
        first..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Geometry;

    fn light() -> InputConfig {
        InputConfig::light()
    }

    /// Mean position of the weighted slices.
    fn position(weights: &[(usize, f32)]) -> f64 {
        weights.iter().map(|&(n, w)| n as f64 * f64::from(w)).sum()
    }

    #[test]
    fn weights_sum_to_one_and_lie_at_the_wanted_distance() {
        for slice_mm in [0.625, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.3, 5.0, 7.5] {
            for k in [40, 41, 57] {
                for offset in -2isize..=2 {
                    let w = stack_weights(slice_mm, 100, &light(), k, offset);
                    let sum: f32 = w.iter().map(|w| w.1).sum();
                    assert!((sum - 1.0).abs() < 1e-6);
                    let mm = (position(&w) - k as f64) * slice_mm;
                    // A slice counts as lying at its middle, also where the slab takes only one side of it.
                    let rounding = if slice_mm < 3.0 { slice_mm * slice_mm / (8.0 * 3.0) } else { 0.0 };
                    assert!((mm - 3.0 * offset as f64).abs() < rounding + 1e-4, "{slice_mm} mm: {mm} at {offset}");
                    assert!(w.windows(2).all(|p| p[0].0 < p[1].0), "each slice once");
                }
            }
        }
    }

    #[test]
    fn slabs_are_symmetric_and_as_thick_as_the_slice_distance() {
        for slice_mm in [0.625, 1.0, 1.25, 1.5, 2.0, 2.5] {
            for offset in 0isize..=2 {
                let up = stack_weights(slice_mm, 200, &light(), 100, offset);
                let down = stack_weights(slice_mm, 200, &light(), 100, -offset);
                assert_eq!(up.len(), down.len());
                for (a, b) in up.iter().zip(down.iter().rev()) {
                    assert_eq!(a.0 + b.0, 200);
                    assert!((a.1 - b.1).abs() < 1e-6);
                }
                // No slice weighs more than its own thickness in the slab; those between the outermost exactly that.
                let whole = (slice_mm / 3.0) as f32;
                assert!(up.iter().all(|w| w.1 < whole + 1e-5));
                assert!(up[1..up.len() - 1].iter().all(|w| (w.1 - whole).abs() < 1e-5), "{slice_mm} mm: {up:?}");
            }
        }
        // 1 mm slices: exactly three equal ones.
        let third = stack_weights(1.0, 50, &light(), 20, 1);
        assert_eq!(third.iter().map(|w| w.0).collect::<Vec<_>>(), [22, 23, 24]);
    }

    #[test]
    fn thick_slices_are_interpolated_and_native_ones_taken_as_they_are() {
        assert_eq!(stack_weights(3.0, 50, &light(), 20, -2), [(18, 1.0)]);
        let w = stack_weights(5.0, 50, &light(), 20, 1);
        assert_eq!((w[0].0, w[1].0, w.len()), (20, 21, 2));
        assert!((w[1].1 - 0.6).abs() < 1e-6);
        assert_eq!(stack_weights(5.0, 50, &light(), 20, 0), [(20, 1.0)]);
        assert_eq!(stack_weights(0.625, 50, &InputConfig::paper(), 20, -2), [(18, 1.0)]);
    }

    #[test]
    fn the_edge_slice_is_repeated() {
        assert_eq!(stack_weights(3.0, 10, &light(), 0, -2), [(0, 1.0)]);
        assert_eq!(stack_weights(3.0, 10, &light(), 9, 1), [(9, 1.0)]);
        assert_eq!(stack_weights(1.0, 10, &light(), 0, -2), [(0, 1.0)]);
        // The centre slab of the first slice: itself and its repetition below weigh two thirds.
        let w = stack_weights(1.0, 10, &light(), 0, 0);
        assert!((w[0].1 - 2.0 / 3.0).abs() < 1e-6 && w[1].0 == 1);
        for slices in 1..4 {
            for k in 0..slices {
                for offset in -2..=2 {
                    for mm in [0.5, 2.9, 3.0, 8.0] {
                        let w = stack_weights(mm, slices, &light(), k, offset);
                        assert!(
                            w.iter().all(|w| w.0 < slices) && (w.iter().map(|w| w.1).sum::<f32>() - 1.0).abs() < 1e-6
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn thin_slices_are_stepped_over_by_at_most_three_millimetres() {
        for (mm, light_step, fine_step) in
            [(0.625, 4, 4), (1.0, 3, 2), (1.25, 2, 2), (1.4999, 2, 1), (1.5, 1, 1), (2.5, 1, 1), (5.0, 1, 1)]
        {
            for (config, step) in [(light(), light_step), (InputConfig::fine(), fine_step), (InputConfig::paper(), 1)] {
                for slices in [1, 2, 7, 100, 101] {
                    let centres = Centres::new(mm, slices, &config);
                    let run = centres.run();
                    assert_eq!((run[0], run[run.len() - 1]), (0, slices - 1));
                    assert!(run.windows(2).all(|p| p[1] > p[0] && p[1] - p[0] <= step), "{mm} mm");
                    assert!(slices < 2 * step + 1 || run[1] == step, "{mm} mm: step {}", run[1]);
                    for k in 0..slices {
                        let Blend { below, above, weight_above } = centres.blend(k);
                        assert!(run.contains(&below) && run.contains(&above));
                        let at = below as f64 + (above - below) as f64 * f64::from(weight_above);
                        assert!((at - k as f64).abs() < 1e-5);
                        assert!(centres.served_by(below).contains(&k) && centres.served_by(above).contains(&k));
                        assert_eq!(run.contains(&k), below == k && above == k);
                    }
                }
            }
        }
    }

    #[test]
    fn tiles_cover_the_body_and_overlap() {
        for width in 100..520 {
            for start in [-0.5, 3.2, 17.8] {
                let (low, high) = (start, start + width as f64);
                let tiles = tile_origins(low, high, (low + high) / 2.0 + 7.0, 160);
                let missed = if tiles.len() == 1 { 2.5 } else { 0.0 };
                assert!(tiles[0] as f64 - 0.5 <= low + missed, "{low} {high} {tiles:?}");
                assert!(tiles[tiles.len() - 1] as f64 + 159.5 >= high - missed, "{low} {high} {tiles:?}");
                assert!(tiles.windows(2).all(|p| p[1] > p[0] && p[1] - p[0] <= 120), "{tiles:?}");
                // A fractional start can need one pixel more than the width.
                assert!(width > 162 || tiles.len() == 1);
                assert!(!(166..=278).contains(&width) || tiles.len() == 2, "{width}: {tiles:?}");
            }
        }
        // Enough room: the centre decides.
        assert_eq!(tile_origins(50.0, 150.0, 99.5, 160), [20]);
    }

    #[test]
    fn a_crop_takes_every_channel_at_one_place_and_air_beyond_the_field_of_view() {
        let config = InputConfig { crop: 16, ..light() };
        let geometry = Geometry::axial([20, 10, 4], [3.0, 3.0, 3.0], [0.0; 3]).unwrap();
        let grid = ModelGrid::new(&geometry, &config).unwrap();
        let slices: Vec<Vec<i16>> = (0..4).map(|k| (0..200).map(|p| (k * 200 + p) as i16).collect()).collect();
        let origin = [-3, 2];
        let stack = crop_stack_hu(|n| &slices[n][..], &grid, &config, 1, origin);
        for channel in 0..5usize {
            let k = (1 + channel as i64 - 2).clamp(0, 3);
            for y in 0..16i64 {
                for x in 0..16i64 {
                    let (gx, gy) = (x + origin[0], y + origin[1]);
                    let inside = (0..20).contains(&gx) && (0..10).contains(&gy);
                    let wanted = if inside { (k * 200 + gy * 20 + gx) as f32 } else { -1000.0 };
                    assert_eq!(stack[channel * 256 + (y * 16 + x) as usize], wanted);
                }
            }
        }
        let seen = crop_stack(|n| &slices[n][..], &grid, &config, 1, origin);
        assert!(seen.iter().zip(&stack).all(|(a, &hu)| *a == config.intensity(hu)));
        assert!(crop_stack(|n| &slices[n][..], &grid, &config, 1, [i64::MAX, 0]).iter().all(|&v| v == 0.0));
        assert!(crop_stack(|n| &slices[n][..], &grid, &config, 1, [i64::MIN, -50]).iter().all(|&v| v == 0.0));
    }
}
