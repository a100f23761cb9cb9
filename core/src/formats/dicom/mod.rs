//! A DICOM series as a volume: bytes of files in, voxels and grid out (PS3.3 for the meaning, PS3.5 and PS3.10 for the
//! bytes).
//!
//! A folder from a hospital archive holds scouts, dose pages, structure sets, several series, and slices in any
//! order. A reader that guesses through that draws organs in the wrong place, so the order of work is: read the few
//! attributes that place a slice (`dataset`, `header`), find the series (`series`), prove that its slices form a grid or
//! refuse them with the numbers (`stacking`), and only then decode pixels (`pixels`), slice by slice into the
//! volume.

mod codestream;
mod dataset;
mod error;
mod header;
mod jpeg12;
mod jpeg2000;
mod patient;
mod pixels;
mod series;
mod stacking;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use dataset::looks_like_dicom;
pub use error::DicomError;
pub use patient::PatientStudy;
pub use series::{SeriesChoice, SeriesInfo, SliceReference};

use crate::volume::{CtVolume, Volume};
use dataset::{DataSet, Unreadable};
use header::FileKind;
use pixels::Clipping;
use series::{ImageFile, Series};

/// Most voxels of a volume: 2 GiB of `i16`.
const MAX_VOXELS: usize = 1 << 30;

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
    let survey = survey(&files)?;
    let chosen = series::choose(&survey.series, &choice)?;
    let stack = chosen.stack.as_ref().map_err(Clone::clone)?;
    for &(n, _) in &chosen.slices {
        let image = &survey.images[n];
        pixels::check(&image.header, &image.name)?;
    }
    let (voxels, clipped) = decode(files, &survey.images, chosen, stack.geometry.size)?;

    let mut volume = Volume::from_stored(stack.geometry.clone(), voxels, chosen.info.modality.clone())?;
    if clipped > 0 {
        volume.warnings.push(format!("{clipped} voxels were outside -32768 to 32767 and were clipped"));
    }
    volume.warnings.extend(hounsfield_doubt(&survey.images, chosen));
    volume.warnings.extend(chosen.note.clone());
    volume.warnings.extend(survey.skipped.clone());
    if survey.series.len() > 1 && choice == SeriesChoice::Largest {
        let (n, slices) = (survey.series.len(), chosen.info.slices);
        volume.warnings.push(format!("the files hold {n} series; the one with {slices} slices was read"));
    }
    let info = chosen.info.clone();
    Ok((volume, info, survey.series.into_iter().map(|s| s.info).collect()))
}

/// The series among the files of a folder, without decoding any pixels.
///
/// # Errors
/// [`DicomError::NoImages`], [`DicomError::Damaged`].
pub fn list_series(files: &[(String, Vec<u8>)]) -> Result<Vec<SeriesInfo>, DicomError> {
    Ok(survey(files)?.series.into_iter().map(|s| s.info).collect())
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

/// The work of one file: the slices of the volume that it fills, each with its frame.
struct Job<'a> {
    image: &'a ImageFile,
    bytes: Vec<u8>,
    slices: Vec<(usize, &'a mut [i16])>,
}

impl Job<'_> {
    /// Decodes, and lets go of the file.
    fn run(self) -> Result<Clipping, DicomError> {
        let ImageFile { name, header, .. } = self.image;
        let damaged = || DicomError::Damaged { file: name.clone(), reason: "it cannot be read a second time".into() };
        let set = DataSet::open(&self.bytes).map_err(|_| damaged())?;
        let pixels = header.pixels.as_ref().ok_or_else(damaged)?;
        let mut all = Clipping::default();
        for (frame, out) in self.slices {
            all.clipped += pixels::decode(header, &set, pixels, frame, out, name)?.clipped;
        }
        Ok(all)
    }
}

/// Voxels in stored order, and how many were clipped.
fn decode(
    files: Vec<(String, Vec<u8>)>,
    images: &[ImageFile],
    chosen: &Series,
    size: [usize; 3],
) -> Result<(Vec<i16>, usize), DicomError> {
    let count = size.iter().product::<usize>();
    let mut voxels: Vec<i16> = Vec::new();
    if count > MAX_VOXELS || voxels.try_reserve_exact(count).is_err() {
        return Err(DicomError::TooLarge(size));
    }
    voxels.resize(count, 0);

    let mut slices: BTreeMap<usize, Vec<(usize, &mut [i16])>> = BTreeMap::new();
    for (&(image, frame), out) in chosen.slices.iter().zip(voxels.chunks_mut(size[0] * size[1])) {
        slices.entry(image).or_default().push((frame, out));
    }
    let mut by_index: BTreeMap<usize, usize> = slices.keys().map(|&n| (images[n].index, n)).collect();
    let mut jobs = Vec::with_capacity(slices.len());
    for (index, (_, bytes)) in files.into_iter().enumerate() {
        // Files of other series are dropped here.
        if let Some((image, slices)) = by_index.remove(&index).and_then(|n| Some((&images[n], slices.remove(&n)?))) {
            jobs.push(Job { image, bytes, slices });
        }
    }
    let add = |a: Clipping, b: Clipping| Clipping { clipped: a.clipped + b.clipped };
    #[cfg(not(target_family = "wasm"))]
    let done = {
        use rayon::prelude::*;
        jobs.into_par_iter().map(Job::run).try_reduce(Clipping::default, |a, b| Ok(add(a, b)))?
    };
    #[cfg(target_family = "wasm")]
    let done = jobs.into_iter().map(Job::run).try_fold(Clipping::default(), |a, b| Ok::<_, DicomError>(add(a, b?)))?;
    Ok((voxels, done.clipped))
}
