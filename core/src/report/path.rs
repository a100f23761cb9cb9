//! Outlines as the path data of SVG: curves and not pixels, so that they stay sharp at any size and on paper, can be
//! switched off to see the CT beneath, and carry the organ's name.

use std::fmt::Write;

use crate::contour::Curve;

/// Curves as SVG path data in tenths of a pixel with (0, 0) at the picture's upper left corner, relative and without
/// the points that lie on a straight line.
pub fn path_data(curves: &[Curve]) -> String {
    let mut out = String::new();
    for curve in curves {
        let tenth = |v: f32| ((v + 0.5) * 10.0).round() as i32;
        let mut points: Vec<[i32; 2]> = curve.iter().map(|p| [tenth(p[0]), tenth(p[1])]).collect();
        points.dedup();
        let mut kept: Vec<[i32; 2]> = Vec::with_capacity(points.len());
        for (n, &p) in points.iter().enumerate() {
            let (Some(&before), after) = (kept.last(), points[(n + 1) % points.len()]) else {
                kept.push(p);
                continue;
            };
            let cross = (p[0] - before[0]) * (after[1] - p[1]) - (p[1] - before[1]) * (after[0] - p[0]);
            let ahead = (p[0] - before[0]) * (after[0] - p[0]) + (p[1] - before[1]) * (after[1] - p[1]);
            if cross != 0 || ahead < 0 {
                kept.push(p);
            }
        }
        let Some((&first, rest)) = kept.split_first() else { continue };
        let _ = write!(out, "M{} {}", first[0], first[1]);
        let mut last = first;
        for (n, &p) in rest.iter().enumerate() {
            out.push_str(if n == 0 { "l" } else { " " });
            let (dx, dy) = (p[0] - last[0], p[1] - last[1]);
            let _ = write!(out, "{dx}{}{dy}", if dy < 0 { "" } else { " " });
            last = p;
        }
        out.push('z');
    }
    // A minus sign separates numbers by itself.
    out.replace(" -", "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contour::smooth_outlines;

    #[test]
    fn straight_edges_are_few_points() {
        let labels: Vec<u8> =
            (0..400).map(|n| u8::from((5..15).contains(&(n % 20)) && (5..15).contains(&(n / 20)))).collect();
        let path = path_data(&smooth_outlines(&labels, 20, 1, [5, 5, 14, 14]));
        assert!(path.starts_with('M') && path.ends_with('z') && path.len() < 120, "{path}");
    }
}
