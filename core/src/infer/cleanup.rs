//! Pieces of organs.
//!
//! Each of the 33 organs is one piece (paired organs are two organs), so a piece apart from the largest one is a mistake, unless it is
//! close to it and not small: then the organ was missed in between. Neighbours touch by face, edge or corner: thin organs run obliquely
//! through thick slices.

use std::collections::{BTreeMap, BTreeSet};

use crate::anatomy::{ORGAN_COUNT, Organ, Side};
use crate::preprocess::{Body, OutsideAir};
use crate::raster::{Groups, Row};
use crate::volume::CtVolume;

/// Volume from which on the largest piece may be an organ, or what a scan shows of one.
const LEAST_ML: f64 = 0.1;
/// Voxels that a piece must have, as a share of those of the largest one.
const LEAST_SHARE: f64 = 0.05;
/// How far from the largest one it may lie, mm between their bounding boxes.
const CLOSE_MM: f64 = 35.0;

/// Sets the 26-connected components of each organ to 0 that are apart from its largest one: with less than a twentieth of its voxels, or
/// more than 35 mm away; and all of an organ whose largest one is below 0.1 ml. `labels` is `[nz, ny, nx]`, `size` and `spacing_mm` are along x, y and z. Returns the voxels removed from each organ.
pub fn remove_stray_components(labels: &mut [u8], size: [usize; 3], spacing_mm: [f64; 3]) -> [usize; ORGAN_COUNT] {
    remove_where(labels, size, spacing_mm, &[], |_, _| false)
}

/// As [`remove_stray_components`]; `excluded` says of a piece beside the largest one that it cannot be there. With the HU of a CT no piece of
/// a lung is air.
fn remove_where(
    labels: &mut [u8],
    size: [usize; 3],
    spacing_mm: [f64; 3],
    hu: &[i16],
    excluded: impl Fn(Organ, &Bounds) -> bool,
) -> [usize; ORGAN_COUNT] {
    let voxel_ml = spacing_mm.iter().product::<f64>() * 1e-3;
    keep_components(labels, size, hu, |organ, piece, largest| {
        if !std::ptr::eq(piece, largest) && excluded(organ, &piece.bounds) {
            return false;
        }
        let gap = |axis: usize| {
            let ([a0, a1], [b0, b1]) = (piece.bounds[axis], largest.bounds[axis]);
            b0.saturating_sub(a1).max(a0.saturating_sub(b1)) as f64 * spacing_mm[axis]
        };
        let distance = (0..3).map(|axis| gap(axis).powi(2)).sum::<f64>().sqrt();
        let [voxels, most] = [piece.voxels, largest.voxels].map(|voxels| voxels as f64);
        most * voxel_ml >= LEAST_ML && voxels >= LEAST_SHARE * most && distance <= CLOSE_MM
    })
}

/// A voxel below this holds nothing but air. Of the lungs at hand 0 to 12 % of the voxels are, of air between an arm and a trunk most.
const THIN_AIR_HU: i16 = -970;

/// How far over the middle of the body a piece of a paired organ may lie, mm.
const OVER_THE_MIDDLE_MM: f64 = 15.0;

/// All that a network draws where no organ can be: outside of the body's surface ([`Body`], [`OutsideAir`]); pieces of a lung that are air
/// for the most part, as it is between an arm and the trunk that it nearly touches, which no surface tells from a lung; pieces apart from
/// their organ, as [`remove_stray_components`]; and pieces of a paired organ beside its largest one on the other side of the body. Returns
/// the voxels removed from each organ.
pub fn clean_up(labels: &mut [u8], ct: &CtVolume, body: &Body) -> [usize; ORGAN_COUNT] {
    let (size, spacing) = (ct.geometry.size, ct.geometry.spacing());
    let air = OutsideAir::find(ct, body);
    let (mut removed, mut kept) = ([0; ORGAN_COUNT], [0; ORGAN_COUNT]);
    for (row, line) in labels.chunks_exact_mut(size[0].max(1)).enumerate() {
        let (j, k) = (row % size[1], row / size[1]);
        if is_empty(line) {
            continue;
        }
        for (i, label) in line.iter_mut().enumerate() {
            let Some(organ) = Organ::from_label(*label) else { continue };
            if body.contains(i, j, k) && !air.contains(i, j, k) {
                kept[organ.index()] += 1;
            } else {
                removed[organ.index()] += 1;
                *label = 0;
            }
        }
    }
    // An organ that lay in the air for the most part was none; its rim is no more one.
    let gone = |organ: Organ| removed[organ.index()] > kept[organ.index()];
    if Organ::ALL.into_iter().any(gone) {
        labels.iter_mut().filter(|label| Organ::from_label(**label).is_some_and(gone)).for_each(|label| *label = 0);
        for organ in Organ::ALL.into_iter().filter(|&organ| gone(organ)).collect::<Vec<_>>() {
            removed[organ.index()] += kept[organ.index()];
        }
    }
    let stray = remove_where(labels, size, spacing, &ct.voxels, |organ, bounds| {
        // On the canonical grid i runs to the patient's left.
        let towards = match organ.side() {
            Side::Left => 1.0,
            Side::Right => -1.0,
            Side::Midline | Side::Unpaired => return false,
        };
        let middle = |axis: usize| (bounds[axis][0] + bounds[axis][1]) as f64 / 2.0;
        let off = (middle(0) - body.centre(middle(2) as usize)[0]) * spacing[0];
        off * towards < -OVER_THE_MIDDLE_MM
    });
    removed.iter_mut().zip(stray).for_each(|(all, more)| *all += more);
    removed
}

/// Whether a row has no label, as most rows: in vectors, which stop at nothing.
fn is_empty(row: &[u8]) -> bool {
    row.iter().fold(0, |all, label| all | label) == 0
}

/// What to tell the user of so many voxels that [`remove_stray_components`] removed; `None` of none.
pub fn removal_warning(voxels: usize, voxel_ml: f64) -> Option<String> {
    let ml = voxels as f64 * voxel_ml;
    let decimals = if ml < LEAST_ML { 3 } else { 1 };
    (voxels > 0)
        .then(|| {
            format!(
                "clean-up removed {ml:.decimals$} ml: what lay outside the body, pieces apart from their organ, and organs below 0.1 ml"
            )
        })
}

/// A component.
struct Piece {
    voxels: usize,
    /// Of them those that hold nothing but air, where that counts.
    thin: usize,
    bounds: Bounds,
}

/// Sets everything but the largest 26-connected component of each organ to 0. `labels` is `[nz, ny, nx]`, `size` is
/// `[nx, ny, nz]`. Returns the voxels removed from each organ.
pub fn keep_largest_components(labels: &mut [u8], size: [usize; 3]) -> [usize; ORGAN_COUNT] {
    keep_components(labels, size, &[], |_, piece, largest| std::ptr::eq(piece, largest))
}

/// Keeps the components of each organ that `stays` says of them and of the largest one that is not air.
fn keep_components(
    labels: &mut [u8],
    size: [usize; 3],
    hu: &[i16],
    stays: impl Fn(Organ, &Piece, &Piece) -> bool,
) -> [usize; ORGAN_COUNT] {
    let mut removed = [0; ORGAN_COUNT];
    let boxes = bounding_boxes(labels, size);
    for organ in Organ::ALL {
        if let Some(bounds) = boxes[organ.index()] {
            let hu = if matches!(organ, Organ::LungLeft | Organ::LungRight) { hu } else { &[] };
            removed[organ.index()] =
                keep_pieces(labels, size, organ.label(), bounds, hu, &|piece, largest| stays(organ, piece, largest));
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
        if is_empty(line) {
            continue;
        }
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

/// Works on runs, of which an organ has hundreds of times fewer than voxels: this must not be felt when a hand waits for it.
fn keep_pieces(
    labels: &mut [u8],
    size: [usize; 3],
    label: u8,
    bounds: Bounds,
    hu: &[i16],
    stays: &impl Fn(&Piece, &Piece) -> bool,
) -> usize {
    let [[x0, x1], [y0, y1], [z0, z1]] = bounds;
    // Runs of voxels in a row of the volume: from the first to the one after the last.
    let mut runs: Vec<[u32; 2]> = Vec::new();
    // Runs of each row of the box are runs[first[row]..first[row + 1]].
    let mut first = vec![0];
    let mut groups = Groups::default();
    let height = y1 - y0 + 1;
    let start_of = |row: usize| size[0] * (y0 + row % height + size[1] * (z0 + row / height));
    for z in z0..=z1 {
        for y in y0..=y1 {
            let here = first.len() - 1;
            let line = &labels[start_of(here) + x0..=start_of(here) + x1];
            let mut x = 0;
            while let Some(start) = line[x..].iter().position(|&l| l == label).map(|n| x + n) {
                let end = line[start..].iter().position(|&l| l != label).map_or(line.len(), |n| start + n);
                runs.push([x0 + start, x0 + end].map(|x| x as u32));
                groups.add(end - start);
                x = end;
            }
            first.push(runs.len());
            // Rows that touch this one and were seen before: beside it, and three in the slice below.
            let beside = (y > y0).then(|| here - 1);
            let below =
                (z > z0).then(move || (y.max(y0 + 1) - 1..=(y + 1).min(y1)).map(move |v| here + v - y - height));
            let row = |n: usize| Row { number: first[n], runs: &runs[first[n]..first[n + 1]] };
            for other in beside.into_iter().chain(below.into_iter().flatten()) {
                groups.join_rows(row(here), row(other), true);
            }
        }
    }
    let mut whole: BTreeMap<usize, Piece> = BTreeMap::new();
    let rows: Vec<usize> =
        (1..first.len()).flat_map(|row| std::iter::repeat_n(row - 1, first[row] - first[row - 1])).collect();
    for (n, (run, row)) in runs.iter().zip(&rows).enumerate() {
        let [y, z] = [y0 + row % height, z0 + row / height];
        let here = [[run[0] as usize, run[1] as usize - 1], [y, y], [z, z]];
        let root = groups.root(n);
        let piece = whole.entry(root).or_insert(Piece { voxels: groups.weight(root), thin: 0, bounds: here });
        let line = hu.get(start_of(*row) + here[0][0]..=start_of(*row) + here[0][1]).unwrap_or_default();
        piece.thin += line.iter().filter(|&&hu| hu < THIN_AIR_HU).count();
        for (all, here) in piece.bounds.iter_mut().zip(here) {
            *all = [all[0].min(here[0]), all[1].max(here[1])];
        }
    }
    let air: BTreeSet<usize> = whole.iter().filter(|(_, p)| 2 * p.thin > p.voxels).map(|(&root, _)| root).collect();
    // The first of equals.
    let pieces = || whole.iter().filter(|(root, _)| !air.contains(root));
    let largest =
        pieces().max_by_key(|(root, piece)| (piece.voxels, std::cmp::Reverse(**root))).map(|(_, piece)| piece);
    let kept: BTreeSet<usize> = largest.map_or_else(BTreeSet::new, |largest| {
        pieces().filter(|(_, piece)| stays(piece, largest)).map(|(&root, _)| root).collect()
    });
    let mut removed = 0;
    for (n, (run, row)) in runs.iter().zip(&rows).enumerate() {
        if !kept.contains(&groups.root(n)) {
            let [start, end] = run.map(|x| start_of(*row) + x as usize);
            labels[start..end].fill(0);
            removed += end - start;
        }
    }
    removed
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
    fn a_twentieth_of_the_largest_piece_stays_where_it_is_close() {
        const SIZE: [usize; 3] = [70, 1, 1];
        let labels_with = |piece: std::ops::Range<usize>| {
            let mut labels = vec![0u8; 70];
            labels[2..42].fill(5);
            labels[piece].fill(5);
            labels[60] = 6;
            labels
        };
        let removed = |piece: std::ops::Range<usize>, spacing: f64| {
            let mut labels = labels_with(piece);
            let removed = remove_stray_components(&mut labels, SIZE, [spacing; 3]);
            assert!(labels[2..42].iter().all(|&l| l == 5));
            (removed[4], removed[5])
        };
        // 125 mm3 a voxel: the single voxel of the other organ is large enough.
        assert_eq!(removed(48..50, 5.0), (0, 0), "35 mm away");
        assert_eq!(removed(49..51, 5.0), (2, 0), "40 mm away");
        assert_eq!(removed(45..46, 5.0), (1, 0), "too small a share");
        assert_eq!(removed(43..45, 4.0), (0, 1), "64 mm3 is no organ");
        assert_eq!(removed(43..45, 3.0), (0, 1), "54 mm3 are a piece of one");
        let mut largest = labels_with(45..47);
        assert_eq!(keep_largest_components(&mut largest, SIZE).iter().sum::<usize>(), 2);
        assert_eq!((largest[2], largest[45], largest[60]), (5, 0, 6));
    }

    #[test]
    fn nothing_stays_outside_of_the_body_or_on_the_other_side_of_it() {
        use crate::phantom::{Phantom, PhantomOptions};
        let options = PhantomOptions { seed: 2, matrix: 128, pixel_mm: 4.0, slice_mm: 5.0, ..Default::default() };
        let (ct, labels) = Phantom::new(options).unwrap().volume().unwrap();
        let body = Body::find(&ct);
        // Of what is right nothing goes but the small pieces that go anyway.
        let (mut right, mut pieces) = (labels.voxels.clone(), labels.voxels.clone());
        let removed = clean_up(&mut right, &ct, &body);
        let stray = remove_stray_components(&mut pieces, ct.geometry.size, ct.geometry.spacing());
        assert_eq!((removed, &right), (stray, &pieces));
        // A twentieth of the left lung more in the air beside it, close enough to have been missed in between.
        let lung = Organ::LungLeft;
        let [nx, ny, _] = ct.geometry.size;
        let inside: Vec<usize> = (0..right.len()).filter(|&n| right[n] == lung.label()).collect();
        let slice = inside[inside.len() / 2] / (nx * ny);
        let mut wrong = right.clone();
        let air = OutsideAir::find(&ct, &body);
        let beside: Vec<usize> = (slice * nx * ny..right.len())
            .filter(|&n| wrong[n] == 0 && air.contains(n % nx, n / nx % ny, n / (nx * ny)) && n % nx > nx / 2)
            .take(inside.len() / 10)
            .collect();
        beside.iter().for_each(|&n| wrong[n] = lung.label());
        let removed = clean_up(&mut wrong, &ct, &body);
        assert_eq!((removed[lung.index()], wrong), (beside.len(), right));
    }

    #[test]
    fn no_lung_lies_in_the_narrow_air_between_an_arm_and_the_trunk() {
        // A trunk with two lungs, and an arm 16 mm beside it that touches it above and below: too narrow to be followed from outside.
        const SIZE: [usize; 3] = [140, 100, 4];
        let geometry = crate::volume::Geometry::axial(SIZE, [3.0, 3.0, 2.0], [0.0; 3]).unwrap();
        let place = |n: usize| [(n % SIZE[0]) as f64 - 69.5, (n / SIZE[0] % SIZE[1]) as f64 - 49.5].map(|v| 3.0 * v);
        let is_lung = |n: usize, side: f64| {
            let [x, y] = place(n);
            ((x - side * 60.0) / 40.0).hypot(y / 60.0) < 1.0
        };
        let is_gap = |n: usize| {
            let [x, y] = place(n);
            (130.0..146.0).contains(&x) && y.abs() < 60.0
        };
        let hu = |n: usize| {
            let [x, y] = place(n);
            let is_body = x.abs() < 130.0 && y.abs() < 110.0 || (130.0..190.0).contains(&x) && y.abs() < 80.0;
            match () {
                () if is_lung(n, 1.0) || is_lung(n, -1.0) => -850,
                () if is_body && !is_gap(n) => 40,
                // Noise about air.
                () => -1000 + 10 * (n % 5) as i16 - 10,
            }
        };
        let count = SIZE.iter().product();
        let voxels = (0..count).map(hu).collect();
        let ct = CtVolume::from_stored(geometry, voxels, crate::volume::Modality::Ct).unwrap();
        let body = Body::find(&ct);
        let air = OutsideAir::find(&ct, &body);
        let gap: Vec<usize> = (0..count).filter(|&n| is_gap(n)).collect();
        let at = |n: usize| [n % SIZE[0], n / SIZE[0] % SIZE[1], n / (SIZE[0] * SIZE[1])];
        assert!(
            gap.iter()
                .all(|&n| body.contains(at(n)[0], at(n)[1], at(n)[2]) && !air.contains(at(n)[0], at(n)[1], at(n)[2]))
        );
        let (left, right) = (Organ::LungLeft, Organ::LungRight);
        let labels = |with_left: bool| -> Vec<u8> {
            let label = |n: usize| match () {
                () if is_lung(n, -1.0) => right.label(),
                () if with_left && is_lung(n, 1.0) => left.label(),
                () => 0,
            };
            (0..count).map(label).collect()
        };
        // Alone, as in a scan that ends below the lung, and beside the lung.
        for with_left in [false, true] {
            let expected = labels(with_left);
            let mut drawn = expected.clone();
            gap.iter().for_each(|&n| drawn[n] = left.label());
            let removed = clean_up(&mut drawn, &ct, &body);
            assert_eq!((removed[left.index()], removed[right.index()]), (gap.len(), 0), "{with_left}");
            assert_eq!(drawn, expected);
        }
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

    /// By flooding, voxel by voxel: the plain definition.
    fn by_flooding(labels: &mut [u8], [nx, ny, nz]: [usize; 3], label: u8) {
        let mut piece = vec![0usize; labels.len()];
        let mut sizes = vec![0usize];
        for seed in 0..labels.len() {
            if labels[seed] != label || piece[seed] != 0 {
                continue;
            }
            sizes.push(0);
            let number = sizes.len() - 1;
            let mut stack = vec![seed];
            piece[seed] = number;
            while let Some(n) = stack.pop() {
                sizes[number] += 1;
                for m in 0..labels.len() {
                    let far = |a: usize, b: usize| a.abs_diff(b) > 1;
                    let apart =
                        far(m % nx, n % nx) || far(m / nx % ny, n / nx % ny) || far(m / (nx * ny), n / (nx * ny));
                    if labels[m] == label && piece[m] == 0 && !apart {
                        piece[m] = number;
                        stack.push(m);
                    }
                }
            }
        }
        let largest = (1..sizes.len()).rev().max_by_key(|&n| sizes[n]).unwrap_or(0);
        for n in 0..labels.len() {
            if labels[n] == label && piece[n] != largest {
                labels[n] = 0;
            }
        }
        assert_eq!(labels.len(), nx * ny * nz);
    }

    #[test]
    fn runs_and_flooding_agree_on_random_volumes() {
        let size = [7, 6, 5];
        let mut state = 1u64;
        for _ in 0..60 {
            let mut labels: Vec<u8> = (0..210)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    if state >> 33 & 7 == 0 { 30 } else { 0 }
                })
                .collect();
            let mut expected = labels.clone();
            by_flooding(&mut expected, size, 30);
            keep_largest_components(&mut labels, size);
            assert_eq!(labels, expected);
        }
    }
}
