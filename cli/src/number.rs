//! Numbers that options take, each with its range: what cannot be meant is refused where it is typed.

use std::ops::RangeInclusive;

/// A finite number of a range, ends included.
fn within(text: &str, what: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    let (low, high) = (*range.start(), *range.end());
    let number: f64 = text.trim().parse().map_err(|_| format!("{what} is a number"))?;
    // Neither NaN nor infinity lies in a range.
    if range.contains(&number) { Ok(number) } else { Err(format!("{what} lies between {low} and {high}")) }
}

/// A distance up to which surfaces count as equal, in mm. At 0 nothing but equal surfaces would.
///
/// # Errors
/// What may be given.
pub fn tolerance_mm(text: &str) -> Result<f64, String> {
    within(text, "a tolerance in mm", 0.001..=1000.0)
}

/// Distance between pixels of a phantom, in mm.
///
/// # Errors
/// What may be given.
pub fn pixel_mm(text: &str) -> Result<f64, String> {
    within(text, "the pixel distance in mm", 0.2..=30.0)
}

/// Distance between slices of a phantom, in mm.
///
/// # Errors
/// What may be given.
pub fn slice_mm(text: &str) -> Result<f64, String> {
    within(text, "the slice distance in mm", 0.2..=50.0)
}

/// How long nothing may change, in seconds.
///
/// # Errors
/// What may be given.
pub fn quiet(text: &str) -> Result<f64, String> {
    within(text, "a time in seconds", 0.1..=86_400.0)
}

/// How many of something: at least one, and no more than can be meant.
///
/// # Errors
/// What may be given.
pub fn count(text: &str) -> Result<usize, String> {
    counted(text, 1, 1_000_000)
}

/// Seconds of something.
///
/// # Errors
/// What may be given.
pub fn seconds(text: &str) -> Result<f64, String> {
    within(text, "a time in seconds", 1e-6..=1e6)
}

/// Folds of a cross-validation.
///
/// # Errors
/// What may be given.
pub fn folds(text: &str) -> Result<usize, String> {
    counted(text, 2, 1000)
}

/// Pixels along a side of a slice.
///
/// # Errors
/// What may be given.
pub fn matrix(text: &str) -> Result<usize, String> {
    counted(text, 8, 2048)
}

/// Slices of a batch.
///
/// # Errors
/// What may be given.
pub fn batch(text: &str) -> Result<usize, String> {
    counted(text, 1, 4096)
}

/// Slices of a scan.
///
/// # Errors
/// What may be given.
pub fn slices(text: &str) -> Result<usize, String> {
    counted(text, 1, 10_000)
}

/// The number of a slice, from 1 as on screen.
///
/// # Errors
/// What may be given.
pub fn slice(text: &str) -> Result<usize, String> {
    counted(text, 1, 1_000_000)
}

/// Something that is counted from nought.
///
/// # Errors
/// What may be given.
pub fn index(text: &str) -> Result<usize, String> {
    counted(text, 0, 1_000_000)
}

fn counted(text: &str, low: usize, high: usize) -> Result<usize, String> {
    match text.trim().parse::<usize>() {
        Ok(number) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("a whole number between {low} and {high} is needed")),
    }
}
