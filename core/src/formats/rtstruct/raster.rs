//! Contours become a label map on the grid of a CT.
//!
//! A voxel belongs to a structure if its centre lies within the contours of its slice, by the even-odd rule over all of them:
//! so holes come out right whether they were drawn as contours in contours or as keyholes. A contour is drawn on the slice
//! that it is closest to.

use super::{Contour, ContourKind, Roi, StructureSet, StructureSetError};
use crate::anatomy::Organ;
use crate::contour::Filler;
use crate::formats::structures::{Collected, SeriesLink, Structures, TargetGrid};

/// Contours further from their slice than this, as a part of the distance of slices, are said to be.
const OFF_PLANE: f64 = 0.1;
/// Contours closer together than this, as a part of the distance of slices, lie in one plane.
const SAME_PLANE: f64 = 0.05;

/// Draws a structure set on a grid. `series` is the CT that the grid is of, if it is one of DICOM.
///
/// # Errors
/// [`StructureSetError::OtherFrame`]: the structure set certainly belongs to another CT.
pub fn structures(
    set: &StructureSet,
    grid: &TargetGrid,
    series: Option<&SeriesLink>,
) -> Result<Structures, StructureSetError> {
    let mut warnings = set.warnings.clone();
    if let Some(series) = series {
        check_link(set, series, &mut warnings)?;
    }
    let mut collected = Collected::new(grid.clone(), warnings);
    for roi in &set.rois {
        let mask = mask(roi, grid, &mut collected.warnings);
        collected.add(Organ::from_name(&roi.name), &roi.name, roi.colour, &roi.interpreted_type, &mask);
    }
    Ok(collected.finish())
}

/// Whether the structure set belongs to the series.
fn check_link(set: &StructureSet, series: &SeriesLink, warnings: &mut Vec<String>) -> Result<(), StructureSetError> {
    let contours = || set.rois.iter().flat_map(|r| &r.contours);
    let named = contours().filter(|c| !c.image.is_empty()).count();
    let known = contours().filter(|c| series.instances.contains(&c.image)).count();
    let (theirs, ours) = (&set.frame_of_reference_uid, &series.frame_of_reference_uid);
    let other_frame = !theirs.is_empty() && !ours.is_empty() && theirs != ours;
    if other_frame && known == 0 {
        return Err(StructureSetError::OtherFrame { theirs: theirs.clone(), ours: ours.clone() });
    }
    if other_frame {
        warnings.push("the structure set names another frame of reference than the CT, but refers to its slices; it was drawn on them".into());
    } else if theirs.is_empty() {
        warnings.push("the structure set names no frame of reference; it was drawn where its coordinates say".into());
    }
    if !set.series_uids.is_empty() && !set.series_uids.contains(&series.series_uid) {
        warnings.push(
            "the structure set refers to another series than the CT; it was drawn where its coordinates say".into(),
        );
    } else if known < named {
        warnings.push(format!(
            "{} of {named} contours refer to slices that are not among those of the CT; they were drawn where their coordinates say",
            named - known
        ));
    }
    Ok(())
}

/// A contour in voxels of the stored grid.
struct Drawn {
    /// Along the slices, a fraction of their distance.
    at: f64,
    points: Vec<[f64; 2]>,
}

/// The mask of an ROI in stored order.
fn mask(roi: &Roi, grid: &TargetGrid, warnings: &mut Vec<String>) -> Vec<u8> {
    let [columns, rows, depth] = grid.stored.size;
    let mut mask = vec![0u8; grid.stored.voxel_count()];
    let mut slices: Vec<Vec<Drawn>> = (0..depth).map(|_| Vec::new()).collect();
    let mut lacks = Lacks::default();
    for contour in &roi.contours {
        match contour.kind {
            ContourKind::Open => lacks.open += 1,
            ContourKind::Other => lacks.points += 1,
            ContourKind::Closed if contour.points.len() < 3 => lacks.short += 1,
            ContourKind::Closed => match placed(contour, grid) {
                None => lacks.oblique += 1,
                Some(drawn) => {
                    let slice = drawn.at.round();
                    // A scan of one slice says nothing about where the next one would be.
                    if slice < 0.0 || slice >= depth as f64 {
                        lacks.outside += 1;
                        continue;
                    }
                    lacks.off_plane += usize::from((drawn.at - slice).abs() > OFF_PLANE);
                    slices[slice as usize].push(drawn);
                }
            },
        }
    }
    for (k, drawn) in slices.iter_mut().enumerate() {
        // Contours of several planes between two slices: those of the plane that is closest.
        let off = |d: &Drawn| (d.at - k as f64).abs();
        let Some(closest) = drawn.iter().min_by(|a, b| off(a).total_cmp(&off(b))).map(|d| d.at) else { continue };
        let before = drawn.len();
        drawn.retain(|d| (d.at - closest).abs() <= SAME_PLANE);
        lacks.between += before - drawn.len();
        let before = drawn.len();
        let mut kept: Vec<&Drawn> = Vec::new();
        for d in drawn.iter() {
            if !kept.iter().any(|k| k.points == d.points) {
                kept.push(d);
            }
        }
        lacks.twice += before - kept.len();
        let mut filler = Filler::new(columns, rows);
        kept.iter().for_each(|d| filler.add(d.points.iter().copied()));
        let plane = &mut mask[k * columns * rows..(k + 1) * columns * rows];
        filler.fill(|row, run| plane[row * columns..][run].fill(1));
    }
    let used: Vec<usize> = (0..depth).filter(|&k| !slices[k].is_empty()).collect();
    lacks.gaps = used.windows(2).map(|w| w[1] - w[0] - 1).sum();
    warnings.extend(lacks.sentences(&roi.name));
    mask
}

/// The contour on the grid; `None` where it is not parallel to the slices.
fn placed(contour: &Contour, grid: &TargetGrid) -> Option<Drawn> {
    let indices: Vec<[f64; 3]> = contour.points.iter().map(|&p| grid.stored.to_index(p)).collect();
    let (low, high) = indices.iter().fold((f64::MAX, f64::MIN), |(l, h), i| (l.min(i[2]), h.max(i[2])));
    let at = indices.iter().map(|i| i[2]).sum::<f64>() / indices.len() as f64;
    (high - low <= 0.5 && at.is_finite()).then(|| Drawn { at, points: indices.iter().map(|i| [i[0], i[1]]).collect() })
}

/// What of an ROI's contours was not taken as it stands.
#[derive(Debug, Default)]
struct Lacks {
    open: usize,
    points: usize,
    short: usize,
    oblique: usize,
    outside: usize,
    off_plane: usize,
    between: usize,
    twice: usize,
    gaps: usize,
}

impl Lacks {
    fn sentences(&self, name: &str) -> Vec<String> {
        [
            (self.open, "open contours, which enclose nothing, were left out"),
            (self.points, "points were left out; only areas become voxels"),
            (self.short, "contours of fewer than three points were left out"),
            (self.oblique, "contours that are not parallel to the slices were left out"),
            (self.outside, "contours lie outside of the CT"),
            (self.off_plane, "contours lie between two slices and were drawn on the closer one"),
            (self.between, "contours were left out because another one lies closer to the same slice"),
            (self.twice, "contours that are there twice were taken once"),
            (self.gaps, "slices between the first and the last contour have none; nothing was filled in"),
        ]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{name}: {n} {what}"))
        .collect()
    }
}
