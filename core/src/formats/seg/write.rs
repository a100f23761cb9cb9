//! Label maps become a binary segmentation.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::colour;
use crate::anatomy::SnomedCode;
use crate::contour::boxes;
use crate::formats::dicom::derived::{
    self, Derivation, ExportError, Slices, code, code_elements, grid, integer, item, one, reference, sequence,
    short_text, text, unsigned,
};
use crate::formats::structures::{Drawn, Structure};
use crate::parallel::map;
use crate::raster::label_runs;
use crate::volume::Geometry;

/// The most that one segmentation may hold, bytes; the length of an element has 32 bits.
const MAX_PIXELS: usize = 1 << 31;

/// Writes structures drawn on a series as a binary DICOM Segmentation (PS3.10 file, Explicit VR Little Endian): one
/// segment a structure, with SNOMED CT code and side, and a frame for every slice on which it has a voxel.
///
/// `geometry` is the canonical grid on which all `structures` lie. Structures without a voxel are left out.
///
/// # Errors
/// [`ExportError`]: a series that cannot be referred to, labels on another grid, nothing to write.
pub fn write(structures: &[Structure], geometry: &Geometry, mut made: Derivation) -> Result<Vec<u8>, ExportError> {
    let slices = Slices::of(made.series, geometry)?;
    let planes = planes(structures, geometry, &slices);
    let written: Vec<(&Structure, &Vec<usize>)> =
        structures.iter().zip(&planes).filter(|(_, k)| !k.is_empty()).collect();
    let frames: usize = written.iter().map(|(_, k)| k.len()).sum();
    if frames == 0 {
        return Err(ExportError::Empty);
    }
    let [columns, rows, _] = slices.stored.size;
    if frames.saturating_mul(columns * rows) / 8 > MAX_PIXELS {
        return Err(ExportError::Encode(format!(
            "{frames} frames of {columns} x {rows} pixels are more than an object holds"
        )));
    }
    let series = made.series;
    let sentence = made.author.sentence();
    let mut object = made.object(uids::SEGMENTATION_STORAGE, "SEG", "AttentionAnatomy segmentation")?;
    let dimensions = (made.new_uid)()?;
    let organization = || text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, &dimensions);
    let pointer = |at, group| {
        item([
            organization(),
            DataElement::new(tags::DIMENSION_INDEX_POINTER, VR::AT, PrimitiveValue::from(at)),
            DataElement::new(tags::FUNCTIONAL_GROUP_POINTER, VR::AT, PrimitiveValue::from(group)),
        ])
    };
    let spacing = slices.stored.spacing();
    let referenced = sequence(tags::REFERENCED_INSTANCE_SEQUENCE, derived::instances(series));
    for element in [
        // The enhanced general equipment module wants one; a program has its version.
        short_text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &made.author.version),
        text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY"),
        text(tags::CONTENT_DATE, VR::DA, &made.moment.date),
        text(tags::CONTENT_TIME, VR::TM, &made.moment.time),
        text(tags::CONTENT_LABEL, VR::CS, "ORGANS"),
        short_text(tags::CONTENT_DESCRIPTION, VR::LO, &sentence),
        text(tags::CONTENT_CREATOR_NAME, VR::PN, ""),
        text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00"),
        text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY"),
        text(tags::SEGMENTS_OVERLAP, VR::CS, if overlap(&written) { "UNDEFINED" } else { "NO" }),
        unsigned(tags::SAMPLES_PER_PIXEL, &[1]),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        unsigned(tags::ROWS, &[rows as u16]),
        unsigned(tags::COLUMNS, &[columns as u16]),
        unsigned(tags::BITS_ALLOCATED, &[1]),
        unsigned(tags::BITS_STORED, &[1]),
        unsigned(tags::HIGH_BIT, &[0]),
        unsigned(tags::PIXEL_REPRESENTATION, &[0]),
        integer(tags::NUMBER_OF_FRAMES, frames),
        one(tags::DIMENSION_ORGANIZATION_SEQUENCE, [organization()]),
        sequence(
            tags::DIMENSION_INDEX_SEQUENCE,
            vec![
                pointer(tags::REFERENCED_SEGMENT_NUMBER, tags::SEGMENT_IDENTIFICATION_SEQUENCE),
                pointer(tags::IMAGE_POSITION_PATIENT, tags::PLANE_POSITION_SEQUENCE),
            ],
        ),
        one(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            [
                one(tags::PLANE_ORIENTATION_SEQUENCE, [grid(tags::IMAGE_ORIENTATION_PATIENT, &cosines(&slices))]),
                one(
                    tags::PIXEL_MEASURES_SEQUENCE,
                    [
                        grid(tags::SLICE_THICKNESS, &spacing[2..]),
                        grid(tags::SPACING_BETWEEN_SLICES, &spacing[2..]),
                        // Between rows first, then between columns.
                        grid(tags::PIXEL_SPACING, &[spacing[1], spacing[0]]),
                    ],
                ),
            ],
        ),
        one(tags::REFERENCED_SERIES_SEQUENCE, [text(tags::SERIES_INSTANCE_UID, VR::UI, &series.uid), referenced]),
    ] {
        object.put(element);
    }

    let (mut segments, mut groups) = (Vec::new(), Vec::with_capacity(frames));
    let mut bits = vec![0u8; (frames * columns * rows).div_ceil(16) * 2];
    // Order numbers of the slices in use, for the dimension indices.
    let mut used: Vec<usize> = planes.iter().flatten().copied().collect();
    used.sort_unstable();
    used.dedup();
    let mut drawn = Vec::with_capacity(frames);
    for (n, (structure, planes)) in written.into_iter().enumerate() {
        segments.push(segment(structure, n + 1, &sentence));
        for &k in planes {
            drawn.push((structure, k));
            let place = used.partition_point(|&other| other < k) as u32 + 1;
            groups.push(frame(n + 1, place, k, &slices));
        }
    }
    // Eight frames begin and end with a whole byte, whatever their size.
    let eights = bits.chunks_mut((columns * rows).max(1)).zip(drawn.chunks(8)).collect();
    map(eights, |(bits, drawn): (&mut [u8], &[(&Structure, usize)])| {
        for (n, (structure, k)) in drawn.iter().enumerate() {
            let plane = slices.axes.stored_slice(structure.labels, geometry.size, *k);
            for (y, row) in plane.chunks_exact(columns.max(1)).enumerate() {
                let first = (n * rows + y) * columns;
                label_runs(row, |label, start, end| {
                    if label == structure.label {
                        (first + start..first + end).for_each(|p| bits[p / 8] |= 1 << (p % 8));
                    }
                });
            }
        }
    });
    object.put(sequence(tags::SEGMENT_SEQUENCE, segments));
    object.put(sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, groups));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(bits)));
    derived::file(object, uids::EXPLICIT_VR_LITTLE_ENDIAN)
}

/// Direction cosines of row and column.
fn cosines(slices: &Slices) -> Vec<f64> {
    slices.directions.concat()
}

/// The box of each label on a plane, where it is there.
type Boxes = Vec<Option<[usize; 4]>>;

/// The slices on which each structure has a voxel, in stored order.
fn planes(structures: &[Structure], geometry: &Geometry, slices: &Slices) -> Vec<Vec<usize>> {
    let [columns, _, depth] = slices.stored.size;
    let acquired = (0..depth).filter(|&k| slices.is_acquired(k)).collect();
    let seen = map(acquired, |k| {
        let mut seen: Option<(&[u8], Boxes)> = None;
        let mut has = Vec::with_capacity(structures.len());
        for structure in structures {
            if seen.as_ref().is_none_or(|(labels, _)| !std::ptr::eq(*labels, structure.labels)) {
                let plane = slices.axes.stored_slice(structure.labels, geometry.size, k);
                seen = Some((structure.labels, boxes(&plane, columns)));
            }
            has.push(seen.as_ref().is_some_and(|(_, boxes)| boxes[usize::from(structure.label)].is_some()));
        }
        (k, has)
    });
    let mut planes = vec![Vec::new(); structures.len()];
    for (k, has) in seen {
        planes.iter_mut().zip(has).filter(|(_, has)| *has).for_each(|(planes, _)| planes.push(k));
    }
    planes
}

/// Whether structures come from several label maps: those of one cannot overlap.
fn overlap(written: &[(&Structure, &Vec<usize>)]) -> bool {
    written.windows(2).any(|w| !std::ptr::eq(w[0].0.labels, w[1].0.labels))
}

/// An item of the segment sequence (PS3.3 C.8.20.4).
fn segment(structure: &Structure, number: usize, sentence: &str) -> InMemDicomObject {
    // Where no code certainly means the structure, nothing more is claimed than that it is one.
    let category = ("123037004", "Anatomical Structure");
    let (what, side) = match structure.code {
        Some((code, side)) => ((code.value, code.meaning), side),
        None => (category, None),
    };
    let modifier =
        |side: SnomedCode| code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, side.value, "SCT", side.meaning);
    let kind = code_elements(what.0, "SCT", what.1).into_iter().chain(side.map(modifier));
    let algorithm = match structure.drawn {
        Drawn::Automatic | Drawn::Unknown => "AUTOMATIC",
        Drawn::Semiautomatic => "SEMIAUTOMATIC",
        Drawn::Manual => "MANUAL",
    };
    let name = if structure.drawn == Drawn::Unknown { "unknown" } else { sentence };
    let mut item = item([
        unsigned(tags::SEGMENT_NUMBER, &[number as u16]),
        short_text(tags::SEGMENT_LABEL, VR::LO, structure.name),
        text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, algorithm),
        code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, category.0, "SCT", category.1),
        one(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, kind),
        unsigned(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &colour::to_lab(structure.colour)),
    ]);
    if structure.drawn != Drawn::Manual {
        item.put(short_text(tags::SEGMENT_ALGORITHM_NAME, VR::LO, name));
    }
    item
}

/// The functional groups of a frame.
fn frame(segment: usize, place: u32, k: usize, slices: &Slices) -> InMemDicomObject {
    let mut source = reference(slices.instance(k), true);
    let preserved = if slices.resampled { "NO" } else { "YES" };
    source.push(text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, preserved));
    source.push(code(
        tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
        "121322",
        "DCM",
        "Source image for image processing operation",
    ));
    item([
        one(
            tags::FRAME_CONTENT_SEQUENCE,
            [DataElement::new(
                tags::DIMENSION_INDEX_VALUES,
                VR::UL,
                PrimitiveValue::U32([segment as u32, place].as_slice().into()),
            )],
        ),
        one(tags::PLANE_POSITION_SEQUENCE, [grid(tags::IMAGE_POSITION_PATIENT, &slices.position(k))]),
        one(tags::SEGMENT_IDENTIFICATION_SEQUENCE, [unsigned(tags::REFERENCED_SEGMENT_NUMBER, &[segment as u16])]),
        one(
            tags::DERIVATION_IMAGE_SEQUENCE,
            [
                sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![item(source)]),
                code(tags::DERIVATION_CODE_SEQUENCE, "113076", "DCM", "Segmentation"),
            ],
        ),
    ])
}
