//! Largest component of every organ.
//!
//! Each of the 33 organs is one piece (paired organs are two organs), so what lies apart from the largest piece is a
//! mistake. Neighbours touch by face, edge or corner: thin organs run obliquely through thick slices.

use crate::anatomy::{ORGAN_COUNT, Organ};

/// Sets everything but the largest 26-connected component of each organ to 0. `labels` is `[nz, ny, nx]`, `size` is
/// `[nx, ny, nz]`. Returns the voxels removed from each organ.
pub fn keep_largest_components(labels: &mut [u8], size: [usize; 3]) -> [usize; ORGAN_COUNT] {
    let mut removed = [0; ORGAN_COUNT];
    let boxes = bounding_boxes(labels, size);
    for organ in Organ::ALL {
        if let Some(bounds) = boxes[organ.index()] {
            removed[organ.index()] = keep_largest(labels, size, organ.label(), bounds);
        }
    }
    removed
}

/// First and last index along each axis.
type Bounds = [[usize; 2]; 3];

fn bounding_boxes(labels: &[u8], size: [usize; 3]) -> [Option<Bounds>; ORGAN_COUNT] {
    let mut boxes: [Option<Bounds>; ORGAN_COUNT] = [None; ORGAN_COUNT];
    for (row, line) in labels.chunks_exact(size[0]).enumerate() {
        let (y, z) = (row % size[1], row / size[1]);
        for (x, &label) in line.iter().enumerate() {
            let Some(organ) = Organ::from_label(label) else { continue };
            let at = [x, y, z];
            let bounds = boxes[organ.index()].get_or_insert(at.map(|v| [v, v]));
            for (b, v) in bounds.iter_mut().zip(at) {
                *b = [b[0].min(v), b[1].max(v)];
            }
        }
    }
    boxes
}

fn keep_largest(labels: &mut [u8], size: [usize; 3], label: u8, bounds: Bounds) -> usize {
    let [nx, ny, nz] = bounds.map(|b| b[1] - b[0] + 1);
    let global =
        |x: usize, y: usize, z: usize| bounds[0][0] + x + size[0] * (bounds[1][0] + y + size[1] * (bounds[2][0] + z));
    // 0 not the organ, 1 not yet reached, 2 reached; the component being walked is remembered by its voxels.
    let mut state = vec![0u8; nx * ny * nz];
    let mut total = 0;
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                if labels[global(x, y, z)] == label {
                    state[x + nx * (y + ny * z)] = 1;
                    total += 1;
                }
            }
        }
    }
    let mut stack: Vec<u32> = Vec::new();
    let mut walk = |state: &mut [u8], seed: usize, from: u8, to: u8| -> usize {
        let mut count = 0;
        state[seed] = to;
        stack.push(seed as u32);
        while let Some(n) = stack.pop() {
            count += 1;
            let n = n as usize;
            let (x, y, z) = (n % nx, n / nx % ny, n / (nx * ny));
            for zz in z.saturating_sub(1)..=(z + 1).min(nz - 1) {
                for yy in y.saturating_sub(1)..=(y + 1).min(ny - 1) {
                    for xx in x.saturating_sub(1)..=(x + 1).min(nx - 1) {
                        let m = xx + nx * (yy + ny * zz);
                        if state[m] == from {
                            state[m] = to;
                            stack.push(m as u32);
                        }
                    }
                }
            }
        }
        count
    };
    let mut largest = (0, 0);
    let mut reached = 0;
    for seed in 0..state.len() {
        // What is left is smaller than what was found.
        if total - reached <= largest.0 {
            break;
        }
        if state[seed] == 1 {
            let count = walk(&mut state, seed, 1, 2);
            reached += count;
            if count > largest.0 {
                largest = (count, seed);
            }
        }
    }
    if largest.0 == total {
        return 0;
    }
    walk(&mut state, largest.1, 2, 3);
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                if matches!(state[x + nx * (y + ny * z)], 1 | 2) {
                    labels[global(x, y, z)] = 0;
                }
            }
        }
    }
    total - largest.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_largest_piece_of_each_organ_stays_and_others_are_untouched() {
        let size = [10, 6, 5];
        let at = |x: usize, y: usize, z: usize| x + 10 * (y + 6 * z);
        let mut labels = vec![0u8; 300];
        for x in 0..4 {
            labels[at(x, 1, 1)] = 30;
        }
        labels[at(4, 2, 2)] = 30; // by a corner
        labels[at(8, 5, 4)] = 30; // apart
        labels[at(9, 5, 4)] = 30;
        labels[at(0, 5, 0)] = 26; // another organ, one voxel
        labels[at(7, 0, 0)] = 40; // not an organ at all
        let removed = keep_largest_components(&mut labels, size);
        assert_eq!(removed[Organ::Liver.index()], 2);
        assert_eq!(labels.iter().filter(|&&l| l == 30).count(), 5);
        assert_eq!(labels[at(4, 2, 2)], 30);
        assert_eq!((labels[at(0, 5, 0)], labels[at(7, 0, 0)]), (26, 40));
        assert_eq!(keep_largest_components(&mut labels, size), [0; ORGAN_COUNT]);
    }

    #[test]
    fn the_later_of_two_pieces_may_be_the_largest() {
        let mut labels = vec![0u8; 20];
        labels[1] = 5;
        labels[4..9].fill(5);
        labels[12..15].fill(5);
        keep_largest_components(&mut labels, [20, 1, 1]);
        assert_eq!(labels.iter().position(|&l| l == 5), Some(4));
        assert_eq!(labels.iter().filter(|&&l| l == 5).count(), 5);
    }
}
