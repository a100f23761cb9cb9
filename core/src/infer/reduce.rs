//! Probabilities on the model grid to labels on the input matrix.
//!
//! Bilinear in-plane; where a slice was not run itself (input thinner than 1.5 mm) the probabilities of the run slices
//! below and above are blended. Then the largest wins; at a tie the background, then the lower label.

use super::SlicePrediction;
use crate::preprocess::ModelGrid;

/// Where a sample lies between two model pixels.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    part: f32,
}

/// Taps of one axis, `None` for input pixels outside the predicted area.
fn taps(grid: &ModelGrid, axis: usize, origin: i64, size: usize) -> Vec<Option<Tap>> {
    (0..grid.input_size[axis])
        .map(|n| {
            let (x, y) = grid.input_to_model(n as f64, n as f64);
            let at = if axis == 0 { x } else { y } - origin as f64;
            if at < -0.5 || at > size as f64 - 0.5 {
                return None;
            }
            let at = at.clamp(0.0, (size - 1) as f64);
            let first = at.floor() as usize;
            Some(Tap { first, second: (first + 1).min(size - 1), part: (at - first as f64) as f32 })
        })
        .collect()
}

/// Labels `[ny, nx]` of a slice from one prediction, or from two with the weight of the second.
pub fn labels(grid: &ModelGrid, below: &SlicePrediction, above: Option<(&SlicePrediction, f32)>) -> Vec<u8> {
    reduce::<false>(grid, below, above).0
}

/// [`labels`], and for every pixel how far the winner is ahead of the runner-up: 0 to 255 for a difference of
/// probabilities from 0 to 1. Classes that a prediction leaves out count as 0, so it may be too large by at most
/// [`NEGLIGIBLE`](super::prediction::NEGLIGIBLE).
pub fn labels_and_margin(
    grid: &ModelGrid,
    below: &SlicePrediction,
    above: Option<(&SlicePrediction, f32)>,
) -> (Vec<u8>, Vec<u8>) {
    reduce::<true>(grid, below, above)
}

/// The margin is chosen at compile time: who does not want it pays nothing.
fn reduce<const MARGIN: bool>(
    grid: &ModelGrid,
    below: &SlicePrediction,
    above: Option<(&SlicePrediction, f32)>,
) -> (Vec<u8>, Vec<u8>) {
    let [nx, ny] = grid.input_size;
    let mut classes = below.classes.clone();
    let mut parts = vec![(below, 1.0)];
    if let Some((above, weight)) = above.filter(|a| a.1 > 0.0) {
        classes.extend_from_slice(&above.classes);
        parts = vec![(below, 1.0 - weight), (above, weight)];
    }
    classes.sort_unstable();
    classes.dedup();
    let mut result = vec![0u8; nx * ny];
    if classes.len() == 1 && !MARGIN {
        return (result, Vec::new());
    }
    let axes: Vec<_> = parts
        .iter()
        .map(|(p, _)| [taps(grid, 0, p.origin[0], p.size[0]), taps(grid, 1, p.origin[1], p.size[1])])
        .collect();
    let mut best = vec![0.0f32; nx * ny];
    let mut second = vec![0.0f32; if MARGIN { nx * ny } else { 0 }];
    let mut sum = vec![0.0f32; nx * ny];
    // Classes are sorted: the background comes first and sets the mark that organs have to beat.
    for &class in &classes {
        sum.fill(0.0);
        for (&(p, weight), [ax, ay]) in parts.iter().zip(&axes) {
            add_class(&mut sum, nx, p, class, weight, ax, ay);
        }
        if MARGIN {
            for (second, (b, &v)) in second.iter_mut().zip(best.iter().zip(&sum)) {
                // Of the two that were ahead and this one, the middle.
                *second = second.max(v.min(*b));
            }
        }
        for ((b, label), &v) in best.iter_mut().zip(result.iter_mut()).zip(&sum) {
            if v > *b || class == 0 {
                (*b, *label) = (v, class);
            }
        }
    }
    let margin = second.iter().zip(&best).map(|(second, best)| ((best - second) * 255.0).round() as u8).collect();
    (result, margin)
}

/// Adds `weight` times the class's probability at every input pixel to `sum`; outside the predicted area everything is
/// background.
fn add_class(
    sum: &mut [f32],
    nx: usize,
    p: &SlicePrediction,
    class: u8,
    weight: f32,
    across: &[Option<Tap>],
    down: &[Option<Tap>],
) {
    let Some(slot) = p.classes.iter().position(|&c| c == class) else { return };
    let [w, h] = p.size;
    let map = &p.probabilities[slot * w * h..(slot + 1) * w * h];
    let outside = if class == 0 { weight } else { 0.0 };
    for (row, down) in sum.chunks_exact_mut(nx).zip(down) {
        let Some(down) = down else {
            row.iter_mut().for_each(|v| *v += outside);
            continue;
        };
        let (top, bottom) = (&map[down.first * w..][..w], &map[down.second * w..][..w]);
        for (value, across) in row.iter_mut().zip(across) {
            *value += match across {
                None => outside,
                Some(across) => {
                    let upper = top[across.first] + across.part * (top[across.second] - top[across.first]);
                    let lower = bottom[across.first] + across.part * (bottom[across.second] - bottom[across.first]);
                    weight * (upper + down.part * (lower - upper))
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::InputConfig;
    use crate::volume::Geometry;

    fn grid(spacing: f64, n: usize) -> ModelGrid {
        let geometry = Geometry::axial([n, n, 3], [spacing, spacing, 3.0], [0.0; 3]).unwrap();
        ModelGrid::new(&geometry, &InputConfig::light()).unwrap()
    }

    /// Class 30 inside a box of model pixels.
    fn box_prediction(
        origin: [i64; 2],
        size: [usize; 2],
        x: std::ops::Range<i64>,
        y: std::ops::Range<i64>,
    ) -> SlicePrediction {
        let area = size[0] * size[1];
        let mut probabilities = vec![0.0; 2 * area];
        for n in 0..area {
            let (px, py) = (origin[0] + (n % size[0]) as i64, origin[1] + (n / size[0]) as i64);
            let inside = x.contains(&px) && y.contains(&py);
            probabilities[n] = if inside { 0.0 } else { 1.0 };
            probabilities[area + n] = 1.0 - probabilities[n];
        }
        SlicePrediction { slice: 0, origin, size, classes: vec![0, 30], probabilities, attention: None, regions: None }
    }

    #[test]
    fn a_box_keeps_its_place_and_area_in_mm_on_any_matrix() {
        for (spacing, n) in [(0.75, 256), (1.37, 140), (3.0, 64), (4.5, 43)] {
            let grid = grid(spacing, n);
            // 20 x 10 model pixels = 60 x 30 mm, off centre to the patient's left.
            let p = box_prediction([8, 4], [50, 50], 30..50, 12..22);
            let map = labels(&grid, &p, None);
            let (mut area, mut sx, mut sy) = (0.0, 0.0, 0.0);
            for (i, &label) in map.iter().enumerate() {
                if label == 30 {
                    let (mx, my) = grid.input_to_model((i % n) as f64, (i / n) as f64);
                    area += spacing * spacing;
                    sx += mx * spacing * spacing;
                    sy += my * spacing * spacing;
                }
            }
            assert!((area / 1800.0 - 1.0).abs() < 0.16, "{spacing}: {area} mm2");
            assert!(
                (sx / area - 39.5).abs() < 0.5 && (sy / area - 16.5).abs() < 0.5,
                "{spacing}: {} {}",
                sx / area,
                sy / area
            );
        }
    }

    #[test]
    fn slices_between_run_slices_blend_and_ties_go_to_the_background() {
        let grid = grid(3.0, 64);
        let a = box_prediction([0, 0], [64, 64], 10..20, 10..20);
        let b = box_prediction([0, 0], [64, 64], 15..25, 10..20);
        let count = |w: f32| labels(&grid, &a, Some((&b, w))).iter().filter(|&&l| l == 30).count();
        assert_eq!(count(0.25), 100, "the nearer slice rules");
        assert_eq!(count(0.5), 50, "halfway only what both agree on");
        assert_eq!(count(0.75), 100);
    }

    #[test]
    fn the_margin_is_the_lead_of_the_winner_and_the_labels_stay_the_same() {
        let grid = grid(3.0, 64);
        let mut p = box_prediction([0, 0], [64, 64], 10..20, 10..20);
        let area = 64 * 64;
        p.classes = vec![0, 5, 30];
        p.probabilities = [0.5, 0.2, 0.3].iter().flat_map(|&v| vec![v; area]).collect();
        // In one pixel the last class wins, in another the middle one does.
        for (n, values) in [(100, [0.1, 0.2, 0.7]), (200, [0.3, 0.6, 0.1])] {
            for (c, v) in values.into_iter().enumerate() {
                p.probabilities[c * area + n] = v;
            }
        }
        let (map, margin) = labels_and_margin(&grid, &p, None);
        assert_eq!((map[100], map[200], map[300]), (30, 5, 0));
        assert_eq!([margin[100], margin[200], margin[300]], [0.5f32, 0.3, 0.2].map(|v| (v * 255.0).round() as u8));
        assert_eq!(map, labels(&grid, &p, None));
        // A blend: (0.5, 0.2, 0.3) and (1, 0, 0) in equal parts.
        let sure = box_prediction([0, 0], [64, 64], 0..0, 0..0);
        let (map, margin) = labels_and_margin(&grid, &p, Some((&sure, 0.5)));
        assert_eq!((map[300], margin[300]), (0, (0.6f32 * 255.0).round() as u8));
        assert_eq!(map, labels(&grid, &p, Some((&sure, 0.5))));
        // Outside the predicted area nobody else can win.
        let small = box_prediction([0, 0], [32, 64], 10..20, 10..20);
        assert_eq!(labels_and_margin(&grid, &small, None).1[60], 255);
    }

    #[test]
    fn predictions_of_different_areas_blend_by_place() {
        let grid = grid(3.0, 64);
        let a = box_prediction([0, 0], [40, 64], 10..20, 10..20);
        let b = box_prediction([20, 0], [44, 64], 30..40, 10..20);
        let near_a = labels(&grid, &a, Some((&b, 0.1)));
        assert_eq!(near_a.iter().filter(|&&l| l == 30).count(), 100);
        assert_eq!(near_a[15 * 64 + 15], 30);
    }
}
