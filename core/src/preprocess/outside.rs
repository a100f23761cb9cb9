//! The air around the patient: what no organ can lie in.
//!
//! [`Body`] fills what a slice encloses, and what has body in front, behind and on one side, since lungs are full of air and may be cut
//! open by the field of view; but an arm beside a trunk does the same to the air between them, and a network that sees it calls it lung.
//! So the air is followed in space from the borders of the image, on cells of 4 mm: only through what is as thin as air is (lungs are
//! denser, also where the field of view or the end of the scan cuts them open) and about 2 cm wide within a slice (mouth, nose,
//! throat and windpipe are not, also where the end of the scan opens them). What is narrower beside it, in the slice, belongs to it as far as
//! two cells.

use super::Body;
use crate::raster::take;
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
    cells: [usize; 3],
    outside: Vec<bool>,
}

impl OutsideAir {
    /// Of a CT and the body in it.
    pub fn find(ct: &CtVolume, body: &Body) -> Self {
        let (size, spacing) = (ct.geometry.size, ct.geometry.spacing());
        let factor: [usize; 3] =
            std::array::from_fn(|a| ((CELL_MM / spacing[a]).round() as usize).clamp(1, size[a].max(1)));
        let cells: [usize; 3] = std::array::from_fn(|a| size[a].div_ceil(factor[a]));
        let count = cells.iter().product();
        let mut sums = vec![0i64; count];
        let cell = |at: [usize; 3]| at[0] + cells[0] * (at[1] + cells[1] * at[2]);
        for (row, line) in ct.voxels.chunks_exact(size[0].max(1)).enumerate() {
            let first = cell([0, row % size[1] / factor[1], row / size[1] / factor[2]]);
            // Some voxels of 16 bits: nothing overflows, and the check would cost as much as the sum.
            for (sum, part) in sums[first..].iter_mut().zip(line.chunks(factor[0])) {
                *sum = sum.wrapping_add(i64::from(part.iter().fold(0i32, |sum, &hu| sum.wrapping_add(i32::from(hu)))));
            }
        }
        let voxels = |axis: usize, n: usize| ((n + 1) * factor[axis]).min(size[axis]) - n * factor[axis];
        let mut open = Vec::with_capacity(count);
        for (row, sums) in sums.chunks_exact(cells[0].max(1)).enumerate() {
            let area = voxels(1, row % cells[1]) * voxels(2, row / cells[1]);
            open.extend(sums.iter().enumerate().map(|(n, &sum)| sum < AIR_HU * (voxels(0, n) * area) as i64));
        }
        let mut wide = open.clone();
        for axis in 0..2 {
            wide = along(&wide, cells, axis, CLEARANCE, |all, open| *all &= open);
        }
        // A lung that the field of view cuts open lies at the border, too, and within the body.
        let mut seeds = Vec::new();
        for k in 0..cells[2] {
            for j in 0..cells[1] {
                for i in 0..cells[0] {
                    let border = i == 0 || j == 0 || i + 1 == cells[0] || j + 1 == cells[1];
                    let middle = |n: usize, axis: usize| (n * factor[axis] + factor[axis] / 2).min(size[axis] - 1);
                    if border && !body.contains(middle(i, 0), middle(j, 1), middle(k, 2)) {
                        seeds.push(cell([i, j, k]));
                    }
                }
            }
        }
        let mut outside = vec![false; open.len()];
        for n in take(&mut wide, cells, seeds) {
            outside[n] = true;
        }
        // Back to where the clearance ended, through air alone. What is blurred at its border stays: where the scan ends, that is lung.
        for _ in 0..CLEARANCE {
            for axis in 0..2 {
                outside = along(&outside, cells, axis, 1, |any, outside| *any |= outside);
                outside.iter_mut().zip(&open).for_each(|(outside, &open)| *outside &= open);
            }
        }
        Self { factor, cells, outside }
    }

    /// Whether voxel i, j, k lies in it.
    pub fn contains(&self, i: usize, j: usize, k: usize) -> bool {
        let [x, y, z] = [i / self.factor[0], j / self.factor[1], k / self.factor[2]];
        let [w, h, d] = self.cells;
        x < w && y < h && z < d && self.outside[x + w * (y + h * z)]
    }
}

/// Each cell put together by `with` with so many neighbours on both sides along an axis, as far as there are any.
fn along(cells: &[bool], size: [usize; 3], axis: usize, reach: usize, with: impl Fn(&mut bool, bool)) -> Vec<bool> {
    let step: usize = size[..axis].iter().product();
    let line = step * size[axis];
    let mut out = cells.to_vec();
    if line == 0 {
        return out;
    }
    for (out, cells) in out.chunks_exact_mut(line).zip(cells.chunks_exact(line)) {
        for away in (1..=reach.min(size[axis] - 1)).map(|n| n * step) {
            out.iter_mut().zip(&cells[away..]).for_each(|(own, &next)| with(own, next));
            out[away..].iter_mut().zip(cells).for_each(|(own, &previous)| with(own, previous));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::{Phantom, PhantomOptions, ScanSet};
    use crate::volume::{Geometry, Modality, Volume};

    #[test]
    fn neighbours_along_an_axis_are_those_of_the_same_line() {
        let size = [3, 4, 2];
        let cells: Vec<bool> = (0..24).map(|n| n * 7 % 5 < 2).collect();
        let at = |i: usize, j: usize, k: usize| cells[i + 3 * (j + 4 * k)];
        for axis in 0..2 {
            let any = along(&cells, size, axis, 2, |any, cell| *any |= cell);
            let all = along(&cells, size, axis, 2, |all, cell| *all &= cell);
            for n in 0..24 {
                let [i, j, k]: [usize; 3] = [n % 3, n / 3 % 4, n / 12];
                let own = [i, j][axis];
                let near = (own.saturating_sub(2)..(own + 3).min(size[axis])).map(|m| match axis {
                    0 => at(m, j, k),
                    _ => at(i, m, k),
                });
                assert_eq!(any[n], near.clone().any(|cell| cell), "{axis} {n}");
                assert_eq!(all[n], near.clone().all(|cell| cell), "{axis} {n}");
            }
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
