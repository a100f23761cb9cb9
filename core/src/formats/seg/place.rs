//! A segmentation becomes a label map: on the grid of the CT, or, where there is none, on the grid of its own frames.

use super::{DicomSegmentation, DicomSegmentationError};
use crate::formats::structures::{Collected, SeriesLink, Structures, TargetGrid};
use crate::volume::Geometry;

/// How far a pixel's centre may lie from a voxel's, as a part of a voxel.
const SAME_VOXEL: f64 = 0.1;
/// Most voxels of a grid that only the frames tell: nothing else in the file has to be as large, and a map and a second one beside it
/// are to stay within 1 GB.
const MAX_VOXELS: f64 = (1u64 << 29) as f64;

/// Puts a segmentation on a grid; without one, on that of its own frames, which reaches from the first of them to the last.
/// `series` is the CT that the grid is of, if it is one of DICOM.
///
/// # Errors
/// [`DicomSegmentationError`]: another frame of reference or grid than that of the CT; frames that form no grid.
pub fn structures(
    segmentation: &DicomSegmentation,
    grid: Option<&TargetGrid>,
    series: Option<&SeriesLink>,
) -> Result<Structures, DicomSegmentationError> {
    if let Some(ours) = series.map(|s| &s.frame_of_reference_uid) {
        let theirs = &segmentation.frame_of_reference_uid;
        if !theirs.is_empty() && !ours.is_empty() && theirs != ours {
            return Err(DicomSegmentationError::OtherFrame { theirs: theirs.clone(), ours: ours.clone() });
        }
    }
    let own;
    let grid = match grid {
        Some(grid) => grid,
        None => {
            own =
                TargetGrid::new(own_grid(segmentation)?).map_err(|e| DicomSegmentationError::NoGrid(e.to_string()))?;
            &own
        }
    };
    let [columns, _] = segmentation.size;
    let steps = steps(segmentation);
    let size = grid.stored.size;
    let mut collected = Collected::new(grid.clone(), segmentation.warnings.clone());
    for segment in &segmentation.segments {
        let mut mask = vec![0u8; grid.stored.voxel_count()];
        let mut outside = 0;
        for frame in &segment.frames {
            // The frame in voxels of the grid: first pixel, a step along a row, a step down a column.
            let at = grid.stored.to_index(frame.position);
            let ahead = |step: [f64; 3]| {
                let to = grid.stored.to_index(std::array::from_fn(|r| frame.position[r] + step[r]));
                std::array::from_fn::<f64, 3, _>(|r| to[r] - at[r])
            };
            let (along, down) = (ahead(steps[0]), ahead(steps[1]));
            for run in &frame.pixels {
                for p in run.clone() {
                    let (x, y) = ((p % columns) as f64, (p / columns) as f64);
                    let place: [f64; 3] = std::array::from_fn(|r| at[r] + x * along[r] + y * down[r]);
                    if place.iter().any(|v| (v - v.round()).abs() > SAME_VOXEL) {
                        return Err(DicomSegmentationError::OtherGrid);
                    }
                    let [i, j, k] = place.map(|v| v.round());
                    if [i, j, k].iter().zip(size).any(|(v, n)| *v < 0.0 || *v >= n as f64) {
                        outside += 1;
                        continue;
                    }
                    mask[i as usize + size[0] * (j as usize + size[1] * k as usize)] = 1;
                }
            }
        }
        if outside > 0 {
            collected.warnings.push(format!("{}: {outside} voxels lie outside of the CT", segment.label));
        }
        collected.add(segment.organ, &segment.label, segment.colour, "", &mask);
    }
    Ok(collected.finish())
}

/// From a pixel to the next one along a row and down a column, patient LPS mm.
fn steps(segmentation: &DicomSegmentation) -> [[f64; 3]; 2] {
    let [across, down] = segmentation.spacing;
    let o = segmentation.orientation;
    [std::array::from_fn(|r| o[r] * across), std::array::from_fn(|r| o[3 + r] * down)]
}

/// The grid of the frames. Slices without a segment have no frame, so distances are whole multiples of one.
fn own_grid(segmentation: &DicomSegmentation) -> Result<Geometry, DicomSegmentationError> {
    let [along, down] = steps(segmentation);
    let o = segmentation.orientation;
    let normal: [f64; 3] =
        std::array::from_fn(|r| o[(r + 1) % 3] * o[3 + (r + 2) % 3] - o[(r + 2) % 3] * o[3 + (r + 1) % 3]);
    let frames = segmentation.segments.iter().flat_map(|s| &s.frames);
    let height = |p: [f64; 3]| (0..3).map(|r| p[r] * normal[r]).sum::<f64>();
    let mut places: Vec<(f64, [f64; 3])> = frames.map(|f| (height(f.position), f.position)).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.dedup_by(|a, b| (a.0 - b.0).abs() < 0.02);
    let (Some(first), Some(last)) = (places.first(), places.last()) else {
        return Err(DicomSegmentationError::NoGrid("there are none".into()));
    };
    let smallest = places.windows(2).map(|w| w[1].0 - w[0].0).fold(f64::MAX, f64::min);
    let spacing = segmentation.slice_spacing.filter(|s| *s > 0.0).unwrap_or(smallest);
    if !(1e-3..=1e3).contains(&spacing) {
        return Err(DicomSegmentationError::NoGrid("their distance is not given".into()));
    }
    let count = ((last.0 - first.0) / spacing).round();
    let off = places.iter().map(|p| (p.0 - first.0) / spacing).map(|n| (n - n.round()).abs()).fold(0.0, f64::max);
    if off > SAME_VOXEL {
        return Err(DicomSegmentationError::NoGrid(format!("they are not at multiples of {spacing:.3} mm")));
    }
    if (count + 1.0) * (segmentation.size[0] * segmentation.size[1]) as f64 > MAX_VOXELS {
        return Err(DicomSegmentationError::NoGrid(format!("{count} slices of {spacing:.3} mm do not fit in memory")));
    }
    let affine = std::array::from_fn(|r| [along[r], down[r], normal[r] * spacing, first.1[r]]);
    let [columns, rows] = segmentation.size;
    Geometry::new([columns, rows, count as usize + 1], affine)
        .map_err(|e| DicomSegmentationError::NoGrid(e.to_string()))
}
