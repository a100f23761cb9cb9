//! Distances and ellipses that the user has drawn into a view, and what they measure.

use attention_anatomy::volume::CtVolume;

use super::plane::Plane;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasurementKind {
    /// The distance between its two ends.
    Ruler,
    /// HU in the ellipse whose bounding box has the two ends as corners.
    Ellipse,
}

/// HU of the voxels whose centres lie in an ellipse.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HuStatistics {
    /// Number of voxels.
    pub count: usize,
    /// Mean in HU.
    pub mean: f64,
    /// Standard deviation of these voxels (divided by their number).
    pub deviation: f64,
    /// Smallest value in HU.
    pub min: i16,
    /// Largest value in HU.
    pub max: i16,
}

/// Something measured in a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The plane it was drawn in.
    pub plane: Plane,
    /// What is measured.
    pub kind: MeasurementKind,
    /// Ends of the ruler, or opposite corners of the ellipse's box: fractional canonical voxels, on one slice.
    pub ends: [[f64; 3]; 2],
    /// HU inside; rulers and empty ellipses have none.
    pub hu: Option<HuStatistics>,
}

impl Measurement {
    /// One that begins at a voxel.
    pub fn at(plane: Plane, kind: MeasurementKind, voxel: [f64; 3]) -> Self {
        Self { plane, kind, ends: [voxel; 2], hu: None }
    }

    /// The slice of its plane that it lies on.
    pub fn slice(&self) -> usize {
        self.ends[0][self.plane.axes()[2]].round().max(0.0) as usize
    }

    /// Moves an end and measures again.
    pub fn move_end(&mut self, end: usize, voxel: [f64; 3], ct: &CtVolume) {
        self.ends[end] = voxel;
        self.hu = (self.kind == MeasurementKind::Ellipse).then(|| self.statistics(ct)).flatten();
    }

    /// Millimetres between the ends.
    pub fn length_mm(&self, spacing: [f64; 3]) -> f64 {
        let [a, b] = self.ends;
        (0..3).map(|n| ((b[n] - a[n]) * spacing[n]).powi(2)).sum::<f64>().sqrt()
    }

    /// Area of the ellipse, mm^2.
    pub fn area_mm2(&self, spacing: [f64; 3]) -> f64 {
        let [across, along, _] = self.plane.axes();
        let side = |axis: usize| (self.ends[1][axis] - self.ends[0][axis]).abs() * spacing[axis];
        std::f64::consts::PI / 4.0 * side(across) * side(along)
    }

    fn statistics(&self, ct: &CtVolume) -> Option<HuStatistics> {
        let size = ct.geometry.size;
        let [across, along, through] = self.plane.axes();
        let [a, b] = self.ends;
        let range = |axis: usize| {
            let (low, high) = (a[axis].min(b[axis]).ceil().max(0.0), a[axis].max(b[axis]).floor());
            if high < low { 0..0 } else { low as usize..(high as usize + 1).min(size[axis]) }
        };
        let squared = |axis: usize, at: usize| {
            let (middle, radius) = ((a[axis] + b[axis]) / 2.0, (b[axis] - a[axis]).abs() / 2.0);
            ((at as f64 - middle) / radius.max(1e-9)).powi(2)
        };
        let (mut count, mut sum, mut squares) = (0usize, 0i64, 0i64);
        let (mut min, mut max) = (i16::MAX, i16::MIN);
        let mut voxel = [0; 3];
        voxel[through] = self.slice().min(size[through] - 1);
        for v in range(along) {
            for u in range(across) {
                if squared(across, u) + squared(along, v) > 1.0 {
                    continue;
                }
                (voxel[across], voxel[along]) = (u, v);
                let hu = ct.voxels[voxel[0] + size[0] * (voxel[1] + size[1] * voxel[2])];
                count += 1;
                sum += i64::from(hu);
                squares += i64::from(hu).pow(2);
                (min, max) = (min.min(hu), max.max(hu));
            }
        }
        let mean = sum as f64 / count as f64;
        let deviation = (squares as f64 / count as f64 - mean * mean).max(0.0).sqrt();
        (count > 0).then_some(HuStatistics { count, mean, deviation, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use attention_anatomy::volume::{Geometry, Modality};

    const SPACING: [f64; 3] = [0.5, 0.8, 3.0];

    /// HU = 10 i - 2 j + 100 k.
    fn ramp() -> CtVolume {
        let geometry = Geometry::axial([60, 50, 20], SPACING, [0.0; 3]).unwrap();
        let mut voxels = Vec::new();
        for k in 0..20 {
            for j in 0..50 {
                voxels.extend((0..60).map(|i| 10 * i - 2 * j + 100 * k));
            }
        }
        CtVolume::from_stored(geometry, voxels, Modality::Ct).unwrap()
    }

    fn drawn(plane: Plane, kind: MeasurementKind, from: [f64; 3], to: [f64; 3]) -> Measurement {
        let mut measurement = Measurement::at(plane, kind, from);
        measurement.move_end(1, to, &ramp());
        measurement
    }

    #[test]
    fn a_ruler_measures_millimetres_in_every_plane() {
        let ruler = drawn(Plane::Axial, MeasurementKind::Ruler, [10.0, 10.0, 4.0], [16.0, 15.0, 4.0]);
        assert!((ruler.length_mm(SPACING) - 5.0).abs() < 1e-12, "3 mm across and 4 mm down");
        let ruler = drawn(Plane::Sagittal, MeasurementKind::Ruler, [7.0, 10.0, 4.0], [7.0, 25.0, 7.0]);
        assert!((ruler.length_mm(SPACING) - 15.0).abs() < 1e-12, "12 mm back and 9 mm up");
        assert_eq!((ruler.slice(), ruler.hu), (7, None));
    }

    #[test]
    fn the_mean_of_a_ramp_is_its_value_in_the_middle() {
        for (plane, from, to) in [
            (Plane::Axial, [10.0, 8.0, 5.0], [30.0, 38.0, 5.0]),
            (Plane::Coronal, [10.0, 8.0, 4.0], [30.0, 8.0, 16.0]),
            (Plane::Sagittal, [12.0, 38.0, 16.0], [12.0, 8.0, 4.0]),
        ] {
            let ellipse = drawn(plane, MeasurementKind::Ellipse, from, to);
            let middle: [f64; 3] = std::array::from_fn(|a| (from[a] + to[a]) / 2.0);
            let hu = ellipse.hu.unwrap();
            assert!(
                (hu.mean - (10.0 * middle[0] - 2.0 * middle[1] + 100.0 * middle[2])).abs() < 1e-9,
                "{plane:?}: {hu:?}"
            );
            assert_eq!(f64::from(hu.min) + f64::from(hu.max), 2.0 * hu.mean, "symmetric about the middle");
        }
    }

    #[test]
    fn an_ellipse_has_pi_a_b_of_area_and_of_voxels() {
        let ellipse = drawn(Plane::Axial, MeasurementKind::Ellipse, [50.5, 5.5, 3.0], [10.5, 45.5, 3.0]);
        assert!((ellipse.area_mm2(SPACING) - std::f64::consts::PI * 10.0 * 16.0).abs() < 1e-9);
        let voxels = std::f64::consts::PI * 20.0 * 20.0;
        assert!((ellipse.hu.unwrap().count as f64 / voxels - 1.0).abs() < 0.02);
    }

    #[test]
    fn the_deviation_of_a_uniform_ramp_is_its_width_over_root_twelve() {
        // One row: HU 10 i for i in 10..=30, that is 21 values 10 apart.
        let row = drawn(Plane::Axial, MeasurementKind::Ellipse, [10.0, 20.0, 0.0], [30.0, 20.0, 0.0]);
        let hu = row.hu.unwrap();
        assert_eq!(hu.count, 21);
        assert!((hu.deviation - 10.0 * ((21.0f64.powi(2) - 1.0) / 12.0).sqrt()).abs() < 1e-9, "{hu:?}");
    }

    #[test]
    fn an_ellipse_outside_the_volume_measures_nothing() {
        let outside = drawn(Plane::Axial, MeasurementKind::Ellipse, [-30.0, -20.0, 3.0], [-5.0, -5.0, 3.0]);
        assert_eq!(outside.hu, None);
        let between_voxels = drawn(Plane::Axial, MeasurementKind::Ellipse, [10.2, 10.2, 3.0], [10.4, 10.4, 3.0]);
        assert_eq!(between_voxels.hu, None);
    }
}
