//! Binary shapes on the coarse cells of one slice: threshold, opening, holes, growth.

use pulp::{Simd, WithSimd};

use crate::parallel::vectors;
use crate::raster;

/// Tissue is above this.
pub(super) const THRESHOLD_HU: f32 = -300.0;
/// What counts as air and as tissue at the least and at the most. With the threshold in the middle, a region is tissue where
/// tissue fills half of it, whatever else is there: padding, metal, or fat peppered with air (8-bit images whose window
/// ended in the fat).
const CLIP_HU: [i16; 2] = [-600, 0];
/// A cell counts together with its neighbours up to this far.
const NEIGHBOURS_MM: f64 = 1.6;
/// Largest cell made of several pixels.
const CELL_MM: f64 = 2.0;
/// Side of the square of the opening.
const OPENING_MM: f64 = 6.0;
/// What is added all round in the end.
const MARGIN_MM: f64 = 3.0;

/// The grid of cells of a slice. Shapes on it are `[h, w]` bytes, 0 or 1.
pub(super) struct Coarse {
    /// Pixels `[nx, ny]` of the image.
    pixels: [usize; 2],
    /// Pixels in a cell along i and j.
    pub factor: [usize; 2],
    /// Cells `[w, h]`; the last ones may hold fewer pixels.
    pub cells: [usize; 2],
    /// Neighbours on every side that count with a cell.
    neighbours: [usize; 2],
    /// Sides of the opening, in cells.
    opening: [usize; 2],
    /// Growth on every side, in cells.
    margin: [usize; 2],
}

impl Coarse {
    /// For slices of `[nx, ny, _]` pixels with `spacing` in mm.
    pub fn new(size: [usize; 3], spacing: [f64; 3]) -> Self {
        let pixels = [size[0], size[1]];
        let factor: [usize; 2] = [0, 1].map(|a| ((CELL_MM / spacing[a]).floor() as usize).clamp(1, pixels[a].max(1)));
        let cells: [usize; 2] = [0, 1].map(|a| pixels[a].div_ceil(factor[a]));
        let in_cells = |a: usize, mm: f64| ((mm / (spacing[a] * factor[a] as f64)).round() as usize).min(cells[a]);
        Self {
            pixels,
            factor,
            cells,
            neighbours: [0, 1].map(|a| in_cells(a, NEIGHBOURS_MM)),
            opening: [0, 1].map(|a| in_cells(a, OPENING_MM).max(1)),
            margin: [0, 1].map(|a| in_cells(a, MARGIN_MM).max(1)),
        }
    }

    /// [`threshold`](Self::threshold), then [`open`](Self::open), in long vectors.
    pub fn opened(&self, slice: &[i16]) -> Vec<u8> {
        struct Opened<'a>(&'a Coarse, &'a [i16]);
        impl WithSimd for Opened<'_> {
            type Output = Vec<u8>;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Vec<u8> {
                let Self(coarse, slice) = self;
                let mut cells = coarse.threshold(slice);
                coarse.open(&mut cells);
                cells
            }
        }
        vectors(Opened(self, slice))
    }

    /// 1 where the mean of a cell and its neighbours is tissue.
    #[inline(always)]
    fn threshold(&self, slice: &[i16]) -> Vec<u8> {
        let [nx, ny] = self.pixels;
        let [fx, fy] = self.factor;
        let [w, h] = self.cells;
        let mut means = vec![0.0f32; w * h];
        let mut sums = vec![0i32; nx];
        for (y, row) in means.chunks_exact_mut(w).enumerate() {
            let lines = y * fy..((y + 1) * fy).min(ny);
            let height = lines.len();
            sums.fill(0);
            for line in slice[lines.start * nx..lines.end * nx].chunks_exact(nx) {
                // A cell has a few pixels of at most 600 HU: nothing overflows, and without the check vectors do it.
                for (sum, &hu) in sums.iter_mut().zip(line) {
                    *sum = sum.wrapping_add(i32::from(hu.clamp(CLIP_HU[0], CLIP_HU[1])));
                }
            }
            let area = (fx * height) as f32;
            let (whole, rest) = sums.split_at(nx / fx * fx);
            if fx == 1 {
                row.iter_mut().zip(whole).for_each(|(mean, &sum)| *mean = sum as f32 / area);
            } else {
                let of = |pixels: &[i32]| pixels.iter().fold(0i32, |sum, &s| sum.wrapping_add(s)) as f32;
                row.iter_mut().zip(whole.chunks_exact(fx)).for_each(|(mean, pixels)| *mean = of(pixels) / area);
                if !rest.is_empty() {
                    row[w - 1] = of(rest) / (rest.len() * height) as f32;
                }
            }
        }
        let [rx, ry] = self.neighbours;
        let mut cells = vec![0u8; w * h];
        let mut column = vec![0.0f32; w];
        for (y, row) in cells.chunks_exact_mut(w).enumerate() {
            let rows = y.saturating_sub(ry)..(y + ry + 1).min(h);
            let height = rows.len();
            column.fill(0.0);
            for line in means[rows.start * w..rows.end * w].chunks_exact(w) {
                for (sum, mean) in column.iter_mut().zip(line) {
                    *sum += mean;
                }
            }
            let tissue = |near: &[f32]| {
                let mean = near.iter().sum::<f32>() / (near.len() * height) as f32;
                u8::from(mean > THRESHOLD_HU)
            };
            if rx == 1 && w > 2 {
                // The usual width, in vectors; the two ends have one neighbour less.
                let area = (3 * height) as f32;
                let near = column.iter().zip(&column[1..]).zip(&column[2..]);
                for (cell, ((left, own), right)) in row[1..].iter_mut().zip(near) {
                    *cell = u8::from((left + own + right) / area > THRESHOLD_HU);
                }
                (row[0], row[w - 1]) = (tissue(&column[..2]), tissue(&column[w - 2..]));
                continue;
            }
            for (x, cell) in row.iter_mut().enumerate() {
                *cell = tissue(&column[x.saturating_sub(rx)..(x + rx + 1).min(w)]);
            }
        }
        cells
    }

    /// Opening: keeps the rectangles of the opening's size that fit into the shape. They must lie inside the image, which
    /// costs a body cut by the field of view nothing: they fit against its edge.
    #[inline(always)]
    fn open(&self, cells: &mut [u8]) {
        let w = self.cells[0];
        let [nx, ny] = self.opening;
        let copy = &mut Vec::with_capacity(cells.len());
        for row in cells.chunks_exact_mut(w) {
            repeat(nx - 1, || and_next(row, 1, copy));
        }
        repeat(ny - 1, || and_next(cells, w, copy));
        for row in cells.chunks_exact_mut(w) {
            repeat(nx - 1, || or_previous(row, 1, copy));
        }
        repeat(ny - 1, || or_previous(cells, w, copy));
    }

    /// Grows by the margin on every side.
    pub fn grow(&self, cells: &mut [u8]) {
        let w = self.cells[0];
        let copy = &mut Vec::with_capacity(cells.len());
        for row in cells.chunks_exact_mut(w) {
            repeat(self.margin[0], || or_previous(row, 1, copy));
            repeat(self.margin[0], || or_next(row, 1, copy));
        }
        repeat(self.margin[1], || or_previous(cells, w, copy));
        repeat(self.margin[1], || or_next(cells, w, copy));
    }

    /// Fills what cannot be reached from the edge of the image (by faces).
    pub fn fill_holes(&self, cells: &mut [u8]) {
        raster::fill_holes(cells, [self.cells[0], self.cells[1], 1]);
    }

    /// Fills what has body before and behind it and on at least one side: a lung that the edge of the field of view (of the
    /// image, or of the round one inside it) has cut open, so that it is no hole.
    pub fn fill_open_lungs(&self, cells: &mut [u8]) {
        let w = self.cells[0];
        // Without a branch, so that vectors do it. First pass down: 2 marks air with body before it; second pass up: what has body
        // behind it too stays marked.
        let mut before = vec![0u8; w];
        for row in cells.chunks_exact_mut(w) {
            let used = u8::from(row.contains(&1));
            for (cell, before) in row.iter_mut().zip(&mut before) {
                let own = *cell;
                *cell = own | (*before & used & (own ^ 1)) << 1;
                *before |= own;
            }
        }
        let mut behind = vec![0u8; w];
        for row in cells.chunks_exact_mut(w).rev() {
            for (cell, behind) in row.iter_mut().zip(&mut behind) {
                let own = *cell & 1;
                *cell = own | (*cell >> 1 & *behind);
                *behind |= own;
            }
        }
    }
}

#[inline(always)]
fn repeat(times: usize, mut work: impl FnMut()) {
    for _ in 0..times {
        work();
    }
}

// What follows reads from `copy`, which is overwritten: with two memories the compiler makes vectors of it.

/// Every cell AND the one `stride` further on; beyond the end is nothing.
#[inline(always)]
fn and_next(cells: &mut [u8], stride: usize, copy: &mut Vec<u8>) {
    let kept = cells.len() - stride;
    copy.clear();
    copy.extend_from_slice(&cells[stride..]);
    cells[..kept].iter_mut().zip(&*copy).for_each(|(cell, next)| *cell &= next);
    cells[kept..].fill(0);
}

/// Every cell OR the one `stride` further on.
fn or_next(cells: &mut [u8], stride: usize, copy: &mut Vec<u8>) {
    copy.clear();
    copy.extend_from_slice(&cells[stride..]);
    cells.iter_mut().zip(&*copy).for_each(|(cell, next)| *cell |= next);
}

/// Every cell OR the one `stride` before it.
#[inline(always)]
fn or_previous(cells: &mut [u8], stride: usize, copy: &mut Vec<u8>) {
    copy.clear();
    copy.extend_from_slice(&cells[..cells.len() - stride]);
    cells[stride..].iter_mut().zip(&*copy).for_each(|(cell, previous)| *cell |= previous);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(rows: &[&str]) -> Vec<u8> {
        rows.iter().flat_map(|r| r.bytes().map(|b| u8::from(b == b'#'))).collect()
    }

    fn coarse(w: usize, h: usize, spacing: f64) -> Coarse {
        Coarse::new([w, h, 1], [spacing, spacing, 1.0])
    }

    #[test]
    fn the_opening_keeps_exactly_the_squares_that_fit() {
        let c = coarse(9, 7, 2.0);
        assert_eq!(c.opening, [3, 3]);
        let start = [
            "###......", //
            "###.####.",
            "###.####.",
            ".......#.",
            "######...",
            "######..#",
            "######.##",
        ];
        let opened = [
            "###......", //
            "###......",
            "###......",
            ".........",
            "######...",
            "######...",
            "######...",
        ];
        let mut cells = shape(&start);
        c.open(&mut cells);
        assert_eq!(cells, shape(&opened));
    }

    #[test]
    fn cells_are_at_most_two_millimetres_or_one_pixel() {
        for (spacing, factor, neighbours, opening, margin) in [
            (0.7, 2, 1, 4, 2),
            (0.977, 2, 1, 3, 2),
            (1.37, 1, 1, 4, 2),
            (3.0, 1, 1, 2, 1),
            (3.9, 1, 0, 2, 1),
            (5.4, 1, 0, 1, 1),
        ] {
            let c = coarse(512, 512, spacing);
            let found = (c.factor[0], c.neighbours[0], c.opening[0], c.margin[0]);
            assert_eq!(found, (factor, neighbours, opening, margin), "{spacing} mm");
        }
    }

    #[test]
    fn fat_peppered_with_air_is_tissue_and_the_edge_stays_in_place() {
        let c = coarse(60, 60, 1.5);
        // A quarter of the pixels in the fat are air; the fat begins at pixel 20.
        let slice: Vec<i16> =
            (0..3600).map(|p| if p % 60 < 20 || (p * 7 + p / 60 * 3) % 4 == 0 { -1000 } else { -110 }).collect();
        let mut cells = c.threshold(&slice);
        c.open(&mut cells);
        for row in cells.chunks_exact(60) {
            assert!(row[..19].iter().all(|&v| v == 0) && row[22..].iter().all(|&v| v == 1), "{row:?}");
        }
    }

    #[test]
    fn the_threshold_is_the_mean_of_all_pixels_of_a_cell_and_its_neighbours() {
        for (w, h, spacing) in [(37, 23, 0.7), (40, 31, 1.5), (29, 17, 0.5), (2, 9, 1.5), (33, 12, 3.0), (12, 9, 5.0)] {
            let c = coarse(w, h, spacing);
            // Noise on a slope from left to right.
            let hu = |n: usize| (n * 7919 % 1700 + n % w * 800 / w) as i16 - 1500;
            let slice: Vec<i16> = (0..w * h).map(hu).collect();
            let found = c.threshold(&slice);
            let ([fx, fy], [cw, ch], [rx, ry]) = (c.factor, c.cells, c.neighbours);
            // Cells count alike, however many pixels they have.
            let mean_of = |x: usize, y: usize| {
                let pixels = (y * fy..((y + 1) * fy).min(h))
                    .flat_map(|j| (x * fx..((x + 1) * fx).min(w)).map(move |i| j * w + i));
                let values: Vec<f64> = pixels.map(|n| f64::from(hu(n).clamp(-600, 0))).collect();
                values.iter().sum::<f64>() / values.len() as f64
            };
            for y in 0..ch {
                for x in 0..cw {
                    let near: Vec<f64> = (y.saturating_sub(ry)..(y + ry + 1).min(ch))
                        .flat_map(|y| (x.saturating_sub(rx)..(x + rx + 1).min(cw)).map(move |x| (x, y)))
                        .map(|(x, y)| mean_of(x, y))
                        .collect();
                    let mean = near.iter().sum::<f64>() / near.len() as f64;
                    let wanted = u8::from(mean > -300.0);
                    assert!(
                        found[y * cw + x] == wanted || (mean + 300.0).abs() < 1e-3,
                        "{w} {spacing}: {x} {y} {mean}"
                    );
                }
            }
            assert!(w == 2 || spacing > 4.0 || (found.contains(&0) && found.contains(&1)), "the test shows nothing");
        }
    }

    #[test]
    fn holes_are_filled_bays_are_not() {
        let c = coarse(7, 5, 3.0);
        let mut cells = shape(&["#####..", "#...#..", "#####.#", "#.....#", "#######"]);
        c.fill_holes(&mut cells);
        assert_eq!(cells, shape(&["#####..", "#####..", "#####.#", "#.....#", "#######"]));
        c.fill_open_lungs(&mut cells);
        assert_eq!(cells, shape(&["#####..", "#####..", "#####.#", "#####.#", "#######"]));
    }

    #[test]
    fn growth_reaches_every_side_and_stops_at_the_image() {
        let c = coarse(5, 4, 3.0);
        let mut cells = shape(&[".....", ".....", "....#", "....."]);
        c.grow(&mut cells);
        assert_eq!(cells, shape(&[".....", "...##", "...##", "...##"]));
    }
}
