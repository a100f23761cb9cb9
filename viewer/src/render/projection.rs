//! Where voxels lie on the screen: the one place that knows how a plane is turned, scaled and moved.

use attention_anatomy::volume::Geometry;
use egui::{Pos2, Rect, Vec2};

use crate::display::{Camera, Plane};

/// Zoom factors that a camera may have.
const ZOOM: std::ops::RangeInclusive<f32> = 0.25..=40.0;

/// One view's map between canonical voxels and points of the screen. Millimetres keep their shape whatever the spacing.
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    /// What the view fills, points.
    pub rect: Rect,
    /// Voxels along i, j, k.
    pub size: [usize; 3],
    /// Canonical axis across the picture, down it, and through it.
    pub axes: [usize; 3],
    /// Screen points for each millimetre.
    pub points_per_mm: f64,
    /// The slice that is seen, along the axis through the picture.
    pub slice: usize,
    /// +1 or -1: along which way the first and second axis run, right and down.
    sign: [f64; 2],
    spacing: [f64; 3],
    camera_mm: [f64; 2],
}

impl Projection {
    /// The view of `plane` through `cursor` in `rect`.
    pub fn new(plane: Plane, geometry: &Geometry, rect: Rect, camera: Camera, cursor: [usize; 3]) -> Self {
        let (axes, spacing, size) = (plane.axes(), geometry.spacing(), geometry.size);
        let extent = |a: usize| size[a] as f64 * spacing[a];
        let fit = (f64::from(rect.width()) / extent(axes[0])).min(f64::from(rect.height()) / extent(axes[1]));
        Self {
            rect,
            size,
            axes,
            points_per_mm: fit.max(1e-6) * f64::from(camera.zoom),
            slice: cursor[axes[2]].min(size[axes[2]] - 1),
            sign: [1.0, if plane.flips_down() { -1.0 } else { 1.0 }],
            spacing,
            camera_mm: camera.centre_mm.map(f64::from),
        }
    }

    fn middle(&self, axis: usize) -> f64 {
        (self.size[axis] - 1) as f64 / 2.0
    }

    /// The point of the screen that shows a (fractional) voxel; what lies off the slice is projected onto it.
    pub fn to_screen(&self, voxel: [f64; 3]) -> Pos2 {
        let along = |n: usize| {
            let axis = self.axes[n];
            let mm = self.sign[n] * (voxel[axis] - self.middle(axis)) * self.spacing[axis];
            ((mm - self.camera_mm[n]) * self.points_per_mm) as f32
        };
        self.rect.center() + Vec2::new(along(0), along(1))
    }

    /// The (fractional) voxel of the slice under a point of the screen; it may lie outside the volume.
    pub fn to_voxel(&self, at: Pos2) -> [f64; 3] {
        let offset = at - self.rect.center();
        let mut voxel = [0.0; 3];
        for (n, points) in [offset.x, offset.y].into_iter().enumerate() {
            let axis = self.axes[n];
            let mm = f64::from(points) / self.points_per_mm + self.camera_mm[n];
            voxel[axis] = self.sign[n] * mm / self.spacing[axis] + self.middle(axis);
        }
        voxel[self.axes[2]] = self.slice as f64;
        voxel
    }

    /// The voxel under a point of the screen, if one is.
    pub fn voxel_at(&self, at: Pos2) -> Option<[usize; 3]> {
        let voxel = self.to_voxel(at);
        let inside = (0..3).all(|a| voxel[a] >= -0.5 && voxel[a] < self.size[a] as f64 - 0.5);
        inside.then(|| voxel.map(|v| (v + 0.5).floor() as usize))
    }

    /// The voxel nearest to a point of the screen.
    pub fn nearest_voxel(&self, at: Pos2) -> [usize; 3] {
        let voxel = self.to_voxel(at);
        std::array::from_fn(|a| voxel[a].round().clamp(0.0, (self.size[a] - 1) as f64) as usize)
    }

    /// Voxels from one point of the screen to the next: to the right, and down.
    pub fn voxels_per_point(&self) -> [[f64; 3]; 2] {
        std::array::from_fn(|n| {
            let axis = self.axes[n];
            let mut step = [0.0; 3];
            step[axis] = self.sign[n] / (self.points_per_mm * self.spacing[axis]);
            step
        })
    }

    /// Patient letters at the left, right, top and bottom edge. Canonical i, j, k run to the patient's left, posterior and
    /// superior.
    pub fn edge_letters(&self) -> [&'static str; 4] {
        const LETTERS: [[&str; 2]; 3] = [["R", "L"], ["A", "P"], ["I", "S"]];
        let [first, second] = [0, 1].map(|n| {
            let [low, high] = LETTERS[self.axes[n]];
            if self.sign[n] > 0.0 { [low, high] } else { [high, low] }
        });
        [first[0], first[1], second[0], second[1]]
    }

    /// The camera zoomed by `factor` so that what is at `at` stays there.
    pub fn zoomed(&self, camera: Camera, factor: f32, at: Pos2) -> Camera {
        let zoom = (camera.zoom * factor).clamp(*ZOOM.start(), *ZOOM.end());
        let offset = (at - self.rect.center()) / self.points_per_mm as f32 * (1.0 - camera.zoom / zoom);
        Camera { centre_mm: [camera.centre_mm[0] + offset.x, camera.centre_mm[1] + offset.y], zoom }
    }

    /// The camera moved so that the picture follows a drag of `points`. The volume's middle cannot leave the view for good.
    pub fn panned(&self, camera: Camera, points: Vec2) -> Camera {
        let mm = points / self.points_per_mm as f32;
        let centre_mm = std::array::from_fn(|n| {
            let axis = self.axes[n];
            let reach = (self.size[axis] as f64 * self.spacing[axis] / 2.0) as f32;
            (camera.centre_mm[n] - mm[n]).clamp(-reach, reach)
        });
        Camera { centre_mm, ..camera }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;
    use proptest::prelude::*;

    fn geometry() -> Geometry {
        Geometry::axial([100, 80, 30], [0.8, 0.9, 3.0], [0.0; 3]).unwrap()
    }

    fn projection(plane: Plane, camera: Camera) -> Projection {
        let rect = Rect::from_min_size(pos2(30.0, 20.0), Vec2::new(400.0, 300.0));
        Projection::new(plane, &geometry(), rect, camera, [40, 30, 20])
    }

    #[test]
    fn the_whole_plane_just_fits() {
        // Axial: 80 mm wide, 72 mm high, in 400 x 300 points: the height decides.
        let p = projection(Plane::Axial, Camera::default());
        assert!((p.points_per_mm - 300.0 / 72.0).abs() < 1e-9);
        let top = p.to_screen([49.5, -0.5, 20.0]);
        assert!((top.y - 20.0).abs() < 1e-3 && (top.x - 230.0).abs() < 1e-3, "{top:?}");
    }

    #[test]
    fn patients_right_is_on_the_left_and_the_head_is_up() {
        let [axial, coronal, sagittal] = Plane::ALL.map(|plane| projection(plane, Camera::default()));
        let (right_anterior_inferior, left_posterior_superior) = ([5.0, 5.0, 2.0], [90.0, 70.0, 28.0]);
        let both = |p: &Projection| (p.to_screen(right_anterior_inferior), p.to_screen(left_posterior_superior));
        let (a, b) = both(&axial);
        assert!(a.x < b.x && a.y < b.y, "right is left, anterior is up: {a:?} {b:?}");
        let (a, b) = both(&coronal);
        assert!(a.x < b.x && a.y > b.y, "right is left, inferior is down: {a:?} {b:?}");
        let (a, b) = both(&sagittal);
        assert!(a.x < b.x && a.y > b.y, "anterior is left, inferior is down: {a:?} {b:?}");
        assert_eq!(axial.edge_letters(), ["R", "L", "A", "P"]);
        assert_eq!(coronal.edge_letters(), ["R", "L", "S", "I"]);
        assert_eq!(sagittal.edge_letters(), ["A", "P", "S", "I"]);
    }

    #[test]
    fn millimetres_are_square_whatever_the_spacing() {
        for plane in Plane::ALL {
            let p = projection(plane, Camera { centre_mm: [3.0, -5.0], zoom: 1.7 });
            let from = [50.0, 40.0, 15.0];
            let lengths = [0, 1].map(|n| {
                let mut to = from;
                to[p.axes[n]] += 9.0 / geometry().spacing()[p.axes[n]];
                p.to_screen(from).distance(p.to_screen(to))
            });
            assert!((lengths[0] - lengths[1]).abs() < 1e-3, "{plane:?}: {lengths:?}");
        }
    }

    #[test]
    fn steps_of_a_point_are_what_the_shader_walks() {
        for plane in Plane::ALL {
            let p = projection(plane, Camera { centre_mm: [3.0, -5.0], zoom: 2.0 });
            let (from, [right, down]) = (p.to_voxel(p.rect.min), p.voxels_per_point());
            let to = p.to_voxel(p.rect.min + Vec2::new(70.0, 33.0));
            for a in 0..3 {
                assert!((from[a] + 70.0 * right[a] + 33.0 * down[a] - to[a]).abs() < 1e-4, "{plane:?}");
            }
        }
    }

    #[test]
    fn outside_the_volume_is_no_voxel() {
        let p = projection(Plane::Axial, Camera::default());
        assert_eq!(p.voxel_at(p.to_screen([-0.4, 79.4, 20.0])), Some([0, 79, 20]));
        assert_eq!(p.voxel_at(p.to_screen([-0.6, 79.4, 20.0])), None);
        assert_eq!(p.voxel_at(p.to_screen([99.6, 10.0, 20.0])), None);
        assert_eq!(p.nearest_voxel(p.to_screen([-30.0, 200.0, 20.0])), [0, 79, 20]);
    }

    proptest! {
        #[test]
        fn screen_and_voxel_are_inverse(plane in 0usize..3, zoom in 0.3f32..20.0, x in -90f32..90.0, y in -90f32..90.0,
                                        at_x in 30f32..430.0, at_y in 20f32..320.0) {
            let p = projection(Plane::ALL[plane], Camera { centre_mm: [x, y], zoom });
            let at = pos2(at_x, at_y);
            prop_assert!(p.to_screen(p.to_voxel(at)).distance(at) < 0.01);
        }

        #[test]
        fn zooming_keeps_what_is_under_the_mouse(plane in 0usize..3, factor in 0.2f32..5.0, at_x in 30f32..430.0, at_y in 20f32..320.0) {
            let camera = Camera { centre_mm: [4.0, -7.0], zoom: 1.5 };
            let (before, at) = (projection(Plane::ALL[plane], camera), pos2(at_x, at_y));
            let after = projection(Plane::ALL[plane], before.zoomed(camera, factor, at));
            prop_assert!(after.to_screen(before.to_voxel(at)).distance(at) < 0.05);
        }

        #[test]
        fn panning_takes_the_picture_along(plane in 0usize..3, dx in -60f32..60.0, dy in -60f32..60.0) {
            let camera = Camera { centre_mm: [0.0; 2], zoom: 2.0 };
            let before = projection(Plane::ALL[plane], camera);
            let after = projection(Plane::ALL[plane], before.panned(camera, Vec2::new(dx, dy)));
            let moved = after.to_screen([50.0, 40.0, 15.0]) - before.to_screen([50.0, 40.0, 15.0]);
            prop_assert!((moved - Vec2::new(dx, dy)).length() < 0.05, "{moved:?}");
        }
    }
}
