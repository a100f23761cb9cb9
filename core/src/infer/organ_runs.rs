//! The organs of a label map as runs of voxels in rows: of runs an organ has hundreds of times fewer than voxels, and finding them reads
//! the map once.

use crate::anatomy::{ORGAN_COUNT, Organ};
use crate::parallel::map;
use crate::raster::label_runs;

/// The runs of an organ, in the order of memory.
#[derive(Clone, Debug, Default)]
pub(super) struct OrganRuns {
    /// The row of each run, y and z.
    pub rows: Vec<[u32; 2]>,
    /// First voxel of the row and the one after the last.
    pub runs: Vec<[u32; 2]>,
}

impl OrganRuns {
    /// Of all organs. `labels` is `[nz, ny, nx]`, `size` is `[nx, ny, nz]`.
    pub fn of(labels: &mut [u8], size: [usize; 3]) -> [Self; ORGAN_COUNT] {
        Self::within(labels, size, |_, _, inside| inside.fill(1)).0
    }

    /// Of all organs, without what lies outside, which becomes 0; and how many voxels of each organ did. `inside(y, z, row)` sets to 1
    /// what is inside of a row of zeros.
    pub fn within(
        labels: &mut [u8],
        size: [usize; 3],
        inside: impl Fn(usize, usize, &mut [u8]) + Sync + Send,
    ) -> ([Self; ORGAN_COUNT], [usize; ORGAN_COUNT]) {
        let [nx, ny, _] = size;
        let slices: Vec<(usize, &mut [u8])> = labels.chunks_exact_mut((nx * ny).max(1)).enumerate().collect();
        let found = map(slices, |(z, slice)| {
            // Some slices have a few organs: a list of their runs, and not a list for each.
            let (mut runs, mut removed) = (Vec::<(usize, [u32; 2], [u32; 2])>::new(), [0; ORGAN_COUNT]);
            let (mut here, mut within) = (Vec::new(), vec![0u8; nx]);
            for (y, row) in slice.chunks_exact_mut(nx.max(1)).enumerate() {
                here.clear();
                label_runs(row, |label, start, end| {
                    here.extend(Organ::from_label(label).map(|organ| (organ.index(), start, end)));
                });
                if here.is_empty() {
                    continue;
                }
                within.fill(0);
                inside(y, z, &mut within);
                for &(organ, start, end) in &here {
                    let mut keep =
                        |from: usize, to: usize| runs.push((organ, [y as u32, z as u32], [from as u32, to as u32]));
                    if within[start..end].iter().fold(1, |all, inside| all & inside) == 1 {
                        keep(start, end);
                        continue;
                    }
                    removed[organ] += end - start;
                    label_runs(&within[start..end], |_, from, to| {
                        keep(start + from, start + to);
                        removed[organ] -= to - from;
                    });
                    row[start..end].iter_mut().zip(&within[start..end]).for_each(|(label, inside)| *label *= inside);
                }
            }
            (runs, removed)
        });
        let (mut all, mut removed) = (std::array::from_fn(|_| Self::default()), [0; ORGAN_COUNT]);
        for (runs, less) in found {
            for (organ, row, run) in runs {
                let organ: &mut Self = &mut all[organ];
                organ.rows.push(row);
                organ.runs.push(run);
            }
            removed.iter_mut().zip(less).for_each(|(sum, less)| *sum += less);
        }
        (all, removed)
    }

    /// Voxels of the organ.
    pub fn voxels(&self) -> usize {
        self.runs.iter().map(|[start, end]| (end - start) as usize).sum()
    }

    /// Takes the organ out of the labels, and all of its runs.
    pub fn erase(&mut self, labels: &mut [u8], [nx, ny, _]: [usize; 3]) {
        for ([y, z], run) in self.rows.drain(..).zip(self.runs.drain(..)) {
            let [start, end] = run.map(|x| nx * (y as usize + ny * z as usize) + x as usize);
            labels[start..end].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_goes_and_the_rest_are_the_runs() {
        const SIZE: [usize; 3] = [70, 4, 3];
        let mut noise = 5u32;
        let mut labels: Vec<u8> = (0..SIZE.iter().product())
            .map(|n: usize| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Runs of three organs, and a number that is none's.
                [0, 5, 5, 30, 40][(n / 6 + (noise >> 31) as usize) % 5]
            })
            .collect();
        let before = labels.clone();
        let is_inside = |x: usize, y: usize, z: usize| (x + 3 * y + z) % 11 < 8 && z != 1;
        let (runs, removed) = OrganRuns::within(&mut labels, SIZE, |y, z, row| {
            row.iter_mut().enumerate().for_each(|(x, inside)| *inside = u8::from(is_inside(x, y, z)));
        });
        let mut again = before.clone();
        for (n, label) in again.iter_mut().enumerate() {
            if *label != 40 && !is_inside(n % 70, n / 70 % 4, n / 280) {
                *label = 0;
            }
        }
        assert_eq!(labels, again);
        for organ in Organ::ALL {
            let is_organ = |labels: &[u8]| labels.iter().filter(|&&label| label == organ.label()).count();
            let own = &runs[organ.index()];
            assert_eq!((own.voxels(), own.voxels() + removed[organ.index()]), (is_organ(&labels), is_organ(&before)));
            let mut painted = vec![0; labels.len()];
            for ([y, z], [start, end]) in own.rows.iter().zip(&own.runs) {
                let row = 70 * (y + 4 * z);
                painted[(row + start) as usize..(row + end) as usize].fill(organ.label());
            }
            assert!(painted.iter().zip(&labels).all(|(a, &b)| *a == if b == organ.label() { b } else { 0 }));
        }
        let mut liver = runs[29].clone();
        liver.erase(&mut labels, SIZE);
        assert!(!labels.contains(&30) && labels.contains(&5) && liver.voxels() == 0);
    }
}
