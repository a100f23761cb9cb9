//! Label maps become contours on the slices of the series.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use crate::contour::{Curve, area, boxes, edge_outlines, keyhole, smooth_outlines};
use crate::formats::dicom::derived::{
    self, Derivation, ExportError, Slices, code, integer, item, one, points, reference, sequence, short_text, text,
};
use crate::formats::structures::{Drawn, Structure};
use crate::parallel::map;
use crate::volume::Geometry;

/// How a hole in a structure is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holes {
    /// As part of the contour around it, which every planning system reads.
    #[default]
    Keyhole,
    /// As a contour of its own; the type of all contours of such a structure is CLOSEDPLANAR_XOR.
    Xor,
}

/// How contours are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// How holes are.
    pub holes: Holes,
    /// Contours between the voxels instead of along their borders: what people would draw, but not exactly the voxels.
    pub smooth: bool,
    /// StructureSetLabel (3006,0002), at most 16 characters.
    pub label: String,
}

/// Writes structures drawn on a series as an RT Structure Set (PS3.10 file, Implicit VR Little Endian).
///
/// `geometry` is the canonical grid on which all `structures` lie. Structures without a voxel are left out.
///
/// # Errors
/// [`ExportError`]: a series that cannot be referred to, labels on another grid, nothing to write.
pub fn write(
    structures: &[Structure],
    geometry: &Geometry,
    options: &WriteOptions,
    mut made: Derivation,
) -> Result<Vec<u8>, ExportError> {
    let slices = Slices::of(made.series, geometry)?;
    let contours = trace(structures, geometry, &slices, options);
    let written: Vec<(&Structure, Vec<InMemDicomObject>)> =
        structures.iter().zip(contours).filter(|(_, contours)| !contours.is_empty()).collect();
    if written.is_empty() {
        return Err(ExportError::Empty);
    }
    let series = made.series;
    let sentence = made.author.sentence();
    let mut object = made.object(uids::RT_STRUCTURE_SET_STORAGE, "RTSTRUCT", "AttentionAnatomy structures")?;
    object.put(text(tags::OPERATORS_NAME, VR::PN, ""));
    object.put(short_text(tags::STRUCTURE_SET_LABEL, VR::SH, &options.label));
    let description = format!("{sentence}. Not a medical device: every contour needs review by a qualified person.");
    object.put(short_text(tags::STRUCTURE_SET_DESCRIPTION, VR::ST, &description));
    object.put(text(tags::STRUCTURE_SET_DATE, VR::DA, &made.moment.date));
    object.put(text(tags::STRUCTURE_SET_TIME, VR::TM, &made.moment.time));
    let referenced_series = one(
        tags::RT_REFERENCED_SERIES_SEQUENCE,
        [
            text(tags::SERIES_INSTANCE_UID, VR::UI, &series.uid),
            sequence(tags::CONTOUR_IMAGE_SEQUENCE, derived::instances(series)),
        ],
    );
    let referenced_study = one(
        tags::RT_REFERENCED_STUDY_SEQUENCE,
        [
            // Retired, and what the sequence has always referred to.
            text(tags::REFERENCED_SOP_CLASS_UID, VR::UI, "1.2.840.10008.3.1.2.3.1"),
            text(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, &series.study_uid),
            referenced_series,
        ],
    );
    let frame = || text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &series.frame_of_reference_uid);
    object.put(one(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, [frame(), referenced_study]));

    let (mut regions, mut drawings, mut observations) = (Vec::new(), Vec::new(), Vec::new());
    for (n, (structure, contours)) in written.into_iter().enumerate() {
        let number = n + 1;
        let algorithm = match structure.drawn {
            Drawn::Automatic => "AUTOMATIC",
            Drawn::Semiautomatic => "SEMIAUTOMATIC",
            Drawn::Manual => "MANUAL",
            Drawn::Unknown => "",
        };
        regions.push(item([
            integer(tags::ROI_NUMBER, number),
            text(tags::REFERENCED_FRAME_OF_REFERENCE_UID, VR::UI, &series.frame_of_reference_uid),
            short_text(tags::ROI_NAME, VR::LO, structure.name),
            text(tags::ROI_GENERATION_ALGORITHM, VR::CS, algorithm),
            short_text(tags::ROI_GENERATION_DESCRIPTION, VR::LO, &sentence),
        ]));
        let [r, g, b] = structure.colour;
        drawings.push(item([
            integer(tags::REFERENCED_ROI_NUMBER, number),
            text(tags::ROI_DISPLAY_COLOR, VR::IS, &format!("{r}\\{g}\\{b}")),
            sequence(tags::CONTOUR_SEQUENCE, contours),
        ]));
        let mut observation = item([
            integer(tags::OBSERVATION_NUMBER, number),
            integer(tags::REFERENCED_ROI_NUMBER, number),
            text(tags::RTROI_INTERPRETED_TYPE, VR::CS, structure.interpreted_type),
            text(tags::ROI_INTERPRETER, VR::PN, ""),
        ]);
        if let Some((what, _)) = structure.code {
            observation.put(code(tags::RTROI_IDENTIFICATION_CODE_SEQUENCE, what.value, "SCT", what.meaning));
        }
        observations.push(observation);
    }
    object.put(sequence(tags::STRUCTURE_SET_ROI_SEQUENCE, regions));
    object.put(sequence(tags::ROI_CONTOUR_SEQUENCE, drawings));
    object.put(sequence(tags::RTROI_OBSERVATIONS_SEQUENCE, observations));
    object.put(text(tags::APPROVAL_STATUS, VR::CS, "UNAPPROVED"));
    derived::file(object, derived::IMPLICIT)
}

/// The items of every structure's contour sequence.
fn trace(
    structures: &[Structure],
    geometry: &Geometry,
    slices: &Slices,
    options: &WriteOptions,
) -> Vec<Vec<InMemDicomObject>> {
    let outline = if options.smooth { smooth_outlines } else { edge_outlines };
    let [columns, _, depth] = slices.stored.size;
    // Structures of one label map are traced together.
    let mut maps: Vec<(&[u8], Vec<usize>)> = Vec::new();
    for (n, structure) in structures.iter().enumerate() {
        match maps.iter_mut().find(|(labels, _)| std::ptr::eq(*labels, structure.labels)) {
            Some((_, members)) => members.push(n),
            None => maps.push((structure.labels, vec![n])),
        }
    }
    let traced = map((0..depth).filter(|&k| slices.is_acquired(k)).collect(), |k| {
        let mut traced = Vec::new();
        for (labels, members) in &maps {
            let plane = slices.axes.stored_slice(labels, geometry.size, k);
            let boxes = boxes(&plane, columns);
            for &n in members {
                let label = structures[n].label;
                let Some(bounds) = boxes[usize::from(label)] else { continue };
                let curves: Vec<Curve> = outline(&plane, columns, label, bounds)
                    .into_iter()
                    .map(straightened)
                    .filter(|c| c.len() > 2)
                    .collect();
                traced.push((n, k, curves));
            }
        }
        traced
    });
    let mut found: Vec<Vec<(usize, Vec<Curve>)>> = vec![Vec::new(); structures.len()];
    traced.into_iter().flatten().for_each(|(n, k, curves)| found[n].push((k, curves)));
    let contours = |planes: Vec<(usize, Vec<Curve>)>| {
        let holes = planes.iter().flat_map(|(_, curves)| curves).any(|c| area(c) <= 0.0);
        let (kind, join) = match options.holes {
            Holes::Xor if holes => ("CLOSEDPLANAR_XOR", false),
            _ => ("CLOSED_PLANAR", true),
        };
        let mut items = Vec::new();
        for (k, curves) in planes {
            let curves = if join { keyhole(curves) } else { curves };
            for curve in curves.iter().filter(|c| c.len() > 2) {
                items.push(contour(curve, k, kind, items.len() + 1, slices));
            }
        }
        items
    };
    map(found, contours)
}

/// A curve without the points that lie on a straight line between their neighbours.
fn straightened(curve: Curve) -> Curve {
    let mut kept = Curve::with_capacity(curve.len());
    for (n, &p) in curve.iter().enumerate() {
        let before = kept.last().copied().unwrap_or(curve[curve.len() - 1]);
        let after = curve[(n + 1) % curve.len()];
        let [ax, ay] = [p[0] - before[0], p[1] - before[1]];
        let [bx, by] = [after[0] - p[0], after[1] - p[1]];
        if (ax * by - ay * bx).abs() > 1e-4 * (ax.hypot(ay) * bx.hypot(by)) || ax * bx + ay * by < 0.0 {
            kept.push(p);
        }
    }
    kept
}

/// An item of a contour sequence: the curve in the plane of slice `k`.
fn contour(curve: &Curve, k: usize, kind: &str, number: usize, slices: &Slices) -> InMemDicomObject {
    let origin = slices.position(k);
    let [along, down] = slices.directions;
    let [di, dj, _] = slices.stored.spacing();
    let mut numbers = Vec::with_capacity(3 * curve.len());
    for &[x, y] in curve {
        let (x, y) = (f64::from(x) * di, f64::from(y) * dj);
        numbers.extend((0..3).map(|r| origin[r] + x * along[r] + y * down[r]));
    }
    item([
        integer(tags::CONTOUR_NUMBER, number),
        one(tags::CONTOUR_IMAGE_SEQUENCE, reference(slices.instance(k), true)),
        text(tags::CONTOUR_GEOMETRIC_TYPE, VR::CS, kind),
        integer(tags::NUMBER_OF_CONTOUR_POINTS, curve.len()),
        points(tags::CONTOUR_DATA, &numbers),
    ])
}
