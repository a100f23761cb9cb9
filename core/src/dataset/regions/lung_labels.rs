//! Labels of the lungs by rule, for cases in which nobody drew them.
//!
//! Lungs are nearly alone among the organs in that their density tells them: this marks what is lung-like, joined from slice
//! to slice to the largest section of its side, and closes the holes that vessels leave. A case in which anything is in
//! doubt (sections cut to contours, one lung missing) is left alone: no labels are better than wrong ones.

use super::air::Cells;
use super::extents::{Extents, Scan, heights};
use super::lungs::{self, Lungs};
use crate::anatomy::{Organ, OrganSet};
use crate::preprocess::Body;
use crate::raster;
use crate::volume::{CtVolume, LabelVolume};

/// Smaller pieces are not lungs, in cm2.
const PIECE_CM2: f64 = 0.5;
/// The largest section of either lung must have this, in cm2.
const SECTION_CM2: f64 = 15.0;
/// A piece with less than this share beyond the midline belongs to one side as a whole.
const OTHER_SIDE: f64 = 0.2;
/// Larger holes are not vessels, in cm2.
const HOLE_CM2: f64 = 3.0;

/// Both lungs.
pub const LUNGS: [Organ; 2] = [Organ::LungRight, Organ::LungLeft];

/// Pieces of one slice, patient right and left: in the canonical frame of a volume the patient's left has the higher i.
type Pieces = [Vec<Vec<usize>>; 2];

/// Marks the lungs in `labels`, which lie on the grid of `ct`, where no other organ is marked. False, and nothing is
/// changed, where a lung is annotated already, none is in view, or there is any doubt.
pub fn label_lungs(ct: &CtVolume, body: &Body, labels: &mut LabelVolume, annotated: OrganSet) -> bool {
    if LUNGS.iter().any(|&lung| annotated.contains(lung)) || labels.geometry.size != ct.geometry.size {
        return false;
    }
    let Some(sections) = sections(ct, body, labels, annotated) else { return false };
    let pixels = ct.geometry.size[0] * ct.geometry.size[1];
    for (k, sides) in sections {
        let slice = &mut labels.voxels[k * pixels..][..pixels];
        for (lung, section) in LUNGS.into_iter().zip(sides) {
            for n in section {
                if slice[n] == 0 {
                    slice[n] = lung.label();
                }
            }
        }
    }
    true
}

/// The pixels of both lungs in every slice that shows them.
fn sections(
    ct: &CtVolume,
    body: &Body,
    labels: &LabelVolume,
    annotated: OrganSet,
) -> Option<Vec<(usize, [Vec<usize>; 2])>> {
    let heights = heights(&ct.geometry);
    let filled = |&k: &usize| body.extent(k).is_some();
    let low = (0..heights.len()).find(filled)?;
    let high = (0..heights.len()).rfind(filled)?;
    let extents = Extents::of(Some(labels), annotated, &Scan { heights: &heights, low, high });
    let top = match lungs::find(ct, body, extents.head_ends_at) {
        Lungs::From(first) => first,
        Lungs::AtTop { .. } => high,
        Lungs::Unclear(_) | Lungs::NoneFrom(_) | Lungs::Unseen => return None,
    };
    let cells = |k: usize| Cells::new(ct, body, k, 0.0);
    if (low..=top).any(|k| !cells(k).whole()) {
        return None;
    }
    let cm2 = cells(low).cm2();
    let mut pieces: Vec<Pieces> = (low..=top).map(|k| pieces(&cells(k))).collect();
    for side in 0..2 {
        let area = |p: &Pieces| p[side].iter().map(Vec::len).max().unwrap_or(0);
        let largest = (0..pieces.len()).max_by_key(|&n| area(&pieces[n]))?;
        if area(&pieces[largest]) as f64 * cm2 < SECTION_CM2 {
            return None;
        }
        let main = pieces[largest][side].iter().max_by_key(|p| p.len()).cloned()?;
        pieces[largest][side] = vec![main];
        for n in largest + 1..pieces.len() {
            keep_joined(&mut pieces, side, n, n - 1);
        }
        for n in (0..largest).rev() {
            keep_joined(&mut pieces, side, n, n + 1);
        }
    }
    let width = ct.geometry.size[0];
    let closed = |pieces: Vec<Vec<usize>>| closed(pieces.concat(), width, (HOLE_CM2 / cm2) as usize);
    Some(pieces.into_iter().enumerate().map(|(n, p)| (low + n, p.map(closed))).collect())
}

/// Drops the pieces of slice `n` that lie on none of slice `neighbour`.
fn keep_joined(pieces: &mut [Pieces], side: usize, n: usize, neighbour: usize) {
    let there: std::collections::HashSet<usize> = pieces[neighbour][side].iter().flatten().copied().collect();
    pieces[n][side].retain(|piece| piece.iter().any(|pixel| there.contains(pixel)));
}

/// The lung-like pieces of a slice by side; one that reaches far across the midline is both lungs, grown together.
fn pieces(cells: &Cells<'_>) -> Pieces {
    let mut result = Pieces::default();
    for component in cells.components() {
        let [right, left] = component.sides;
        let (smaller, sum) = (right.min(left), right + left);
        if sum < PIECE_CM2 {
            continue;
        }
        if smaller < OTHER_SIDE * sum {
            result[usize::from(left > right)].push(component.cells);
        } else {
            let (left, right) = component.cells.into_iter().partition(|&n| cells.is_left(n));
            result[0].push(right);
            result[1].push(left);
        }
    }
    result
}

/// `section` with its holes of at most `most` pixels.
fn closed(mut section: Vec<usize>, width: usize, most: usize) -> Vec<usize> {
    let Some((&first, &last)) = section.iter().min().zip(section.iter().max()) else { return section };
    let columns = section.iter().map(|n| n % width);
    let (x0, x1) = columns.fold((width, 0), |(low, high), x| (low.min(x), high.max(x)));
    // The bounding box and a frame of one pixel around it, which is outside.
    let (y0, w, h) = (first / width, x1 - x0 + 3, last / width - first / width + 3);
    let mut open = vec![true; w * h];
    for n in &section {
        open[n % width - x0 + 1 + (n / width - y0 + 1) * w] = false;
    }
    raster::take(&mut open, [w, h, 1], [0]);
    for hole in raster::pieces(open, [w, h, 1]).into_iter().filter(|hole| hole.len() <= most) {
        section.extend(hole.into_iter().map(|n| n % w + x0 - 1 + (n / w + y0 - 1) * width));
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_of_vessels_are_closed_and_larger_ones_are_not() {
        // A frame of 7 x 5 with two holes, of 1 and 4 pixels, in an image 20 wide; then the frame touching the edges.
        for (x0, y0) in [(5, 3), (0, 0)] {
            let hole = |x: usize, y: usize| (x, y) == (1, 1) || (3..5).contains(&x) && (2..4).contains(&y);
            let frame: Vec<usize> = (0..5)
                .flat_map(|y| (0..7).filter(move |&x| !hole(x, y)).map(move |x| x + x0 + (y + y0) * 20))
                .collect();
            let mut small = closed(frame.clone(), 20, 3);
            assert_eq!(small.split_off(frame.len()), [1 + x0 + (1 + y0) * 20]);
            assert_eq!(closed(frame.clone(), 20, 4).len(), 35);
        }
        assert!(closed(Vec::new(), 20, 4).is_empty());
    }
}
