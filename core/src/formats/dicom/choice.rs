//! Which of several series is read.
//!
//! A study holds the scan, its reconstructions in other planes, kernels and thicknesses, and scouts. The network was
//! trained on original axial slices of soft tissue, so these are taken where nobody chooses, and what decided is said.

use super::error::DicomError;
use super::series::Series;
use crate::volume::Modality;

/// Which series of a folder to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SeriesChoice {
    /// What suits best: CT before others, axial before other planes, original before derived, the longer part of the body, what
    /// forms a volume, thin slices, a soft kernel, many slices.
    #[default]
    Best,
    /// The series with this Series Instance UID (0020,000E).
    Uid(String),
    /// The series with this place in [`list_series`](super::list_series), from 1.
    Listed(usize),
}

impl SeriesChoice {
    /// What a user wrote: a place in the list, or a Series Instance UID.
    pub fn from_text(text: &str) -> Self {
        let text = text.trim();
        text.parse().map_or_else(|_| Self::Uid(text.to_owned()), Self::Listed)
    }
}

/// Slices up to this far apart are thin enough for the grid of the network, mm.
const THIN_MM: f64 = 3.05;
/// Series of this part of the longest one's length show as much as it.
const AS_LONG: f64 = 0.8;
/// Series that are named one by one when none of them was meant.
const TOLD: usize = 10;

/// The series to read, and why it and no other; empty where there is no other or it was asked for.
pub(super) fn choose<'a>(series: &'a [Series], choice: &SeriesChoice) -> Result<(&'a Series, String), DicomError> {
    let unknown = |uid: String| {
        let mut known: Vec<&str> = series.iter().map(|s| s.info.uid.as_str()).take(TOLD).collect();
        let more = format!("and {} more", series.len() - known.len());
        if series.len() > known.len() {
            known.push(&more);
        }
        DicomError::UnknownSeries { uid, available: known.join(", ") }
    };
    match choice {
        SeriesChoice::Uid(uid) => {
            let found = series.iter().find(|s| s.info.uid == *uid);
            found.map(|s| (s, String::new())).ok_or_else(|| unknown(uid.clone()))
        }
        SeriesChoice::Listed(place) => {
            let found = place.checked_sub(1).and_then(|n| series.get(n));
            found.map(|s| (s, String::new())).ok_or_else(|| unknown(format!("number {place}")))
        }
        SeriesChoice::Best => best(series).ok_or(DicomError::NoImages { files: 0, found: "nothing".into() }),
    }
}

/// A reason to prefer a series, and how much of it a series has.
type Reason = (&'static str, fn(&Series) -> f64);

/// In the order in which they count. Length comes between them.
const REASONS: [Reason; 8] = [
    ("it is CT", |s| flag(s.info.modality == Modality::Ct)),
    ("its slices are axial", |s| flag(s.is_axial)),
    ("it is original and not derived", |s| flag(s.info.image_type.first().is_none_or(|t| t != "DERIVED"))),
    ("its slices form a volume", |s| flag(s.stack.is_ok())),
    ("its slices are thin", |s| flag(s.step_mm() <= THIN_MM)),
    ("its kernel is soft", |s| softness(&s.info.kernel)),
    ("its slices are thinner", |s| -(s.step_mm() * 100.0).round()),
    ("it has more slices", |s| s.info.slices as f64),
];
/// The place of the length among them.
const LENGTH_AT: usize = 3;

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn best(series: &[Series]) -> Option<(&Series, String)> {
    let mut left: Vec<&Series> = series.iter().collect();
    let mut reasons = Vec::new();
    let mut keep = |left: &mut Vec<&Series>, name: &'static str, score: &dyn Fn(&Series) -> f64| {
        let most = left.iter().map(|s| score(s)).fold(f64::NEG_INFINITY, f64::max);
        let before = left.len();
        left.retain(|s| score(s) >= most);
        if left.len() < before {
            reasons.push(name);
        }
    };
    for (n, (name, score)) in REASONS.iter().enumerate() {
        if n == LENGTH_AT {
            let longest = left.iter().map(|s| s.length_mm).fold(0.0, f64::max);
            keep(&mut left, "it covers more of the body", &|s| flag(s.length_mm >= AS_LONG * longest));
        }
        keep(&mut left, name, score);
    }
    // The first of equals, whatever the order of the files.
    let found = left.first().copied()?;
    if left.len() > 1 {
        reasons.push("it comes first");
    }
    Some((found, reasons.join(", ")))
}

/// 2 for a kernel that is known to be soft, 0 for one that is known to be sharp, 1 for any other.
///
/// Siemens numbers its kernels by sharpness (B30f, Br40, I70); Canon by purpose (FC08 body, FC51 lung); Philips has letters, GE words.
fn softness(kernel: &str) -> f64 {
    let kernel = kernel.trim().to_ascii_uppercase();
    let letters: String = kernel.chars().take_while(char::is_ascii_alphabetic).collect();
    let digits: String = kernel.chars().skip(letters.len()).take_while(char::is_ascii_digit).collect();
    let number: Option<u32> = digits.parse().ok();
    match (letters.as_str(), number) {
        ("FC", Some(30..=39 | 50..=59 | 80..=89)) => 0.0,
        ("FC", Some(_)) => 2.0,
        (l, Some(n)) if !l.is_empty() && l.len() <= 2 && digits.len() == 2 => flag(n < 50) * 2.0,
        ("LUNG" | "BONE" | "BONEPLUS" | "EDGE" | "ULTRA" | "SHARP" | "HRCT", _) => 0.0,
        ("STANDARD" | "STND" | "SOFT" | "SMOOTH", _) => 2.0,
        ("A" | "B" | "C", None) => 2.0,
        ("D" | "E" | "L" | "YA" | "YB" | "YC" | "YD", None) => 0.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_four_makers_are_told() {
        for (kernel, expected) in [
            ("B30f", 2.0),
            ("Br40d\\3", 2.0),
            ("I26s", 2.0),
            ("B70f", 0.0),
            ("Bl57", 0.0),
            ("FC08", 2.0),
            ("FC51", 0.0),
            ("FC30", 0.0),
            ("STANDARD", 2.0),
            ("Lung", 0.0),
            ("BONEPLUS", 0.0),
            ("B", 2.0),
            ("L", 0.0),
            ("YC", 0.0),
            ("", 1.0),
            ("DETAIL", 1.0),
            ("unheard of", 1.0),
        ] {
            assert_eq!(softness(kernel), expected, "{kernel}");
        }
    }

    #[test]
    fn a_choice_is_a_number_or_a_uid() {
        assert_eq!(SeriesChoice::from_text(" 2"), SeriesChoice::Listed(2));
        assert_eq!(SeriesChoice::from_text("1.2.840.1"), SeriesChoice::Uid("1.2.840.1".into()));
    }
}
