//! Pieces of organs.
//!
//! Each of the 33 organs is one piece (paired organs are two organs), so a piece apart from the largest one is a mistake, unless it is
//! close to it and not small: then the organ was missed in between. Neighbours touch by face, edge or corner: thin organs run obliquely
//! through thick slices.

use super::organ_runs::{OrganRuns, SliceRuns};
use super::pieces::{Bounds, Piece, take_other_pieces};
use super::plausible::{LARYNX_ML, LEAST_ML, Plausible, is_above_larynx};
use crate::anatomy::{ORGAN_COUNT, Organ};
use crate::parallel::map;
use crate::preprocess::{Body, OutsideAir};
use crate::volume::CtVolume;

/// Voxels that a piece must have, as a share of those of the largest one.
const LEAST_SHARE: f64 = 0.05;
/// How far from the largest one it may lie, mm between their bounding boxes.
const CLOSE_MM: f64 = 35.0;

/// Takes the 26-connected components of each organ away that are apart from its largest one: with less than a twentieth of its voxels, or
/// more than 35 mm away; those of which `possible` says that they cannot be one; and all of an organ whose largest one is below `least_ml`.
/// `size` and `spacing_mm` are along x, y and z. With the HU of a CT no piece of a lung is air. Returns the voxels removed from each organ.
fn remove_stray_components(
    organs: &mut [OrganRuns; ORGAN_COUNT],
    size: [usize; 3],
    spacing_mm: [f64; 3],
    hu: &[i16],
    possible: impl Fn(Organ, &Bounds) -> bool + Sync + Send,
    least_ml: impl Fn(Organ, &Bounds) -> f64 + Sync + Send,
) -> [usize; ORGAN_COUNT] {
    let voxel_ml = spacing_mm.iter().product::<f64>() * 1e-3;
    let is_possible = |organ, piece: &Piece| possible(organ, &piece.bounds);
    let gone = take_components(organs, size, hu, is_possible, |organ, piece, largest| {
        let gap = |axis: usize| {
            let ([a0, a1], [b0, b1]) = (piece.bounds[axis], largest.bounds[axis]);
            b0.saturating_sub(a1).max(a0.saturating_sub(b1)) as f64 * spacing_mm[axis]
        };
        let distance = (0..3).map(|axis| gap(axis).powi(2)).sum::<f64>().sqrt();
        let [voxels, most] = [piece.voxels, largest.voxels].map(|voxels| voxels as f64);
        most * voxel_ml >= least_ml(organ, &largest.bounds) && voxels >= LEAST_SHARE * most && distance <= CLOSE_MM
    });
    gone.map(|gone| gone.voxels())
}

/// Takes away all that a network draws where no organ can be: outside of the body's surface ([`Body`], [`OutsideAir`]); pieces of a lung
/// that are air for the most part, as it is between an arm and the trunk that it nearly touches, which no surface tells from a lung; pieces
/// apart from their organ, small or far from it; and what cannot be the organ by its side, its size or its place ([`Plausible`]). The slices
/// are those of the CT. Returns the voxels removed from each organ.
pub(super) fn clean_up(slices: &mut [SliceRuns], ct: &CtVolume, body: &Body) -> [usize; ORGAN_COUNT] {
    let (size, spacing) = (ct.geometry.size, ct.geometry.spacing());
    let air = OutsideAir::find(ct, body);
    let cut = map(slices.iter_mut().enumerate().collect(), |(k, slice): (usize, &mut SliceRuns)| {
        slice.cut(size[0], |j, inside| {
            body.row(j, k).for_each(|columns| inside[columns].fill(1));
            air.row(j, k).for_each(|columns| inside[columns].fill(0));
        })
    });
    let mut removed = [0; ORGAN_COUNT];
    cut.iter().for_each(|cut| removed.iter_mut().zip(cut).for_each(|(sum, cut)| *sum += cut));
    let mut organs = OrganRuns::of(slices);
    // An organ that lay in the air for the most part was none; its rim is no more one.
    for (runs, removed) in organs.iter_mut().zip(&mut removed) {
        let kept = runs.voxels();
        if *removed > kept {
            *runs = OrganRuns::default();
            *removed += kept;
        }
    }
    let plausible = Plausible::new(body, spacing);
    let stray = remove_stray_components(
        &mut organs,
        size,
        spacing,
        &ct.voxels,
        |organ, bounds| plausible.is_on_its_side(organ, bounds),
        |organ, bounds| plausible.least_ml(organ, bounds),
    );
    let larynx = &organs[Organ::Larynx.index()];
    if larynx.voxels() as f64 * ct.geometry.voxel_ml() >= LARYNX_ML
        && let Some([low, high]) = larynx.slices()
    {
        for organ in Organ::ALL.into_iter().filter(|&organ| is_above_larynx(organ)) {
            let runs = &mut organs[organ.index()];
            if runs.slices().is_some_and(|[_, top]| 2 * top < low + high) {
                removed[organ.index()] += runs.voxels();
                *runs = OrganRuns::default();
            }
        }
    }
    OrganRuns::put(&organs, slices);
    removed.iter_mut().zip(stray).for_each(|(all, more)| *all += more);
    removed
}

/// What to tell the user of so many voxels that [`clean_up`] removed; `None` of none.
pub fn removal_warning(voxels: usize, voxel_ml: f64) -> Option<String> {
    let ml = voxels as f64 * voxel_ml;
    let decimals = if ml < LEAST_ML { 3 } else { 1 };
    (voxels > 0)
        .then(|| {
            format!(
                "clean-up removed {ml:.decimals$} ml: what lay outside the body, pieces apart from their organ, and what is none by its side, size or place"
            )
        })
}

/// Sets everything but the largest 26-connected component of each organ to 0. `labels` is `[nz, ny, nx]`, `size` is
/// `[nx, ny, nz]`. Returns the voxels removed from each organ.
pub fn keep_largest_components(labels: &mut [u8], size: [usize; 3]) -> [usize; ORGAN_COUNT] {
    let mut organs = OrganRuns::of_labels(labels, size);
    let gone = take_components(&mut organs, size, &[], |_, _| true, |_, piece, largest| std::ptr::eq(piece, largest));
    gone.map(|gone| {
        gone.erase(labels, size);
        gone.voxels()
    })
}

/// Takes the components of each organ away but those of which `stays` says so of them and of the largest one that is not air and of which
/// `possible` says that it can be one.
fn take_components(
    organs: &mut [OrganRuns; ORGAN_COUNT],
    size: [usize; 3],
    hu: &[i16],
    possible: impl Fn(Organ, &Piece) -> bool + Sync + Send,
    stays: impl Fn(Organ, &Piece, &Piece) -> bool + Sync + Send,
) -> [OrganRuns; ORGAN_COUNT] {
    let gone =
        map(Organ::ALL.into_iter().zip(organs.each_mut()).collect(), |(organ, runs): (Organ, &mut OrganRuns)| {
            let hu = if matches!(organ, Organ::LungLeft | Organ::LungRight) { hu } else { &[] };
            take_other_pieces(runs, size, hu, &|piece| possible(organ, piece), &|piece, largest| {
                stays(organ, piece, largest)
            })
        });
    let mut gone = gone.into_iter();
    std::array::from_fn(|_| gone.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the function of that name, of labels `[nz, ny, nx]`.
    fn clean_up(labels: &mut [u8], ct: &CtVolume, body: &Body) -> [usize; ORGAN_COUNT] {
        let [nx, ny, _] = ct.geometry.size;
        let mut slices: Vec<SliceRuns> = labels.chunks_exact(nx * ny).map(|slice| SliceRuns::of(slice, nx)).collect();
        let removed = super::clean_up(&mut slices, ct, body);
        labels.fill(0);
        labels.chunks_exact_mut(nx * ny).zip(&slices).for_each(|(to, slice)| slice.paint(to, nx));
        removed
    }

    /// As the function of that name, of labels `[nz, ny, nx]`.
    fn remove_stray_components(labels: &mut [u8], size: [usize; 3], spacing_mm: [f64; 3]) -> [usize; ORGAN_COUNT] {
        let mut organs = OrganRuns::of_labels(labels, size);
        let whole = organs.clone();
        let removed = super::remove_stray_components(&mut organs, size, spacing_mm, &[], |_, _| true, |_, _| LEAST_ML);
        whole.iter().for_each(|runs| runs.erase(labels, size));
        let mut slices = vec![SliceRuns::default(); size[2]];
        OrganRuns::put(&organs, &mut slices);
        labels.chunks_exact_mut(size[0] * size[1]).zip(&slices).for_each(|(to, slice)| slice.paint(to, size[0]));
        removed
    }

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
    fn no_eye_lies_on_the_other_side_is_a_speck_or_lies_below_the_larynx() {
        const SIZE: [usize; 3] = [60, 60, 40];
        let geometry = crate::volume::Geometry::axial(SIZE, [3.0; 3], [0.0; 3]).unwrap();
        let count = SIZE.iter().product();
        let at = |n: usize| [n % 60, n / 60 % 60, n / 3600];
        let is_body = |n: usize| (at(n)[0] as f64 - 29.5).hypot(at(n)[1] as f64 - 29.5) < 24.0;
        // Air above and below: the body ends in the scan.
        let voxels = (0..count).map(|n| if is_body(n) && (2..38).contains(&at(n)[2]) { 40 } else { -1000 }).collect();
        let ct = CtVolume::from_stored(geometry, voxels, crate::volume::Modality::Ct).unwrap();
        let body = Body::find(&ct);
        let removed = |organ: Organ, x: usize, z: usize, side: usize, larynx: Option<usize>| {
            let inside = |n: usize, [cx, cz]: [usize; 2], side: usize| {
                let [i, j, k] = at(n);
                (cx..cx + side).contains(&i) && (30..30 + side).contains(&j) && (cz..cz + side).contains(&k)
            };
            let label = |n: usize| match () {
                () if inside(n, [x, z], side) => organ.label(),
                () if larynx.is_some_and(|z| inside(n, [26, z], 7)) => Organ::Larynx.label(),
                () => 0,
            };
            let mut labels: Vec<u8> = (0..count).map(label).collect();
            let removed = clean_up(&mut labels, &ct, &body);
            assert!(removed.iter().enumerate().all(|(n, &gone)| gone == 0 || n == organ.index()));
            removed[organ.index()]
        };
        // 5.8 ml; i runs to the patient's left.
        assert_eq!([36, 20].map(|x| removed(Organ::EyeLeft, x, 20, 6, None)), [0, 216], "left is left");
        assert_eq!([36, 20].map(|x| removed(Organ::EyeRight, x, 20, 6, None)), [216, 0]);
        assert_eq!(removed(Organ::EyeLeft, 25, 20, 6, None), 0, "in the middle of the body, nearly");
        assert_eq!([20, 4, 3, 2].map(|z| removed(Organ::EyeLeft, 36, z, 2, None)), [8, 8, 0, 0], "0.2 ml, at an end");
        assert_eq!([36, 34].map(|z| removed(Organ::EyeLeft, 36, z, 2, None)), [0, 8]);
        assert_eq!(removed(Organ::EyeLeft, 36, 20, 3, None), 0, "0.7 ml");
        assert_eq!([10, 26].map(|z| removed(Organ::EyeLeft, 40, z, 6, Some(18))), [216, 0]);
        assert_eq!(removed(Organ::ParotidLeft, 40, 10, 6, Some(18)), 0, "it reaches below");
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
