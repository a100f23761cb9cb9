//! Which series of a folder is read, and what may be mended of it.

use std::fmt::Display;

use anyhow::Error;
use attention_anatomy::formats::FormatError;
use attention_anatomy::formats::dicom::{Repair, Repairs, SeriesChoice, SeriesRequest};

/// What may be mended of a series that is refused otherwise.
#[derive(Clone, Copy, Debug, Default, clap::Args, serde::Serialize)]
pub struct RepairOptions {
    /// Interpolate missing slices of a DICOM series, at most two; they are named in the warnings, and RTSTRUCT and SEG have nothing
    /// there.
    #[arg(long)]
    pub fill_gaps: bool,
    /// Correct a tilted gantry: slices are shifted along themselves and resampled; contours go back into the tilted slices.
    #[arg(long)]
    pub correct_tilt: bool,
}

impl RepairOptions {
    /// The series with this number or UID, what suits best where none is given, with these repairs.
    pub fn request(self, series: Option<&str>) -> SeriesRequest {
        SeriesRequest {
            choice: series.map(SeriesChoice::from_text).unwrap_or_default(),
            repairs: Repairs { fill_gaps: self.fill_gaps, correct_tilt: self.correct_tilt },
        }
    }
}

/// The series that a user names, or what suits best.
pub fn named(series: Option<&str>) -> SeriesRequest {
    RepairOptions::default().request(series)
}

/// The error, with the option that would mend it.
pub fn hint(error: FormatError, asked: &SeriesRequest) -> Error {
    let FormatError::Dicom(refused) = &error else { return error.into() };
    match asked.repairs.lacks(refused) {
        Some(repair) => Error::msg(with_option(&error, repair)),
        None => error.into(),
    }
}

/// What is said of a fault, with the option that would mend it.
pub fn with_option(said: impl Display, repair: Repair) -> String {
    let option = match repair {
        Repair::FillGaps => "--fill-gaps",
        Repair::CorrectTilt => "--correct-tilt",
    };
    format!("{said}; or have it mended with {option}")
}
