//! From label maps with numbers of their own, or from masks, to labels of the anatomy table.

use std::collections::BTreeMap;

use crate::anatomy::Organ;
use crate::volume::LabelVolume;

/// Largest distance between corresponding voxels of grids that are taken as the same, mm.
const SAME_GRID_MM: f64 = 0.1;

/// Gives every voxel the label that its number means.
pub fn renumber(labels: &mut LabelVolume, meant: &[u8; 256]) {
    for label in &mut labels.voxels {
        *label = meant[usize::from(*label)];
    }
}

/// A mask lies elsewhere than those before it.
#[derive(Debug, thiserror::Error)]
#[error("the mask of {0} is on another grid than those before it; resample all masks to the grid of the CT")]
pub struct OtherGrid(Organ);

/// Masks on their way into one label map. A voxel of several organs becomes the smallest one's: what encloses another organ is the larger
/// one.
#[derive(Debug, Default)]
pub struct JoinedMasks {
    labels: Option<LabelVolume>,
    voxels: BTreeMap<Organ, usize>,
    /// The parts so far of the organ that came last.
    last: Option<(Organ, LabelVolume)>,
}

impl JoinedMasks {
    /// Adds the mask of an organ or of a part of it: what is not 0. All parts of an organ must come one after the other.
    ///
    /// # Errors
    /// [`OtherGrid`].
    pub fn add(&mut self, organ: Organ, mask: LabelVolume) -> Result<(), OtherGrid> {
        let labels = self.labels.get_or_insert_with(|| mask.with_voxels(vec![0; mask.voxels.len()]));
        if !labels.geometry.same_grid(&mask.geometry, SAME_GRID_MM) {
            return Err(OtherGrid(organ));
        }
        match &mut self.last {
            Some((last, whole)) if *last == organ => {
                for (inside, part) in whole.voxels.iter_mut().zip(mask.voxels) {
                    *inside |= part;
                }
            }
            _ => {
                self.draw_last();
                self.last = Some((organ, mask));
            }
        }
        Ok(())
    }

    /// The label map; `None` if there was no mask.
    pub fn finish(mut self) -> Option<LabelVolume> {
        self.draw_last();
        self.labels
    }

    fn draw_last(&mut self) {
        let Some(((organ, mask), labels)) = self.last.take().zip(self.labels.as_mut()) else { return };
        let voxels = mask.voxels.iter().filter(|&&v| v != 0).count();
        for (label, inside) in labels.voxels.iter_mut().zip(mask.voxels) {
            let smaller = |other: Organ| self.voxels.get(&other).is_some_and(|&larger| voxels < larger);
            if inside != 0 && Organ::from_label(*label).is_none_or(smaller) {
                *label = organ.label();
            }
        }
        self.voxels.insert(organ, voxels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    fn mask(inside: std::ops::Range<u8>, offset: f64) -> LabelVolume {
        let grid = Geometry::axial([6, 1, 1], [1.0, 1.0, 1.0], [offset, 0.0, 0.0]).unwrap();
        let ct = Volume::from_stored(grid, vec![0i16; 6], Modality::Ct).unwrap();
        ct.with_voxels((0..6).map(|n| u8::from(inside.contains(&n)) * 255).collect())
    }

    #[test]
    fn a_voxel_of_two_organs_is_the_smaller_ones_in_any_order() {
        let masks =
            [(Organ::BowelBag, mask(0..5, 0.0)), (Organ::KidneyLeft, mask(1..3, 0.0)), (Organ::Liver, mask(2..5, 0.0))];
        let (bowel, kidney, liver) = (Organ::BowelBag.label(), Organ::KidneyLeft.label(), Organ::Liver.label());
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut joined = JoinedMasks::default();
            for n in order {
                joined.add(masks[n].0, masks[n].1.clone()).unwrap();
            }
            assert_eq!(joined.finish().unwrap().voxels, [bowel, kidney, kidney, liver, liver, 0]);
        }
    }

    #[test]
    fn an_organ_is_as_large_as_all_its_parts() {
        let (heart, lung) = (Organ::Heart.label(), Organ::LungLeft.label());
        let parts = [(Organ::LungLeft, mask(0..2, 0.0)), (Organ::LungLeft, mask(2..5, 0.0))];
        let whole = [(Organ::Heart, mask(1..5, 0.0))];
        for masks in [[&parts[..], &whole].concat(), [&whole[..], &parts].concat()] {
            let mut joined = JoinedMasks::default();
            for (organ, mask) in masks {
                joined.add(organ, mask).unwrap();
            }
            assert_eq!(joined.finish().unwrap().voxels, [lung, heart, heart, heart, heart, 0]);
        }
    }

    #[test]
    fn parts_add_up_and_another_grid_is_refused() {
        let mut joined = JoinedMasks::default();
        joined.add(Organ::LungLeft, mask(0..1, 0.0)).unwrap();
        joined.add(Organ::LungLeft, mask(3..5, 0.0)).unwrap();
        let wrong = joined.add(Organ::Heart, mask(0..1, 1.0)).unwrap_err().to_string();
        assert!(wrong.contains("Heart") && wrong.contains("another grid"), "{wrong}");
        let l = Organ::LungLeft.label();
        assert_eq!(joined.finish().unwrap().voxels, [l, 0, 0, l, l, 0]);
    }

    #[test]
    fn numbers_become_what_they_mean() {
        let mut labels = mask(1..3, 0.0);
        let mut meant = [0; 256];
        meant[255] = 7;
        renumber(&mut labels, &meant);
        assert_eq!(labels.voxels, [0, 7, 7, 0, 0, 0]);
    }
}
