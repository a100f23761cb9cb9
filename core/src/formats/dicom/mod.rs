//! A DICOM series as a volume: bytes of files in, voxels and grid out (PS3.3 for the meaning, PS3.5 and PS3.10 for the
//! bytes).
//!
//! A folder from a hospital archive holds scouts, dose pages, structure sets, several series, and slices in any
//! order. A reader that guesses through that draws organs in the wrong place, so the order of work is: read the few
//! attributes that place a slice (`dataset`, `header`), find the series (`survey`, `series`), choose one (`choice`), prove
//! that its slices form a grid or refuse them with the numbers (`stacking`), and only then decode pixels (`pixels`), slice
//! by slice into the volume (`reader`), or as they come (`incoming`, `frames`).

mod characters;
mod check;
mod choice;
mod codestream;
pub(in crate::formats) mod dataset;
mod decimal;
mod deidentify;
pub(in crate::formats) mod derived;
pub(in crate::formats) mod element;
mod error;
mod frames;
mod header;
mod incoming;
mod jpeg12;
mod jpeg2000;
mod jpeg_ls;
mod jpeg_markers;
mod kind;
pub(in crate::formats) mod nested;
mod patient;
mod person;
mod pixel_format;
mod pixels;
mod preview;
mod reader;
mod repairs;
mod request;
mod series;
mod stacking;
mod survey;
#[cfg(test)]
mod tests;
mod transfer;
mod unknown;
pub(in crate::formats) mod walk;

pub(in crate::formats) use check::check;
pub use choice::SeriesChoice;
pub use dataset::looks_like_dicom;
pub use deidentify::{Deidentifier, Uids};
pub use derived::{Author, Derivation, ExportError, Moment, can_refer, new_uid};
pub use error::DicomError;
pub use frames::{FrameReader, FrameStep};
pub use incoming::SeriesFiles;
pub use kind::{Stored, stored};
pub use patient::PatientStudy;
pub use person::{date, person_name};
pub use reader::{SeriesReader, SeriesSurvey};
pub use repairs::{Repair, Repairs};
pub use request::SeriesRequest;
pub use series::{SeriesInfo, SliceReference};

pub use transfer::{CT_CLASSES, READ_SYNTAXES, Transfer, is_uid, series_of};

use crate::volume::CtVolume;
use survey::survey;

/// Reads one series out of the files of a folder.
///
/// `files` are names (used in messages only) and contents, in any order; what is no slice is skipped with a warning.
/// Voxels of the volume are HU for CT (rescaled with each slice's own slope and intercept, padding set to -1000), and
/// rescaled values, rounded, for other modalities. Values beyond `i16` are clipped with a warning. The volume is in
/// canonical order; its `stored` grid has i along a row, j down a column, k ascending along row x column.
///
/// Returns the volume, the series read (its `instances` in stored order), and every series found.
///
/// # Errors
/// [`DicomError`]: nothing to read, a damaged file, pixels that cannot be decoded, or slices that form no rectangular
/// grid.
pub fn read_series(
    files: Vec<(String, Vec<u8>)>,
    request: impl Into<SeriesRequest>,
) -> Result<(CtVolume, SeriesInfo, Vec<SeriesInfo>), DicomError> {
    let mut reader = SeriesReader::open(files, request)?;
    while reader.step()? {}
    reader.finish()
}

/// The series among the files of a folder, without decoding any pixels.
///
/// # Errors
/// [`DicomError::NoImages`], [`DicomError::Damaged`].
pub fn list_series(files: &[(String, Vec<u8>)]) -> Result<Vec<SeriesInfo>, DicomError> {
    Ok(survey(files, Repairs::default())?.series.into_iter().map(|s| s.info).collect())
}

/// The series that [`read_series`] would read, with its grid, without decoding any pixels: what an RTSTRUCT or SEG refers
/// to.
///
/// # Errors
/// [`DicomError`]: nothing to read, a damaged file, or slices that form no rectangular grid.
pub fn find_series(files: &[(String, Vec<u8>)], request: impl Into<SeriesRequest>) -> Result<SeriesInfo, DicomError> {
    let request = request.into();
    let survey = survey(files, request.repairs)?;
    let (chosen, _) = choice::choose(&survey.series, &request.choice)?;
    chosen.stack.as_ref().map_err(Clone::clone)?;
    Ok(chosen.info.clone())
}
