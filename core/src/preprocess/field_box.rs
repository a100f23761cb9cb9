//! The part of a field in which there is something to see.
//!
//! The field (a square of the model grid, the crop) is made for the widest bodies; of a neck it is air to four fifths. A box
//! holds everything that is not air in any channel of a stack, so that an engine can spare itself the rest.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Air around what is seen that still belongs to the box, in pixels: where voxels between the last pixel of the body and the first
/// one outside get their labels from both.
const MARGIN: usize = 2;
/// Intensities that differ from air's by less than this (10 HU) are air: what a filter leaves far from an edge.
const SEEN: f32 = 2e-3;

/// A box within a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FieldBox {
    /// Side of the field in pixels.
    pub field: usize,
    /// First column and row, `[x, y]`.
    pub offset: [usize; 2],
    /// Columns and rows.
    pub size: [usize; 2],
}

impl FieldBox {
    /// The whole field.
    pub fn whole(field: usize) -> Self {
        Self { field, offset: [0; 2], size: [field; 2] }
    }

    /// Whether it is the whole field.
    pub fn is_whole(&self) -> bool {
        *self == Self::whole(self.field)
    }

    /// Number of its pixels.
    pub fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// The box of what is not air in a `[channels, field, field]` stack of intensities, with a margin; some pixels in the middle where
    /// there is nothing.
    pub fn around(stack: &[f32], field: usize, air: f32) -> Self {
        let [mut columns, mut rows] = [[field, 0]; 2];
        for plane in stack.chunks_exact(field * field) {
            for (y, row) in plane.chunks_exact(field).enumerate() {
                let seen = |v: &f32| (v - air).abs() > SEEN;
                let Some(first) = row.iter().position(seen) else { continue };
                let last = row.iter().rposition(seen).unwrap_or(first);
                columns = [columns[0].min(first), columns[1].max(last + 1)];
                rows = [rows[0].min(y), rows[1].max(y + 1)];
            }
        }
        if rows[1] == 0 {
            [columns, rows] = [[field / 2, field / 2 + 1]; 2];
        }
        let [[x, right], [y, bottom]] =
            [columns, rows].map(|[first, end]| [first.saturating_sub(MARGIN), (end + MARGIN).min(field)]);
        Self { field, offset: [x, y], size: [right - x, bottom - y] }
    }

    /// The box of some columns and rows, counted from the field's first, as far as they lie in it; some pixels in the middle where none
    /// does.
    pub fn of(field: usize, columns: Range<i64>, rows: Range<i64>) -> Self {
        let within =
            [columns, rows].map(|pixels| [pixels.start, pixels.end].map(|n| n.clamp(0, field as i64) as usize));
        let within = if within.iter().any(|[first, end]| first >= end) {
            [[(field / 2).saturating_sub(MARGIN), (field / 2 + 1 + MARGIN).min(field)]; 2]
        } else {
            within
        };
        Self { field, offset: within.map(|[first, _]| first), size: within.map(|[first, end]| end - first) }
    }

    /// The smallest box that holds both.
    pub fn hull(&self, other: &Self) -> Self {
        let offset = [0, 1].map(|a| self.offset[a].min(other.offset[a]));
        let end = |b: &Self, a: usize| b.offset[a] + b.size[a];
        let size = [0, 1].map(|a| end(self, a).max(end(other, a)) - offset[a]);
        Self { field: self.field, offset, size }
    }

    /// A box of `size` columns and rows with this one in its middle, or nearer to an edge where the field ends.
    pub fn grown_to(&self, size: [usize; 2]) -> Self {
        let offset = [0, 1].map(|a| {
            let before = size[a].saturating_sub(self.size[a]) / 2;
            self.offset[a].saturating_sub(before).min(self.field - size[a])
        });
        Self { field: self.field, offset, size }
    }

    /// Planes of this box from planes of `other`, which may cover more or less of the same field; `outside` where `other` has
    /// nothing.
    pub fn cut<T: Copy>(&self, planes: &[T], other: &Self, outside: T) -> Vec<T> {
        let channels = planes.len() / other.pixels();
        let mut result = vec![outside; channels * self.pixels()];
        // Shared columns and rows, in pixels of the field.
        let shared = |axis: usize| {
            let end = |b: &Self| b.offset[axis] + b.size[axis];
            self.offset[axis].max(other.offset[axis])..end(self).min(end(other))
        };
        let (columns, rows) = (shared(0), shared(1));
        if columns.is_empty() {
            return result;
        }
        for (to, from) in result.chunks_exact_mut(self.pixels()).zip(planes.chunks_exact(other.pixels())) {
            for y in rows.clone() {
                let at = |b: &Self| (y - b.offset[1]) * b.size[0] + columns.start - b.offset[0];
                to[at(self)..][..columns.len()].copy_from_slice(&from[at(other)..][..columns.len()]);
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two channels that are air but for a rectangle in the second.
    fn stack(field: usize, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> Vec<f32> {
        let mut stack = vec![0.0; 2 * field * field];
        for y in rows {
            stack[(field + y) * field..][columns.clone()].fill(0.3);
        }
        stack
    }

    #[test]
    fn a_box_holds_what_is_seen_in_any_channel_with_its_margin_and_not_more() {
        for (columns, rows) in [(20..61, 33..40), (0..1, 159..160), (12..148, 70..90), (47..48, 0..160)] {
            let found = FieldBox::around(&stack(160, columns.clone(), rows.clone()), 160, 0.0);
            for (axis, range) in [columns, rows].into_iter().enumerate() {
                let (first, end) = (found.offset[axis], found.offset[axis] + found.size[axis]);
                assert_eq!(first, range.start.saturating_sub(MARGIN));
                assert_eq!(end, (range.end + MARGIN).min(160));
            }
        }
    }

    #[test]
    fn air_is_what_air_is_taken_for_and_nothing_is_a_few_pixels() {
        let nothing = FieldBox::around(&stack(160, 0..0, 0..0), 160, 0.0);
        assert!(nothing.pixels() > 0 && nothing.pixels() < 64 && !nothing.is_whole());
        // Air need not be 0, and what a filter leaves is air.
        let faint: Vec<f32> = stack(160, 30..40, 30..40).iter().map(|v| 0.1 + 1e-3 * v).collect();
        assert_eq!(FieldBox::around(&faint, 160, 0.1), nothing);
        assert!(FieldBox::around(&[0.5; 16 * 16], 16, 0.0).is_whole());
    }

    #[test]
    fn a_box_grows_around_itself_and_stays_in_the_field() {
        let small = FieldBox { field: 64, offset: [2, 40], size: [10, 12] };
        assert_eq!(small.grown_to([16, 32]), FieldBox { field: 64, offset: [0, 30], size: [16, 32] });
        assert_eq!(small.grown_to([64, 48]), FieldBox { field: 64, offset: [0, 16], size: [64, 48] });
        let other = FieldBox { field: 64, offset: [8, 10], size: [20, 4] };
        assert_eq!(small.hull(&other), FieldBox { field: 64, offset: [2, 10], size: [26, 42] });
    }

    #[test]
    fn what_is_cut_out_and_put_back_stands_where_it_stood() {
        let whole = FieldBox::whole(64);
        let stack: Vec<f32> = (0..2 * 64 * 64).map(|n| n as f32).collect();
        let part = FieldBox { field: 64, offset: [33, 16], size: [15, 48] };
        let cut = part.cut(&stack, &whole, -1.0);
        assert_eq!(cut.len(), 2 * part.pixels());
        assert_eq!(cut[15 * 48 + 15 + 2], stack[64 * 64 + 17 * 64 + 35]);
        let back = whole.cut(&cut, &part, -1.0);
        for (n, (a, b)) in back.iter().zip(&stack).enumerate() {
            let (x, y) = (n % 64, n / 64 % 64);
            assert_eq!(*a, if (33..48).contains(&x) && y >= 16 { *b } else { -1.0 });
        }
        let elsewhere = FieldBox { field: 64, offset: [0, 0], size: [16, 16] };
        assert!(elsewhere.cut(&cut, &part, -1.0).iter().all(|v| *v == -1.0));
    }
}
