//! Voxel counts and Dice.

use crate::anatomy::{Organ, OrganSet};
use crate::volume::LabelVolume;
use std::ops::Range;

/// Voxel counts of one label in a reference, in a prediction, and in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Voxels of the reference.
    pub truth: u64,
    /// Voxels of the prediction.
    pub prediction: u64,
    /// Voxels of both.
    pub both: u64,
}

impl Overlap {
    /// Counts one label in two label maps of the same length.
    pub fn of_label(truth: &[u8], prediction: &[u8], label: u8) -> Self {
        let mut counts = Self::default();
        for (&t, &p) in truth.iter().zip(prediction) {
            let (t, p) = (t == label, p == label);
            counts.truth += u64::from(t);
            counts.prediction += u64::from(p);
            counts.both += u64::from(t && p);
        }
        counts
    }

    /// 2 |A and B| / (|A| + |B|); `None` when both are empty.
    pub fn dice(self) -> Option<f64> {
        let sum = self.truth + self.prediction;
        (sum > 0).then(|| 2.0 * self.both as f64 / sum as f64)
    }
}

/// The slices from the lowest to the highest one that shows the organ; `None` if none does.
pub fn annotated_slices(labels: &LabelVolume, organ: Organ) -> Option<Range<usize>> {
    let shows = |&k: &usize| labels.slice(k).contains(&organ.label());
    let count = labels.geometry.size[2];
    let first = (0..count).find(shows)?;
    let last = (0..count).rev().find(shows)?;
    Some(first..last + 1)
}

/// `prediction` without what it has of each of `organs` on the `slices` slices beyond either end of what `truth` has of it: a contour can
/// end where a plan did not need it any more, so that nothing is known there. What is predicted farther away stays.
///
/// Both volumes must lie on the same grid.
pub fn with_open_ends(truth: &LabelVolume, prediction: &LabelVolume, organs: OrganSet, slices: usize) -> LabelVolume {
    let mut open = prediction.clone();
    let plane = truth.geometry.size[0] * truth.geometry.size[1];
    let count = truth.geometry.size[2];
    for organ in organs.iter() {
        let Some(drawn) = annotated_slices(truth, organ) else { continue };
        let (below, above) =
            (drawn.start.saturating_sub(slices)..drawn.start, drawn.end..count.min(drawn.end + slices));
        for k in below.chain(above) {
            let voxels = &mut open.voxels[k * plane..(k + 1) * plane];
            voxels.iter_mut().filter(|voxel| **voxel == organ.label()).for_each(|voxel| *voxel = 0);
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Modality};

    #[test]
    fn dice_of_known_overlaps() {
        let mask = |range: Range<usize>| (0..100).map(|n| u8::from(range.contains(&n)) * 9).collect::<Vec<u8>>();
        let dice = |truth: &[u8], prediction: &[u8]| Overlap::of_label(truth, prediction, 9).dice();
        assert_eq!(dice(&mask(0..40), &mask(0..40)), Some(1.0));
        assert_eq!(dice(&mask(0..40), &mask(20..60)), Some(0.5));
        assert_eq!(dice(&mask(0..40), &mask(40..80)), Some(0.0));
        assert_eq!(dice(&mask(0..40), &mask(0..0)), Some(0.0));
        assert_eq!(dice(&mask(0..0), &mask(0..0)), None);
    }

    #[test]
    fn annotated_slices_span_from_the_lowest_to_the_highest() {
        let geometry = Geometry::axial([2, 2, 6], [1.0; 3], [0.0; 3]).unwrap();
        let mut voxels = vec![0; 24];
        voxels[4] = Organ::SpinalCord.label();
        voxels[17] = Organ::SpinalCord.label();
        let labels = LabelVolume::from_stored(geometry, voxels, Modality::Unknown).unwrap();
        assert_eq!(annotated_slices(&labels, Organ::SpinalCord), Some(1..5));
        assert_eq!(annotated_slices(&labels, Organ::Liver), None);
    }

    #[test]
    fn open_ends_leave_out_what_lies_just_beyond_and_nothing_else() {
        let geometry = Geometry::axial([1, 1, 8], [1.0; 3], [0.0; 3]).unwrap();
        let volume =
            |voxels: [u8; 8]| LabelVolume::from_stored(geometry.clone(), voxels.into(), Modality::Unknown).unwrap();
        let [stem, larynx] = [Organ::BrainStem, Organ::Larynx].map(Organ::label);
        let truth = volume([0, 0, 0, stem, 0, stem, 0, 0]);
        let prediction = volume([stem, stem, stem, stem, stem, larynx, stem, larynx]);
        let organs = [Organ::BrainStem, Organ::Larynx].into_iter().collect();
        let seen = |slices| with_open_ends(&truth, &prediction, organs, slices).voxels.to_vec();
        // The larynx is not drawn at all: nothing of it is near an end.
        assert_eq!(seen(2), [stem, 0, 0, stem, stem, larynx, 0, larynx]);
        assert_eq!(seen(0), prediction.voxels.to_vec());
        assert_eq!(seen(usize::MAX / 2), [0, 0, 0, stem, stem, larynx, 0, larynx]);
    }
}
