//! The attributes of an image file that place and scale its slices. A classic file holds one slice; an enhanced
//! multi-frame file holds many, with the same attributes in functional groups (PS3.3 C.7.6.16). Nothing else of the
//! header is decoded.

use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::dataset::{DataSet, PixelBytes};
use super::element::{integer, items, numbers, text, texts};
use super::patient::{self, PatientStudy};
use super::pixel_format::PixelFormat;
use super::walk::{Encoding, Unreadable};

/// Frames that are read from one file; an enhanced CT has a few thousand.
const MAX_FRAMES: usize = 1 << 16;

/// What is picked from a file.
const WANTED: [Tag; 42] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::MODALITY,
    tags::SERIES_DESCRIPTION,
    tags::GANTRY_DETECTOR_TILT,
    tags::CONVOLUTION_KERNEL,
    tags::PATIENT_POSITION,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::SERIES_NUMBER,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::FRAME_OF_REFERENCE_UID,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::PIXEL_SPACING,
    tags::SLICE_THICKNESS,
    tags::SPACING_BETWEEN_SLICES,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::RESCALE_TYPE,
    tags::MODALITY_LUT_SEQUENCE,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_ID,
    tags::WINDOW_CENTER,
    tags::WINDOW_WIDTH,
];

/// Where one slice lies and how its values are scaled; `None` is missing or unreadable.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Frame {
    /// ImagePositionPatient (0020,0032): centre of the first pixel, patient LPS mm.
    pub(super) position: Option<[f64; 3]>,
    /// ImageOrientationPatient (0020,0037): direction of a row (towards higher columns), then of a column.
    pub(super) orientation: Option<[f64; 6]>,
    /// PixelSpacing (0028,0030): between rows first, then between columns, mm.
    pub(super) spacing: Option<[f64; 2]>,
    /// SliceThickness (0018,0050), or SpacingBetweenSlices (0018,0088) where that is absent, mm; above 0. Asked only of a series of
    /// one slice: of several, the positions tell.
    pub(super) thickness: Option<f64>,
    /// RescaleSlope (0028,1053).
    pub(super) slope: Option<f64>,
    /// RescaleIntercept (0028,1052).
    pub(super) intercept: Option<f64>,
}

/// What an image file says about itself and its slices.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Transfer syntax UID.
    pub(super) syntax: String,
    /// Where the data set begins in the file.
    pub(super) start: usize,
    /// How its elements are written.
    pub(super) encoding: Encoding,
    pub(super) series_uid: String,
    pub(super) study_uid: String,
    pub(super) frame_of_reference_uid: String,
    pub(super) sop_class_uid: String,
    pub(super) sop_instance_uid: String,
    /// (0008,0060), empty when absent.
    pub(super) modality: String,
    pub(super) description: String,
    pub(super) series_number: Option<i32>,
    pub(super) patient_position: String,
    /// ImageType (0008,0008): ORIGINAL or DERIVED, PRIMARY or SECONDARY, AXIAL, LOCALIZER...
    pub(super) image_type: Vec<String>,
    /// ConvolutionKernel (0018,1210), the first, empty when absent.
    pub(super) kernel: String,
    /// WindowWidth (0028,1051) and WindowCenter (0028,1050), the first of each, where the file has both.
    pub(super) window: Option<[f64; 2]>,
    /// RescaleType (0028,1054), empty when absent.
    pub(super) rescale_type: String,
    /// GantryDetectorTilt (0018,1120), degrees.
    pub(super) tilt: f64,
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) format: PixelFormat,
    pub(super) patient: PatientStudy,
    /// At least one.
    pub(super) frames: Vec<Frame>,
    /// Whether the frames are those of an enhanced object.
    pub(super) multi_frame: bool,
    pub(super) pixels: Option<PixelBytes>,
}

impl Header {
    /// Pixels of a slice.
    pub(super) fn area(&self) -> usize {
        self.columns.saturating_mul(self.rows)
    }

    /// ImageType value 3 is LOCALIZER: a scout.
    pub(super) fn is_localizer(&self) -> bool {
        self.image_type.get(2).is_some_and(|t| t == "LOCALIZER")
    }
}

/// What a file turned out to be.
#[derive(Clone)]
pub(super) enum FileKind {
    /// An image with one slice or more.
    Image(Arc<Header>),
    /// DICOM without slices, by its modality (`RTSTRUCT`, `SR`...), or something like it.
    Other(String),
    /// DICOM without slices, by its modality, that is damaged besides: why.
    OtherDamaged(String, String),
}

/// Storage classes that hold no slices of a scan, though some have a matrix and pixels, and some carry the series UID of
/// the scan that they belong to: the end of the UID behind 1.2.840.10008.5.1.4.1.1, and what to call it.
const NO_SLICES: [(&str, &str); 16] = [
    ("481.1", "RTIMAGE"),
    ("481.2", "RTDOSE"),
    ("481.3", "RTSTRUCT"),
    ("481.", "RTPLAN"),
    ("66.4", "SEG"),
    ("66", "REG"),
    ("67", "REG"),
    ("88.59", "KO"),
    ("88.", "SR"),
    ("11.", "PR"),
    ("104.", "DOC"),
    ("30", "parametric map"),
    ("9.", "waveform"),
    ("78.", "lens measurement"),
    ("200.", "implant"),
    ("68.", "surface"),
];
/// What the UIDs of secondary captures start with (PS3.4 B.5).
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
/// Modalities of such objects, for files that do not say their class.
const NO_SLICES_MODALITIES: [&str; 12] =
    ["RTDOSE", "RTSTRUCT", "RTPLAN", "RTIMAGE", "RTRECORD", "SR", "SEG", "REG", "PR", "KO", "DOC", "ECG"];

/// What an object without slices is called; `None` if it may have some.
fn without_slices(class: &str, modality: &str) -> Option<String> {
    let known = class.strip_prefix("1.2.840.10008.5.1.4.1.1.").and_then(|end| {
        NO_SLICES.iter().find(|(start, _)| if start.ends_with('.') { end.starts_with(start) } else { end == *start })
    });
    known
        .map(|(_, name)| (*name).to_owned())
        .or_else(|| NO_SLICES_MODALITIES.contains(&modality).then(|| modality.to_owned()))
}

/// Whether it is a secondary capture, of one frame or several.
fn is_secondary_capture(class: &str) -> bool {
    class.strip_prefix(SECONDARY_CAPTURE).is_some_and(|end| end.is_empty() || end.starts_with('.'))
}

/// Reads the header of a file.
pub(super) fn read(bytes: &[u8]) -> Result<FileKind, Unreadable> {
    let set = DataSet::open(bytes)?;
    let wanted: Vec<Tag> = WANTED.into_iter().chain(patient::TAGS).collect();
    let (object, pixels) = match set.read(&wanted) {
        Ok(read) => read,
        Err(Unreadable::Damaged(reason)) => {
            let class = Some(set.text_before_damage(tags::SOP_CLASS_UID)).filter(|class| !class.is_empty());
            let modality = set.text_before_damage(tags::MODALITY);
            return match without_slices(class.as_ref().unwrap_or(&set.class), &modality) {
                Some(kind) => Ok(FileKind::OtherDamaged(kind, reason)),
                None => Err(Unreadable::Damaged(reason)),
            };
        }
        Err(other) => return Err(other),
    };
    let modality = text(&object, tags::MODALITY);
    if let Some(kind) = without_slices(&text(&object, tags::SOP_CLASS_UID), &modality) {
        return Ok(FileKind::Other(kind));
    }
    let (Some(columns), Some(rows)) = (integer(&object, tags::COLUMNS), integer(&object, tags::ROWS)) else {
        let class = text(&object, tags::SOP_CLASS_UID);
        // CT and MR storage, classic and enhanced: these always have a matrix.
        if ["1.2", "1.2.1", "1.4", "1.4.1"].iter().any(|c| class == format!("1.2.840.10008.5.1.4.1.{c}")) {
            return Err(Unreadable::Damaged("it has no Rows and Columns".into()));
        }
        return Ok(FileKind::Other(match modality.as_str() {
            "" if class == "1.2.840.10008.1.3.10" || class.is_empty() => "DICOMDIR or another directory".into(),
            "" => "DICOM without an image".into(),
            code => code.to_owned(),
        }));
    };
    let per_frame = items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let shared = items(&object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
    let declared = integer(&object, tags::NUMBER_OF_FRAMES).unwrap_or(1).max(1) as usize;
    let classic = frame(&[&object]);
    let frames = if per_frame.is_empty() {
        // Several frames and nothing that tells their positions: they all get the same, which is then refused.
        if declared > MAX_FRAMES {
            return Err(Unreadable::Damaged(format!("it declares {declared} frames")));
        }
        vec![classic; declared]
    } else {
        if per_frame.len() != declared || declared > MAX_FRAMES {
            let n = per_frame.len();
            return Err(Unreadable::Damaged(format!("it declares {declared} frames and describes {n}")));
        }
        per_frame.iter().map(|own| grouped_frame(own, shared, &classic)).collect()
    };
    let class = text(&object, tags::SOP_CLASS_UID);
    // Screenshots and scanned pages; some archives keep slices as such, but then with their places.
    if is_secondary_capture(&class) && frames.iter().all(|frame: &Frame| frame.position.is_none()) {
        return Ok(FileKind::Other("secondary capture".into()));
    }
    Ok(FileKind::Image(Arc::new(Header {
        series_uid: text(&object, tags::SERIES_INSTANCE_UID),
        study_uid: text(&object, tags::STUDY_INSTANCE_UID),
        frame_of_reference_uid: text(&object, tags::FRAME_OF_REFERENCE_UID),
        sop_class_uid: class,
        sop_instance_uid: text(&object, tags::SOP_INSTANCE_UID),
        modality,
        description: text(&object, tags::SERIES_DESCRIPTION),
        series_number: integer(&object, tags::SERIES_NUMBER).map(|n| n as i32),
        patient_position: text(&object, tags::PATIENT_POSITION),
        image_type: texts(&object, tags::IMAGE_TYPE),
        kernel: texts(&object, tags::CONVOLUTION_KERNEL).into_iter().next().unwrap_or_default(),
        window: window(&object),
        rescale_type: text(&object, tags::RESCALE_TYPE),
        tilt: numbers(&object, tags::GANTRY_DETECTOR_TILT).map_or(0.0, |[tilt]| tilt),
        columns: columns.clamp(0, u16::MAX.into()) as usize,
        rows: rows.clamp(0, u16::MAX.into()) as usize,
        format: PixelFormat::read(&object, &set),
        patient: PatientStudy::read(&object),
        multi_frame: frames.len() > 1 || !per_frame.is_empty(),
        frames,
        pixels,
        start: set.start,
        encoding: set.encoding,
        syntax: set.syntax,
    })))
}

/// The first window of the file; none where its numbers make no sense.
fn window(object: &InMemDicomObject) -> Option<[f64; 2]> {
    let first = |tag| object.get(tag)?.to_multi_float64().ok()?.first().copied().filter(|v| v.is_finite());
    Some([first(tags::WINDOW_WIDTH).filter(|&width| width >= 1.0)?, first(tags::WINDOW_CENTER)?])
}

/// The frame attributes, each from the first object that has it.
fn frame(objects: &[&InMemDicomObject]) -> Frame {
    fn first<const N: usize>(objects: &[&InMemDicomObject], tag: Tag) -> Option<[f64; N]> {
        objects.iter().find_map(|object| numbers(object, tag))
    }
    Frame {
        position: first(objects, tags::IMAGE_POSITION_PATIENT),
        orientation: first(objects, tags::IMAGE_ORIENTATION_PATIENT),
        spacing: first(objects, tags::PIXEL_SPACING),
        thickness: [tags::SLICE_THICKNESS, tags::SPACING_BETWEEN_SLICES]
            .into_iter()
            .find_map(|tag| first(objects, tag).map(|[mm]| mm).filter(|&mm: &f64| mm > 0.0)),
        slope: first(objects, tags::RESCALE_SLOPE).map(|[v]| v),
        intercept: first(objects, tags::RESCALE_INTERCEPT).map(|[v]| v),
    }
}

/// A frame of an enhanced object: its own functional groups, then the shared ones, then the top of the data set.
fn grouped_frame(own: &InMemDicomObject, shared: Option<&InMemDicomObject>, classic: &Frame) -> Frame {
    let groups = [
        tags::PLANE_POSITION_SEQUENCE,
        tags::PLANE_ORIENTATION_SEQUENCE,
        tags::PIXEL_MEASURES_SEQUENCE,
        tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    ];
    let objects: Vec<&InMemDicomObject> = [Some(own), shared]
        .into_iter()
        .flatten()
        .flat_map(|o| groups.iter().filter_map(|&g| items(o, g).first()))
        .collect();
    let found = frame(&objects);
    Frame {
        position: found.position.or(classic.position),
        orientation: found.orientation.or(classic.orientation),
        spacing: found.spacing.or(classic.spacing),
        thickness: found.thickness.or(classic.thickness),
        slope: found.slope.or(classic.slope),
        intercept: found.intercept.or(classic.intercept),
    }
}
