//! How sure the network was of each organ: the share of its voxels in which it only just won.
//!
//! Counted slice by slice (on a GPU where labels are made, `labels.wgsl`) on what the network says, before any clean-up: pieces that are
//! taken away afterwards are a reason for doubt, too. It says how much of an organ was a near thing, not how much of it is wrong: at the
//! surface of a good outline there is always some.

use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, Organ};
use crate::raster::label_runs;

/// A voxel is doubtful where the winner's probability leads that of the runner-up by less than this (of 255): one half.
pub(super) const SURE: u8 = 128;

/// Voxels of each organ, and the doubtful ones among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt([[u64; 2]; ORGAN_COUNT]);

impl Default for Doubt {
    fn default() -> Self {
        Self([[0; 2]; ORGAN_COUNT])
    }
}

impl Doubt {
    /// Counts a slice: labels 0..=33 and how far ahead of the runner-up the winner is, 0 to 255 for 0 to 1.
    pub fn count(&mut self, labels: &[u8], margin: &[u8]) {
        label_runs(labels, |label, start, end| {
            // A number that is no organ's has no entry.
            let Some([voxels, doubtful]) = self.0.get_mut(usize::from(label) - 1) else { return };
            let run = margin.get(start..end).unwrap_or_default();
            *voxels += run.len() as u64;
            // Fewer than a slice has pixels: nothing overflows, and without the check vectors do it.
            *doubtful += u64::from(run.iter().fold(0u32, |n, &margin| n.wrapping_add(u32::from(margin < SURE))));
        });
    }

    /// Of a slice: labels and margins as for [`count`](Self::count).
    pub fn of(labels: &[u8], margin: &[u8]) -> Self {
        let mut doubt = Self::default();
        doubt.count(labels, margin);
        doubt
    }

    /// What was counted elsewhere: of each class, background first, the voxels and the doubtful ones.
    pub(super) fn counted(voxels: &[u32; CLASS_COUNT], doubtful: &[u32; CLASS_COUNT]) -> Self {
        Self(std::array::from_fn(|organ| [voxels[organ + 1], doubtful[organ + 1]].map(u64::from)))
    }

    /// Adds what was counted of other slices.
    pub fn add(&mut self, other: &Self) {
        let counts = self.0.as_flattened_mut().iter_mut().zip(other.0.as_flattened());
        counts.for_each(|(sum, more)| *sum += more);
    }

    /// The doubtful share of an organ's voxels, 0 to 1; `None` where none was counted.
    pub fn share(&self, organ: Organ) -> Option<f64> {
        let [voxels, doubtful] = self.0[organ.index()];
        (voxels > 0).then(|| doubtful as f64 / voxels as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_of_less_than_one_half_is_doubtful_and_the_background_is_not_counted() {
        let mut doubt = Doubt::default();
        let liver = Organ::Liver.label();
        doubt.count(&[0, liver, liver, liver, liver, 34, 255], &[0, 0, 127, 128, 255, 0, 0]);
        assert_eq!(doubt.share(Organ::Liver), Some(0.5));
        assert!(Organ::ALL.into_iter().filter(|organ| *organ != Organ::Liver).all(|o| doubt.share(o).is_none()));
        doubt.add(&Doubt::of(&[liver; 4], &[255; 4]));
        assert_eq!(doubt.share(Organ::Liver), Some(0.25));
    }
}
