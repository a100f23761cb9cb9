//! Fill: an area of the plane on screen, and the holes of an organ.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::raster;

use super::mask::Mask;
use super::{EditSettings, LabelStore, PaintOver};
use crate::display::Plane;

/// Why nothing was filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// The background that was clicked goes on to the edge of the picture.
    #[error("this area is not enclosed; close its outline with the brush, or limit the range of HU, and fill again")]
    Open,
    /// The area belongs to an organ that is protected.
    #[error("this area is {0}; choose \"paint over everything\" to change it")]
    Protected(Organ),
}

impl LabelStore {
    /// Fills the connected area around a voxel in a plane with an organ: an enclosed hole, or another organ's area.
    /// Returns how many labels are others now.
    ///
    /// # Errors
    /// [`FillError`] where the hole is open or the area is protected.
    pub fn fill(
        &mut self,
        plane: Plane,
        at: [usize; 3],
        organ: Organ,
        settings: &EditSettings,
    ) -> Result<usize, FillError> {
        let size = self.layer().size();
        let label = self.layer().get(at);
        if (0..3).any(|a| at[a] >= size[a]) || label == organ.label() {
            return Ok(0);
        }
        if let Some(other) = Organ::from_label(label).filter(|_| !settings.over.allows(label, organ)) {
            return Err(FillError::Protected(other));
        }
        let [across, down, _] = plane.axes();
        let (w, h) = (size[across], size[down]);
        let place = |x: usize, y: usize| {
            let mut place = at;
            (place[across], place[down]) = (x, y);
            place
        };
        let takes = |[i, j, k]: [usize; 3]| settings.takes(self.ct().voxels[i + size[0] * (j + size[1] * k)]);
        if !takes(at) {
            return Ok(0);
        }
        let mut open = vec![false; w * h];
        for y in 0..h {
            for x in 0..w {
                open[x + w * y] = self.layer().get(place(x, y)) == label && takes(place(x, y));
            }
        }
        let mut area = raster::take(&mut open, [w, h, 1], [at[across] + w * at[down]]);
        area.sort_unstable();
        if label == 0 && area.iter().any(|n| n % w == 0 || n % w == w - 1 || n / w == 0 || n / w == h - 1) {
            return Err(FillError::Open);
        }
        self.begin("fill");
        let mut changed = 0;
        for n in area {
            let [i, j, k] = place(n % w, n / w);
            let voxel = i + size[0] * j;
            changed += self.set(k, voxel..voxel + 1, |_, _| Some(organ.label()));
        }
        self.end();
        Ok(changed)
    }

    /// Makes what an organ encloses part of it: within each axial slice, or in space where `three_d`. Returns how many
    /// labels are others now.
    pub fn fill_holes(&mut self, organ: Organ, three_d: bool, over: PaintOver) -> usize {
        // Around the organ there must be a way past it, except where the volume ends: nothing encloses a voxel there.
        let Some(mut mask) = Mask::of(self, organ, [1, 1, usize::from(three_d)]) else { return 0 };
        if three_d {
            raster::fill_holes(&mut mask.voxels, mask.size);
        } else {
            let [w, h, slices] = mask.size;
            for k in 0..slices {
                raster::fill_holes(mask.slice_mut(k), [w, h, 1]);
            }
        }
        mask.put(self, organ, over, "fill holes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::store;

    const HEART: Organ = Organ::Heart;

    /// A frame of the heart, open at one pixel where `gap`, in a plane of a cube of 9 voxels.
    fn frame(plane: Plane, gap: bool) -> LabelStore {
        let mut labels = store([9; 3], [1.0; 3]);
        let [across, down, through] = plane.axes();
        for x in 2..=6 {
            for y in 2..=6 {
                let border = x == 2 || x == 6 || y == 2 || y == 6;
                if border && !(gap && (x, y) == (6, 4)) {
                    let mut at = [0; 3];
                    (at[across], at[down], at[through]) = (x, y, 4);
                    labels.set(at[2], at[0] + 9 * at[1]..at[0] + 9 * at[1] + 1, |_, _| Some(HEART.label()));
                }
            }
        }
        labels
    }

    #[test]
    fn a_hole_is_filled_in_its_plane_and_an_open_area_is_refused() {
        for plane in Plane::ALL {
            let mut labels = frame(plane, false);
            assert_eq!(labels.fill(plane, [4; 3], Organ::Liver, &EditSettings::default()), Ok(9), "{plane:?}");
            let mut labels = frame(plane, true);
            let before = labels.layer().clone();
            let result = labels.fill(plane, [4; 3], Organ::Liver, &EditSettings::default());
            assert_eq!(result, Err(FillError::Open));
            assert_eq!(labels.layer().voxels(), before.voxels());
        }
    }

    #[test]
    fn another_organ_is_filled_only_where_it_is_not_protected() {
        let mut labels = frame(Plane::Axial, false);
        let protected = labels.fill(Plane::Axial, [2, 2, 4], Organ::Liver, &EditSettings::default());
        assert_eq!(protected, Err(FillError::Protected(HEART)));
        let over = EditSettings { over: PaintOver::Everything, ..EditSettings::default() };
        assert_eq!(labels.fill(Plane::Axial, [2, 2, 4], Organ::Liver, &over), Ok(16));
        assert_eq!(labels.voxel_count(HEART), 0);
        assert_eq!(labels.fill(Plane::Axial, [99, 2, 4], Organ::Liver, &over), Ok(0));
    }

    #[test]
    fn holes_are_closed_slice_by_slice_or_in_space() {
        // A shell of 5 voxels with a tunnel along k: open in space, closed on each of its slices.
        let shell = |tunnel: bool| {
            let mut labels = store([9; 3], [1.0; 3]);
            for k in 2..=6 {
                labels.set(k, 0..81, |n, _| {
                    let (i, j) = (n % 9, n / 9);
                    let inside = (2..=6).contains(&i) && (2..=6).contains(&j);
                    let hollow = (3..=5).contains(&i) && (3..=5).contains(&j) && (3..=5).contains(&k);
                    let hole = hollow || (tunnel && (i, j) == (4, 4));
                    (inside && !hole).then_some(HEART.label())
                });
            }
            labels
        };
        assert_eq!(shell(false).fill_holes(HEART, true, PaintOver::Background), 27);
        assert_eq!(shell(true).fill_holes(HEART, true, PaintOver::Background), 0);
        assert_eq!(shell(true).fill_holes(HEART, false, PaintOver::Background), 29);
        let mut labels = shell(false);
        labels.set(4, 4 + 36..5 + 36, |_, _| Some(Organ::Trachea.label()));
        assert_eq!(labels.fill_holes(HEART, true, PaintOver::Background), 26, "what lies in the hole is protected");
    }

    #[test]
    fn nothing_is_enclosed_by_the_end_of_the_scan() {
        let mut labels = store([7, 7, 4], [1.0; 3]);
        for k in 2..4 {
            // A cup whose bottom is slice 2 and whose opening is the last slice.
            labels.set(k, 0..49, |n, _| {
                let (i, j) = (n % 7, n / 7);
                let inside = (1..=5).contains(&i) && (1..=5).contains(&j);
                (inside && (k == 2 || i == 1 || i == 5 || j == 1 || j == 5)).then_some(HEART.label())
            });
        }
        assert_eq!(labels.fill_holes(HEART, true, PaintOver::Background), 0);
    }
}
