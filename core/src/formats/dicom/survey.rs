//! What is in a folder: the images, the series that they form, and what was left out.

use std::collections::BTreeMap;

use super::dataset::Unreadable;
use super::error::DicomError;
use super::header::{self, FileKind};
use super::series::{self, ImageFile, Series};

/// What is in a folder.
pub(super) struct Survey {
    pub(super) images: Vec<ImageFile>,
    pub(super) series: Vec<Series>,
    /// What was skipped, in a sentence.
    pub(super) skipped: Option<String>,
}

/// Reads the headers of the files of a folder and finds the series among them.
///
/// # Errors
/// [`DicomError::NoImages`], [`DicomError::Damaged`].
pub(super) fn survey(files: &[(String, Vec<u8>)]) -> Result<Survey, DicomError> {
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
pub(super) fn hounsfield_doubt(images: &[ImageFile], chosen: &Series) -> Option<String> {
    let header = &images[chosen.slices.first()?.0].header;
    let declared = !matches!(header.rescale_type.as_str(), "" | "HU");
    (header.modality == "CT" && declared).then(|| {
        format!(
            "the CT declares its values as \"{}\", not as HU",
            header.rescale_type.chars().take(16).collect::<String>()
        )
    })
}
