//! Do the slices form a rectangular grid, and which one? PS3.3 C.7.6.2.1.1: a slice lies where ImagePositionPatient
//! and ImageOrientationPatient put it. File names, instance numbers, SliceLocation, SliceThickness and
//! SpacingBetweenSlices all lie in real archives, so none of them is asked; nor is GantryDetectorTilt, which stays in the files
//! of a series that was corrected for it. (One slice alone has only its thickness.) What is not a grid is refused with the numbers
//! that show it, unless somebody asked for a repair.

use super::error::DicomError;
use super::header::Frame;
use super::repairs::{MOST_FILLED, MOST_TILTED_DEGREES, Repairs, Shear};
use crate::volume::Geometry;

/// Two slices closer than this lie in the same place, mm.
pub(super) const SAME_PLACE_MM: f64 = 0.02;
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
/// A tilt that the files name is said from here on, degrees.
const TAGGED_TILT_DEGREES: f64 = 0.05;

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
    /// Where each of them lies on the grid; those between are missing.
    pub(super) at: Vec<usize>,
    /// i along a row, j along a column, k along the normal.
    pub(super) geometry: Geometry,
    /// How slices of a tilted gantry come onto the grid.
    pub(super) shear: Option<Shear>,
    /// What a user should know of it.
    pub(super) notes: Vec<String>,
}

impl Stack {
    /// The slices of the grid that no file has, ascending.
    pub(super) fn missing(&self) -> Vec<usize> {
        (0..self.geometry.size[2]).filter(|k| self.at.binary_search(k).is_err()).collect()
    }
}

/// Where a slice lies along the normal of an orientation, mm; `None` where its vectors have no length.
pub(super) fn height(position: [f64; 3], cosines: [f64; 6]) -> Option<f64> {
    Some(dot(position, Axes::new(cosines, "").ok()?.normal))
}

/// Angle between slices of an orientation and axial ones, degrees; `None` where a vector has no length.
pub(super) fn angle_to_axial(cosines: [f64; 6]) -> Option<f64> {
    Some(Axes::new(cosines, "").ok()?.normal[2].abs().min(1.0).acos().to_degrees())
}

/// Where a viewer shows that a slice lies: the patient axis that is closest to the normal of an orientation, and the place along
/// it in mm.
pub(super) fn place(position: [f64; 3], cosines: [f64; 6]) -> Option<(char, f64)> {
    let normal = Axes::new(cosines, "").ok()?.normal;
    let along = most_along(normal);
    Some((['x', 'y', 'z'][along], position[along]))
}

fn most_along(normal: Vector) -> usize {
    (0..3).fold(0, |best, r| if normal[r].abs() > normal[best].abs() { r } else { best })
}

/// Why slices do not stand above each other.
enum Sideways {
    /// All on one line, by this angle against the normal, degrees.
    Leaning(f64),
    /// `count` of them out of line, the worst by `shift_mm`.
    Jitter { worst: usize, count: usize, shift_mm: f64 },
}

/// The step from slice to slice, of `steps` in all. `heights` along `normal` rise; `aside` is what is left of each position besides, 0
/// for the first.
///
/// Slices lean only where they all stand on the line from the first to the last; otherwise some were moved.
fn straight_step(heights: &[f64], aside: &[Vector], normal: Vector, steps: f64) -> Result<Vector, Sideways> {
    let (Some(&low), Some(&high), Some(&last)) = (heights.first(), heights.last(), aside.last()) else {
        return Ok(normal);
    };
    let rise = high - low;
    let off = |(h, a): (&f64, &Vector)| length(minus(*a, scaled(last, (h - low) / rise)));
    if heights.iter().zip(aside).map(off).fold(0.0, f64::max) > STRAIGHT_MM {
        // The middle of all is where most stand, however far some were moved.
        let middle: Vector = std::array::from_fn(|r| {
            let mut along: Vec<f64> = aside.iter().map(|a| a[r]).collect();
            along.sort_by(f64::total_cmp);
            along[along.len() / 2]
        });
        let shifts: Vec<f64> = aside.iter().map(|&a| length(minus(a, middle))).collect();
        let worst = (0..shifts.len()).fold(0, |worst, k| if shifts[k] > shifts[worst] { k } else { worst });
        let count = shifts.iter().filter(|&&s| s > STRAIGHT_MM).count();
        return Err(Sideways::Jitter { worst, count, shift_mm: shifts[worst] });
    }
    let degrees = (length(last) / rise).atan().to_degrees();
    if degrees <= UPRIGHT_DEGREES {
        return Ok(std::array::from_fn(|r| (normal[r] * rise + last[r]) / steps));
    }
    if length(last) > ROUNDING_MM {
        return Err(Sideways::Leaning(degrees));
    }
    Ok(scaled(normal, rise / steps))
}

/// Orders the slices and finds their grid.
///
/// `columns` and `rows` are those of every slice.
///
/// # Errors
/// Every variant of [`DicomError`] that speaks of geometry.
pub(super) fn stack(slices: &[Slice], columns: usize, rows: usize, repairs: Repairs) -> Result<Stack, DicomError> {
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
    let turned = |n: &usize| axes[*n].angle_to(&plane) > SAME_ORIENTATION_DEGREES;
    let odd: Vec<usize> = (0..axes.len()).filter(turned).collect();
    if !odd.is_empty() {
        let degrees = axes.iter().map(|a| a.angle_to(&plane)).fold(0.0, f64::max);
        // The first slice is not always one of the many.
        let few = if 2 * odd.len() <= slices.len() { odd } else { (0..axes.len()).filter(|n| !turned(n)).collect() };
        let file = few.first().map_or("", |&n| slices[n].file).to_owned();
        return Err(DicomError::MixedOrientation { odd: few.len(), slices: slices.len(), degrees, file });
    }
    if slices.len() < 2 {
        let mm = slices.first().and_then(|s| s.frame.thickness).ok_or(DicomError::SingleSlice)?;
        let step = scaled(plane.normal, mm);
        let affine = std::array::from_fn(|r| {
            [plane.row[r] * column_spacing, plane.column[r] * row_spacing, step[r], positions[0][r]]
        });
        let geometry = Geometry::new([columns, rows, 1], affine)?;
        let notes = vec![format!("the series has 1 slice; it was taken to be {mm:.2} mm thick, as its file says")];
        return Ok(Stack { order: vec![0], at: vec![0], geometry, shear: None, notes });
    }

    let height = |n: usize| dot(positions[n], plane.normal);
    let mut order: Vec<usize> = (0..slices.len()).collect();
    order.sort_by(|&a, &b| height(a).total_cmp(&height(b)));
    let gaps: Vec<f64> = order.windows(2).map(|w| height(w[1]) - height(w[0])).collect();
    // Places are told along the patient axis that is closest to the normal: what a viewer shows beside the slice.
    let along = most_along(plane.normal);
    let axis = ['x', 'y', 'z'][along];
    let place = |k: usize| positions[order[k]][along];
    let missing = even_spacing(&gaps, axis, place, |k| slices[order[k]].file, repairs.fill_gaps)?;
    let mut at = vec![0];
    for (k, missing) in missing.iter().enumerate() {
        at.push(at[k] + 1 + missing);
    }
    let count = at[at.len() - 1] + 1;

    let heights: Vec<f64> = order.iter().map(|&n| height(n)).collect();
    let aside: Vec<Vector> = order
        .iter()
        .zip(&heights)
        .map(|(&n, &h)| minus(minus(positions[n], positions[order[0]]), scaled(plane.normal, h - heights[0])))
        .collect();
    let mut first = positions[order[0]];
    let (mut size, mut shear) = ([columns, rows, count], None);
    let step = match straight_step(&heights, &aside, plane.normal, (count - 1) as f64) {
        Ok(step) => step,
        Err(Sideways::Leaning(degrees)) if repairs.correct_tilt && degrees <= MOST_TILTED_DEGREES => {
            let spacing = [column_spacing, row_spacing];
            let shift = |a: Vector| [dot(a, plane.row) / spacing[0], dot(a, plane.column) / spacing[1]];
            let last = shift(aside[aside.len() - 1]);
            let found = Shear::new(degrees, [columns, rows], last, count);
            let [left, up] = found.origin;
            first = std::array::from_fn(|r| {
                first[r] + plane.row[r] * left * spacing[0] + plane.column[r] * up * spacing[1]
            });
            size = [found.size[0], found.size[1], count];
            shear = Some(found);
            scaled(plane.normal, (heights[heights.len() - 1] - heights[0]) / (count - 1) as f64)
        }
        Err(Sideways::Leaning(degrees)) => return Err(DicomError::GantryTilt { degrees }),
        Err(Sideways::Jitter { worst, count, shift_mm }) => {
            let file = slices[order[worst]].file.to_owned();
            return Err(DicomError::ShiftedSlice { file, count, axis, at_mm: place(worst), shift_mm });
        }
    };
    let tilt = slices.iter().map(|s| s.tilt.abs()).fold(0.0, f64::max);
    let mut notes = Vec::new();
    if let Some(shear) = &shear {
        notes.push(format!(
            "the series was taken with the gantry tilted by {:.1} degrees; its slices were shifted back along themselves and resampled, and \
             contours go back into the tilted slices",
            shear.degrees
        ));
    } else if tilt > TAGGED_TILT_DEGREES {
        notes.push(format!(
            "the files tell of a gantry tilt of {tilt:.1} degrees, but their slices lie straight above each other; that is believed"
        ));
    }

    // A step along a row passes one column: its length is the *column* spacing, the second number (C.7.6.3.1.1).
    let affine =
        std::array::from_fn(|r| [plane.row[r] * column_spacing, plane.column[r] * row_spacing, step[r], first[r]]);
    let stack = Stack { geometry: Geometry::new(size, affine)?, order, at, shear, notes };
    let filled = stack.missing();
    if filled.is_empty() {
        return Ok(stack);
    }
    let places: Vec<String> = filled
        .iter()
        .map(|&k| format!("{axis} = {:.2} mm", stack.geometry.to_patient([0.0, 0.0, k as f64])[along]))
        .collect();
    let note = format!(
        "slices are missing in the files and were interpolated between their neighbours, at {}; RTSTRUCT and SEG have nothing there",
        places.join(" and ")
    );
    Ok(Stack { notes: stack.notes.into_iter().chain([note]).collect(), ..stack })
}

/// Refuses duplicates, missing slices and uneven spacing, in this order. `gaps` lie between slices `k` and `k + 1`. How many slices are
/// missing in each of them: none, but where a few are let pass to be filled in.
fn even_spacing<'a>(
    gaps: &[f64],
    axis: char,
    place: impl Fn(usize) -> f64,
    file: impl Fn(usize) -> &'a str,
    fill: bool,
) -> Result<Vec<usize>, DicomError> {
    let same = |gap: &f64| *gap < SAME_PLACE_MM;
    if let Some(k) = gaps.iter().position(same) {
        let count = gaps.iter().filter(|gap| same(gap)).count();
        let files = [file(k).to_owned(), file(k + 1).to_owned()];
        return Err(DicomError::DuplicatePositions { count, axis, at_mm: place(k), files });
    }
    // The usual spacing is the lower median: right as long as fewer than half of the gaps are off.
    let mut sorted = gaps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted[(sorted.len() - 1) / 2];
    let tolerance = SPACING_MM.max(SPACING_FRACTION * usual);
    let differs = |gap: &f64| (gap - usual).abs() > tolerance;
    let Some(first_off) = gaps.iter().position(differs) else {
        return Ok(vec![0; gaps.len()]);
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
        if fill && missing <= MOST_FILLED {
            return Ok(gaps.iter().map(|&g| whole(g).map_or(0, |n| n - 1)).collect());
        }
        return Err(DicomError::MissingSlices {
            missing,
            spacing: usual,
            gaps: told.join(", "),
            unread: String::new(),
        });
    }
    Err(DicomError::UnevenSpacing {
        spacing: usual,
        smallest: sorted[0],
        largest: sorted[sorted.len() - 1],
        axis,
        at_mm: place(first_off),
    })
}
