//! Where the patient is: a coarse mask without couch and air, and the centre of the body in every slice.
//!
//! Everything works on cells of at most 2 mm (whole input pixels, averaged), slice by slice, and only runs of cells are
//! kept: a 512 x 512 x 600 volume needs a few megabytes. Steps: mean of a cell and its neighbours above -300 HU; opening with a 6 mm square, which
//! removes couch plates, sheets and tubes; the largest component in 3-D, over slices that hold nothing at all; holes filled in each slice (lungs, gas); what
//! lies between body in front, behind and on one side filled too (a lung cut open by the field of view); 3 mm added all
//! round so that skin survives the averaging.
//!
//! Pixels coarser than 4 mm are their own cells and too large for the opening, which then does nothing.

use super::cells::{Coarse, THRESHOLD_HU};
use crate::parallel::map;
use crate::raster::{Groups, Row, label_runs};
use crate::volume::CtVolume;
use std::ops::Range;

/// FWHM of the smoothing of the centre along z.
const CENTRE_FWHM_MM: f64 = 30.0;

/// The slices from the first to the last that show anything as dense as a body, above -300 HU; all where none does. Those beyond hold
/// nothing: files are padded, and some public sets blank what their plan did not need. An organ that reaches the first or last of these
/// slices may go on beyond what was scanned.
pub fn scanned_slices(ct: &CtVolume) -> Range<usize> {
    let count = ct.geometry.size[2];
    let shows = |k: &usize| ct.slice(*k).iter().any(|&hu| f32::from(hu) > THRESHOLD_HU);
    match ((0..count).find(shows), (0..count).rfind(shows)) {
        (Some(first), Some(last)) => first..last + 1,
        _ => 0..count,
    }
}

/// The patient's body in a CT.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    size: [usize; 3],
    /// Pixels in a cell along i and j.
    factor: [usize; 2],
    slices: Vec<Runs>,
    centres: Vec<[f64; 2]>,
}

/// The cells of one slice that belong to something, as runs in rows.
#[derive(Clone, Debug, Default, PartialEq)]
struct Runs {
    /// `runs[rows[y]..rows[y + 1]]` are those of row y.
    rows: Vec<u32>,
    /// First cell and the one after the last.
    runs: Vec<[u32; 2]>,
}

impl Runs {
    /// The cells that are 1, and not 0, in a `[h, w]` grid.
    fn encode(cells: &[u8], w: usize) -> Self {
        let mut result = Self { rows: vec![0], runs: Vec::new() };
        for row in cells.chunks_exact(w) {
            label_runs(row, |_, start, end| result.runs.push([start as u32, end as u32]));
            result.rows.push(result.runs.len() as u32);
        }
        result
    }

    fn row_range(&self, y: usize) -> Range<usize> {
        self.rows[y] as usize..self.rows[y + 1] as usize
    }

    fn row(&self, y: usize) -> &[[u32; 2]] {
        &self.runs[self.row_range(y)]
    }

    /// Bounding box `[[x0, x1], [y0, y1]]`, ends excluded.
    fn bounds(&self) -> Option<[[usize; 2]; 2]> {
        let x0 = self.runs.iter().map(|r| r[0]).min()? as usize;
        let x1 = self.runs.iter().map(|r| r[1]).max()? as usize;
        let used = |y: &usize| !self.row_range(*y).is_empty();
        let height = self.rows.len() - 1;
        let y0 = (0..height).find(used)?;
        let y1 = (0..height).rfind(used)? + 1;
        Some([[x0, x1], [y0, y1]])
    }
}

impl Body {
    /// Finds the body. Slices are worked on in parallel where there are threads.
    ///
    /// A volume without anything above -300 HU has no body: [`Body::contains`] is false everywhere.
    pub fn find(ct: &CtVolume) -> Self {
        let size = ct.geometry.size;
        let spacing = ct.geometry.spacing();
        let coarse = Coarse::new(size, spacing);
        let mut slices = each_slice(size[2], |k| {
            let cells = coarse.opened(ct.slice(k));
            Runs::encode(&cells, coarse.cells[0])
        });
        let kept = largest_component(&slices);
        slices = each_slice(size[2], |k| {
            let mut cells = vec![0u8; coarse.cells[0] * coarse.cells[1]];
            let mut any = false;
            for y in 0..coarse.cells[1] {
                for n in slices[k].row_range(y).filter(|&n| kept[k][n]) {
                    let [start, end] = slices[k].runs[n].map(|x| y * coarse.cells[0] + x as usize);
                    cells[start..end].fill(1);
                    any = true;
                }
            }
            if any {
                coarse.fill_holes(&mut cells);
                coarse.fill_open_lungs(&mut cells);
                coarse.grow(&mut cells);
            }
            Runs::encode(&cells, coarse.cells[0])
        });
        let mut body = Self { size, factor: coarse.factor, slices, centres: Vec::new() };
        body.centres = body.smoothed_centres(spacing[2]);
        body
    }

    /// Size of the volume.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// 1 inside, for every voxel in canonical order.
    pub fn mask(&self) -> Vec<u8> {
        let [nx, ny, nz] = self.size;
        let voxel = |n: usize| u8::from(self.contains(n % nx, n / nx % ny, n / (nx * ny)));
        (0..nx * ny * nz).map(voxel).collect()
    }

    /// Whether voxel i, j, k belongs to the body; false outside the volume.
    pub fn contains(&self, i: usize, j: usize, k: usize) -> bool {
        if i >= self.size[0] || j >= self.size[1] || k >= self.size[2] {
            return false;
        }
        let x = (i / self.factor[0]) as u32;
        self.slices[k].row(j / self.factor[1]).iter().any(|r| (r[0]..r[1]).contains(&x))
    }

    /// The pixels i of row j in slice k that belong to the body, as ranges.
    pub(crate) fn row(&self, j: usize, k: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let [f, n] = [self.factor[0], self.size[0]];
        self.slices[k]
            .row(j / self.factor[1])
            .iter()
            .map(move |r| (r[0] as usize * f).min(n)..(r[1] as usize * f).min(n))
    }

    /// Middle of the body's bounding box in slice `k`, smoothed along z, as fractional voxel index `[i, j]`. Slices without
    /// body continue the nearest one that has some; a volume without body has the middle of the image.
    ///
    /// # Panics
    /// When the volume has no slice `k`.
    pub fn centre(&self, k: usize) -> [f64; 2] {
        self.centres[k]
    }

    /// Pixels i and j between which the body lies in slice `k`; `None` where the slice holds nothing of it.
    ///
    /// # Panics
    /// When the volume has no slice `k`.
    pub fn bounds(&self, k: usize) -> Option<[Range<usize>; 2]> {
        let bounds = self.slices[k].bounds()?;
        let pixel = |a: usize, edge: usize| (edge * self.factor[a]).min(self.size[a]);
        Some([0, 1].map(|a| pixel(a, bounds[a][0])..pixel(a, bounds[a][1])))
    }

    /// Bounding box of the body in slice `k`, `[[i_low, i_high], [j_low, j_high]]` as fractional voxel indices of its edges
    /// (voxel n reaches from n - 0.5 to n + 0.5), not smoothed; `None` where the slice holds nothing of it.
    ///
    /// # Panics
    /// When the volume has no slice `k`.
    pub fn extent(&self, k: usize) -> Option<[[f64; 2]; 2]> {
        Some(self.bounds(k)?.map(|pixels| [pixels.start, pixels.end].map(|edge| edge as f64 - 0.5)))
    }

    fn smoothed_centres(&self, slice_mm: f64) -> Vec<[f64; 2]> {
        let n = self.size[2];
        let image = [0, 1].map(|a| (self.size[a] as f64 - 1.0) / 2.0);
        let found: Vec<Option<[f64; 2]>> =
            (0..n).map(|k| self.extent(k).map(|e| e.map(|[low, high]| (low + high) / 2.0))).collect();
        // The nearest slice with body, below or above.
        let mut raw = vec![(usize::MAX, image); n];
        for up in [true, false] {
            let mut last = None;
            for step in 0..n {
                let k = if up { step } else { n - 1 - step };
                last = found[k].map(|c| (k, c)).or(last);
                if let Some((from, centre)) = last
                    && from.abs_diff(k) < raw[k].0
                {
                    raw[k] = (from.abs_diff(k), centre);
                }
            }
        }
        let sigma = CENTRE_FWHM_MM / (8.0 * std::f64::consts::LN_2).sqrt() / slice_mm;
        let reach = (3.0 * sigma).ceil().min(n as f64) as usize;
        (0..n)
            .map(|k| {
                let (mut sum, mut weights) = ([0.0; 2], 0.0);
                // The same reach on both sides: a one-sided mean would be drawn inwards at the ends of the scan.
                let reach = reach.min(k).min(n - 1 - k);
                for m in k - reach..=k + reach {
                    let weight = (-0.5 * (m.abs_diff(k) as f64 / sigma).powi(2)).exp();
                    weights += weight;
                    sum = [0, 1].map(|a| sum[a] + weight * raw[m].1[a]);
                }
                sum.map(|s| s / weights)
            })
            .collect()
    }
}

/// `work` for every slice, in order.
fn each_slice<T: Send>(slices: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    map((0..slices).collect(), work)
}

/// Which runs belong to the component with the most cells (neighbours share a face, in 3-D). A slice without any does not end a body: it was
/// lost, and what lies on both sides of it belongs together.
fn largest_component(slices: &[Runs]) -> Vec<Vec<bool>> {
    let mut groups = Groups::default();
    let mut starts = vec![0];
    for slice in slices {
        starts.push(starts[starts.len() - 1] + slice.runs.len());
        slice.runs.iter().for_each(|[start, end]| groups.add((end - start) as usize));
    }
    let row = |k: usize, y: usize| Row { number: starts[k] + slices[k].rows[y] as usize, runs: slices[k].row(y) };
    let held: Vec<usize> = (0..slices.len()).filter(|&k| !slices[k].runs.is_empty()).collect();
    for (n, &k) in held.iter().enumerate() {
        let height = slices[k].rows.len() - 1;
        for y in 0..height {
            if y + 1 < height {
                groups.join_rows(row(k, y), row(k, y + 1), false);
            }
            if let Some(&above) = held.get(n + 1) {
                groups.join_rows(row(k, y), row(above, y), false);
            }
        }
    }
    // The first of equals, so that the result does not depend on chance.
    let largest = groups.heaviest();
    (0..slices.len())
        .map(|k| (starts[k]..starts[k + 1]).map(|run| Some(groups.root(run)) == largest).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    /// A CT from a function of mm from the middle of the image and of the slice.
    fn ct(n: usize, spacing: [f64; 3], slices: usize, hu: impl Fn(f64, f64, usize) -> i16) -> CtVolume {
        let g = Geometry::axial([n, n, slices], spacing, [0.0; 3]).unwrap();
        let at = |v: usize, s: f64| (v as f64 - (n as f64 - 1.0) / 2.0) * s;
        let voxels =
            (0..n * n * slices).map(|v| hu(at(v % n, spacing[0]), at(v / n % n, spacing[1]), v / (n * n))).collect();
        Volume::from_stored(g, voxels, Modality::Ct).unwrap()
    }

    /// Pixel nearest to `mm` from the middle.
    fn pixel(n: usize, spacing: f64, mm: f64) -> usize {
        (mm / spacing + (n as f64 - 1.0) / 2.0).round() as usize
    }

    #[test]
    fn the_couch_goes_and_the_skin_stays() {
        for spacing in [0.7, 0.977, 1.37, 1.9, 3.0] {
            let n = (420.0 / spacing) as usize;
            let (a, b) = (170.0, 110.0);
            let ct = ct(n, [spacing, spacing, 3.0], 3, |x, y, _| {
                let r = (x / a).hypot(y / b);
                if (x - 60.0).hypot(y) < 40.0 {
                    -850
                } else if r < 1.0 {
                    30
                } else if (y - 113.0).abs() < 1.5 || (y - 150.0).abs() < 1.5 {
                    // Two plates of the couch; the patient lies 1.5 mm above the upper one.
                    50
                } else {
                    -1000
                }
            });
            let body = Body::find(&ct);
            let at = |x: f64, y: f64| body.contains(pixel(n, spacing, x), pixel(n, spacing, y), 1);
            for j in 0..n {
                for i in 0..n {
                    if ct.voxels[(n + j) * n + i] == 30 || ct.voxels[(n + j) * n + i] == -850 {
                        assert!(body.contains(i, j, 1), "{spacing} mm: tissue at {i}, {j} lost");
                    }
                }
            }
            assert!(at(60.0, 0.0), "the lung is filled");
            assert!(!at(0.0, 150.0) && !at(140.0, 113.0) && !at(-150.0, 113.0), "{spacing} mm: couch left");
            assert!(!at(0.0, -125.0) && !at(190.0, 0.0), "air kept");
            let c = body.centre(1);
            for axis in [0, 1] {
                let off = (c[axis] - (n as f64 - 1.0) / 2.0) * spacing;
                assert!(off.abs() < 3.5, "{spacing} mm: centre off by {off} mm");
            }
        }
    }

    #[test]
    fn a_lung_cut_open_by_the_field_of_view_is_filled() {
        // Body wider than the image; the left lung reaches its edge.
        let ct = ct(150, [2.0, 2.0, 3.0], 2, |x, y, _| match (x / 180.0).hypot(y / 110.0) {
            _ if ((x - 130.0) / 60.0).hypot(y / 60.0) < 1.0 => -870,
            r if r < 1.0 => 20,
            _ => -1000,
        });
        let body = Body::find(&ct);
        assert!(body.contains(149, 75, 0) && body.contains(140, 60, 1) && body.contains(0, 75, 0));
        assert!(!body.contains(75, 5, 0));
    }

    #[test]
    fn only_the_largest_component_is_the_body() {
        let ct = ct(100, [3.0, 3.0, 3.0], 5, |x, y, k| {
            if x.hypot(y) < 60.0 || ((x - 110.0).hypot(y) < 20.0 && k != 2) { 0 } else { -1000 }
        });
        let body = Body::find(&ct);
        assert!(body.contains(50, 50, 0) && !body.contains(pixel(100, 3.0, 110.0), 50, 0));
    }

    #[test]
    fn slices_that_were_lost_do_not_end_the_body() {
        let ct = ct(
            64,
            [4.0, 4.0, 3.0],
            30,
            |x, y, k| {
                if ![9, 20, 21].contains(&k) && x.hypot(y) < 60.0 { 0 } else { -1000 }
            },
        );
        let body = Body::find(&ct);
        for k in 0..30 {
            assert_eq!(body.extent(k).is_some(), ![9, 20, 21].contains(&k), "slice {k}");
        }
    }

    #[test]
    fn empty_slices_take_the_centre_of_their_neighbours() {
        let ct = ct(64, [4.0, 4.0, 5.0], 12, |x, y, k| {
            if (3..9).contains(&k) && (x - 24.0).hypot(y - 12.0) < 60.0 { 0 } else { -1000 }
        });
        let body = Body::find(&ct);
        assert_eq!(body.extent(0), None);
        assert!(body.extent(5).is_some());
        for k in 0..12 {
            let [i, j] = body.centre(k);
            assert!((i - 37.5).abs() < 0.6 && (j - 34.5).abs() < 0.6, "{k}: {i} {j}");
        }
        let empty = Body::find(&ct.with_voxels(vec![-1000; 64 * 64 * 12]));
        assert!(empty.centre(7).iter().all(|c| (c - 31.5).abs() < 1e-9));
        assert!(empty.extent(7).is_none() && !empty.contains(32, 32, 7));
    }

    #[test]
    fn the_centre_follows_the_body_without_jumping() {
        // The body moves 20 mm at once: the centre takes about 30 mm for it, and lies half-way at the step.
        let ct =
            ct(
                100,
                [3.0, 3.0, 3.0],
                40,
                |x, y, k| {
                    if (x - if k < 20 { 0.0 } else { 20.0 }).hypot(y) < 60.0 { 0 } else { -1000 }
                },
            );
        let body = Body::find(&ct);
        let x: Vec<f64> = (0..40).map(|k| (body.centre(k)[0] - 49.5) * 3.0).collect();
        assert!(x.windows(2).all(|p| p[1] - p[0] > -0.01 && p[1] - p[0] < 6.0), "{x:?}");
        assert!(x[0].abs() < 2.0 && (x[39] - 20.0).abs() < 2.0 && ((x[19] + x[20]) / 2.0 - 10.0).abs() < 2.0);
    }
}
