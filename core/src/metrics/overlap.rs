//! Voxel counts and Dice.

use crate::anatomy::Organ;
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
}
