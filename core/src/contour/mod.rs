//! Outlines of label maps as closed curves, and back.
//!
//! A plane of labels is outlined along the borders of its pixels ([`edge_outlines`]: nothing is lost, and filling the curves
//! gives the same pixels back) or between them ([`smooth_outlines`]: what people would draw). Holes are curves of their
//! own; [`keyhole`] joins them to the curve around them where a format knows no holes. [`Filler`] fills curves.
//!
//! Points are `[x, y]` in pixels and pixel centres are whole numbers. Inside is on the right of the direction of travel as
//! seen on a screen (y downwards), so that [`area`] is positive for outer curves and negative for holes.

mod edges;
mod fill;
mod keyhole;
mod smooth;

pub use edges::edge_outlines;
pub use fill::Filler;
pub use keyhole::keyhole;
pub use smooth::smooth_outlines;

use crate::raster::label_runs;

/// A closed curve; points are `[x, y]` in pixels, pixel centres are whole numbers. The first point is not repeated.
pub type Curve = Vec<[f32; 2]>;

/// Bounding boxes `[x0, y0, x1, y1]` (inclusive) of every number in a `width`-wide picture; `None` for absent ones.
pub fn boxes(labels: &[u8], width: usize) -> Vec<Option<[usize; 4]>> {
    let mut boxes: Vec<Option<[usize; 4]>> = vec![None; 256];
    for (y, row) in labels.chunks_exact(width).enumerate() {
        label_runs(row, |label, start, end| {
            let b = boxes[usize::from(label)].get_or_insert([start, y, end - 1, y]);
            *b = [b[0].min(start), b[1], b[2].max(end - 1), y];
        });
    }
    boxes
}

/// Area within a curve, in pixels; negative for a hole.
pub fn area(curve: &[[f32; 2]]) -> f32 {
    let next = curve.iter().cycle().skip(1);
    curve.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>() / 2.0
}
