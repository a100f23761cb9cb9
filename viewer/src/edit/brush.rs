//! Brush and eraser: all voxel centres within a radius of the way that the mouse went, in mm.

use attention_anatomy::anatomy::Organ;

use super::{EditSettings, LabelStore};
use crate::display::Plane;

/// One piece of a stroke.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dab {
    /// Where it begins and ends: fractional canonical voxels.
    pub way: [[f64; 3]; 2],
    /// Radius, mm.
    pub radius_mm: f64,
    /// A disc in this plane; a ball where `None`.
    pub plane: Option<Plane>,
}

/// What a stroke does to the voxels that it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// They become this organ.
    Paint(Organ),
    /// Those of this organ become background; of every organ where `None`.
    Erase(Option<Organ>),
}

impl LabelStore {
    /// Paints or erases along a piece of a stroke. Returns how many labels are others now.
    pub fn stroke(&mut self, dab: &Dab, ink: Ink, settings: &EditSettings) -> usize {
        let size = self.layer().size();
        let Some((low, high)) = dab.bounds(size, self.geometry().spacing()) else { return 0 };
        let reach = Reach::new(dab, self.geometry().spacing());
        let [nx, ny, _] = size;
        let ct = self.ct().clone();
        let mut changed = 0;
        for k in low[2]..=high[2] {
            for j in low[1]..=high[1] {
                let row = nx * j;
                changed += self.set(k, row + low[0]..row + high[0] + 1, |n, label| {
                    let code = match ink {
                        Ink::Paint(organ) if settings.over.allows(label, organ) => organ.label(),
                        Ink::Erase(organ) if label != 0 && organ.is_none_or(|o| o.label() == label) => 0,
                        _ => return None,
                    };
                    let inside = reach.holds([n - row, j, k]) && settings.takes(ct.voxels[n + nx * ny * k]);
                    inside.then_some(code)
                });
            }
        }
        changed
    }
}

impl Dab {
    /// First and last voxel along each axis that it may reach; `None` outside the volume.
    fn bounds(&self, size: [usize; 3], spacing: [f64; 3]) -> Option<([usize; 3], [usize; 3])> {
        if !(self.way.iter().flatten().all(|v| v.is_finite()) && self.radius_mm.is_finite()) {
            return None;
        }
        let (mut low, mut high) = ([0; 3], [0; 3]);
        for a in 0..3 {
            let [from, to] = [self.way[0][a], self.way[1][a]];
            // Half a voxel more: the nearest voxel is always reached.
            let margin = (self.radius_mm / spacing[a]).max(0.5);
            let (mut least, mut most) = ((from.min(to) - margin).ceil(), (from.max(to) + margin).floor());
            if self.plane.is_some_and(|p| p.axes()[2] == a) {
                (least, most) = (from.round(), from.round());
            }
            let last = (size[a] - 1) as f64;
            if most < 0.0 || least > last {
                return None;
            }
            (low[a], high[a]) = (least.clamp(0.0, last) as usize, most.clamp(0.0, last) as usize);
        }
        Some((low, high))
    }
}

/// The way in mm.
struct Reach {
    from: [f64; 3],
    step: [f64; 3],
    squared_length: f64,
    radius_mm: f64,
    spacing: [f64; 3],
    /// Axis that does not count.
    flat: Option<usize>,
}

impl Reach {
    fn new(dab: &Dab, spacing: [f64; 3]) -> Self {
        let flat = dab.plane.map(|p| p.axes()[2]);
        let mm = |point: [f64; 3]| -> [f64; 3] {
            std::array::from_fn(|a| if flat == Some(a) { 0.0 } else { point[a] * spacing[a] })
        };
        let [from, to] = dab.way.map(mm);
        let step: [f64; 3] = std::array::from_fn(|a| to[a] - from[a]);
        let squared_length = step.iter().map(|s| s * s).sum();
        Self { from, step, squared_length, radius_mm: dab.radius_mm, spacing, flat }
    }

    /// Whether a voxel's centre is within the radius of the way, or the way passes through the voxel's own middle: a
    /// brush smaller than a voxel still paints the voxels that it points at.
    fn holds(&self, at: [usize; 3]) -> bool {
        let offset: [f64; 3] =
            std::array::from_fn(
                |a| {
                    if self.flat == Some(a) { 0.0 } else { at[a] as f64 * self.spacing[a] - self.from[a] }
                },
            );
        let along: f64 = (0..3).map(|a| offset[a] * self.step[a]).sum();
        let part = if self.squared_length > 0.0 { (along / self.squared_length).clamp(0.0, 1.0) } else { 0.0 };
        let apart: [f64; 3] = std::array::from_fn(|a| (offset[a] - part * self.step[a]).abs());
        // A billionth, so that a radius of whole voxels does not depend on rounding.
        let squared: f64 = apart.iter().map(|d| d * d).sum();
        squared <= self.radius_mm * self.radius_mm * (1.0 + 1e-9)
            || (0..3).all(|a| self.flat == Some(a) || apart[a] <= 0.5 * self.spacing[a])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::{place, store};

    const LIVER: Ink = Ink::Paint(Organ::Liver);

    fn free() -> EditSettings {
        EditSettings::default()
    }

    #[test]
    fn a_ball_is_a_ball_in_mm_on_anisotropic_voxels() {
        let spacing = [0.8, 1.1, 2.7];
        let mut labels = store([41, 37, 15], spacing);
        let centre = [19.3, 17.6, 7.2];
        labels.stroke(&Dab { way: [centre; 2], radius_mm: 9.0, plane: None }, LIVER, &free());
        for (n, &label) in labels.layer().voxels().iter().enumerate() {
            let at = place(n, [41, 37, 15]);
            let d = (0..3).map(|a| ((at[a] as f64 - centre[a]) * spacing[a]).powi(2)).sum::<f64>().sqrt();
            assert_eq!(label == Organ::Liver.label(), d <= 9.0, "{at:?} at {d} mm");
        }
        // Within 3 % of 4/3 pi r^3.
        let ball = 4.0 / 3.0 * std::f64::consts::PI * 0.9f64.powi(3);
        assert!((labels.volume_ml(Organ::Liver) / ball - 1.0).abs() < 0.03);
    }

    #[test]
    fn a_disc_stays_in_the_plane_of_its_view() {
        for plane in Plane::ALL {
            let (size, spacing) = ([21, 23, 19], [1.0, 1.5, 2.0]);
            let mut labels = store(size, spacing);
            let centre = [10.0, 11.0, 9.0];
            labels.stroke(&Dab { way: [centre; 2], radius_mm: 7.5, plane: Some(plane) }, LIVER, &free());
            let through = plane.axes()[2];
            for (n, &label) in labels.layer().voxels().iter().enumerate() {
                let at = place(n, size);
                let squared: f64 = (0..3).map(|a| ((at[a] as f64 - centre[a]) * spacing[a]).powi(2)).sum();
                let inside = squared <= 7.5 * 7.5 && at[through] as f64 == centre[through];
                assert_eq!(label != 0, inside, "{plane:?} {at:?}");
            }
        }
    }

    #[test]
    fn a_fast_stroke_has_no_gaps_and_a_small_brush_paints_the_voxel_it_points_at() {
        let mut labels = store([60, 20, 3], [1.0, 1.0, 3.0]);
        let fast = Dab { way: [[2.0, 10.0, 1.0], [57.0, 10.0, 1.0]], radius_mm: 2.0, plane: Some(Plane::Axial) };
        labels.stroke(&fast, LIVER, &free());
        assert!((0..=59).all(|i| labels.layer().get([i, 10, 1]) == Organ::Liver.label()));
        assert!((2..=57).all(|i| labels.layer().get([i, 12, 1]) != 0 && labels.layer().get([i, 13, 1]) == 0));

        let mut labels = store([9, 9, 3], [4.0, 4.0, 5.0]);
        labels.stroke(&Dab { way: [[3.4, 5.3, 1.2]; 2], radius_mm: 0.5, plane: None }, LIVER, &free());
        assert_eq!(labels.voxel_count(Organ::Liver), 1);
        assert_ne!(labels.layer().get([3, 5, 1]), 0);
    }

    #[test]
    fn strokes_outside_the_volume_or_without_a_place_change_nothing() {
        let mut labels = store([5, 5, 5], [1.0; 3]);
        for way in [[[f64::NAN; 3]; 2], [[-30.0, 2.0, 2.0]; 2], [[2.0, 2.0, 99.0]; 2], [[f64::INFINITY, 2.0, 2.0]; 2]] {
            for plane in [None, Some(Plane::Axial), Some(Plane::Sagittal)] {
                assert_eq!(labels.stroke(&Dab { way, radius_mm: 3.0, plane }, LIVER, &free()), 0);
            }
        }
        assert_eq!(labels.undo_name(), None);
    }

    #[test]
    fn others_are_protected_hu_limits_hold_and_the_eraser_takes_one_or_all() {
        let mut labels = store([12, 5, 3], [1.0; 3]);
        let dab = |i: f64| Dab { way: [[i, 2.0, 1.0]; 2], radius_mm: 1.0, plane: Some(Plane::Axial) };
        labels.stroke(&dab(3.0), Ink::Paint(Organ::Spleen), &free());
        labels.stroke(&dab(4.0), LIVER, &free());
        assert_eq!(labels.layer().get([4, 2, 1]), Organ::Spleen.label(), "protected");
        let all = EditSettings { over: super::super::PaintOver::Everything, ..free() };
        labels.stroke(&dab(4.0), LIVER, &all);
        assert_eq!(labels.layer().get([4, 2, 1]), Organ::Liver.label());
        labels.stroke(&dab(4.0), Ink::Erase(Some(Organ::Spleen)), &free());
        assert_eq!(labels.layer().get([4, 2, 1]), Organ::Liver.label());
        labels.stroke(&dab(4.0), Ink::Erase(None), &free());
        assert_eq!(labels.layer().get([4, 2, 1]), 0);

        // HU of the sample is 10 i.
        let limited = EditSettings { limit_hu: true, hu: [85, 95], ..free() };
        labels.stroke(&Dab { radius_mm: 3.0, ..dab(9.0) }, LIVER, &limited);
        assert!((6..12).all(|i| (labels.layer().get([i, 2, 1]) != 0) == (i == 9)));
    }
}
