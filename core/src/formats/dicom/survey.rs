//! What is in a folder: slices, what is none, copies, and the series that the slices form.

use std::collections::{BTreeMap, BTreeSet};

use super::dataset::{DataSet, PixelBytes};
use super::error::DicomError;
use super::header::{self, FileKind, Header};
use super::repairs::Repairs;
use super::series::{self, ImageFile, Series};
use super::walk::Unreadable;
use crate::formats::finding::Weight;
use crate::parallel::map;

/// Names of files that are told one by one; more are only counted.
const NAMES_TOLD: usize = 3;

/// What is in a folder.
pub(super) struct Survey {
    pub(super) images: Vec<ImageFile>,
    pub(super) series: Vec<Series>,
    /// What was left out and what else a user should know, one sentence each, and how much it matters.
    pub(super) notes: Vec<(Weight, String)>,
}

/// Looks at the header of every file.
///
/// A file that should have been slices and is damaged is an error, because nobody can say which slices it had. Anything else
/// that is damaged costs no more than a note.
pub(super) fn survey(files: &[(String, Vec<u8>)], repairs: Repairs) -> Result<Survey, DicomError> {
    let damaged = |name: &str, reason| DicomError::Damaged { file: name.to_owned(), reason };
    let read = files.iter().zip(headers(files)).map(|((name, _), kind)| match kind {
        Ok(kind) => Ok((name.as_str(), Some(kind))),
        Err(reason) => Err(damaged(name, reason)),
    });
    survey_of(read.collect::<Result<_, _>>()?, &copies_among(files), repairs)
}

/// Whether two of the files are the same slice.
pub(super) fn copies_among(files: &[(String, Vec<u8>)]) -> impl Fn(&ImageFile, &ImageFile) -> bool {
    |a, b| match (files.get(a.index), files.get(b.index)) {
        (Some((_, first)), Some((_, second))) => is_copy(a, first, b, second),
        _ => false,
    }
}

/// As [`survey`], of files whose headers were read, by their names; without those that have none here. `is_copy` says whether two are the
/// same slice.
pub(super) fn survey_of(
    files: Vec<(&str, Option<FileKind>)>,
    is_copy: &dyn Fn(&ImageFile, &ImageFile) -> bool,
    repairs: Repairs,
) -> Result<Survey, DicomError> {
    let count = files.len();
    let mut images = Vec::new();
    let mut others: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut notes = Vec::new();
    for (index, (name, kind)) in files.into_iter().enumerate() {
        match kind {
            Some(FileKind::Image(header)) => images.push(ImageFile { index, name: name.to_owned(), header }),
            Some(FileKind::Other(kind)) => others.entry(kind).or_default().push(name),
            Some(FileKind::OtherDamaged(kind, reason)) => {
                let note = format!("{name} is a damaged {kind} file ({reason}) and was left out; it holds no slices");
                notes.push((Weight::Doubt, note));
                others.entry(format!("damaged {kind}")).or_default().push(name);
            }
            None => {}
        }
    }
    let kinds: Vec<String> = others.iter().map(|(kind, names)| format!("{} {kind}", names.len())).collect();
    if images.is_empty() {
        let found = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
        return Err(DicomError::NoImages { files: count, found });
    }
    let copies = leave_out_copies(&mut images, is_copy);
    if !kinds.is_empty() {
        // Whoever sees only this sentence is to look at it where one of them is damaged.
        let weight = if kinds.iter().any(|kind| kind.contains(" damaged ")) { Weight::Doubt } else { Weight::Note };
        notes.push((weight, format!("files that are no slices were left out: {}", kinds.join(", "))));
    }
    if copies > 0 {
        notes.push((Weight::Note, format!("copies of slices that are there twice were left out: {copies}")));
    }
    let patients: BTreeSet<[&str; 3]> = images
        .iter()
        .map(|image| &image.header.patient)
        .map(|patient| [patient.id.as_str(), patient.name.as_str(), patient.birth_date.as_str()])
        .collect();
    if patients.len() > 1 {
        let note = format!("the slices are of {} patients; check that the right one was read", patients.len());
        notes.push((Weight::Doubt, note));
    }
    let unread = others.get(NOT_DICOM).map(|names| meant_as_slices(names, &images)).unwrap_or_default();
    let series = series::group(&images, &unread, repairs);
    Ok(Survey { images, series, notes })
}

/// The header of every file, read side by side where there are processors for it; of one that should have been slices and is damaged, the
/// reason.
pub(super) fn headers(files: &[(String, Vec<u8>)]) -> Vec<Result<FileKind, String>> {
    map(files.iter().collect(), |(_, bytes)| kind(bytes))
}

/// What a file is; of one that should have been a slice and is damaged, the reason.
pub(super) fn kind(bytes: &[u8]) -> Result<FileKind, String> {
    match header::read(bytes) {
        Ok(kind) => Ok(kind),
        Err(Unreadable::NotDicom) => Ok(FileKind::Other(NOT_DICOM.into())),
        Err(Unreadable::Damaged(reason)) => Err(reason),
    }
}

const NOT_DICOM: &str = "not DICOM";

/// Drops slices that are there already: the same SOP instance, in the same place, with the same pixels. How many.
fn leave_out_copies(images: &mut Vec<ImageFile>, is_copy: &dyn Fn(&ImageFile, &ImageFile) -> bool) -> usize {
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let before = images.len();
    let mut kept: Vec<ImageFile> = Vec::with_capacity(before);
    for image in std::mem::take(images) {
        let same = seen.entry(image.header.sop_instance_uid.clone()).or_default();
        let is_known = !image.header.sop_instance_uid.is_empty() && same.iter().any(|&n| is_copy(&image, &kept[n]));
        if !is_known {
            same.push(kept.len());
            kept.push(image);
        }
    }
    *images = kept;
    before - images.len()
}

/// Whether two files are the same slice.
pub(super) fn is_copy(a: &ImageFile, first: &[u8], b: &ImageFile, second: &[u8]) -> bool {
    if first == second {
        return true;
    }
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
    alike(a, b) && pixels(a, first).is_some_and(|p| pixels(b, second) == Some(p))
}

/// Whether two slices have the same place and the same meaning of their pixels.
pub(super) fn alike(a: &ImageFile, b: &ImageFile) -> bool {
    let said =
        |h: &Header| (h.series_uid.clone(), h.syntax.clone(), h.columns, h.rows, h.format.clone(), h.frames.clone());
    said(&a.header) == said(&b.header)
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
