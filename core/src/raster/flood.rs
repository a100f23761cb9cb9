//! What is joined by faces: areas, pieces, and the holes that nothing from outside reaches.

use std::collections::VecDeque;

use super::runs::{first_empty, first_other};
use super::{Groups, Row};

/// Goes from the seeds to all cells that are joined to them by faces, the nearest first. `enter` is asked of every seed and
/// of the neighbours of what was entered, and has to say yes to each cell at most once.
pub fn flood([w, h, d]: [usize; 3], seeds: impl IntoIterator<Item = usize>, mut enter: impl FnMut(usize) -> bool) {
    let mut front: VecDeque<usize> = VecDeque::new();
    for seed in seeds {
        if enter(seed) {
            front.push_back(seed);
        }
    }
    while let Some(n) = front.pop_front() {
        let (x, y, z) = (n % w, n / w % h, n / (w * h));
        let neighbours = [
            (x > 0).then(|| n - 1),
            (x + 1 < w).then_some(n + 1),
            (y > 0).then(|| n - w),
            (y + 1 < h).then_some(n + w),
            (z > 0).then(|| n - w * h),
            (z + 1 < d).then_some(n + w * h),
        ];
        for m in neighbours.into_iter().flatten() {
            if enter(m) {
                front.push_back(m);
            }
        }
    }
}

/// Takes all cells that are joined to the seeds through open ones out of `open`, and returns them, the nearest first.
pub fn take(open: &mut [bool], size: [usize; 3], seeds: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut taken = Vec::new();
    flood(size, seeds, |n| {
        let enters = std::mem::take(&mut open[n]);
        if enters {
            taken.push(n);
        }
        enters
    });
    taken
}

/// All pieces of the open cells, in the order of their first cells.
pub fn pieces(mut open: Vec<bool>, size: [usize; 3]) -> Vec<Vec<usize>> {
    let mut pieces = Vec::new();
    for seed in 0..open.len() {
        if open[seed] {
            pieces.push(take(&mut open, size, [seed]));
        }
    }
    pieces
}

/// Sets to 1 what is 0 and cannot be reached from the faces of the grid; what is not 0 becomes 1, too. A grid of one slice
/// has no faces above and below.
pub fn fill_holes(cells: &mut [u8], size: [usize; 3]) {
    const REACHED: u8 = 2;
    let [w, h, d] = size;
    if d == 1 {
        return fill_holes_of_plane(cells, [w, h]);
    }
    let rows = (0..d).flat_map(|z| (0..h).map(move |y| (y, z)));
    let faces = rows.flat_map(|(y, z)| {
        let whole = y == 0 || y + 1 == h || (d > 1 && (z == 0 || z + 1 == d));
        let step = if whole { 1 } else { w.max(2) - 1 };
        (0..w).step_by(step).map(move |x| x + w * (y + h * z))
    });
    flood(size, faces, |n| {
        let enters = cells[n] == 0;
        if enters {
            cells[n] = REACHED;
        }
        enters
    });
    for cell in cells {
        *cell = u8::from(*cell != REACHED);
    }
}

/// [`fill_holes`] of one slice, on runs: every slice of every scan passes here, and a row has few runs and many cells.
fn fill_holes_of_plane(cells: &mut [u8], [w, h]: [usize; 2]) {
    if w == 0 {
        return;
    }
    let mut groups = Groups::default();
    // Thing 0 is all that lies around the plane; run n is thing n + 1.
    groups.add(0);
    let mut runs: Vec<[u32; 2]> = Vec::new();
    // Runs of row y are runs[first[y]..first[y + 1]].
    let mut first = vec![0];
    for (y, row) in cells.chunks_exact(w).enumerate() {
        let mut x = 0;
        while let Some(start) = first_empty(row, x) {
            let end = first_other(row, start, 0).unwrap_or(w);
            groups.add(0);
            runs.push([start as u32, end as u32]);
            if y == 0 || y + 1 == h || start == 0 || end == w {
                groups.join(0, runs.len());
            }
            x = end;
        }
        first.push(runs.len());
        if y > 0 {
            let row = |y: usize| Row { number: first[y] + 1, runs: &runs[first[y]..first[y + 1]] };
            groups.join_rows(row(y - 1), row(y), false);
        }
    }
    cells.fill(1);
    for (y, row) in cells.chunks_exact_mut(w).enumerate() {
        for n in first[y]..first[y + 1] {
            if groups.root(n + 1) == 0 {
                row[runs[n][0] as usize..runs[n][1] as usize].fill(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_of_a_slice_are_those_of_a_flood() {
        let mut noise = 1u32;
        for size in [[31, 17], [1, 9], [9, 1], [2, 2], [40, 40]] {
            for share in [3, 5, 8] {
                let [w, h] = size;
                let slice: Vec<u8> = (0..w * h)
                    .map(|_| {
                        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        u8::from((noise >> 16) % 10 >= share)
                    })
                    .collect();
                let mut open: Vec<bool> = slice.iter().map(|&c| c == 0).collect();
                let edge = |n: &usize| n.is_multiple_of(w) || n % w + 1 == w || n / w == 0 || n / w + 1 == h;
                let mut wanted = vec![1u8; w * h];
                take(&mut open, [w, h, 1], (0..w * h).filter(edge)).into_iter().for_each(|n| wanted[n] = 0);
                let mut found = slice;
                fill_holes(&mut found, [w, h, 1]);
                assert_eq!(found, wanted, "{size:?}");
            }
        }
    }

    #[test]
    fn pieces_are_joined_by_faces_and_come_in_order() {
        let open: Vec<bool> = "##..\n.#.#\n#..#".bytes().filter(|b| *b != b'\n').map(|b| b == b'#').collect();
        assert_eq!(pieces(open.clone(), [4, 3, 1]), [vec![0, 1, 5], vec![7, 11], vec![8]]);
        // The same cells as three slices of one row.
        assert_eq!(pieces(open, [4, 1, 3]), [vec![0, 1, 5], vec![7, 11], vec![8]]);
    }

    #[test]
    fn what_is_taken_comes_nearest_first_and_is_gone() {
        let mut open = vec![true; 5];
        open[3] = false;
        assert_eq!(take(&mut open, [5, 1, 1], [1, 1]), [1, 0, 2]);
        assert_eq!(open, [false, false, false, false, true]);
        assert!(take(&mut open, [5, 1, 1], [0]).is_empty());
    }

    #[test]
    fn holes_are_what_no_face_reaches() {
        // A box of 5 x 5 x 5 around one voxel, in a grid of 7 x 7 x 7, with and without a tunnel.
        let shell = |tunnel: bool| -> Vec<u8> {
            (0..343)
                .map(|n| {
                    let at = [n % 7, n / 7 % 7, n / 49];
                    let solid = at.iter().all(|v| (1..6).contains(v)) && at != [3; 3];
                    u8::from(solid && !(tunnel && at[0] > 3 && at[1] == 3 && at[2] == 3))
                })
                .collect()
        };
        let count = |cells: &[u8]| cells.iter().filter(|c| **c == 1).count();
        for (tunnel, filled) in [(false, 125), (true, 122)] {
            let mut cells = shell(tunnel);
            fill_holes(&mut cells, [7; 3]);
            assert_eq!(count(&cells), filled);
        }
        // In a single slice of it the voxel is enclosed, whatever lies above and below.
        let mut slice = shell(false)[49 * 3..49 * 4].to_vec();
        fill_holes(&mut slice, [7, 7, 1]);
        assert_eq!(count(&slice), 25);
        for size in [[1, 3, 1], [3, 1, 1], [1, 1, 3]] {
            let mut thin = vec![1, 0, 1];
            fill_holes(&mut thin, size);
            assert_eq!(thin, [1, 0, 1], "{size:?}");
        }
    }
}
