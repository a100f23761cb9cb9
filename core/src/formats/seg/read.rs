//! A file becomes segments with their frames.

use std::collections::BTreeMap;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::{DicomSegmentation, Segment, SegmentFrame, colour};
use crate::anatomy::{Organ, Side};
use crate::formats::dicom::dataset::{DataSet, PixelBytes};
use crate::formats::dicom::element::{integer, items, numbers, text};
use crate::formats::dicom::walk::Unreadable;

/// Frames that are read from one file.
const MAX_FRAMES: usize = 1 << 17;

const WANTED: [Tag; 17] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::MODALITY,
    tags::FRAME_OF_REFERENCE_UID,
    tags::SEGMENTATION_TYPE,
    tags::MAXIMUM_FRACTIONAL_VALUE,
    tags::SEGMENT_SEQUENCE,
    tags::ROWS,
    tags::COLUMNS,
    tags::NUMBER_OF_FRAMES,
    tags::BITS_ALLOCATED,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_SPACING,
    tags::SPACING_BETWEEN_SLICES,
    tags::IMAGE_POSITION_PATIENT,
];

/// Why a file is no segmentation that can be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DicomSegmentationError {
    /// Another kind of file.
    #[error("this is no DICOM Segmentation ({0}); choose the SEG file of the study")]
    Other(String),
    /// Cut off or damaged.
    #[error("the segmentation is damaged ({0}); copy or export it again")]
    Damaged(String),
    /// An attribute without which nothing can be read.
    #[error("the segmentation has no usable {0}; export it again")]
    Missing(&'static str),
    /// Stored in a way that is not read.
    #[error("the segmentation is stored in a way that is not read ({0}); export it uncompressed, with 1, 8 or 16 bits")]
    Unsupported(String),
    /// Segments in another frame of reference.
    #[error(
        "the segmentation lies in another frame of reference ({theirs}) than the CT ({ours}); choose the CT that it was drawn on"
    )]
    OtherFrame {
        /// FrameOfReferenceUID of the segmentation.
        theirs: String,
        /// FrameOfReferenceUID of the CT.
        ours: String,
    },
    /// Segments on another grid.
    #[error("the voxels of the segmentation are not those of the CT; resample it to the grid of the CT first")]
    OtherGrid,
    /// Frames that form no grid.
    #[error("the frames of the segmentation form no regular grid ({0}); give the CT that it was drawn on")]
    NoGrid(String),
}

impl From<Unreadable> for DicomSegmentationError {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NotDicom => Self::Other("not DICOM".into()),
            Unreadable::Damaged(reason) => Self::Damaged(reason),
        }
    }
}

/// How frames hold their pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// One bit, one segment a frame.
    Binary,
    /// A byte, one segment a frame; inside from half of the largest value on.
    Fractional { half: f64 },
    /// A byte or two: the number of the segment.
    LabelMap { wide: bool },
}

/// Reads a DICOM Segmentation in any uncompressed or deflated transfer syntax.
///
/// # Errors
/// [`DicomSegmentationError`]: another kind of file, damaged bytes, pixels that are not read.
pub fn read(bytes: &[u8]) -> Result<DicomSegmentation, DicomSegmentationError> {
    let set = DataSet::open(bytes)?;
    let (object, pixels) = set.read(&WANTED)?;
    let (class, modality) = (text(&object, tags::SOP_CLASS_UID), text(&object, tags::MODALITY));
    if ![uids::SEGMENTATION_STORAGE, uids::LABEL_MAP_SEGMENTATION_STORAGE].contains(&class.as_str()) {
        return Err(DicomSegmentationError::Other(if modality.is_empty() { class } else { modality }));
    }
    let mut warnings = Vec::new();
    let bits = integer(&object, tags::BITS_ALLOCATED).unwrap_or(0);
    let kind = match (text(&object, tags::SEGMENTATION_TYPE).as_str(), bits) {
        ("BINARY", 1) => Kind::Binary,
        ("FRACTIONAL", 8) => {
            warnings.push("the segmentation is fractional; voxels of at least one half were taken".into());
            let most = integer(&object, tags::MAXIMUM_FRACTIONAL_VALUE).unwrap_or(255);
            Kind::Fractional { half: most as f64 / 2.0 }
        }
        ("LABELMAP", 8) => Kind::LabelMap { wide: false },
        ("LABELMAP", 16) => Kind::LabelMap { wide: true },
        (other, bits) => return Err(DicomSegmentationError::Unsupported(format!("{other}, {bits} bits"))),
    };
    let side = |tag| integer(&object, tag).filter(|n| (1..=65535).contains(n)).map(|n| n as usize);
    let columns = side(tags::COLUMNS).ok_or(DicomSegmentationError::Missing("Columns (0028,0011)"))?;
    let rows = side(tags::ROWS).ok_or(DicomSegmentationError::Missing("Rows (0028,0010)"))?;
    let per_frame = items(&object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let count = integer(&object, tags::NUMBER_OF_FRAMES).unwrap_or(per_frame.len() as i64);
    if per_frame.is_empty() || count != per_frame.len() as i64 || per_frame.len() > MAX_FRAMES {
        return Err(DicomSegmentationError::Damaged(format!(
            "it declares {count} frames and describes {}",
            per_frame.len()
        )));
    }
    let frame_bits = columns * rows * bits as usize;
    let stored = match pixels {
        Some(PixelBytes::Native(range)) => &set.bytes[range],
        Some(PixelBytes::Encapsulated { .. }) => return Err(DicomSegmentationError::Unsupported("compressed".into())),
        Some(PixelBytes::Truncated) => return Err(DicomSegmentationError::Damaged("its pixels are cut off".into())),
        None => return Err(DicomSegmentationError::Missing("PixelData (7FE0,0010)")),
    };
    if frame_bits.checked_mul(per_frame.len()).is_none_or(|bits| stored.len() < bits.div_ceil(8)) {
        return Err(DicomSegmentationError::Damaged("it has fewer pixels than its frames need".into()));
    }

    let shared = items(&object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
    let first = Groups { own: per_frame.first(), shared, top: &object };
    let orientation = first
        .numbers(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT)
        .ok_or(DicomSegmentationError::Missing("ImageOrientationPatient (0020,0037)"))?;
    let spacing: [f64; 2] = first
        .numbers(tags::PIXEL_MEASURES_SEQUENCE, tags::PIXEL_SPACING)
        .ok_or(DicomSegmentationError::Missing("PixelSpacing (0028,0030)"))?;
    let slice_spacing =
        first.numbers(tags::PIXEL_MEASURES_SEQUENCE, tags::SPACING_BETWEEN_SLICES).map(|[s]: [f64; 1]| s.abs());
    let mut segments = segments(&object);
    if segments.is_empty() {
        return Err(DicomSegmentationError::Missing("SegmentSequence (0062,0002)"));
    }
    let by_number: BTreeMap<i64, usize> = segments.iter().enumerate().map(|(n, s)| (s.number, n)).collect();
    let mut unknown = 0;
    for (n, own) in per_frame.iter().enumerate() {
        let groups = Groups { own: Some(own), shared, top: &object };
        let position = groups
            .numbers(tags::PLANE_POSITION_SEQUENCE, tags::IMAGE_POSITION_PATIENT)
            .ok_or(DicomSegmentationError::Missing("ImagePositionPatient (0020,0032)"))?;
        let turned: Option<[f64; 6]> =
            groups.numbers(tags::PLANE_ORIENTATION_SEQUENCE, tags::IMAGE_ORIENTATION_PATIENT);
        if turned.is_some_and(|t| t.iter().zip(orientation).any(|(a, b): (&f64, f64)| (a - b).abs() > 1e-4)) {
            return Err(DicomSegmentationError::NoGrid("they have several orientations".into()));
        }
        let mut add = |number: i64, pixels: Vec<std::ops::Range<usize>>| match by_number.get(&number) {
            Some(&s) if !pixels.is_empty() => segments[s].frames.push(SegmentFrame { position, pixels }),
            Some(_) => {}
            None => unknown += 1,
        };
        let number = || groups.integer(tags::SEGMENT_IDENTIFICATION_SEQUENCE, tags::REFERENCED_SEGMENT_NUMBER);
        let missing = DicomSegmentationError::Missing("ReferencedSegmentNumber (0062,000B)");
        let (pixels, start) = (columns * rows, n * columns * rows);
        match kind {
            Kind::Binary => {
                let inside = |p: usize| stored[(start + p) / 8] >> ((start + p) % 8) & 1 == 1;
                add(number().ok_or(missing)?, runs(pixels, inside));
            }
            Kind::Fractional { half } => {
                let inside = |p: usize| f64::from(stored[start + p]) >= half.max(1.0);
                add(number().ok_or(missing)?, runs(pixels, inside));
            }
            Kind::LabelMap { wide } => {
                let big = set.encoding.big_endian;
                let value = |p: usize| match wide {
                    false => u16::from(stored[start + p]),
                    true => {
                        let pair = [stored[2 * (start + p)], stored[2 * (start + p) + 1]];
                        if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
                    }
                };
                let mut seen = std::collections::BTreeSet::new();
                (0..pixels).for_each(|p| _ = seen.insert(value(p)));
                // Number 0 is background unless the file lists it as a segment.
                for number in seen.into_iter().filter(|n| *n != 0 || by_number.contains_key(&0)) {
                    add(i64::from(number), runs(pixels, |p| value(p) == number));
                }
            }
        }
    }
    // A label map may list its background.
    segments.retain(|s| s.number != 0);
    if unknown > 0 {
        warnings.push(format!("{unknown} frames belong to segments that are not listed and were left out"));
    }
    Ok(DicomSegmentation {
        frame_of_reference_uid: text(&object, tags::FRAME_OF_REFERENCE_UID),
        size: [columns, rows],
        spacing: [spacing[1], spacing[0]],
        slice_spacing,
        orientation,
        segments,
        warnings,
    })
}

/// Runs of pixels inside.
fn runs(pixels: usize, inside: impl Fn(usize) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for p in (0..pixels).filter(|&p| inside(p)) {
        match runs.last_mut() {
            Some(last) if last.end == p => last.end += 1,
            _ => runs.push(p..p + 1),
        }
    }
    runs
}

/// The functional groups of a frame: its own, then the shared ones, then the top of the data set.
struct Groups<'a> {
    own: Option<&'a InMemDicomObject>,
    shared: Option<&'a InMemDicomObject>,
    top: &'a InMemDicomObject,
}

impl Groups<'_> {
    fn places(&self, group: Tag) -> impl Iterator<Item = &InMemDicomObject> {
        let within = [self.own, self.shared].into_iter().flatten().filter_map(move |o| items(o, group).first());
        within.chain([self.top])
    }

    fn numbers<const N: usize>(&self, group: Tag, tag: Tag) -> Option<[f64; N]> {
        self.places(group).find_map(|o| numbers(o, tag))
    }

    fn integer(&self, group: Tag, tag: Tag) -> Option<i64> {
        self.places(group).find_map(|o| integer(o, tag))
    }
}

/// The segments without their frames.
fn segments(object: &InMemDicomObject) -> Vec<Segment> {
    let listed = items(object, tags::SEGMENT_SEQUENCE).iter();
    listed
        .filter_map(|item| {
            let number = integer(item, tags::SEGMENT_NUMBER)?;
            let mut label = text(item, tags::SEGMENT_LABEL);
            if label.is_empty() {
                label = format!("segment {number}");
            }
            let lab: Option<[f64; 3]> = numbers(item, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE);
            let colour = lab.map(|lab| colour::to_rgb(lab.map(|v| v as u16)));
            let organ = Organ::from_name(&label).or_else(|| coded(item));
            Some(Segment { number, label, organ, colour, frames: Vec::new() })
        })
        .collect()
}

/// The organ that the codes of a segment mean: a whole anatomical structure, on its side.
fn coded(segment: &InMemDicomObject) -> Option<Organ> {
    let category = items(segment, tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE).first()?;
    // Anatomical structure, tissue: not what is in or on them.
    if !["123037004", "85756007"].contains(&text(category, tags::CODE_VALUE).as_str()) {
        return None;
    }
    let kind = items(segment, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE).first()?;
    let value = text(kind, tags::CODE_VALUE);
    let modifiers = items(kind, tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE);
    let modifiers: Vec<String> = modifiers.iter().map(|m| text(m, tags::CODE_VALUE)).collect();
    let side = |side: Side| side.snomed().map(|code| code.value.to_owned());
    Organ::ALL.into_iter().find(|organ| {
        organ.snomed().is_some_and(|code| code.value == value) && modifiers == Vec::from_iter(side(organ.side()))
    })
}
