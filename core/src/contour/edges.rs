//! Outlines along the borders of pixels.

use super::Curve;

/// Directions of travel: to the right, down, to the left, up.
const STEPS: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/// The outlines of `label` within its bounding box, along the borders of its pixels, holes as further curves. Only
/// corners are points, at odd multiples of one half.
///
/// Pixels that touch at a corner only are apart (the label is 4-connected, what is around it 8-connected), so no curve
/// crosses itself or another one; a hole may touch itself at a corner.
pub fn edge_outlines(labels: &[u8], width: usize, label: u8, bounds: [usize; 4]) -> Vec<Curve> {
    let [x0, y0, x1, y1] = bounds;
    let inside = |x: isize, y: isize| {
        let within = x >= x0 as isize && x <= x1 as isize && y >= y0 as isize && y <= y1 as isize;
        within && labels[x as usize + width * y as usize] == label
    };
    let columns = x1 - x0 + 1;
    // Upper borders that a curve has passed.
    let mut passed = vec![false; columns * (y1 - y0 + 1)];
    let mut curves = Vec::new();
    for y in y0 as isize..=y1 as isize {
        for x in x0 as isize..=x1 as isize {
            let at = |x: isize, y: isize| (x as usize - x0) + columns * (y as usize - y0);
            if !inside(x, y) || inside(x, y - 1) || passed[at(x, y)] {
                continue;
            }
            let mut curve = Curve::new();
            // The corner (x, y) is the upper left one of the pixel (x, y).
            let (mut corner, mut direction) = ([x, y], 0);
            loop {
                // The pixels on the right and on the left of the border that follows the corner in this direction.
                let pixels = |corner: [isize; 2], direction: usize| {
                    let [cx, cy] = corner;
                    match direction {
                        0 => ([cx, cy], [cx, cy - 1]),
                        1 => ([cx - 1, cy], [cx, cy]),
                        2 => ([cx - 1, cy - 1], [cx - 1, cy]),
                        _ => ([cx, cy - 1], [cx - 1, cy - 1]),
                    }
                };
                if direction == 0 {
                    let (right, _) = pixels(corner, 0);
                    if std::mem::replace(&mut passed[at(right[0], right[1])], true) {
                        break;
                    }
                }
                let [dx, dy] = STEPS[direction];
                corner = [corner[0] + dx, corner[1] + dy];
                let (right, left) = pixels(corner, direction);
                let turn = match (inside(right[0], right[1]), inside(left[0], left[1])) {
                    (false, _) => 1,
                    (true, true) => 3,
                    (true, false) => 0,
                };
                if turn != 0 {
                    curve.push(corner.map(|v| v as f32 - 0.5));
                    direction = (direction + turn) % 4;
                }
            }
            curves.push(curve);
        }
    }
    curves
}

#[cfg(test)]
mod tests {
    use super::super::{Filler, area, boxes};
    use super::*;

    fn picture(text: &[&str]) -> (Vec<u8>, usize) {
        (text.iter().flat_map(|row| row.bytes().map(|b| u8::from(b == b'#'))).collect(), text[0].len())
    }

    #[test]
    fn a_square_has_four_corners_at_its_borders() {
        let (labels, width) = picture(&["....", ".##.", ".##.", "...."]);
        let curves = edge_outlines(&labels, width, 1, [1, 1, 2, 2]);
        assert_eq!(curves, [vec![[2.5, 0.5], [2.5, 2.5], [0.5, 2.5], [0.5, 0.5]]]);
        assert_eq!(area(&curves[0]), 4.0);
    }

    #[test]
    fn holes_go_the_other_way_and_corners_do_not_join() {
        let (labels, width) = picture(&["####.", "#..#.", "#.##.", "####.", "....#"]);
        let curves = edge_outlines(&labels, width, 1, [0, 0, 4, 4]);
        let mut areas: Vec<f32> = curves.iter().map(|c| area(c)).collect();
        areas.sort_by(f32::total_cmp);
        assert_eq!(areas, [-3.0, 1.0, 16.0]);
        // A hole of two pixels that touch at a corner is one curve.
        let (labels, width) = picture(&["####", "#.##", "##.#", "####"]);
        let areas: Vec<f32> = edge_outlines(&labels, width, 1, [0, 0, 3, 3]).iter().map(|c| area(c)).collect();
        assert_eq!(areas, [16.0, -2.0]);
    }

    proptest::proptest! {
        #[test]
        fn filling_gives_every_picture_back(bits in proptest::collection::vec(0u8..2, 9 * 7)) {
            let Some(bounds) = boxes(&bits, 9)[1] else { return Ok(()) };
            let curves = edge_outlines(&bits, 9, 1, bounds);
            let total: f32 = curves.iter().map(|c| area(c)).sum();
            proptest::prop_assert_eq!(total, bits.iter().filter(|&&b| b == 1).count() as f32);
            let mut filler = Filler::new(9, 7);
            curves.iter().for_each(|c| filler.add(c.iter().map(|p| p.map(f64::from))));
            let mut filled = vec![0u8; bits.len()];
            filler.fill(|y, x| x.for_each(|x| filled[x + 9 * y] = 1));
            proptest::prop_assert_eq!(filled, bits);
        }
    }
}
