//! What a file is. Its content says so; its name is only for people.

use std::cmp::Reverse;
use std::sync::Arc;

use attention_anatomy::anatomy::ORGAN_COUNT;
use attention_anatomy::formats::dicom::SeriesFiles;
use attention_anatomy::formats::{self, Format, FormatError, LabelNames, ReadOptions, SampleType};
use attention_anatomy::volume::Geometry;

use super::arrived::Arrived;
use crate::edit::{ByteSlices, NOT_EDITED, PackedSlice, take_edits_off};
use crate::worker::error::{FileError, LabelMapError};

/// A file with its name.
pub(super) type Named = (String, Vec<u8>);

/// The key by which a session file is known.
const SESSION_KEY: &str = "\"attention_anatomy_session\"";

/// Largest distance between corresponding voxels of two grids that count as the same, in mm.
const SAME_GRID_MM: f64 = 0.1;

/// Everything that was opened, sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) weights: Vec<Named>,
    pub(super) sessions: Vec<Named>,
    /// Groups of files that are one image each, the CT before its label maps.
    pub(super) images: Vec<Group>,
}

/// The files of one image.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) files: Vec<Named>,
    /// Slices of a DICOM series that were decoded when they came.
    pub(super) slices: SeriesFiles,
    /// DICOM files, and what lay beside them.
    pub(super) dicom: bool,
    /// One file of unsigned bytes, as label maps are.
    pub(super) eight_bit: bool,
}

/// Whether this is a SafeTensors file: the length of a header, and a JSON header of that length.
pub(super) fn is_weights(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    rest.first() == Some(&b'{') && u64::from_le_bytes(*length) <= rest.len() as u64
}

fn is_session(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"{") && text.windows(SESSION_KEY.len()).any(|w| w == SESSION_KEY.as_bytes())
}

/// Sorts files, `unpacked` if they come from an archive. A study and label maps on its grid may come together, a folder of DICOM files may hold anything beside
/// them, and a header whose voxels are in another file takes all others along.
pub(super) fn sort(arrived: Arrived, unpacked: bool) -> Result<Sorted, FileError> {
    let Arrived { slices, files } = arrived;
    if files.is_empty() && slices.is_empty() {
        return Err(FormatError::NoFiles.into());
    }
    let mut sorted = Sorted::default();
    let mut rest: Vec<(Option<Format>, bool, Named)> = Vec::new();
    for file in files {
        if is_weights(&file.1) {
            sorted.weights.push(file);
        } else if is_session(&file.1) {
            sorted.sessions.push(file);
        } else {
            let header = formats::read_header(&file.1, &ReadOptions::default()).ok().flatten();
            rest.push((formats::sniff(&file.1), header.is_some_and(|h| h.sample == SampleType::U8), file));
        }
    }
    let has = |f: &[Format]| rest.iter().any(|(format, ..)| format.is_some_and(|format| f.contains(&format)));
    if has(&[Format::NiftiPairHeader, Format::NrrdHeader]) {
        if !slices.is_empty() {
            return Err(FormatError::SeveralImages(2).into());
        }
        let files = rest.into_iter().map(|(.., file)| file).collect();
        sorted.images.push(Group { files, ..Group::default() });
        return Ok(sorted);
    }
    let dicom = has(&[Format::DicomFile]) || !slices.is_empty();
    let (alone, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(format, eight_bit, _)| {
        matches!(format, Some(Format::Nifti | Format::Nrrd)) && (*eight_bit || !dicom)
    });
    // Tables that name the numbers of label maps go with each of them.
    let mut tables: Vec<Named> = Vec::new();
    if dicom {
        let files = others.into_iter().map(|(.., file)| file).collect();
        sorted.images.push(Group { files, slices, dicom: true, eight_bit: false });
    } else if alone.is_empty() && sorted.weights.is_empty() && sorted.sessions.is_empty() {
        return Err(nothing_known(others.iter().map(|(.., file)| file), unpacked));
    } else {
        tables.extend(others.into_iter().map(|(.., file)| file).filter(|(_, b)| LabelNames::parse(b).is_some()));
    }
    let single = |(_, eight_bit, file)| Group {
        files: std::iter::once(file).chain(tables.clone()).collect(),
        eight_bit,
        ..Group::default()
    };
    sorted.images.extend(alone.into_iter().map(single));
    // A label map is the smaller file, whatever its numbers are stored as.
    sorted.images.sort_by_key(|g| (g.eight_bit, Reverse(g.files.iter().map(|f| f.1.len()).sum::<usize>())));
    Ok(sorted)
}

/// Why none of these files can be opened.
fn nothing_known<'a>(files: impl Iterator<Item = &'a Named>, unpacked: bool) -> FileError {
    let files: Vec<&Named> = files.collect();
    if let Some(twice) = files.iter().find_map(|(name, bytes)| formats::packed_twice(name, bytes)) {
        return twice.into();
    }
    match &files[..] {
        [(name, _)] if unpacked => FileError::NoImage(name.clone()),
        [(name, _), others @ ..] if !others.is_empty() => {
            FileError::NoImage(format!("{} files such as {name}", files.len()))
        }
        _ => FormatError::Unknown.into(),
    }
}

/// A label map is usable with a CT if it has our numbers and lies on its grid.
pub(super) fn check_labels(labels: &[u8], grid: &Geometry, ct: Option<&Geometry>) -> Result<(), LabelMapError> {
    if let Some(&label) = labels.iter().find(|&&l| usize::from(l) > ORGAN_COUNT) {
        return Err(LabelMapError::UnknownLabel(label));
    }
    check_grid(grid, ct)
}

/// Whether something lies on the grid of the CT.
pub(super) fn check_grid(grid: &Geometry, ct: Option<&Geometry>) -> Result<(), LabelMapError> {
    let ct = ct.ok_or(LabelMapError::NoCt)?;
    if ct.same_grid(grid, SAME_GRID_MM) {
        return Ok(());
    }
    let words = |g: &Geometry| {
        let ([nx, ny, nz], [sx, sy, sz]) = (g.size, g.spacing());
        format!("{nx} x {ny} x {nz} voxels of {sx:.2} x {sy:.2} x {sz:.2} mm")
    };
    let (own, ct) = (words(grid), words(ct));
    let place = if own == ct { " at another place" } else { "" };
    Err(LabelMapError::OtherGrid { own: own + place, ct })
}

/// Labels, and what lies beneath every voxel of them that was edited, as the labels beneath all edits, and the edits.
pub(super) fn parted(labels: &ByteSlices, beneath: &ByteSlices) -> (ByteSlices, ByteSlices) {
    let (mut network, mut edits) = (Vec::new(), Vec::new());
    for (slice, beneath) in labels.slices().iter().zip(beneath.slices()) {
        if beneath.is_all(NOT_EDITED) {
            network.push(slice.clone());
            edits.push(beneath.clone());
            continue;
        }
        let (mut labels, beneath) = (slice.to_vec(), beneath.to_vec());
        let edited = labels.iter().zip(&beneath);
        let edited: Vec<u8> = edited.map(|(&label, &b)| if b == NOT_EDITED { NOT_EDITED } else { label }).collect();
        take_edits_off(&mut labels, &beneath);
        network.push(Arc::new(PackedSlice::of(&labels)));
        edits.push(Arc::new(PackedSlice::of(&edited)));
    }
    (ByteSlices::new(network), ByteSlices::new(edits))
}
