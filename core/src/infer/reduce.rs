//! Probabilities on the model grid to labels on the input matrix.
//!
//! Bilinear in-plane; where a slice was not run itself (input thinner than 1.5 mm) the probabilities of the run slices
//! below and above are blended. Then the largest wins; at a tie the background, then the lower label.
//!
//! An input matrix has ten times as many pixels as the model grid, and most are air: a class is looked at only within the box
//! where it may win, in bands of rows that stay in the cache, and rows of the model grid are stretched once for all rows
//! that lie between the same two of them.

use std::ops::Range;

use super::SlicePrediction;
use super::prediction::NEGLIGIBLE;
use crate::kernels::processor::{Processor, Threads};
use crate::preprocess::ModelGrid;

/// The model pixels that an input pixel lies between, and the second one's part in it.
#[derive(Clone, Copy)]
struct Neighbours {
    first: usize,
    second: usize,
    part: f32,
}

/// The neighbours of each input pixel along one axis, `None` for input pixels outside the predicted area.
fn neighbours(grid: &ModelGrid, axis: usize, origin: i64, size: usize) -> Vec<Option<Neighbours>> {
    (0..grid.input_size[axis])
        .map(|n| {
            let (x, y) = grid.input_to_model(n as f64, n as f64);
            let at = if axis == 0 { x } else { y } - origin as f64;
            if at < -0.5 || at > size as f64 - 0.5 {
                return None;
            }
            let at = at.clamp(0.0, (size - 1) as f64);
            let first = at.floor() as usize;
            Some(Neighbours { first, second: (first + 1).min(size - 1), part: (at - first as f64) as f32 })
        })
        .collect()
}

/// Labels `[ny, nx]` of a slice from one prediction, or from two with the weight of the second.
pub fn labels(grid: &ModelGrid, below: &SlicePrediction, above: Option<(&SlicePrediction, f32)>) -> Vec<u8> {
    reduce::<false>(grid, below, above, false).0
}

/// [`labels`], and for every pixel how far the winner is ahead of the runner-up: 0 to 255 for a difference of
/// probabilities from 0 to 1. Where a class is below [`NEGLIGIBLE`] it may count as 0, so the difference may be too large by at most
/// that.
pub fn labels_and_margin(
    grid: &ModelGrid,
    below: &SlicePrediction,
    above: Option<(&SlicePrediction, f32)>,
) -> (Vec<u8>, Vec<u8>) {
    reduce::<true>(grid, below, above, true)
}

/// As [`labels_and_margin`], but 255 in columns and rows where no organ can win: for who asks only how sure organs are, at half the price.
pub fn labels_and_organ_margin(
    grid: &ModelGrid,
    below: &SlicePrediction,
    above: Option<(&SlicePrediction, f32)>,
) -> (Vec<u8>, Vec<u8>) {
    reduce::<true>(grid, below, above, false)
}

/// Rows of the input matrix that are reduced at once.
const BAND: usize = 16;

/// The margin is chosen at compile time: who does not want it pays nothing. Where no organ can win it is looked at only if that is
/// wanted `everywhere`.
fn reduce<const MARGIN: bool>(
    grid: &ModelGrid,
    below: &SlicePrediction,
    above: Option<(&SlicePrediction, f32)>,
    everywhere: bool,
) -> (Vec<u8>, Vec<u8>) {
    let [nx, ny] = grid.input_size;
    let mut classes = below.classes.clone();
    let mut parts = vec![Part::new(grid, below, 1.0)];
    if let Some((above, weight)) = above.filter(|a| a.1 > 0.0) {
        classes.extend_from_slice(&above.classes);
        parts = vec![Part::new(grid, below, 1.0 - weight), Part::new(grid, above, weight)];
    }
    classes.sort_unstable();
    classes.dedup();
    let boxes: Vec<_> = classes.iter().filter(|&&c| c > 0).filter_map(|&c| ClassBox::new(&parts, c)).collect();
    let mut labels = vec![0u8; nx * ny];
    let mut margin = vec![u8::MAX; if MARGIN { nx * ny } else { 0 }];
    if !boxes.is_empty() || everywhere {
        let processor = Processor::new(Threads::All);
        let work = Work { parts: &parts, boxes: &boxes, nx, everywhere };
        processor.enter(|| work.bands::<MARGIN>(0..ny, &mut labels, &mut margin, processor));
    }
    (labels, margin)
}

/// One of the predictions that are blended.
struct Part<'a> {
    prediction: &'a SlicePrediction,
    weight: f32,
    across: Vec<Option<Neighbours>>,
    down: Vec<Option<Neighbours>>,
}

impl<'a> Part<'a> {
    fn new(grid: &ModelGrid, prediction: &'a SlicePrediction, weight: f32) -> Self {
        let [across, down] = [0, 1].map(|axis| neighbours(grid, axis, prediction.origin[axis], prediction.size[axis]));
        Self { prediction, weight, across, down }
    }

    /// The probabilities of a class on the model grid.
    fn map(&self, class: u8) -> Option<&'a [f32]> {
        let slot = self.prediction.classes.iter().position(|&c| c == class)?;
        let area = self.prediction.size[0] * self.prediction.size[1];
        Some(&self.prediction.probabilities[slot * area..][..area])
    }
}

/// Where on the input matrix a class may be the largest.
struct ClassBox {
    class: u8,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl ClassBox {
    /// `None` where it can be nowhere.
    fn new(parts: &[Part<'_>], class: u8) -> Option<Self> {
        let mut found: Option<Self> = None;
        for part in parts {
            let Some(map) = part.map(class) else { continue };
            let width = part.prediction.size[0];
            let mut box_of_class: Option<(Range<usize>, Range<usize>)> = None;
            for (y, row) in map.chunks_exact(width).enumerate() {
                let Some(first) = row.iter().position(|&p| p >= NEGLIGIBLE) else { continue };
                let last = row.iter().rposition(|&p| p >= NEGLIGIBLE).unwrap_or(first);
                box_of_class = Some(match box_of_class {
                    None => (y..y + 1, first..last + 1),
                    Some((rows, columns)) => (rows.start..y + 1, columns.start.min(first)..columns.end.max(last + 1)),
                });
            }
            let Some((rows, columns)) = box_of_class else { continue };
            let (Some(rows), Some(columns)) = (touched(&part.down, &rows), touched(&part.across, &columns)) else {
                continue;
            };
            let join = |a: &Range<usize>, b: Range<usize>| a.start.min(b.start)..a.end.max(b.end);
            found = Some(match found {
                None => Self { class, rows, columns },
                Some(before) => Self { class, rows: join(&before.rows, rows), columns: join(&before.columns, columns) },
            });
        }
        found
    }
}

/// Input pixels of an axis that take something from a range of model pixels.
fn touched(neighbours: &[Option<Neighbours>], range: &Range<usize>) -> Option<Range<usize>> {
    let takes = |neighbour: &Option<Neighbours>| {
        neighbour.is_some_and(|neighbour| neighbour.second >= range.start && neighbour.first < range.end)
    };
    let first = neighbours.iter().position(takes)?;
    Some(first..neighbours.iter().rposition(takes)? + 1)
}

/// What is the same for all rows.
#[derive(Clone, Copy)]
struct Work<'a> {
    parts: &'a [Part<'a>],
    boxes: &'a [ClassBox],
    nx: usize,
    everywhere: bool,
}

impl Work<'_> {
    fn bands<const MARGIN: bool>(self, rows: Range<usize>, labels: &mut [u8], margin: &mut [u8], processor: Processor) {
        if rows.len() <= BAND {
            self.band::<MARGIN>(rows, labels, margin);
            return;
        }
        let half = rows.len().div_ceil(BAND) / 2 * BAND;
        let (upper, lower) = labels.split_at_mut(half * self.nx);
        let (above, below) = margin.split_at_mut(if MARGIN { half * self.nx } else { 0 });
        let middle = rows.start + half;
        processor.join(
            || self.bands::<MARGIN>(rows.start..middle, upper, above, processor),
            || self.bands::<MARGIN>(middle..rows.end, lower, below, processor),
        );
    }

    fn band<const MARGIN: bool>(self, rows: Range<usize>, labels: &mut [u8], margin: &mut [u8]) {
        let Self { parts, boxes, nx, everywhere } = self;
        let here = |b: &&ClassBox| b.rows.start < rows.end && b.rows.end > rows.start;
        // The background is looked at only where an organ may win.
        let columns =
            boxes.iter().filter(here).fold(nx..0, |all, b| all.start.min(b.columns.start)..all.end.max(b.columns.end));
        let columns = if everywhere { 0..nx } else { columns };
        if columns.is_empty() {
            return;
        }
        let width = columns.len();
        let [mut best, mut second, mut sum] = [(); 3].map(|()| vec![0.0f32; rows.len() * width]);
        let mut stretched = Stretched::default();
        add_class(&mut best, parts, 0, &rows, &columns, &mut stretched);
        for b in boxes.iter().filter(here) {
            let own = b.rows.start.max(rows.start)..b.rows.end.min(rows.end);
            let count = b.columns.len();
            let sum = &mut sum[..own.len() * count];
            sum.fill(0.0);
            add_class(sum, parts, b.class, &own, &b.columns, &mut stretched);
            for (row, sum) in own.clone().zip(sum.chunks_exact(count)) {
                let at = (row - rows.start) * width + b.columns.start - columns.start;
                let best = &mut best[at..][..count];
                if MARGIN {
                    for (second, (best, &v)) in second[at..][..count].iter_mut().zip(best.iter().zip(sum)) {
                        // Of the two that were ahead and this one, the middle.
                        *second = second.max(v.min(*best));
                    }
                }
                let labels = &mut labels[(row - rows.start) * nx + b.columns.start..][..count];
                for ((best, label), &v) in best.iter_mut().zip(labels).zip(sum) {
                    // Without a branch, so that vectors do it.
                    *label = if v > *best { b.class } else { *label };
                    *best = best.max(v);
                }
            }
        }
        let leads = second.chunks_exact(width).zip(best.chunks_exact(width));
        for (margin, (second, best)) in margin.chunks_exact_mut(nx).zip(leads) {
            for (margin, (second, best)) in margin[columns.clone()].iter_mut().zip(second.iter().zip(best)) {
                *margin = ((best - second) * 255.0).round() as u8;
            }
        }
    }
}

/// The two rows of a map that were stretched last.
#[derive(Default)]
struct Stretched {
    rows: [(usize, Vec<f32>); 2],
}

impl Stretched {
    /// Nothing of another map is valid.
    fn clear(&mut self) {
        self.rows.iter_mut().for_each(|row| row.0 = usize::MAX);
    }

    /// A row of the map on the columns of the input matrix.
    fn row(&mut self, slot: usize, row: usize, map: &[f32], width: usize, across: &[Option<Neighbours>], outside: f32) {
        if self.rows[slot].0 == row {
            return;
        }
        if self.rows[1 - slot].0 == row {
            self.rows.swap(0, 1);
            return;
        }
        let from = &map[row * width..][..width];
        let (number, values) = &mut self.rows[slot];
        *number = row;
        values.clear();
        values.extend(across.iter().map(|neighbour| match neighbour {
            None => outside,
            Some(neighbour) => {
                from[neighbour.first] + neighbour.part * (from[neighbour.second] - from[neighbour.first])
            }
        }));
    }
}

/// Adds the class's probability at every input pixel of `rows` and `columns` to `sum`, of each part its weight; outside the predicted
/// area everything is background.
fn add_class(
    sum: &mut [f32],
    parts: &[Part<'_>],
    class: u8,
    rows: &Range<usize>,
    columns: &Range<usize>,
    stretched: &mut Stretched,
) {
    let outside = if class == 0 { 1.0 } else { 0.0 };
    for part in parts {
        let Some(map) = part.map(class) else { continue };
        let across = &part.across[columns.clone()];
        let width = part.prediction.size[0];
        stretched.clear();
        for (sum, down) in sum.chunks_exact_mut(columns.len()).zip(&part.down[rows.clone()]) {
            let Some(down) = down else {
                sum.iter_mut().for_each(|v| *v += part.weight * outside);
                continue;
            };
            stretched.row(0, down.first, map, width, across, outside);
            if down.second == down.first {
                let upper = &stretched.rows[0].1;
                sum.iter_mut().zip(upper).for_each(|(v, upper)| *v += part.weight * upper);
                continue;
            }
            stretched.row(1, down.second, map, width, across, outside);
            let [(_, upper), (_, lower)] = &stretched.rows;
            for ((v, upper), lower) in sum.iter_mut().zip(upper).zip(lower) {
                *v += part.weight * (upper + down.part * (lower - upper));
            }
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

    /// Soft blobs of three organs that overlap, and noise.
    fn blobs(origin: [i64; 2], size: [usize; 2], shift: f32) -> SlicePrediction {
        let area = size[0] * size[1];
        let mut probabilities = vec![0.0; 4 * area];
        for n in 0..area {
            let (x, y) = ((n % size[0]) as f32, (n / size[0]) as f32);
            let weight = |c: usize| match c {
                0 => 1.0,
                c => {
                    let distance = (x - 12.0 * c as f32 - shift).hypot(y - 20.0 - 6.0 * (c % 2) as f32);
                    (5.0 - 0.6 * distance + (n * 7919 % (97 + c)) as f32 * 0.01).clamp(-12.0, 12.0).exp()
                }
            };
            let sum: f32 = (0..4).map(weight).sum();
            (0..4).for_each(|c| probabilities[c * area + n] = weight(c) / sum);
        }
        let classes = vec![0, 7, 12, 30];
        SlicePrediction { slice: 0, origin, size, classes, probabilities, attention: None, regions: None }
    }

    #[test]
    fn boxes_and_bands_change_nothing_against_all_classes_at_every_pixel() {
        for (spacing, n) in [(0.8, 170), (3.0, 50), (4.3, 33)] {
            let grid = grid(spacing, n);
            let (a, b) = (blobs([-3, 2], [48, 44], 0.0), blobs([2, -5], [44, 48], 3.0));
            // One probability at one place, straight from the definition.
            let at = |p: &SlicePrediction, c: usize, x: f64, y: f64| {
                let [u, v] = [x - p.origin[0] as f64, y - p.origin[1] as f64];
                let beyond = |v: f64, n: usize| v < -0.5 || v > n as f64 - 0.5;
                if beyond(u, p.size[0]) || beyond(v, p.size[1]) {
                    return if c == 0 { 1.0 } else { 0.0 };
                }
                let [u, v] = [u.clamp(0.0, p.size[0] as f64 - 1.0), v.clamp(0.0, p.size[1] as f64 - 1.0)];
                let value = |i: usize, j: usize| {
                    let (i, j) = (i.min(p.size[0] - 1), j.min(p.size[1] - 1));
                    f64::from(p.probabilities[(c * p.size[1] + j) * p.size[0] + i])
                };
                let (i, j, du, dv) = (u as usize, v as usize, u.fract(), v.fract());
                let upper = value(i, j) * (1.0 - du) + value(i + 1, j) * du;
                upper * (1.0 - dv) + (value(i, j + 1) * (1.0 - du) + value(i + 1, j + 1) * du) * dv
            };
            let (map, margin) = labels_and_margin(&grid, &a, Some((&b, 0.4)));
            assert_eq!(map, labels(&grid, &a, Some((&b, 0.4))));
            let (same, of_organs) = labels_and_organ_margin(&grid, &a, Some((&b, 0.4)));
            assert_eq!(map, same);
            let organs = map.iter().zip(margin.iter().zip(&of_organs)).filter(|(label, _)| **label != 0);
            assert!(organs.map(|(_, margins)| margins).all(|(everywhere, organ)| everywhere == organ));
            assert!(margin.iter().zip(&of_organs).all(|(everywhere, organ)| organ == everywhere || *organ == 255));
            for (k, (label, margin)) in map.iter().zip(margin).enumerate() {
                let (x, y) = grid.input_to_model((k % n) as f64, (k / n) as f64);
                let blend = |c: usize| 0.6 * at(&a, c, x, y) + 0.4 * at(&b, c, x, y);
                let mut order: Vec<(f64, u8)> = (0..4).map(|c| (blend(c), a.classes[c])).collect();
                order.sort_by(|a, b| b.0.total_cmp(&a.0));
                let lead = order[0].0 - order[1].0;
                assert!(*label == order[0].1 || lead < 1e-5, "pixel {k}: {label}, {order:?}");
                let off = f64::from(margin) / 255.0 - lead;
                assert!(off > -3e-3 && off < f64::from(NEGLIGIBLE) + 3e-3, "pixel {k}: {margin}, {order:?}");
            }
            assert!([0, 7, 12, 30].iter().all(|label| map.contains(label)), "the test shows nothing");
        }
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
