//! The organs of a label map as runs of voxels in rows: of runs an organ has hundreds of times fewer than voxels. A run over a volume keeps
//! its labels so until it is over, and the clean-up works on nothing else.

use crate::anatomy::{ORGAN_COUNT, Organ};
use crate::parallel::map;
use crate::raster::label_runs;

/// The organs of a slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SliceRuns(Vec<SliceRun>);

/// Voxels of an organ that stand together in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SliceRun {
    organ: Organ,
    row: u32,
    /// First voxel and the one after the last.
    voxels: [u32; 2],
}

impl SliceRuns {
    /// Of labels `[ny, nx]`; what is no organ's is left out.
    pub fn of(labels: &[u8], nx: usize) -> Self {
        let mut runs = Vec::new();
        for (row, line) in labels.chunks_exact(nx.max(1)).enumerate() {
            label_runs(line, |label, start, end| {
                let run = |organ| SliceRun { organ, row: row as u32, voxels: [start as u32, end as u32] };
                runs.extend(Organ::from_label(label).map(run));
            });
        }
        runs.shrink_to_fit();
        Self(runs)
    }

    /// Sets the organs in labels `[ny, nx]`, and leaves the rest.
    pub fn paint(&self, labels: &mut [u8], nx: usize) {
        for SliceRun { organ, row, voxels: [start, end] } in &self.0 {
            let row = nx * *row as usize;
            labels[row + *start as usize..row + *end as usize].fill(organ.label());
        }
    }

    /// Voxels of all organs.
    pub fn voxels(&self) -> usize {
        self.0.iter().map(|SliceRun { voxels: [start, end], .. }| (end - start) as usize).sum()
    }

    /// Takes away what lies outside; how many voxels of each organ did. `inside(row, line)` sets to 1 what is inside of a line of `nx` zeros.
    pub fn cut(&mut self, nx: usize, inside: impl Fn(usize, &mut [u8])) -> [usize; ORGAN_COUNT] {
        let (mut line, mut lined, mut removed) = (vec![0u8; nx], None, [0; ORGAN_COUNT]);
        let mut kept = Vec::with_capacity(self.0.len());
        for run in self.0.drain(..) {
            if lined.replace(run.row) != Some(run.row) {
                line.fill(0);
                inside(run.row as usize, &mut line);
            }
            let [start, end] = run.voxels.map(|x| x as usize);
            if line[start..end].iter().fold(1, |all, inside| all & inside) == 1 {
                kept.push(run);
                continue;
            }
            let removed = &mut removed[run.organ.index()];
            *removed += end - start;
            label_runs(&line[start..end], |_, from, to| {
                kept.push(SliceRun { voxels: [start + from, start + to].map(|x| x as u32), ..run });
                *removed -= to - from;
            });
        }
        self.0 = kept;
        removed
    }
}

/// The runs of an organ in a volume, in the order of memory.
#[derive(Clone, Debug, Default)]
pub(super) struct OrganRuns {
    /// The row of each run, y and z.
    pub rows: Vec<[u32; 2]>,
    /// First voxel of the row and the one after the last.
    pub runs: Vec<[u32; 2]>,
}

impl OrganRuns {
    /// Of all organs in the slices of a volume.
    pub fn of(slices: &[SliceRuns]) -> [Self; ORGAN_COUNT] {
        let mut all = std::array::from_fn(|_| Self::default());
        for (z, slice) in slices.iter().enumerate() {
            for SliceRun { organ, row, voxels } in &slice.0 {
                let organ: &mut Self = &mut all[organ.index()];
                organ.rows.push([*row, z as u32]);
                organ.runs.push(*voxels);
            }
        }
        all
    }

    /// Of all organs in labels `[nz, ny, nx]`.
    pub fn of_labels(labels: &[u8], [nx, ny, _]: [usize; 3]) -> [Self; ORGAN_COUNT] {
        let slices = labels.chunks_exact((nx * ny).max(1)).collect();
        Self::of(&map(slices, |slice| SliceRuns::of(slice, nx)))
    }

    /// Makes them the slices of a volume again, in place of what those held.
    pub fn put(all: &[Self; ORGAN_COUNT], slices: &mut [SliceRuns]) {
        slices.iter_mut().for_each(|slice| slice.0.clear());
        for (organ, runs) in Organ::ALL.into_iter().zip(all) {
            for (&[row, z], &voxels) in runs.rows.iter().zip(&runs.runs) {
                slices[z as usize].0.push(SliceRun { organ, row, voxels });
            }
        }
    }

    /// Voxels of the organ.
    pub fn voxels(&self) -> usize {
        self.runs.iter().map(|[start, end]| (end - start) as usize).sum()
    }

    /// The lowest and the highest slice; `None` of no voxel.
    pub fn slices(&self) -> Option<[usize; 2]> {
        let slice = |row: Option<&[u32; 2]>| row.map(|row| row[1] as usize);
        slice(self.rows.first()).zip(slice(self.rows.last())).map(|(low, high)| [low, high])
    }

    /// Takes the runs away of which `goes` says so by their number.
    pub fn take(&mut self, goes: impl Fn(usize) -> bool) -> Self {
        let (mut kept, mut gone) = (Self::default(), Self::default());
        for (n, (row, run)) in self.rows.drain(..).zip(self.runs.drain(..)).enumerate() {
            let to = if goes(n) { &mut gone } else { &mut kept };
            to.rows.push(row);
            to.runs.push(run);
        }
        *self = kept;
        gone
    }

    /// Sets their voxels to 0 in labels `[nz, ny, nx]`.
    pub fn erase(&self, labels: &mut [u8], [nx, ny, _]: [usize; 3]) {
        for ([y, z], run) in self.rows.iter().zip(&self.runs) {
            let [start, end] = run.map(|x| nx * (*y as usize + ny * *z as usize) + x as usize);
            labels[start..end].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 3] = [70, 4, 3];

    /// Runs of three organs, and a number that is none's.
    fn labels() -> Vec<u8> {
        let mut noise = 5u32;
        let mut label = |n: usize| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [0, 5, 5, 30, 40][(n / 6 + (noise >> 31) as usize) % 5]
        };
        (0..SIZE.iter().product()).map(&mut label).collect()
    }

    fn painted(slices: &[SliceRuns]) -> Vec<u8> {
        let mut labels = vec![0; SIZE.iter().product()];
        labels.chunks_exact_mut(SIZE[0] * SIZE[1]).zip(slices).for_each(|(to, slice)| slice.paint(to, SIZE[0]));
        labels
    }

    #[test]
    fn what_lies_outside_goes_and_the_rest_comes_out_as_it_went_in() {
        let before = labels();
        let organs = |labels: &[u8]| labels.iter().map(|&l| if l == 40 { 0 } else { l }).collect::<Vec<u8>>();
        let is_inside = |x: usize, y: usize, z: usize| (x + 3 * y + z) % 11 < 8 && z != 1;
        let mut slices: Vec<SliceRuns> = before.chunks_exact(280).map(|slice| SliceRuns::of(slice, 70)).collect();
        assert_eq!(painted(&slices), organs(&before));
        let mut removed = [0; ORGAN_COUNT];
        for (z, slice) in slices.iter_mut().enumerate() {
            let less = slice.cut(70, |y, line| {
                line.iter_mut().enumerate().for_each(|(x, inside)| *inside = u8::from(is_inside(x, y, z)));
            });
            removed.iter_mut().zip(less).for_each(|(sum, less)| *sum += less);
        }
        let mut expected = organs(&before);
        for (n, label) in expected.iter_mut().enumerate() {
            if !is_inside(n % 70, n / 70 % 4, n / 280) {
                *label = 0;
            }
        }
        assert_eq!(painted(&slices), expected);
        let all = OrganRuns::of(&slices);
        for organ in Organ::ALL {
            let is_organ = |labels: &[u8]| labels.iter().filter(|&&label| label == organ.label()).count();
            let own = all[organ.index()].voxels();
            assert_eq!((own, own + removed[organ.index()]), (is_organ(&expected), is_organ(&before)));
        }
        let voxels: usize = slices.iter().map(SliceRuns::voxels).sum();
        assert_eq!(voxels, expected.iter().filter(|&&label| label != 0).count());
    }

    #[test]
    fn what_is_taken_from_an_organ_is_gone_from_slices_and_labels() {
        let mut labels = labels();
        let mut slices: Vec<SliceRuns> = labels.chunks_exact(280).map(|slice| SliceRuns::of(slice, 70)).collect();
        let mut all = OrganRuns::of_labels(&labels, SIZE);
        let (liver, voxels) = (Organ::Liver.index(), all[Organ::Liver.index()].voxels());
        let gone = all[liver].take(|n| n % 2 == 1);
        assert!(gone.voxels() > 0 && all[liver].voxels() > 0 && gone.voxels() + all[liver].voxels() == voxels);
        gone.erase(&mut labels, SIZE);
        assert_eq!(labels.iter().filter(|&&label| label == Organ::Liver.label()).count(), all[liver].voxels());
        OrganRuns::put(&all, &mut slices);
        assert_eq!(painted(&slices), labels.iter().map(|&l| if l == 40 { 0 } else { l }).collect::<Vec<u8>>());
    }
}
