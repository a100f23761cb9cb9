//! Outlines between the voxels. Marching squares at one half on the organ's mask after a quadratic B-spline
//! (weights 1, 6, 1 over 8 along each axis): straight edges stay where they are, stairs become slopes, and a single
//! voxel does not vanish.

use super::Curve;

/// The outlines of `label` within its bounding box, holes as further curves; inside is on the right of the direction
/// of travel as seen on a screen.
pub fn smooth_outlines(labels: &[u8], width: usize, label: u8, bounds: [usize; 4]) -> Vec<Curve> {
    let [x0, y0, x1, y1] = bounds;
    // Two pixels of background all around: one that the smoothing fills, one that closes the curve.
    let (w, h) = (x1 - x0 + 5, y1 - y0 + 5);
    let mut mask = vec![0i32; w * h];
    for y in y0..=y1 {
        for x in x0..=x1 {
            mask[(x - x0 + 2) + w * (y - y0 + 2)] = i32::from(labels[x + width * y] == label);
        }
    }
    let mut rows = mask.clone();
    for n in 1..w * h - 1 {
        rows[n] = mask[n - 1] + 6 * mask[n] + mask[n + 1];
    }
    let mut values = vec![0i32; w * h];
    for n in w..w * (h - 1) {
        values[n] = rows[n - w] + 6 * rows[n] + rows[n + w];
    }
    // Out of 64; exactly one half counts as inside.
    let level = 31.5f32;
    let at = |x: usize, y: usize| values[x + w * y] as f32 - level;
    // Crossings are numbered by the grid edge they lie on: even to the right of a pixel, odd below it.
    const NONE: u32 = u32::MAX;
    let mut next = vec![NONE; 2 * w * h];
    for y in 0..h - 1 {
        for x in 0..w - 1 {
            let corners = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)];
            let case = (0..4).fold(0, |bits, n| bits | usize::from(corners[n] > 0.0) << n);
            if case == 0 || case == 15 {
                continue;
            }
            let n = x + w * y;
            let (top, left, bottom, right) = (2 * n, 2 * n + 1, 2 * (n + w), 2 * (n + 1) + 1);
            let joined = corners.iter().sum::<f32>() > 0.0;
            let mut link = |from: usize, to: usize| next[from] = to as u32;
            match case {
                1 => link(top, left),
                2 => link(right, top),
                4 => link(bottom, right),
                8 => link(left, bottom),
                3 => link(right, left),
                6 => link(bottom, top),
                12 => link(left, right),
                9 => link(top, bottom),
                7 => link(bottom, left),
                11 => link(right, bottom),
                13 => link(top, right),
                14 => link(left, top),
                5 if joined => {
                    link(top, right);
                    link(bottom, left);
                }
                5 => {
                    link(top, left);
                    link(bottom, right);
                }
                10 if joined => {
                    link(left, top);
                    link(right, bottom);
                }
                _ => {
                    link(right, top);
                    link(left, bottom);
                }
            }
        }
    }
    let point = |edge: usize| {
        let (x, y) = (edge / 2 % w, edge / 2 / w);
        let a = at(x, y);
        let (dx, dy) =
            if edge.is_multiple_of(2) { (a / (a - at(x + 1, y)), 0.0) } else { (0.0, a / (a - at(x, y + 1))) };
        [(x + x0) as f32 + dx - 2.0, (y + y0) as f32 + dy - 2.0]
    };
    let mut curves = Vec::new();
    for start in 0..next.len() {
        let mut curve = Curve::new();
        let mut edge = start;
        while next[edge] != NONE {
            curve.push(point(edge));
            edge = std::mem::replace(&mut next[edge], NONE) as usize;
        }
        if curve.len() > 2 {
            curves.push(curve);
        }
    }
    curves
}

#[cfg(test)]
mod tests {
    use super::super::{area, boxes};
    use super::*;

    fn total(curves: &[Curve]) -> f32 {
        curves.iter().map(|c| area(c)).sum()
    }

    fn disc(n: usize, radius: f32, hole: f32) -> Vec<u8> {
        let c = (n as f32 - 1.0) / 2.0;
        let r = |i: usize| ((i % n) as f32 - c).hypot((i / n) as f32 - c);
        (0..n * n).map(|i| if r(i) <= radius && r(i) >= hole { 7 } else { 0 }).collect()
    }

    #[test]
    fn a_ring_has_an_outer_and_an_inner_curve_and_the_area_of_a_ring() {
        let labels = disc(61, 25.0, 10.0);
        let b = boxes(&labels, 61)[7].unwrap();
        assert_eq!(b, [5, 5, 55, 55]);
        let curves = smooth_outlines(&labels, 61, 7, b);
        assert_eq!(curves.len(), 2);
        let expected = std::f32::consts::PI * (625.0 - 100.0);
        assert!((total(&curves) / expected - 1.0).abs() < 0.01, "{} {expected}", total(&curves));
        let far = curves[0].iter().map(|p| (p[0] - 30.0).hypot(p[1] - 30.0)).fold(0.0, f32::max);
        assert!((far - 25.0).abs() < 0.6, "{far}");
    }

    #[test]
    fn a_straight_edge_stays_half_way_between_the_pixels() {
        let labels: Vec<u8> =
            (0..400).map(|n| u8::from((5..15).contains(&(n % 20)) && (5..15).contains(&(n / 20)))).collect();
        let curves = smooth_outlines(&labels, 20, 1, [5, 5, 14, 14]);
        assert_eq!(curves.len(), 1);
        let left = curves[0].iter().filter(|p| (8.0..12.0).contains(&p[1])).map(|p| p[0]).fold(f32::MAX, f32::min);
        assert!((left - 4.5).abs() < 0.03, "{left}");
    }

    #[test]
    fn single_voxels_and_the_picture_edge_still_give_closed_curves() {
        assert_eq!(smooth_outlines(&[9], 1, 9, [0, 0, 0, 0]).len(), 1);
        let full = vec![3u8; 12];
        let curves = smooth_outlines(&full, 4, 3, [0, 0, 3, 2]);
        assert_eq!(curves.len(), 1);
        assert!((total(&curves) - 12.0).abs() < 1.0);
        // Two voxels that touch at a corner.
        assert!(!smooth_outlines(&[1, 0, 0, 1], 2, 1, [0, 0, 1, 1]).is_empty());
    }
}
