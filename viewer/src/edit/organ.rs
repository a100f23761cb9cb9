//! Tools for an organ as a whole: clear, reassign, largest component.

use std::ops::Range;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::infer::keep_largest_components;

use super::mask::Mask;
use super::{LabelStore, PaintOver};

impl LabelStore {
    /// Makes the voxels of one organ another, or background, on some slices. Returns how many labels are others now.
    pub fn reassign(&mut self, organ: Organ, to: Option<Organ>, slices: Range<usize>) -> usize {
        let Some((first, last)) = self.first_last_slice(organ) else { return 0 };
        let (label, area) = (to.map_or(0, Organ::label), self.layer().size()[0] * self.layer().size()[1]);
        self.begin(if to.is_some() { "reassign" } else { "clear" });
        let mut changed = 0;
        for k in slices.start.max(first)..slices.end.min(last + 1) {
            changed += self.set(k, 0..area, |_, l| (l == organ.label()).then_some(label));
        }
        self.end();
        changed
    }

    /// Takes all but the largest 26-connected piece of an organ away. Returns how many labels are others now.
    pub fn largest_component(&mut self, organ: Organ) -> usize {
        let Some(mut mask) = Mask::of(self, organ, [0; 3]) else { return 0 };
        keep_largest_components(&mut mask.voxels, mask.size);
        mask.put(self, organ, PaintOver::Background, "largest component")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::store;

    #[test]
    fn reassigning_keeps_to_its_slices_and_clearing_leaves_other_organs() {
        let mut labels = store([4, 4, 4], [1.0; 3]);
        for k in 0..4 {
            labels.set(k, 0..6, |n, _| Some(if n < 3 { Organ::KidneyLeft.label() } else { Organ::Spleen.label() }));
        }
        assert_eq!(labels.reassign(Organ::KidneyLeft, Some(Organ::KidneyRight), 1..3), 6);
        assert_eq!((labels.voxel_count(Organ::KidneyLeft), labels.voxel_count(Organ::KidneyRight)), (6, 6));
        assert_eq!(labels.first_last_slice(Organ::KidneyRight), Some((1, 2)));
        assert_eq!(labels.reassign(Organ::KidneyLeft, None, 0..4), 6);
        assert_eq!((labels.voxel_count(Organ::KidneyLeft), labels.voxel_count(Organ::Spleen)), (0, 12));
        assert_eq!(labels.reassign(Organ::KidneyLeft, None, 0..4), 0);
    }

    #[test]
    fn only_the_largest_piece_stays() {
        let mut labels = store([9, 3, 3], [1.0; 3]);
        let liver = Organ::Liver.label();
        labels.set(0, 0..3, |_, _| Some(liver));
        labels.set(1, 3 + 9..4 + 9, |_, _| Some(liver)); // by a corner
        labels.set(2, 7..9, |_, _| Some(liver));
        labels.set(2, 6..7, |_, _| Some(Organ::Stomach.label()));
        assert_eq!(labels.largest_component(Organ::Liver), 2);
        assert_eq!((labels.voxel_count(Organ::Liver), labels.voxel_count(Organ::Stomach)), (4, 1));
    }
}
