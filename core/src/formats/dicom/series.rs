//! Which files form which series, and what can be said of a series before its pixels are decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::DicomError;
use super::header::Header;
use super::patient::PatientStudy;
use super::repairs::Repairs;
use super::stacking::{self, Slice, Stack};
use crate::volume::{Geometry, Modality};

/// Slices whose normals differ by more than this belong to another kind of image (a scout), degrees.
const OTHER_VIEW_DEGREES: f64 = 45.0;
/// A series may hold one odd image (a scout, a dose page) for this many slices; more odd ones are a mixed series.
const SLICES_PER_ODD_IMAGE: usize = 4;

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
    /// Whether no file has the slice, and it was interpolated between its neighbours; its identifiers are empty then.
    pub interpolated: bool,
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
    /// ImageType (0008,0008) of the first slice.
    pub image_type: Vec<String>,
    /// ConvolutionKernel (0018,1210) of the first slice, empty when absent.
    pub kernel: String,
    /// WindowWidth (0028,1051) and WindowCenter (0028,1050) of the first slice, HU, where it has both.
    pub window: Option<[f64; 2]>,
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
    /// Gantry tilt that was corrected, degrees: the slices were shifted along themselves and resampled onto `grid`, so that slice k of
    /// the grid lies in the plane of instance k, but not on its pixels.
    pub corrected_tilt: Option<f64>,
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
    pub(super) header: Arc<Header>,
}

/// A series with its grid.
pub(super) struct Series {
    pub(super) info: SeriesInfo,
    /// Slices as (index in the list of images, frame), in the order of `info.instances`, without those that were interpolated.
    pub(super) slices: Vec<(usize, usize)>,
    pub(super) stack: Result<Stack, DicomError>,
    /// Images of the series that are no part of the volume, and what else a user should know.
    pub(super) notes: Vec<String>,
    /// Whether the slices lie across the body.
    pub(super) is_axial: bool,
    /// From the first slice to the last, mm; 0 where the files do not say.
    pub(super) length_mm: f64,
}

/// Groups images into series, ordered by series number, then UID. `unread` names files that may be what a series lacks.
pub(super) fn group(images: &[ImageFile], unread: &str, repairs: Repairs) -> Vec<Series> {
    let mut by_uid: BTreeMap<(Option<i32>, &str), Vec<usize>> = BTreeMap::new();
    for (n, image) in images.iter().enumerate() {
        // The number of the first file orders the series; files of one series never make two.
        let key = by_uid.keys().find(|key| key.1 == image.header.series_uid).copied();
        by_uid.entry(key.unwrap_or((image.header.series_number, &image.header.series_uid))).or_default().push(n);
    }
    by_uid.into_values().map(|members| one_series(images, members, unread, repairs)).collect()
}

impl Series {
    /// Distance between slices in mm, in the mean where they form no volume; infinite where there is one.
    pub(super) fn step_mm(&self) -> f64 {
        match self.info.spacing {
            Some([_, _, step]) => step,
            None if self.info.slices < 2 => f64::INFINITY,
            None => self.length_mm / (self.info.slices as f64 - 1.0),
        }
    }
}

fn one_series(images: &[ImageFile], members: Vec<usize>, unread: &str, repairs: Repairs) -> Series {
    let (slices, odd, mixed) = main_stack(images, &members);
    let described: Vec<Slice> = slices
        .iter()
        .map(|&(n, frame)| {
            let ImageFile { name, header, .. } = &images[n];
            Slice { file: name, frame: &header.frames[frame], tilt: header.tilt }
        })
        .collect();
    // Every series has members, and every image frames.
    let first = &images[slices.first().map_or(members[0], |s| s.0)].header;
    let places = heights(images, &slices);
    let stack = match mixed.or_else(|| mixed_frames(images, &slices)) {
        Some(error) => Err(error),
        None => stacking::stack(&described, first.columns, first.rows, repairs).map_err(|error| {
            match (error, odd.iter().find_map(|odd| odd.within(images, &slices, &places))) {
                (DicomError::MissingSlices { .. }, Some(named)) => named,
                (DicomError::MissingSlices { missing, spacing, gaps, .. }, None) => {
                    DicomError::MissingSlices { missing, spacing, gaps, unread: unread.to_owned() }
                }
                (other, _) => other,
            }
        }),
    };
    let length_mm = places.iter().copied().fold(f64::MIN, f64::max) - places.iter().copied().fold(f64::MAX, f64::min);
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
            interpolated: false,
        }
    };
    let mut instances: Vec<SliceReference> = slices.iter().map(reference).collect();
    if let Ok(stack) = &stack {
        for k in stack.missing() {
            let position = Some(stack.geometry.to_patient([0.0, 0.0, k as f64]));
            let (sop_class_uid, sop_instance_uid) = Default::default();
            let slice = SliceReference { sop_class_uid, sop_instance_uid, frame: None, position, interpolated: true };
            instances.insert(k, slice);
        }
    }
    let mut notes = Vec::new();
    if let Ok(stack) = &stack {
        let step = stack.geometry.spacing()[2];
        let (ends, scouts): (Vec<&Odd>, Vec<&Odd>) =
            odd.iter().partition(|odd| odd.is_next(images, &slices, &places, step));
        notes.extend(ends.iter().map(|odd| {
            format!("{}, a slice at the end of the series, {} and was left out", images[odd.slice.0].name, odd.problem)
        }));
        if !scouts.is_empty() {
            notes.push(format!("scouts or images of another size were left out of the series: {}", scouts.len()));
        }
        notes.extend(stack.notes.clone());
    }
    let orientation = slices.first().and_then(|&(n, frame)| images[n].header.frames[frame].orientation);
    let from_axial = orientation.and_then(stacking::angle_to_axial);
    let info = SeriesInfo {
        uid: first.series_uid.clone(),
        modality: modality(&first.modality),
        description: first.description.clone(),
        number: first.series_number,
        image_type: first.image_type.clone(),
        kernel: first.kernel.clone(),
        window: first.window,
        slices: instances.len(),
        size: [first.columns, first.rows],
        spacing: stack.as_ref().ok().map(|s| s.geometry.spacing()),
        orientation,
        grid: stack.as_ref().ok().map(|s| s.geometry.clone()),
        corrected_tilt: stack.as_ref().ok().and_then(|s| s.shear.as_ref()).map(|shear| shear.degrees),
        problem: stack.as_ref().err().cloned(),
        study_uid: first.study_uid.clone(),
        frame_of_reference_uid: first.frame_of_reference_uid.clone(),
        patient_position: first.patient_position.clone(),
        instances,
        patient: first.patient.clone(),
    };
    let is_axial = from_axial.is_some_and(|degrees| degrees <= OTHER_VIEW_DEGREES);
    Series { info, slices, stack, notes, is_axial, length_mm: length_mm.max(0.0) }
}

/// That slices are not all of one frame of reference: positions in two of them say nothing about each other (PS3.3 C.7.4.1), and what is
/// drawn can name one alone.
fn mixed_frames(images: &[ImageFile], slices: &[(usize, usize)]) -> Option<DicomError> {
    let frame_of_reference = |&(n, _): &(usize, usize)| images[n].header.frame_of_reference_uid.as_str();
    let first = frame_of_reference(slices.first()?);
    let other = slices.iter().find(|&slice| frame_of_reference(slice) != first)?;
    let frames = slices.iter().map(frame_of_reference).collect::<BTreeSet<_>>().len();
    Some(DicomError::MixedFrames { frames, file: images[other.0].name.clone() })
}

/// Where slices lie along the normal of the first one, mm; empty where the files do not say.
fn heights(images: &[ImageFile], slices: &[(usize, usize)]) -> Vec<f64> {
    let frame = |&(n, frame): &(usize, usize)| &images[n].header.frames[frame];
    let Some(orientation) = slices.first().and_then(|s| frame(s).orientation) else { return Vec::new() };
    let height = |s: &(usize, usize)| stacking::height(frame(s).position?, orientation);
    slices.iter().map(height).collect::<Option<_>>().unwrap_or_default()
}

/// An image of a series that is no part of its volume.
struct Odd {
    slice: (usize, usize),
    /// What is wrong with it; empty for what calls itself a scout.
    problem: String,
    is_of_other_size: bool,
}

impl Odd {
    /// Where it lies along the normal of the others, mm.
    fn height(&self, images: &[ImageFile], slices: &[(usize, usize)]) -> Option<f64> {
        let orientation = |&(n, frame): &(usize, usize)| images[n].header.frames[frame].orientation;
        let position = images[self.slice.0].header.frames[self.slice.1].position?;
        stacking::height(position, slices.first().and_then(orientation)?)
    }

    /// The error that it is, if it lies where a slice of the others is missing.
    fn within(&self, images: &[ImageFile], slices: &[(usize, usize)], places: &[f64]) -> Option<DicomError> {
        let at = self.height(images, slices).filter(|_| !self.problem.is_empty())?;
        let below = places.iter().any(|&p| p < at - stacking::SAME_PLACE_MM);
        let above = places.iter().any(|&p| p > at + stacking::SAME_PLACE_MM);
        let taken = places.iter().any(|&p| (p - at).abs() <= stacking::SAME_PLACE_MM);
        let (n, frame) = self.slice;
        let (axis, at_mm) = stacking::place(
            images[n].header.frames[frame].position?,
            images[slices.first()?.0].header.frames.first()?.orientation?,
        )?;
        (below && above && !taken).then(|| DicomError::OddSlice {
            file: images[n].name.clone(),
            axis,
            at_mm,
            problem: self.problem.clone(),
        })
    }

    /// Whether it lies where the next slice before the first or behind the last one would, and only its size keeps it out; what is
    /// turned there is a scout.
    fn is_next(&self, images: &[ImageFile], slices: &[(usize, usize)], places: &[f64], step: f64) -> bool {
        let Some(at) = self.height(images, slices).filter(|_| self.is_of_other_size) else { return false };
        let (low, high) = places.iter().fold((f64::MAX, f64::MIN), |(low, high), &p| (low.min(p), high.max(p)));
        [low - step, high + step].iter().any(|next| (at - next).abs() <= 0.25 * step)
    }
}

/// Modality (0008,0060) as a type.
fn modality(code: &str) -> Modality {
    match code {
        "CT" => Modality::Ct,
        "" => Modality::Unknown,
        other => Modality::Other(other.to_owned()),
    }
}

/// The slices of a series that can form one volume, and those that cannot: scouts are set aside, by their image type or because
/// they are few and look from another side. Where no kind of slice clearly prevails, the series is mixed.
fn main_stack(images: &[ImageFile], members: &[usize]) -> (Vec<(usize, usize)>, Vec<Odd>, Option<DicomError>) {
    let frames_of = |n: usize| (0..images[n].header.frames.len()).map(move |frame| (n, frame));
    let slices: Vec<(usize, usize)> = members.iter().copied().flat_map(frames_of).collect();
    let scout = |s: &(usize, usize)| images[s.0].header.is_localizer();
    let (scouts, slices) =
        if slices.iter().all(scout) { (Vec::new(), slices) } else { slices.into_iter().partition(scout) };
    let mut odd: Vec<Odd> =
        scouts.into_iter().map(|slice| Odd { slice, problem: String::new(), is_of_other_size: false }).collect();
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
    let others: Vec<(usize, usize)> = kinds.flatten().collect();
    let (Some(first), Some(other)) = (main.first(), others.first()) else { return (main, odd, None) };
    let (a, b) = (size(first), size(other));
    if main.len() < SLICES_PER_ODD_IMAGE * others.len() {
        let file = images[other.0].name.clone();
        let error = if a == b {
            DicomError::MixedOrientation {
                odd: others.len(),
                slices: slices.len(),
                degrees: turned(first, other),
                file,
            }
        } else {
            DicomError::MixedMatrix { a_columns: a.0, a_rows: a.1, b_columns: b.0, b_rows: b.1, file }
        };
        return (slices, odd, Some(error));
    }
    odd.extend(others.into_iter().map(|slice| {
        let (own, degrees) = (size(&slice), turned(first, &slice));
        let problem = if own != a {
            format!("has {} x {} pixels and the others {} x {}", own.0, own.1, a.0, a.1)
        } else if orientation(&slice).is_none() {
            "does not say how it lies (ImageOrientationPatient)".to_owned()
        } else {
            format!("is turned by {degrees:.1} degrees against the others")
        };
        Odd { slice, problem, is_of_other_size: own != a }
    }));
    (main, odd, None)
}
