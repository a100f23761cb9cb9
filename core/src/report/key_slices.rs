//! Which planes to show.
//!
//! A reader looks at a handful of pictures, so each must earn its place: slices are taken greedily by how many organs
//! they show that no earlier one shows well.

use super::Statistics;
use crate::anatomy::Organ;

/// Fewer pictures than this are filled up with slices far from the others.
const AT_LEAST: usize = 6;
/// From this many on, only organs that are hardly seen yet are worth another picture.
const ENOUGH: usize = 9;

/// Canonical slices to show, most superior first. Every organ found is on at least one of them, with at least a
/// quarter of the area it has where it is largest, and half of it while there are few pictures.
///
/// `slices` is the number of slices of the scan and `spacing_mm` their distance.
pub fn key_slices(statistics: &Statistics, slices: usize, spacing_mm: f64) -> Vec<usize> {
    let organs: Vec<(Organ, f64)> =
        statistics.found().map(|s| (s.organ, f64::from(statistics.largest_plane(2, s.organ)))).collect();
    let mut chosen: Vec<usize> = Vec::new();
    if organs.is_empty() {
        // Nothing outlined: show the scan itself.
        chosen.extend([slices * 3 / 4, slices / 2, slices / 4]);
        chosen.dedup();
        return chosen;
    }
    let share = |k: usize, n: usize| f64::from(statistics.plane_voxels(2, k, organs[n].0)) / organs[n].1;
    let mut seen = vec![0.0f64; organs.len()];
    loop {
        let wanted = if chosen.len() < ENOUGH { 0.5 } else { 0.25 };
        if seen.iter().all(|&s| s >= wanted) {
            break;
        }
        let gain = |k: usize| -> f64 {
            let new = |n: usize| {
                let s = share(k, n);
                // Beyond seven tenths an organ is seen well; the rest only breaks ties.
                (s.min(0.7) - seen[n].min(0.7)).max(0.0) + 0.02 * s
            };
            (0..organs.len()).map(new).sum()
        };
        let candidates = (0..slices).filter(|&k| (0..organs.len()).any(|n| seen[n] < wanted && share(k, n) >= wanted));
        let best = candidates.map(|k| (gain(k), k)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        let Some((_, k)) = best else { break };
        chosen.push(k);
        for n in 0..organs.len() {
            seen[n] = seen[n].max(share(k, n));
        }
    }
    // The last voxels of an organ are no view of it.
    let shows_any = |k: &usize| (0..organs.len()).any(|n| share(*k, n) > 0.2);
    let filled: Vec<usize> = (0..slices).filter(shows_any).collect();
    while chosen.len() < AT_LEAST {
        let distance = |k: usize| chosen.iter().map(|&c| c.abs_diff(k)).min().unwrap_or(0);
        let Some(&k) = filled.iter().max_by_key(|&&k| distance(k)) else { break };
        if (distance(k) as f64) * spacing_mm < 20.0 {
            break;
        }
        chosen.push(k);
    }
    chosen.sort_unstable_by(|a, b| b.cmp(a));
    chosen
}

/// The plane across `axis` (0 sagittal, 1 coronal) that shows most organs well; `body` is the range of planes that
/// holds the patient, and its middle is preferred.
pub(super) fn best_plane(statistics: &Statistics, axis: usize, body: std::ops::RangeInclusive<usize>) -> usize {
    let (low, high) = (*body.start(), *body.end());
    let middle = (low + high) as f64 / 2.0;
    let half = ((high - low) as f64 / 2.0).max(1.0);
    let organs: Vec<(Organ, f64)> =
        statistics.found().map(|s| (s.organ, f64::from(statistics.largest_plane(axis, s.organ)))).collect();
    let score = |index: usize| -> f64 {
        let shown: f64 =
            organs.iter().map(|&(o, most)| (f64::from(statistics.plane_voxels(axis, index, o)) / most).min(0.6)).sum();
        let off = (index as f64 - middle).abs() / half;
        (shown + 0.05) * (1.0 - 0.5 * off * off)
    };
    body.map(|index| (score(index), index)).reduce(|a, b| if b.0 > a.0 { b } else { a }).map_or(low, |best| best.1)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{run, trained};
    use super::super::{ReportInput, Statistics};
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    /// All 33 organs as balls of various sizes, staggered along a body of 200 slices.
    fn many_organs() -> (Volume<i16>, Volume<u8>) {
        let geometry = Geometry::axial([66, 20, 200], [5.0, 5.0, 3.0], [0.0; 3]).unwrap();
        let mut labels = vec![0u8; geometry.voxel_count()];
        for organ in Organ::ALL {
            let c = organ.index();
            let (x, z, r) = (2 * c as isize, (5 + c as isize * 37 % 190), 1 + c as isize % 9);
            for k in (z - 2 * r).max(0)..=(z + 2 * r).min(199) {
                for j in 0..20isize {
                    if ((k - z) / 2).pow(2) + (j - 10).pow(2) <= r * r {
                        labels[(x + 66 * (j + 20 * k)) as usize] = organ.label();
                    }
                }
            }
        }
        let ct = Volume::from_stored(geometry, vec![0i16; labels.len()], Modality::Ct).unwrap();
        let labels = ct.with_voxels(labels);
        (ct, labels)
    }

    #[test]
    fn every_organ_found_is_shown_on_a_slice_where_it_is_large() {
        let (ct, labels) = many_organs();
        let (trained, run) = (trained(&Organ::ALL.map(Organ::id)), run());
        let seg = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let statistics = Statistics::measure(&seg).unwrap();
        assert_eq!(statistics.found().count(), 33);
        let slices = key_slices(&statistics, 200, 3.0);
        for s in statistics.found() {
            let shown = slices.iter().map(|&k| statistics.plane_voxels(2, k, s.organ)).max().unwrap();
            assert!(4 * shown >= statistics.largest_plane(2, s.organ), "{}", s.organ.name());
        }
        assert!(slices.len() <= 20, "{slices:?}");
        assert!(slices.windows(2).all(|p| p[0] > p[1]));
    }

    #[test]
    fn one_organ_gives_a_few_slices_spread_over_it_and_no_organ_still_shows_the_scan() {
        let geometry = Geometry::axial([10, 10, 100], [3.0; 3], [0.0; 3]).unwrap();
        let ct = Volume::from_stored(geometry, vec![0i16; 10_000], Modality::Ct).unwrap();
        let mut voxels = vec![0u8; 10_000];
        voxels[2_000..8_000].fill(22);
        let (trained, run) = (trained(&["heart"]), run());
        let labels = ct.with_voxels(voxels);
        let seg = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let slices = key_slices(&Statistics::measure(&seg).unwrap(), 100, 3.0);
        assert_eq!(slices.len(), 6);
        assert!(slices.iter().all(|k| (20..80).contains(k)) && slices[0] - slices[5] > 40, "{slices:?}");
        let labels = ct.with_voxels(vec![0u8; 10_000]);
        let seg = ReportInput { labels: &labels, ..seg };
        assert_eq!(key_slices(&Statistics::measure(&seg).unwrap(), 100, 3.0), [75, 50, 25]);
    }
}
