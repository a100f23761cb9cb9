//! Which files form which series, and what can be said of a series before its pixels are decoded.

use std::collections::BTreeMap;

use super::error::DicomError;
use super::header::Header;
use super::patient::PatientStudy;
use super::stacking::{self, Slice, Stack};
use crate::volume::{Geometry, Modality};

/// Slices whose normals differ by more than this belong to another kind of image (a scout), degrees.
const OTHER_VIEW_DEGREES: f64 = 45.0;
/// A series may hold one odd image (a scout, a dose page) for this many slices; more odd ones are a mixed series.
const SLICES_PER_ODD_IMAGE: usize = 4;

/// Which series of a folder to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SeriesChoice {
    /// The CT series with the most slices; without a CT, the series with the most slices.
    #[default]
    Largest,
    /// The series with this Series Instance UID (0020,000E).
    Uid(String),
}

/// What an RTSTRUCT or SEG has to quote to point at a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceReference {
    /// SOPClassUID (0008,0016).
    pub sop_class_uid: String,
    /// SOPInstanceUID (0008,0018).
    pub sop_instance_uid: String,
    /// Number of the frame within a multi-frame object, from 1.
    pub frame: Option<u32>,
    /// ImagePositionPatient (0020,0032) as the file gives it: centre of the first pixel, patient LPS mm.
    pub position: Option<[f64; 3]>,
}

/// A series found among the files.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// SeriesInstanceUID (0020,000E); empty where the files do not give one.
    pub uid: String,
    /// From Modality (0008,0060).
    pub modality: Modality,
    /// SeriesDescription (0008,103E).
    pub description: String,
    /// SeriesNumber (0020,0011).
    pub number: Option<i32>,
    /// Slices of the volume.
    pub slices: usize,
    /// Columns (i) and rows (j) of a slice.
    pub size: [usize; 2],
    /// Distance between voxel centres along stored i (columns), j (rows), k (slices) in mm, if the slices form a volume.
    pub spacing: Option<[f64; 3]>,
    /// ImageOrientationPatient (0020,0037) of the first slice: direction of a row (towards higher columns), then of a column.
    pub orientation: Option<[f64; 6]>,
    /// The stored grid, patient LPS mm: i along a row, j down a column, k as `instances`; if the slices form a volume.
    pub grid: Option<Geometry>,
    /// Why the slices form no volume, if they do not.
    pub problem: Option<DicomError>,
    /// StudyInstanceUID (0020,000D).
    pub study_uid: String,
    /// FrameOfReferenceUID (0020,0052).
    pub frame_of_reference_uid: String,
    /// PatientPosition (0018,5100), such as `HFS`.
    pub patient_position: String,
    /// The slices in stored order: ascending along the normal (row x column direction), as `k` of the volume's `stored`
    /// grid. In the order of the files where the slices form no volume.
    pub instances: Vec<SliceReference>,
    /// Patient and study, for exports.
    pub patient: PatientStudy,
}

/// An image file with its place in the caller's list.
pub(super) struct ImageFile {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) header: Header,
}

/// A series with its grid.
pub(super) struct Series {
    pub(super) info: SeriesInfo,
    /// Slices as (index in the list of images, frame), in the order of `info.instances`.
    pub(super) slices: Vec<(usize, usize)>,
    pub(super) stack: Result<Stack, DicomError>,
    /// Images of the series that are no part of the volume.
    pub(super) note: Option<String>,
}

/// Groups images into series, ordered by series number, then UID.
pub(super) fn group(images: &[ImageFile]) -> Vec<Series> {
    let mut by_uid: BTreeMap<(Option<i32>, &str), Vec<usize>> = BTreeMap::new();
    for (n, image) in images.iter().enumerate() {
        // The number of the first file orders the series; files of one series never make two.
        let key = by_uid.keys().find(|key| key.1 == image.header.series_uid).copied();
        by_uid.entry(key.unwrap_or((image.header.series_number, &image.header.series_uid))).or_default().push(n);
    }
    by_uid.into_values().map(|members| one_series(images, members)).collect()
}

/// The series to read.
pub(super) fn choose<'a>(series: &'a [Series], choice: &SeriesChoice) -> Result<&'a Series, DicomError> {
    match choice {
        SeriesChoice::Uid(uid) => series.iter().find(|s| s.info.uid == *uid).ok_or_else(|| {
            let known: Vec<&str> = series.iter().map(|s| s.info.uid.as_str()).collect();
            DicomError::UnknownSeries { uid: uid.clone(), available: known.join(", ") }
        }),
        SeriesChoice::Largest => {
            let rank = |s: &Series| (s.info.modality == Modality::Ct, s.info.slices);
            // The first of equals, whatever the order of the files.
            let best = series.iter().reduce(|best, s| if rank(s) > rank(best) { s } else { best });
            best.ok_or(DicomError::NoImages { files: 0, found: "nothing".into() })
        }
    }
}

fn one_series(images: &[ImageFile], members: Vec<usize>) -> Series {
    let all = members.iter().map(|&n| images[n].header.frames.len()).sum::<usize>();
    let (slices, mixed) = main_stack(images, &members);
    let described: Vec<Slice> = slices
        .iter()
        .map(|&(n, frame)| {
            let ImageFile { name, header, .. } = &images[n];
            Slice { file: name, frame: &header.frames[frame], tilt: header.tilt }
        })
        .collect();
    // Every series has members, and every image frames.
    let first = &images[slices.first().map_or(members[0], |s| s.0)].header;
    let stack = match mixed {
        Some(error) => Err(error),
        None => stacking::stack(&described, first.columns, first.rows),
    };
    let slices: Vec<(usize, usize)> = match &stack {
        Ok(stack) => stack.order.iter().map(|&n| slices[n]).collect(),
        Err(_) => slices,
    };
    let reference = |&(n, frame): &(usize, usize)| {
        let header = &images[n].header;
        SliceReference {
            sop_class_uid: header.sop_class_uid.clone(),
            sop_instance_uid: header.sop_instance_uid.clone(),
            frame: header.multi_frame.then_some(frame as u32 + 1),
            position: header.frames[frame].position,
        }
    };
    let left_out = all - slices.len();
    let note = (left_out > 0 && stack.is_ok())
        .then(|| format!("scouts or images of another size were left out of the series: {left_out}"));
    let info = SeriesInfo {
        uid: first.series_uid.clone(),
        modality: modality(&first.modality),
        description: first.description.clone(),
        number: first.series_number,
        slices: slices.len(),
        size: [first.columns, first.rows],
        spacing: stack.as_ref().ok().map(|s| s.geometry.spacing()),
        orientation: slices.first().and_then(|&(n, frame)| images[n].header.frames[frame].orientation),
        grid: stack.as_ref().ok().map(|s| s.geometry.clone()),
        problem: stack.as_ref().err().cloned(),
        study_uid: first.study_uid.clone(),
        frame_of_reference_uid: first.frame_of_reference_uid.clone(),
        patient_position: first.patient_position.clone(),
        instances: slices.iter().map(reference).collect(),
        patient: first.patient.clone(),
    };
    Series { info, slices, stack, note }
}

/// Modality (0008,0060) as a type.
fn modality(code: &str) -> Modality {
    match code {
        "CT" => Modality::Ct,
        "" => Modality::Unknown,
        other => Modality::Other(other.to_owned()),
    }
}

/// The slices of a series that can form one volume: scouts are set aside, by their image type or because they are few
/// and look from another side. Where no kind of slice clearly prevails, the series is mixed.
fn main_stack(images: &[ImageFile], members: &[usize]) -> (Vec<(usize, usize)>, Option<DicomError>) {
    let frames_of = |n: usize| (0..images[n].header.frames.len()).map(move |frame| (n, frame));
    let mut slices: Vec<(usize, usize)> = members.iter().copied().flat_map(frames_of).collect();
    let scout = |s: &(usize, usize)| images[s.0].header.localizer;
    if !slices.iter().all(scout) {
        slices.retain(|s| !scout(s));
    }
    let orientation = |s: &(usize, usize)| images[s.0].header.frames[s.1].orientation;
    let size = |s: &(usize, usize)| (images[s.0].header.columns, images[s.0].header.rows);
    let turned = |a: &(usize, usize), b: &(usize, usize)| match (orientation(a), orientation(b)) {
        (None, None) => 0.0,
        (Some(a), Some(b)) => stacking::orientation_angle(a, b).unwrap_or(0.0),
        _ => 180.0,
    };
    let mut kinds: Vec<Vec<(usize, usize)>> = Vec::new();
    for slice in &slices {
        let like = |kind: &&mut Vec<(usize, usize)>| {
            let known = &kind[0];
            size(known) == size(slice) && turned(known, slice) <= OTHER_VIEW_DEGREES
        };
        match kinds.iter_mut().find(like) {
            Some(kind) => kind.push(*slice),
            None => kinds.push(vec![*slice]),
        }
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.len()));
    let mut kinds = kinds.into_iter();
    let main = kinds.next().unwrap_or_default();
    let Some(other) = kinds.next() else { return (main, None) };
    let odd = slices.len() - main.len();
    if main.len() >= SLICES_PER_ODD_IMAGE * odd {
        return (main, None);
    }
    let (a, b) = (size(&main[0]), size(&other[0]));
    let error = if a == b {
        DicomError::MixedOrientation { odd, slices: slices.len(), degrees: turned(&main[0], &other[0]) }
    } else {
        DicomError::MixedMatrix { a_columns: a.0, a_rows: a.1, b_columns: b.0, b_rows: b.1 }
    };
    (slices, Some(error))
}
