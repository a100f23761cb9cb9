//! A DICOM series as a volume: bytes of files in, voxels and grid out (PS3.3 for the meaning, PS3.5 and PS3.10 for the
//! bytes).
//!
//! A folder from a hospital archive holds scouts, dose pages, structure sets, several series, and slices in any
//! order. A reader that guesses through that draws organs in the wrong place, so the order of work is: read the few
//! attributes that place a slice (`dataset`, `header`), find the series (`series`), prove that its slices form a grid or
//! refuse them with the numbers (`stacking`), and only then decode pixels (`pixels`), slice by slice into the
//! volume (`reader`).

mod codestream;
mod dataset;
mod element;
mod error;
mod header;
mod jpeg12;
mod jpeg2000;
mod patient;
mod pixels;
mod reader;
mod series;
mod stacking;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use dataset::looks_like_dicom;
pub use error::DicomError;
pub use patient::PatientStudy;
pub use reader::SeriesReader;
pub use series::{SeriesChoice, SeriesInfo, SliceReference};

use crate::volume::CtVolume;
use dataset::Unreadable;
use header::FileKind;
use series::{ImageFile, Series};

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
    choice: SeriesChoice,
) -> Result<(CtVolume, SeriesInfo, Vec<SeriesInfo>), DicomError> {
    let mut reader = SeriesReader::open(files, choice)?;
    while reader.step()? {}
    reader.finish()
}

/// The series among the files of a folder, without decoding any pixels.
///
/// # Errors
/// [`DicomError::NoImages`], [`DicomError::Damaged`].
pub fn list_series(files: &[(String, Vec<u8>)]) -> Result<Vec<SeriesInfo>, DicomError> {
    Ok(survey(files)?.series.into_iter().map(|s| s.info).collect())
}

/// The series that [`read_series`] would read, with its grid, without decoding any pixels: what an RTSTRUCT or SEG refers
/// to.
///
/// # Errors
/// [`DicomError`]: nothing to read, a damaged file, or slices that form no rectangular grid.
pub fn find_series(files: &[(String, Vec<u8>)], choice: &SeriesChoice) -> Result<SeriesInfo, DicomError> {
    let survey = survey(files)?;
    let chosen = series::choose(&survey.series, choice)?;
    chosen.stack.as_ref().map_err(Clone::clone)?;
    Ok(chosen.info.clone())
}

/// What is in a folder.
struct Survey {
    images: Vec<ImageFile>,
    series: Vec<Series>,
    /// What was skipped, in a sentence.
    skipped: Option<String>,
}

fn survey(files: &[(String, Vec<u8>)]) -> Result<Survey, DicomError> {
    let mut images = Vec::new();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (name, bytes)) in files.iter().enumerate() {
        match header::read(bytes) {
            Ok(FileKind::Image(header)) => images.push(ImageFile { index, name: name.clone(), header: *header }),
            Ok(FileKind::Other(kind)) => *others.entry(kind).or_default() += 1,
            Err(Unreadable::NotDicom) => *others.entry("not DICOM".into()).or_default() += 1,
            Err(Unreadable::Damaged(reason)) => return Err(DicomError::Damaged { file: name.clone(), reason }),
        }
    }
    let kinds: Vec<String> = others.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    if images.is_empty() {
        let found = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
        return Err(DicomError::NoImages { files: files.len(), found });
    }
    let skipped = (!kinds.is_empty()).then(|| format!("files that are no slices were left out: {}", kinds.join(", ")));
    let series = series::group(&images);
    Ok(Survey { images, series, skipped })
}

/// A CT whose rescaled values are declared to be something else than HU (RescaleType, PS3.3 C.11.1.1.2).
fn hounsfield_doubt(images: &[ImageFile], chosen: &Series) -> Option<String> {
    let header = &images[chosen.slices.first()?.0].header;
    let declared = !matches!(header.rescale_type.as_str(), "" | "HU");
    (header.modality == "CT" && declared).then(|| {
        format!(
            "the CT declares its values as \"{}\", not as HU",
            header.rescale_type.chars().take(16).collect::<String>()
        )
    })
}
