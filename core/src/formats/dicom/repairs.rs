//! What may be mended of a series if somebody asks for it: slices that are missing, and slices that lean because the gantry was
//! tilted. Both are refused otherwise, because values that nobody measured look like any others.

use super::error::DicomError;

/// The most slices of a series that are filled in.
pub(super) const MOST_FILLED: usize = 2;
/// The most that a gantry tilts, degrees; scanners reach 30.
pub(super) const MOST_TILTED_DEGREES: f64 = 35.0;
/// What lies outside of a slice that was shifted: air.
const OUTSIDE_HU: i16 = -1000;

/// Something that may be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Repair {
    /// At most two missing slices are interpolated between their neighbours.
    FillGaps,
    /// Slices of a tilted gantry are shifted along themselves until they stand upright.
    CorrectTilt,
}

impl Repair {
    /// What mends a series that is refused with this error, if anything does.
    pub fn of(error: &DicomError) -> Option<Self> {
        match error {
            DicomError::MissingSlices { missing, .. } if *missing <= MOST_FILLED => Some(Self::FillGaps),
            DicomError::GantryTilt { degrees } if *degrees <= MOST_TILTED_DEGREES => Some(Self::CorrectTilt),
            _ => None,
        }
    }
}

/// What may be mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// At most two missing slices are interpolated between their neighbours.
    pub fill_gaps: bool,
    /// Slices of a tilted gantry are shifted along themselves until they stand upright.
    pub correct_tilt: bool,
}

impl Repairs {
    /// With this one, too.
    pub fn and(self, repair: Repair) -> Self {
        match repair {
            Repair::FillGaps => Self { fill_gaps: true, ..self },
            Repair::CorrectTilt => Self { correct_tilt: true, ..self },
        }
    }

    /// What would mend a series that is refused with this error and is not among these.
    pub fn lacks(self, error: &DicomError) -> Option<Repair> {
        Repair::of(error).filter(|&repair| self.and(repair) != self)
    }
}

/// Slices that stand at an angle to the line through them, on a grid at right angles that holds all of them: each keeps its plane and is
/// shifted within it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shear {
    /// The tilt.
    pub(super) degrees: f64,
    /// Columns and rows of the grid.
    pub(super) size: [usize; 2],
    /// Column and row of the first slice at which the grid begins, whole numbers up to 0.
    pub(super) origin: [f64; 2],
    /// Columns and rows as the files have them.
    acquired: [usize; 2],
    /// Where the first pixel of each slice lies on the grid.
    offsets: Vec<[f64; 2]>,
}

impl Shear {
    /// `last` is how far the last of `count` slices is shifted against the first, in columns and rows.
    pub(super) fn new(degrees: f64, acquired: [usize; 2], last: [f64; 2], count: usize) -> Self {
        // A hundredth of a pixel along the other axis is rounding.
        let last = last.map(|shift| if shift.abs() < 0.01 { 0.0 } else { shift });
        let origin = last.map(|shift| shift.min(0.0).floor());
        let size = std::array::from_fn(|a| {
            let more = last[a].max(0.0).ceil() - origin[a];
            acquired[a].saturating_add(more as usize)
        });
        let part = |k: usize| k as f64 / (count - 1).max(1) as f64;
        let offsets = (0..count).map(|k| std::array::from_fn(|a| last[a] * part(k) - origin[a])).collect();
        Self { degrees, size, origin, acquired, offsets }
    }

    /// Slices as the files have them, resampled onto the grid: linear within each slice, nothing between slices.
    pub(super) fn apply(&self, voxels: &[i16]) -> Vec<i16> {
        let ([columns, rows], [width, height]) = (self.acquired, self.size);
        let mut out = vec![OUTSIDE_HU; width * height * self.offsets.len()];
        let planes = voxels.chunks_exact(columns * rows).zip(out.chunks_exact_mut(width * height));
        for ((slice, plane), offset) in planes.zip(&self.offsets) {
            let value = |x: i64, y: i64| -> f64 {
                let inside = (0..columns as i64).contains(&x) && (0..rows as i64).contains(&y);
                (if inside { slice[x as usize + columns * y as usize] } else { OUTSIDE_HU }).into()
            };
            for (n, out) in plane.iter_mut().enumerate() {
                let (x, y) = ((n % width) as f64 - offset[0], (n / width) as f64 - offset[1]);
                let (left, up) = (x.floor(), y.floor());
                let (u, v) = (x - left, y - up);
                let (left, up) = (left as i64, up as i64);
                let mut sum = 0.0;
                for (dx, dy, weight) in
                    [(0, 0, (1.0 - u) * (1.0 - v)), (1, 0, u * (1.0 - v)), (0, 1, (1.0 - u) * v), (1, 1, u * v)]
                {
                    // What weighs nothing may lie outside.
                    if weight > 0.0 {
                        sum += weight * value(left + dx, up + dy);
                    }
                }
                *out = sum.round() as i16;
            }
        }
        out
    }
}

/// Interpolates the missing slices between their neighbours.
pub(super) fn fill(voxels: &mut [i16], [columns, rows, depth]: [usize; 3], missing: &[usize]) {
    let plane = columns * rows;
    for &k in missing {
        let below = (0..k).rev().find(|k| !missing.contains(k));
        let above = (k + 1..depth).find(|k| !missing.contains(k));
        let (Some(below), Some(above)) = (below, above) else { continue };
        let part = (k - below) as f64 / (above - below) as f64;
        for n in 0..plane {
            let (a, b) = (f64::from(voxels[below * plane + n]), f64::from(voxels[above * plane + n]));
            voxels[k * plane + n] = (a + (b - a) * part).round() as i16;
        }
    }
}
