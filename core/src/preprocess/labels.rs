//! Truth on the model grid: labels do not average, they are chosen.

use super::ModelGrid;
use crate::volume::LabelVolume;

/// Slice `k` of `labels` (on the input grid of `grid`) on the model grid, `[h, w]`.
///
/// Along an axis where the input is coarser than the model grid the nearest input pixel counts. Where it is finer, every
/// input pixel under the model pixel votes with the area that it covers; the largest sum wins, and of equal sums the
/// label of the nearest pixel, else the lower number. So a structure keeps its area on average, and only parts thinner
/// than half a model pixel disappear.
///
/// # Panics
/// When `labels` is not on the input grid, or has no slice `k`.
pub fn labels_on_grid(labels: &LabelVolume, k: usize, grid: &ModelGrid) -> Vec<u8> {
    assert_eq!(labels.geometry.size[..2], grid.input_size, "labels and CT share one grid");
    let slice = labels.slice(k);
    let nx = grid.input_size[0];
    let across = votes(grid, 0);
    let down = votes(grid, 1);
    let mut result = Vec::with_capacity(grid.pixels());
    let mut sums = [0.0f32; 256];
    let mut seen: Vec<u8> = Vec::new();
    for row in &down {
        for column in &across {
            let nearest = slice[row.nearest * nx + column.nearest];
            // Most pixels lie inside one label.
            let mut uniform = true;
            for j in row.range() {
                uniform &= slice[j * nx + column.first..][..column.weights.len()].iter().all(|&l| l == nearest);
            }
            if uniform {
                result.push(nearest);
                continue;
            }
            for (j, wy) in row.range().zip(&row.weights) {
                for (i, wx) in column.range().zip(&column.weights) {
                    let label = slice[j * nx + i];
                    if !seen.contains(&label) {
                        seen.push(label);
                    }
                    sums[label as usize] += wx * wy;
                }
            }
            seen.sort_unstable();
            let mut best = nearest;
            for &label in &seen {
                // Areas are sums of rounded products: equal means within a millionth.
                if sums[label as usize] > sums[best as usize] + 1e-6 {
                    best = label;
                }
            }
            for label in seen.drain(..) {
                sums[label as usize] = 0.0;
            }
            result.push(best);
        }
    }
    result
}

/// Input pixels under one model pixel along one axis, with the part of the model pixel that each covers.
struct Votes {
    first: usize,
    weights: Vec<f32>,
    nearest: usize,
}

impl Votes {
    fn range(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.weights.len()
    }
}

fn votes(grid: &ModelGrid, axis: usize) -> Vec<Votes> {
    let n = grid.input_size[axis];
    let ratio = grid.spacing_mm[axis] / grid.input_spacing_mm[axis];
    let inside = |index: f64| (index.max(0.0) as usize).min(n - 1);
    (0..grid.size[axis])
        .map(|pixel| {
            let centre = grid.to_input(axis, pixel as f64);
            // A model pixel exactly between two input pixels takes the lower one; rounding must not decide.
            let nearest = inside((centre + 0.5 - 1e-9).floor());
            if ratio <= 1.0 + 1e-6 {
                return Votes { first: nearest, weights: vec![1.0], nearest };
            }
            let (low, high) = (centre - ratio / 2.0, centre + ratio / 2.0);
            let first = inside((low + 0.5).floor());
            let last = inside((high + 0.5 - 1e-9).floor());
            let weights = (first..=last)
                .map(|i| {
                    let i = i as f64;
                    (((i + 0.5).min(high) - (i - 0.5).max(low)).max(0.0) / ratio) as f32
                })
                .collect();
            Votes { first, weights, nearest }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::InputConfig;
    use crate::volume::{Geometry, Modality, Volume};

    fn volume(n: usize, spacing: f64, label: impl Fn(f64, f64) -> u8) -> LabelVolume {
        let g = Geometry::axial([n, n, 1], [spacing, spacing, 3.0], [0.0; 3]).unwrap();
        let middle = (n as f64 - 1.0) / 2.0;
        let voxels = (0..n * n)
            .map(|v| label(((v % n) as f64 - middle) * spacing, ((v / n) as f64 - middle) * spacing))
            .collect();
        Volume::from_stored(g, voxels, Modality::Unknown).unwrap()
    }

    #[test]
    fn a_disc_keeps_its_area_and_its_place_at_every_spacing() {
        // Left of the middle (+i is the patient's left), 60 mm wide.
        let (cx, cy, r) = (31.0, -12.0, 30.0);
        for spacing in [0.7, 1.37, 3.0, 3.9, 5.4] {
            let labels =
                volume((300.0 / spacing) as usize, spacing, |x, y| if (x - cx).hypot(y - cy) < r { 7 } else { 0 });
            let grid = ModelGrid::new(&labels.geometry, &InputConfig::light()).unwrap();
            let out = labels_on_grid(&labels, 0, &grid);
            let (w, mm) = (grid.size[0], |p: usize, a: usize| (p as f64 - (grid.size[a] as f64 - 1.0) / 2.0) * 3.0);
            let (mut n, mut sx, mut sy) = (0.0, 0.0, 0.0);
            for (p, _) in out.iter().enumerate().filter(|(_, l)| **l == 7) {
                n += 1.0;
                sx += mm(p % w, 0);
                sy += mm(p / w, 1);
            }
            let area = n * 9.0 / (std::f64::consts::PI * r * r);
            assert!((area - 1.0).abs() < 0.03, "{spacing} mm: area {area}");
            assert!((sx / n - cx).abs() < 0.25 && (sy / n - cy).abs() < 0.25, "{spacing} mm: {} {}", sx / n, sy / n);
        }
    }

    #[test]
    fn the_larger_area_wins_not_the_centre_pixel() {
        // 3 x 3 input pixels make one model pixel: five of label 2 around a centre of label 1.
        let g = Geometry::axial([3, 3, 1], [1.0, 1.0, 3.0], [0.0; 3]).unwrap();
        let labels = Volume::from_stored(g, vec![2, 2, 2, 1, 1, 2, 0, 2, 1], Modality::Unknown).unwrap();
        let grid = ModelGrid::new(&labels.geometry, &InputConfig::light()).unwrap();
        assert_eq!(grid.size, [1, 1]);
        assert_eq!(labels_on_grid(&labels, 0, &grid), [2]);
        // A tie goes to the nearest pixel.
        let tie = labels.with_voxels(vec![2, 2, 2, 1, 1, 2, 0, 1, 1]);
        assert_eq!(labels_on_grid(&tie, 0, &grid), [1]);
    }

    #[test]
    fn labels_on_the_model_grid_already_are_unchanged() {
        let labels = volume(33, 3.0, |x, y| ((x * 7.0 + y * 3.0).abs() as u32 % 34) as u8);
        let grid = ModelGrid::new(&labels.geometry, &InputConfig::light()).unwrap();
        assert_eq!(labels_on_grid(&labels, 0, &grid), labels.voxels);
    }
}
