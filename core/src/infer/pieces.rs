//! The pieces of an organ, and which of them stay.

use std::collections::{BTreeMap, BTreeSet};

use super::organ_runs::OrganRuns;
use crate::raster::{Groups, Row};

/// A voxel below this holds nothing but air. Of the lungs at hand 0 to 12 % of the voxels are, of air between an arm and a trunk most.
const THIN_AIR_HU: i16 = -970;

/// First and last index along each axis.
pub(super) type Bounds = [[usize; 2]; 3];

/// A component.
pub(super) struct Piece {
    pub voxels: usize,
    /// Of them those that hold nothing but air, where that counts.
    thin: usize,
    pub bounds: Bounds,
}

/// Takes what goes away where those 26-connected pieces of an organ are kept of which `stays` says so of them and of the largest one, and
/// none that cannot be one: those of which `possible` says no, and those that are air; with no HU no piece is.
///
/// Works on runs, of which an organ has hundreds of times fewer than voxels: this must not be felt when a hand waits for it.
pub(super) fn take_other_pieces(
    organ: &mut OrganRuns,
    size: [usize; 3],
    hu: &[i16],
    possible: &impl Fn(&Piece) -> bool,
    stays: &impl Fn(&Piece, &Piece) -> bool,
) -> OrganRuns {
    let OrganRuns { rows, runs } = &*organ;
    let start_of = |[y, z]: [u32; 2]| size[0] * (y as usize + size[1] * z as usize);
    let (Some(y0), Some(y1)) = (rows.iter().map(|row| row[0]).min(), rows.iter().map(|row| row[0]).max()) else {
        return OrganRuns::default();
    };
    let (Some([_, z0]), Some([_, z1])) = (rows.first(), rows.last()) else { return OrganRuns::default() };
    // Runs of each row of the box are runs[first[row]..first[row + 1]].
    let mut first = vec![0];
    let mut groups = Groups::default();
    let height = (y1 - y0 + 1) as usize;
    for z in *z0..=*z1 {
        for y in y0..=y1 {
            let here = first.len() - 1;
            let mut end = first[here];
            while rows.get(end) == Some(&[y, z]) {
                groups.add((runs[end][1] - runs[end][0]) as usize);
                end += 1;
            }
            first.push(end);
            if first[here] == end {
                continue;
            }
            // Rows that touch this one and were seen before: beside it, and three in the slice below.
            let beside = (y > y0).then(|| here - 1);
            let below = (z > *z0).then(move || {
                let near = y.max(y0 + 1) - 1..=(y + 1).min(y1);
                near.map(move |v| here + v as usize - y as usize - height)
            });
            let row = |n: usize| Row { number: first[n], runs: &runs[first[n]..first[n + 1]] };
            for other in beside.into_iter().chain(below.into_iter().flatten()) {
                groups.join_rows(row(here), row(other), true);
            }
        }
    }
    let mut whole: BTreeMap<usize, Piece> = BTreeMap::new();
    for (n, (run, &row)) in runs.iter().zip(rows).enumerate() {
        let [y, z] = row.map(|v| v as usize);
        let here = [[run[0] as usize, run[1] as usize - 1], [y, y], [z, z]];
        let root = groups.root(n);
        let piece = whole.entry(root).or_insert(Piece { voxels: groups.weight(root), thin: 0, bounds: here });
        let [start, end] = run.map(|x| start_of(row) + x as usize);
        let line = hu.get(start..end).unwrap_or_default();
        // A row is shorter than overflows it: without a check, vectors count.
        piece.thin += line.iter().fold(0u32, |n, &hu| n.wrapping_add(u32::from(hu < THIN_AIR_HU))) as usize;
        for (all, here) in piece.bounds.iter_mut().zip(here) {
            *all = [all[0].min(here[0]), all[1].max(here[1])];
        }
    }
    let none = |piece: &Piece| 2 * piece.thin > piece.voxels || !possible(piece);
    let none: BTreeSet<usize> = whole.iter().filter(|(_, piece)| none(piece)).map(|(&root, _)| root).collect();
    // The first of equals.
    let pieces = || whole.iter().filter(|(root, _)| !none.contains(root));
    let largest =
        pieces().max_by_key(|(root, piece)| (piece.voxels, std::cmp::Reverse(**root))).map(|(_, piece)| piece);
    let kept: BTreeSet<usize> = largest.map_or_else(BTreeSet::new, |largest| {
        pieces().filter(|(_, piece)| stays(piece, largest)).map(|(&root, _)| root).collect()
    });
    if kept.len() == whole.len() {
        return OrganRuns::default();
    }
    let goes: Vec<bool> = (0..runs.len()).map(|n| !kept.contains(&groups.root(n))).collect();
    organ.take(|n| goes[n])
}
