//! The air around the patient: what no organ can lie in.
//!
//! [`Body`] fills what a slice encloses, and what has body in front, behind and on one side, since lungs are full of air and may be cut
//! open by the field of view; but an arm beside a trunk does the same to the air between them, and a network that sees it calls it lung.
//! So the air is followed in space from the borders of the image, on cells of 4 mm: only through what is as thin as air is (lungs are
//! denser, also where the field of view or the end of the scan cuts them open) and about 2 cm wide within a slice (mouth, nose,
//! throat and windpipe are not, also where the end of the scan opens them). What is narrower beside it, in the slice, belongs to it as far as
//! two cells.

use std::ops::Range;

use super::Body;
use super::bits::Bits;
use crate::parallel::map;
use crate::raster::{Groups, Row};
use crate::volume::CtVolume;

/// The mean of a cell of nothing but air is below this; lungs have -900 to -500, padding -1000 and less. A slice of lung at the end of the
/// scan with two empty ones beyond it is not.
const AIR_HU: i64 = -970;
/// Side of a cell, mm.
const CELL_MM: f64 = 4.0;
/// What is followed has so many open cells on every side within its slice.
const CLEARANCE: usize = 2;

/// The air around a patient, in cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideAir {
    /// Voxels in a cell along i, j, k.
    factor: [usize; 3],
    /// Voxels of a row.
    width: usize,
    outside: Bits,
}

impl OutsideAir {
    /// Of a CT and the body in it.
    pub fn find(ct: &CtVolume, body: &Body) -> Self {
        let (size, spacing) = (ct.geometry.size, ct.geometry.spacing());
        let factor: [usize; 3] =
            std::array::from_fn(|a| ((CELL_MM / spacing[a]).round() as usize).clamp(1, size[a].max(1)));
        let cells: [usize; 3] = std::array::from_fn(|a| size[a].div_ceil(factor[a]));
        let open = open_cells(ct, factor, cells);
        let mut wide = open.clone();
        wide.erode([CLEARANCE; 2]);
        // A lung that the field of view cuts open lies at the border, too, and within the body.
        let middle = |n: usize, axis: usize| (n * factor[axis] + factor[axis] / 2).min(size[axis] - 1);
        let is_seed = |i: usize, j: usize, k: usize| {
            let border = i == 0 || j == 0 || i + 1 == cells[0] || j + 1 == cells[1];
            border && !body.contains(middle(i, 0), middle(j, 1), middle(k, 2))
        };
        let mut outside = reached(&wide, is_seed);
        // Back to where the clearance ended, through air alone. What is blurred at its border stays: where the scan ends, that is lung.
        for _ in 0..CLEARANCE {
            for step in [[1, 0], [0, 1]] {
                outside.dilate(step);
                outside.keep_of(&open);
            }
        }
        Self { factor, width: size[0], outside }
    }

    /// Whether voxel i, j, k lies in it.
    pub fn contains(&self, i: usize, j: usize, k: usize) -> bool {
        self.outside.get([i / self.factor[0], j / self.factor[1], k / self.factor[2]])
    }

    /// The pixels i of row j in slice k that lie in it, as ranges.
    pub(crate) fn row(&self, j: usize, k: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let (factor, width) = (self.factor[0], self.width);
        self.outside
            .runs(j / self.factor[1], k / self.factor[2])
            .map(move |run| run.start * factor..(run.end * factor).min(width))
    }
}

/// The cells that hold nothing but air.
fn open_cells(ct: &CtVolume, factor: [usize; 3], cells: [usize; 3]) -> Bits {
    let size = ct.geometry.size;
    let voxels = |axis: usize, n: usize| ((n + 1) * factor[axis]).min(size[axis]) - n * factor[axis];
    let slabs = map((0..cells[2]).collect(), |slab| {
        let mut sums = vec![0i64; cells[0] * cells[1]];
        let mut columns = vec![0i32; size[0]];
        for k in slab * factor[2]..slab * factor[2] + voxels(2, slab) {
            let rows = ct.slice(k).chunks(size[0] * factor[1]);
            for (sums, rows) in sums.chunks_exact_mut(cells[0].max(1)).zip(rows) {
                // Some voxels of 16 bits: nothing overflows, and the check would cost as much as the sum.
                columns.fill(0);
                for row in rows.chunks_exact(size[0]) {
                    columns.iter_mut().zip(row).for_each(|(sum, &hu)| *sum = sum.wrapping_add(i32::from(hu)));
                }
                for (sum, part) in sums.iter_mut().zip(columns.chunks(factor[0])) {
                    *sum = part.iter().fold(*sum, |sum, &n| sum.wrapping_add(i64::from(n)));
                }
            }
        }
        let mut open = Bits::new([cells[0], cells[1], 1]);
        for (j, sums) in sums.chunks_exact(cells[0].max(1)).enumerate() {
            let area = voxels(1, j) * voxels(2, slab);
            let [all, last] = [factor[0], voxels(0, cells[0] - 1)].map(|width| AIR_HU * (width * area) as i64);
            open.fill_row(j, 0, |i| sums[i] < if i + 1 < cells[0] { all } else { last });
        }
        open
    });
    Bits::of_slices(cells, slabs)
}

/// The cells that are joined by faces to seeds among them.
fn reached(cells: &Bits, is_seed: impl Fn(usize, usize, usize) -> bool) -> Bits {
    let [w, h, d] = cells.size();
    let mut groups = Groups::default();
    // Thing 0 is where all seeds belong; run n is thing n + 1.
    groups.add(0);
    let mut runs: Vec<[u32; 2]> = Vec::new();
    // Runs of row j in slice k are runs[first[j + h * k]..first[j + h * k + 1]].
    let mut first = vec![0];
    for row in 0..h * d {
        let (j, k) = (row % h, row / h);
        for run in cells.runs(j, k) {
            groups.add(0);
            runs.push([run.start as u32, run.end as u32]);
            let seeded = if j == 0 || j + 1 == h {
                run.into_iter().any(|i| is_seed(i, j, k))
            } else {
                (run.start == 0 && is_seed(0, j, k)) || (run.end == w && is_seed(w - 1, j, k))
            };
            if seeded {
                groups.join(0, runs.len());
            }
        }
        first.push(runs.len());
        let row_of = |n: usize| Row { number: first[n] + 1, runs: &runs[first[n]..first[n + 1]] };
        for before in [(j > 0).then(|| row - 1), (k > 0).then(|| row - h)].into_iter().flatten() {
            groups.join_rows(row_of(row), row_of(before), false);
        }
    }
    let mut reached = Bits::new([w, h, d]);
    for row in 0..h * d {
        for n in first[row]..first[row + 1] {
            if groups.root(n + 1) == 0 {
                reached.set_run(row % h, row / h, runs[n][0] as usize..runs[n][1] as usize);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::{Phantom, PhantomOptions, ScanSet};
    use crate::volume::{Geometry, Modality, Volume};

    /// By the definition, cell by cell.
    fn by_flooding(ct: &CtVolume, body: &Body) -> Vec<bool> {
        let (size, spacing) = (ct.geometry.size, ct.geometry.spacing());
        let factor: [usize; 3] = std::array::from_fn(|a| ((4.0 / spacing[a]).round() as usize).clamp(1, size[a]));
        let cells: [usize; 3] = std::array::from_fn(|a| size[a].div_ceil(factor[a]));
        let count: usize = cells.iter().product();
        let place = |n: usize| [n % cells[0], n / cells[0] % cells[1], n / (cells[0] * cells[1])];
        let voxels_of = |n: usize| {
            let ranges: Vec<Range<usize>> =
                (0..3).map(|a| place(n)[a] * factor[a]..((place(n)[a] + 1) * factor[a]).min(size[a])).collect();
            let mut all = Vec::new();
            for k in ranges[2].clone() {
                for j in ranges[1].clone() {
                    all.extend(ranges[0].clone().map(|i| i64::from(ct.voxels[i + size[0] * (j + size[1] * k)])));
                }
            }
            all
        };
        let open: Vec<bool> = (0..count)
            .map(|n| {
                let hu = voxels_of(n);
                hu.iter().sum::<i64>() < -970 * hu.len() as i64
            })
            .collect();
        let near = |cells_of: &[bool], n: usize, reach: [usize; 2], all: bool| {
            let [x, y, z] = place(n);
            let mut cells_near = Vec::new();
            for v in y.saturating_sub(reach[1])..=(y + reach[1]).min(cells[1] - 1) {
                for u in x.saturating_sub(reach[0])..=(x + reach[0]).min(cells[0] - 1) {
                    cells_near.push(cells_of[u + cells[0] * (v + cells[1] * z)]);
                }
            }
            if all { cells_near.iter().all(|&c| c) } else { cells_near.contains(&true) }
        };
        let mut wide: Vec<bool> = (0..count).map(|n| near(&open, n, [2, 2], true)).collect();
        let middle = |n: usize, axis: usize| (n * factor[axis] + factor[axis] / 2).min(size[axis] - 1);
        let seeds = (0..count).filter(|&n| {
            let [i, j, k] = place(n);
            let border = i == 0 || j == 0 || i + 1 == cells[0] || j + 1 == cells[1];
            border && !body.contains(middle(i, 0), middle(j, 1), middle(k, 2))
        });
        let mut outside = vec![false; count];
        for n in crate::raster::take(&mut wide, cells, seeds) {
            outside[n] = true;
        }
        for reach in [[1, 0], [0, 1], [1, 0], [0, 1]] {
            outside = (0..count).map(|n| open[n] && near(&outside, n, reach, false)).collect();
        }
        let [nx, ny, _] = size;
        let cell = |n: usize| {
            let [i, j, k] = [n % nx / factor[0], n / nx % ny / factor[1], n / (nx * ny) / factor[2]];
            i + cells[0] * (j + cells[1] * k)
        };
        (0..ct.voxels.len()).map(|n| outside[cell(n)]).collect()
    }

    #[test]
    fn the_air_is_that_of_a_flood_from_cell_to_cell() {
        let phantom = |matrix: usize, pixel_mm: f64, slice_mm: f64| {
            let options = PhantomOptions { seed: 3, matrix, pixel_mm, slice_mm, ..Default::default() };
            Phantom::new(options).unwrap().volume().unwrap().0
        };
        for ct in [trunk(40.0), trunk(0.0), phantom(150, 3.3, 9.0), phantom(67, 7.0, 2.5)] {
            let body = Body::find(&ct);
            let air = OutsideAir::find(&ct, &body);
            let [nx, ny, nz] = ct.geometry.size;
            let expected = by_flooding(&ct, &body);
            let found: Vec<bool> =
                (0..nx * ny * nz).map(|n| air.contains(n % nx, n / nx % ny, n / (nx * ny))).collect();
            assert!(found == expected && found.contains(&true), "{:?}", ct.geometry.size);
            let mut by_rows = vec![false; found.len()];
            for row in 0..ny * nz {
                air.row(row % ny, row / ny).for_each(|run| by_rows[row * nx..][run].fill(true));
            }
            assert!(by_rows == found);
        }
    }

    #[test]
    fn no_organ_of_any_patient_lies_in_it() {
        for set in [ScanSet::WholeBody].into_iter().chain(ScanSet::PARTIAL) {
            let options =
                PhantomOptions { set, seed: 5, matrix: 128, pixel_mm: 4.0, slice_mm: 5.0, ..Default::default() };
            let (ct, labels) = Phantom::new(options).unwrap().volume().unwrap();
            let outside = OutsideAir::find(&ct, &Body::find(&ct));
            let [nx, ny, _] = ct.geometry.size;
            let inside = |n: usize| outside.contains(n % nx, n / nx % ny, n / (nx * ny));
            assert!((0..labels.voxels.len()).all(|n| labels.voxels[n] == 0 || !inside(n)), "{set:?}");
            assert!((0..labels.voxels.len()).filter(|&n| inside(n)).count() > labels.voxels.len() / 5, "{set:?}");
        }
    }

    /// A trunk with a lung, two arms that touch it above and below, and, above the shoulders, air all around.
    fn trunk(gap_mm: f64) -> CtVolume {
        let size = [120, 80, 30];
        let geometry = Geometry::axial(size, [4.0, 4.0, 4.0], [0.0; 3]).unwrap();
        let mut voxels = vec![-1000i16; size.iter().product()];
        for k in 0..size[2] {
            for j in 0..size[1] {
                for i in 0..size[0] {
                    let [x, y] = [(i as f64 - 59.5) * 4.0, (j as f64 - 39.5) * 4.0];
                    let trunk = (x / 130.0).hypot(y / 110.0) < 1.0;
                    let lung = ((x - 60.0) / 40.0).hypot(y / 60.0) < 1.0;
                    let arm = x.abs() > 130.0 + gap_mm && x.abs() < 190.0 + gap_mm && y.abs() < 130.0;
                    let bridge = x.abs() < 190.0 + gap_mm && (90.0..130.0).contains(&y.abs()) && k < 24;
                    voxels[i + size[0] * (j + size[1] * k)] = match () {
                        () if lung => -800,
                        () if trunk || (arm && k < 24) || bridge => 40,
                        () => -1000,
                    };
                }
            }
        }
        Volume::from_stored(geometry, voxels, Modality::Ct).unwrap()
    }

    #[test]
    fn a_lung_that_the_end_of_the_scan_opens_into_nothing_stays_inside() {
        // Slices without a patient at the end, as padded scans have, and a field of view that ends in the lung.
        let mut ct = trunk(40.0);
        let [nx, ny, _] = ct.geometry.size;
        ct.voxels[..4 * nx * ny].fill(-1024);
        for (n, hu) in ct.voxels.iter_mut().enumerate() {
            if n % nx > 59 + 20 {
                *hu = -1024;
            }
        }
        let outside = OutsideAir::find(&ct, &Body::find(&ct));
        let lung = (0..ct.voxels.len()).filter(|&n| ct.voxels[n] == -800);
        let lost = lung.filter(|&n| outside.contains(n % nx, n / nx % ny, n / (nx * ny))).count();
        let all = ct.voxels.iter().filter(|&&hu| hu == -800).count();
        assert!(all > 2000 && lost == 0, "{lost} of {all}");
    }

    #[test]
    fn air_that_arms_and_trunk_enclose_is_outside_and_the_lung_is_not() {
        let ct = trunk(40.0);
        let body = Body::find(&ct);
        let outside = OutsideAir::find(&ct, &body);
        // Between arm and trunk, at half their height: the outline of the body has it, and it is open above the shoulders.
        let pocket = [59 + 37, 40, 10];
        assert!(body.contains(pocket[0], pocket[1], pocket[2]), "enclosed in its slice");
        assert!(outside.contains(pocket[0], pocket[1], pocket[2]));
        assert!(outside.contains(2, 2, 5) && !outside.contains(59 + 15, 40, 10), "around it, and not in the lung");
    }
}
