//! What is in a folder: slices, what is none, copies, and the series that the slices form.

use std::collections::{BTreeMap, BTreeSet};

use super::dataset::{DataSet, PixelBytes};
use super::error::DicomError;
use super::header::{self, FileKind, Header};
use super::repairs::Repairs;
use super::series::{self, ImageFile, Series};
use super::walk::Unreadable;

/// Names of files that are told one by one; more are only counted.
const NAMES_TOLD: usize = 3;

/// What is in a folder.
pub(super) struct Survey {
    pub(super) images: Vec<ImageFile>,
    pub(super) series: Vec<Series>,
    /// What was left out and what else a user should know. One sentence each.
    pub(super) notes: Vec<String>,
}

/// Looks at the header of every file.
///
/// A file that should have been slices and is damaged is an error, because nobody can say which slices it had. Anything else
/// that is damaged costs no more than a note.
pub(super) fn survey(files: &[(String, Vec<u8>)], repairs: Repairs) -> Result<Survey, DicomError> {
    let mut images = Vec::new();
    let mut others: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut notes = Vec::new();
    for (index, ((name, _), read)) in files.iter().zip(headers(files)).enumerate() {
        match read {
            Ok(FileKind::Image(header)) => images.push(ImageFile { index, name: name.clone(), header: *header }),
            Ok(FileKind::Other(kind)) => others.entry(kind).or_default().push(name),
            Ok(FileKind::OtherDamaged(kind, reason)) => {
                notes.push(format!("{name} is a damaged {kind} file ({reason}) and was left out; it holds no slices"));
                others.entry(format!("damaged {kind}")).or_default().push(name);
            }
            Err(Unreadable::NotDicom) => others.entry(NOT_DICOM.into()).or_default().push(name),
            Err(Unreadable::Damaged(reason)) => return Err(DicomError::Damaged { file: name.clone(), reason }),
        }
    }
    let kinds: Vec<String> = others.iter().map(|(kind, names)| format!("{} {kind}", names.len())).collect();
    if images.is_empty() {
        let found = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
        return Err(DicomError::NoImages { files: files.len(), found });
    }
    let copies = leave_out_copies(&mut images, files);
    if !kinds.is_empty() {
        notes.push(format!("files that are no slices were left out: {}", kinds.join(", ")));
    }
    if copies > 0 {
        notes.push(format!("copies of slices that are there twice were left out: {copies}"));
    }
    let patients: BTreeSet<[&str; 3]> = images
        .iter()
        .map(|image| &image.header.patient)
        .map(|patient| [patient.id.as_str(), patient.name.as_str(), patient.birth_date.as_str()])
        .collect();
    if patients.len() > 1 {
        notes.push(format!("the slices are of {} patients; check that the right one was read", patients.len()));
    }
    let unread = others.get(NOT_DICOM).map(|names| meant_as_slices(names, &images)).unwrap_or_default();
    let series = series::group(&images, &unread, repairs);
    Ok(Survey { images, series, notes })
}

/// The header of every file, read side by side where there are processors for it.
fn headers(files: &[(String, Vec<u8>)]) -> Vec<Result<FileKind, Unreadable>> {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        files.par_iter().map(|(_, bytes)| header::read(bytes)).collect()
    }
    #[cfg(target_family = "wasm")]
    files.iter().map(|(_, bytes)| header::read(bytes)).collect()
}

const NOT_DICOM: &str = "not DICOM";

/// Drops slices that are there already: the same SOP instance, in the same place, with the same pixels. How many.
fn leave_out_copies(images: &mut Vec<ImageFile>, files: &[(String, Vec<u8>)]) -> usize {
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let before = images.len();
    let mut kept: Vec<ImageFile> = Vec::with_capacity(before);
    for image in std::mem::take(images) {
        let same = seen.entry(image.header.sop_instance_uid.clone()).or_default();
        let is_known =
            !image.header.sop_instance_uid.is_empty() && same.iter().any(|&n| is_copy(&image, &kept[n], files));
        if !is_known {
            same.push(kept.len());
            kept.push(image);
        }
    }
    *images = kept;
    before - images.len()
}

fn is_copy(a: &ImageFile, b: &ImageFile, files: &[(String, Vec<u8>)]) -> bool {
    let (Some((_, first)), Some((_, second))) = (files.get(a.index), files.get(b.index)) else { return false };
    if first == second {
        return true;
    }
    let alike =
        |h: &Header| (h.series_uid.clone(), h.syntax.clone(), h.columns, h.rows, h.format.clone(), h.frames.clone());
    let pixels = |image: &ImageFile, bytes: &[u8]| -> Option<Vec<u8>> {
        let set = DataSet::open(bytes).ok()?;
        match image.header.pixels.as_ref()? {
            PixelBytes::Native(range) => set.bytes.get(range.clone()).map(<[u8]>::to_vec),
            PixelBytes::Encapsulated { fragments, .. } => fragments
                .iter()
                .map(|range| set.bytes.get(range.clone()))
                .collect::<Option<Vec<_>>>()
                .map(|f| f.concat()),
            PixelBytes::Truncated => None,
        }
    };
    alike(&a.header) == alike(&b.header) && pixels(a, first).is_some_and(|p| pixels(b, second) == Some(p))
}

/// Those of the unreadable files that are named as slices are: they may be what is missing.
fn meant_as_slices(names: &[&str], images: &[ImageFile]) -> String {
    let ending = |name: &str| {
        let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
        last.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).filter(|e| e.parse::<u64>().is_err())
    };
    let endings: BTreeSet<Option<String>> = images.iter().map(|image| ending(&image.name)).collect();
    let meant: Vec<&str> = names.iter().copied().filter(|name| endings.contains(&ending(name))).collect();
    let mut told = meant.iter().take(NAMES_TOLD).copied().collect::<Vec<_>>().join(", ");
    if meant.len() > NAMES_TOLD {
        told.push_str(&format!(" and {} more", meant.len() - NAMES_TOLD));
    }
    told
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
