//! A file becomes structures with their contours. The few small sequences are parsed as objects; the contours, which are
//! nearly all of a file, are read where they lie.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

use super::{Contour, ContourKind, Roi, StructureSet};
use crate::formats::dicom::dataset::DataSet;
use crate::formats::dicom::element::{integer, items, text};
use crate::formats::dicom::nested::{self, Item};
use crate::formats::dicom::walk::Unreadable;

const WANTED: [Tag; 8] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::MODALITY,
    tags::FRAME_OF_REFERENCE_UID,
    tags::STRUCTURE_SET_LABEL,
    tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE,
    tags::STRUCTURE_SET_ROI_SEQUENCE,
    tags::RTROI_OBSERVATIONS_SEQUENCE,
];

/// Why a file is no structure set that can be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StructureSetError {
    /// Another kind of file.
    #[error("this is no RT Structure Set ({0}); choose the RTSTRUCT file of the study")]
    Other(String),
    /// Cut off or damaged.
    #[error("the structure set is damaged ({0}); copy or export it again")]
    Damaged(String),
    /// An attribute without which nothing can be read.
    #[error("the structure set has no usable {0}; export it again")]
    Missing(&'static str),
    /// Contours of another frame of reference.
    #[error(
        "the structure set lies in another frame of reference ({theirs}) than the CT ({ours}) and refers to none of its slices; it would be \
         drawn in the wrong place: choose the CT that it was drawn on"
    )]
    OtherFrame {
        /// FrameOfReferenceUID of the structure set.
        theirs: String,
        /// FrameOfReferenceUID of the CT.
        ours: String,
    },
}

impl From<Unreadable> for StructureSetError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NotDicom => Self::Other("not DICOM".into()),
            Unreadable::Damaged(reason) => Self::Damaged(reason),
        }
    }
}

/// Reads an RT Structure Set in any uncompressed or deflated transfer syntax, with or without preamble.
///
/// # Errors
/// [`StructureSetError`]: another kind of file, damaged bytes, or no structures with a number.
pub fn read(bytes: &[u8]) -> Result<StructureSet, StructureSetError> {
    let set = DataSet::open(bytes)?;
    let (object, _) = set.read(&WANTED)?;
    let (class, modality) = (text(&object, tags::SOP_CLASS_UID), text(&object, tags::MODALITY));
    if class != uids::RT_STRUCTURE_SET_STORAGE && modality != "RTSTRUCT" {
        return Err(StructureSetError::Other(if modality.is_empty() { class } else { modality }));
    }
    let mut warnings = Vec::new();
    let mut rois: Vec<Roi> = Vec::new();
    for (n, roi) in items(&object, tags::STRUCTURE_SET_ROI_SEQUENCE).iter().enumerate() {
        let name = text(roi, tags::ROI_NAME);
        let Some(number) = integer(roi, tags::ROI_NUMBER) else {
            warnings.push(format!("{}: has no ROINumber (3006,0022) and was left out", called(&name, n as i64 + 1)));
            continue;
        };
        let name = called(&name, number);
        if rois.iter().any(|r| r.number == number) {
            warnings.push(format!("{name}: has the number {number} of another structure and was left out"));
            continue;
        }
        rois.push(Roi { number, name, colour: None, interpreted_type: String::new(), contours: Vec::new() });
    }
    if rois.is_empty() {
        return Err(StructureSetError::Missing("StructureSetROISequence (3006,0020)"));
    }
    for observation in items(&object, tags::RTROI_OBSERVATIONS_SEQUENCE) {
        let number = integer(observation, tags::REFERENCED_ROI_NUMBER);
        if let Some(roi) = rois.iter_mut().find(|r| Some(r.number) == number) {
            roi.interpreted_type = text(observation, tags::RTROI_INTERPRETED_TYPE);
        }
    }
    let untyped = rois.iter().filter(|r| r.interpreted_type.is_empty()).count();
    if untyped > 0 {
        warnings.push(format!(
            "{untyped} of {} structures have no RTROIInterpretedType (3006,00A4); what they are was told by their names alone",
            rois.len()
        ));
    }
    match nested::field(&set, tags::ROI_CONTOUR_SEQUENCE)? {
        None => warnings.push("there are no contours: ROIContourSequence (3006,0039) is absent".into()),
        Some(sequence) => {
            let mut at: BTreeMap<i64, usize> = rois.iter().enumerate().map(|(n, r)| (r.number, n)).collect();
            for drawing in sequence.items()? {
                read_drawing(drawing, &mut at, &mut rois, &mut warnings)?;
            }
        }
    }
    let mut frame = String::new();
    let mut series_uids = Vec::new();
    for referenced in items(&object, tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE) {
        if frame.is_empty() {
            frame = text(referenced, tags::FRAME_OF_REFERENCE_UID);
        }
        for study in items(referenced, tags::RT_REFERENCED_STUDY_SEQUENCE) {
            for series in items(study, tags::RT_REFERENCED_SERIES_SEQUENCE) {
                series_uids.push(text(series, tags::SERIES_INSTANCE_UID));
            }
        }
    }
    if frame.is_empty() {
        frame = text(&object, tags::FRAME_OF_REFERENCE_UID);
    }
    let label = text(&object, tags::STRUCTURE_SET_LABEL);
    Ok(StructureSet { label, frame_of_reference_uid: frame, series_uids, rois, warnings })
}

/// The name of a structure, or what stands for it.
fn called(name: &str, number: i64) -> String {
    if name.is_empty() { format!("structure {number}") } else { name.to_owned() }
}

/// Reads an item of the ROI contour sequence into its ROI.
fn read_drawing(
    drawing: Item,
    at: &mut BTreeMap<i64, usize>,
    rois: &mut Vec<Roi>,
    warnings: &mut Vec<String>,
) -> Result<(), Unreadable> {
    let fields = drawing.fields()?;
    let find = |tag: Tag| fields.iter().find(|f| f.tag == tag);
    let Some(number) = find(tags::REFERENCED_ROI_NUMBER).and_then(|f| f.integer()) else {
        warnings.push("contours without ReferencedROINumber (3006,0084) were left out".into());
        return Ok(());
    };
    let n = *at.entry(number).or_insert_with(|| {
        warnings
            .push(format!("contours refer to structure {number}, which is not listed; they were kept under that name"));
        let name = called("", number);
        rois.push(Roi { number, name, colour: None, interpreted_type: String::new(), contours: Vec::new() });
        rois.len() - 1
    });
    let roi = &mut rois[n];
    roi.colour = find(tags::ROI_DISPLAY_COLOR).and_then(|f| {
        let values: Vec<u8> = f.text().split('\\').filter_map(|v| v.trim().parse().ok()).collect();
        values.try_into().ok()
    });
    let Some(contours) = find(tags::CONTOUR_SEQUENCE) else { return Ok(()) };
    let (mut untyped, mut unreadable, mut miscounted) = (0, 0, 0);
    for contour in contours.items()? {
        let fields = contour.fields()?;
        let find = |tag: Tag| fields.iter().find(|f| f.tag == tag);
        let kind = match find(tags::CONTOUR_GEOMETRIC_TYPE).map_or("", |f| f.text()) {
            "CLOSED_PLANAR" | "CLOSEDPLANAR_XOR" => ContourKind::Closed,
            "OPEN_PLANAR" | "OPEN_NONPLANAR" => ContourKind::Open,
            "" => {
                untyped += 1;
                ContourKind::Closed
            }
            _ => ContourKind::Other,
        };
        let Some(points) = find(tags::CONTOUR_DATA).and_then(|f| points(f.text())) else {
            unreadable += 1;
            continue;
        };
        let declared = find(tags::NUMBER_OF_CONTOUR_POINTS).and_then(|f| f.integer());
        miscounted += usize::from(declared.is_some_and(|n| n != points.len() as i64));
        let mut image = String::new();
        if let Some(images) = find(tags::CONTOUR_IMAGE_SEQUENCE)
            && let Some(first) = images.items()?.first()
        {
            let uid = |f: &nested::Field| f.tag == tags::REFERENCED_SOP_INSTANCE_UID;
            image = first.fields()?.iter().find(|f| uid(f)).map_or("", |f| f.text()).to_owned();
        }
        roi.contours.push(Contour { kind, points, image });
    }
    let name = &roi.name;
    if untyped > 0 {
        warnings.push(format!(
            "{name}: {untyped} contours have no ContourGeometricType (3006,0042) and were taken as closed"
        ));
    }
    if unreadable > 0 {
        warnings
            .push(format!("{name}: {unreadable} contours have no usable ContourData (3006,0050) and were left out"));
    }
    if miscounted > 0 {
        warnings.push(format!(
            "{name}: {miscounted} contours have another number of points than NumberOfContourPoints (3006,0046) says; all points were taken"
        ));
    }
    Ok(())
}

/// Triples of finite numbers.
fn points(text: &str) -> Option<Vec<[f64; 3]>> {
    let mut points = Vec::new();
    let mut numbers = text.split('\\').map(|v| v.trim().parse::<f64>().ok().filter(|v| v.is_finite()));
    while let Some(x) = numbers.next() {
        points.push([x?, numbers.next()??, numbers.next()??]);
    }
    (!points.is_empty()).then_some(points)
}
