//! Do the slices form a rectangular grid, and which one? PS3.3 C.7.6.2.1.1: a slice lies where ImagePositionPatient
//! and ImageOrientationPatient put it. File names, instance numbers, SliceLocation, SliceThickness and
//! SpacingBetweenSlices all lie in real archives, so none of them is asked. What is not a grid is refused with the
//! numbers that show it.

use super::error::DicomError;
use super::header::Frame;
use crate::volume::Geometry;

/// Two slices closer than this lie in the same place, mm.
const SAME_PLACE_MM: f64 = 0.02;
/// Slice spacing may vary by this (mm), or by [`SPACING_FRACTION`] of it if that is more.
const SPACING_MM: f64 = 0.02;
const SPACING_FRACTION: f64 = 0.01;
/// Orientations that agree to this are one, degrees: 0.4 mm at the edge of a 500 mm field.
const SAME_ORIENTATION_DEGREES: f64 = 0.1;
/// A stack may lean this much against its normal, degrees; the volume's own axes may be off by as much.
const UPRIGHT_DEGREES: f64 = 0.5;
/// Sideways shifts that positions written with one decimal produce, mm.
const ROUNDING_MM: f64 = 0.05;
/// A slice may stand out of a straight stack by this much, mm.
const STRAIGHT_MM: f64 = 0.2;

type Vector = [f64; 3];

fn dot(a: Vector, b: Vector) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn length(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

fn minus(a: Vector, b: Vector) -> Vector {
    std::array::from_fn(|r| a[r] - b[r])
}

fn scaled(a: Vector, s: f64) -> Vector {
    a.map(|v| v * s)
}

fn angle(a: Vector, b: Vector) -> f64 {
    (dot(a, b) / (length(a) * length(b))).clamp(-1.0, 1.0).acos().to_degrees()
}

/// Unit direction of a row (towards higher columns), of a column, and their normal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    row: Vector,
    column: Vector,
    normal: Vector,
}

impl Axes {
    /// From the six direction cosines; they have to be perpendicular unit vectors, up to the rounding of decimals.
    fn new(cosines: [f64; 6], file: &str) -> Result<Self, DicomError> {
        let row = [cosines[0], cosines[1], cosines[2]];
        let column = [cosines[3], cosines[4], cosines[5]];
        let (a, b) = (length(row), length(column));
        let degrees = if a > 0.0 && b > 0.0 { angle(row, column) } else { 0.0 };
        if (a - 1.0).abs() > 0.01 || (b - 1.0).abs() > 0.01 || (degrees - 90.0).abs() > 0.5 {
            return Err(DicomError::BadOrientation { file: file.to_owned(), row: a, column: b, degrees });
        }
        let (row, column) = (scaled(row, 1.0 / a), scaled(column, 1.0 / b));
        let cross = [
            row[1] * column[2] - row[2] * column[1],
            row[2] * column[0] - row[0] * column[2],
            row[0] * column[1] - row[1] * column[0],
        ];
        Ok(Self { row, column, normal: scaled(cross, 1.0 / length(cross)) })
    }

    /// Largest angle between the axes of two slices, degrees.
    fn angle_to(&self, other: &Self) -> f64 {
        angle(self.row, other.row).max(angle(self.column, other.column))
    }
}

/// Angle between two slice orientations, in degrees: the largest that their row or column directions make.
/// `None` where a vector has no length.
pub(super) fn orientation_angle(a: [f64; 6], b: [f64; 6]) -> Option<f64> {
    Some(Axes::new(a, "").ok()?.angle_to(&Axes::new(b, "").ok()?))
}

/// One slice of a series, with the name of its file for messages.
pub(super) struct Slice<'a> {
    pub(super) file: &'a str,
    pub(super) frame: &'a Frame,
    /// GantryDetectorTilt, degrees.
    pub(super) tilt: f64,
}

/// The grid that the slices form.
#[derive(Debug, PartialEq)]
pub(super) struct Stack {
    /// Indices of the slices, ascending along the normal (row x column direction).
    pub(super) order: Vec<usize>,
    /// i along a row, j along a column, k along the normal.
    pub(super) geometry: Geometry,
}

/// Orders the slices and finds their grid.
///
/// `columns` and `rows` are those of every slice.
///
/// # Errors
/// Every variant of [`DicomError`] that speaks of geometry.
pub(super) fn stack(slices: &[Slice], columns: usize, rows: usize) -> Result<Stack, DicomError> {
    let mut positions = Vec::with_capacity(slices.len());
    let mut axes: Vec<Axes> = Vec::with_capacity(slices.len());
    let mut spacing: Option<[f64; 2]> = None;
    for slice in slices {
        let missing = |attribute| DicomError::MissingAttribute { file: slice.file.to_owned(), attribute };
        let own = slice.frame.spacing.filter(|s| s.iter().all(|&v| v > 0.0));
        let own = own.ok_or_else(|| missing("PixelSpacing (0028,0030)"))?;
        let position = slice.frame.position.ok_or_else(|| missing("ImagePositionPatient (0020,0032)"))?;
        let cosines = slice.frame.orientation.ok_or_else(|| missing("ImageOrientationPatient (0020,0037)"))?;
        let first = *spacing.get_or_insert(own);
        if (0..2).any(|a| (first[a] - own[a]).abs() > 1e-3 * first[a]) {
            return Err(DicomError::MixedPixelSpacing { a: first, b: own });
        }
        axes.push(Axes::new(cosines, slice.file)?);
        positions.push(position);
    }
    let (Some(&plane), Some([row_spacing, column_spacing])) = (axes.first(), spacing) else {
        return Err(DicomError::SingleSlice);
    };
    let turned = |a: &&Axes| a.angle_to(&plane) > SAME_ORIENTATION_DEGREES;
    let odd = axes.iter().filter(turned).count();
    if odd > 0 {
        let degrees = axes.iter().map(|a| a.angle_to(&plane)).fold(0.0, f64::max);
        return Err(DicomError::MixedOrientation { odd: odd.min(slices.len() - odd), slices: slices.len(), degrees });
    }
    if let Some(tilt) = slices.iter().map(|s| s.tilt).find(|t| t.abs() > 0.05) {
        return Err(DicomError::GantryTilt { degrees: tilt.abs() });
    }
    if slices.len() < 2 {
        return Err(DicomError::SingleSlice);
    }

    let height = |n: usize| dot(positions[n], plane.normal);
    let mut order: Vec<usize> = (0..slices.len()).collect();
    order.sort_by(|&a, &b| height(a).total_cmp(&height(b)));
    let gaps: Vec<f64> = order.windows(2).map(|w| height(w[1]) - height(w[0])).collect();
    // Places are told along the patient axis that is closest to the normal: what a viewer shows beside the slice.
    let along = (0..3).fold(0, |best, r| if plane.normal[r].abs() > plane.normal[best].abs() { r } else { best });
    let axis = ['x', 'y', 'z'][along];
    let place = |k: usize| positions[order[k]][along];
    even_spacing(&gaps, axis, place)?;

    // The line from the first slice to the last against the normal.
    let (first, last) = (positions[order[0]], positions[order[slices.len() - 1]]);
    let steps = gaps.len() as f64;
    let line = minus(last, first);
    let rise = dot(line, plane.normal);
    let aside = minus(line, scaled(plane.normal, rise));
    let degrees = angle(line, plane.normal);
    let mut step = scaled(line, 1.0 / steps);
    if degrees > UPRIGHT_DEGREES {
        if length(aside) > ROUNDING_MM {
            return Err(DicomError::GantryTilt { degrees });
        }
        step = scaled(plane.normal, rise / steps);
    }
    for (k, &n) in order.iter().enumerate() {
        let off = minus(positions[n], first);
        let on_line = scaled(line, dot(off, plane.normal) / rise);
        let shift_mm = length(minus(off, on_line));
        if shift_mm > STRAIGHT_MM {
            return Err(DicomError::ShiftedSlice { axis, at_mm: place(k), shift_mm });
        }
    }

    // A step along a row passes one column: its length is the *column* spacing, the second number (C.7.6.3.1.1).
    let affine =
        std::array::from_fn(|r| [plane.row[r] * column_spacing, plane.column[r] * row_spacing, step[r], first[r]]);
    Ok(Stack { geometry: Geometry::new([columns, rows, slices.len()], affine)?, order })
}

/// Refuses duplicates, missing slices and uneven spacing, in this order. `gaps` lie between slices `k` and `k + 1`.
fn even_spacing(gaps: &[f64], axis: char, place: impl Fn(usize) -> f64) -> Result<(), DicomError> {
    let same = |gap: &f64| *gap < SAME_PLACE_MM;
    if let Some(k) = gaps.iter().position(same) {
        let count = gaps.iter().filter(|gap| same(gap)).count();
        return Err(DicomError::DuplicatePositions { count, axis, at_mm: place(k) });
    }
    // The usual spacing is the lower median: right as long as fewer than half of the gaps are off.
    let mut sorted = gaps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted[(sorted.len() - 1) / 2];
    let tolerance = SPACING_MM.max(SPACING_FRACTION * usual);
    let differs = |gap: &f64| (gap - usual).abs() > tolerance;
    let Some(first_off) = gaps.iter().position(differs) else {
        return Ok(());
    };
    let whole = |gap: f64| {
        let steps = (gap / usual).round();
        (steps >= 1.0 && (gap - steps * usual).abs() <= tolerance * steps).then_some(steps as usize)
    };
    if gaps.iter().all(|&g| whole(g).is_some()) {
        let holes: Vec<(usize, usize)> =
            gaps.iter().enumerate().filter_map(|(k, &g)| whole(g).filter(|&n| n > 1).map(|n| (k, n - 1))).collect();
        let mut told: Vec<String> = holes
            .iter()
            .take(5)
            .map(|&(k, n)| format!("{n} between {axis} = {:.2} and {:.2} mm", place(k), place(k + 1)))
            .collect();
        if holes.len() > told.len() {
            told.push(format!("and {} more gaps", holes.len() - told.len()));
        }
        let missing = holes.iter().map(|h| h.1).sum();
        return Err(DicomError::MissingSlices { missing, spacing: usual, gaps: told.join(", ") });
    }
    Err(DicomError::UnevenSpacing {
        spacing: usual,
        smallest: sorted[0],
        largest: sorted[sorted.len() - 1],
        axis,
        at_mm: place(first_off),
    })
}
