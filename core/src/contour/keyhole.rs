//! Holes for formats that know none: a curve that goes to the hole, around it and back the same way (DICOM PS3.3 C.8.8.6.3).

use super::{Curve, area};

/// How far beside a hole's border the curve around it is looked for, pixels.
const BESIDE: f32 = 1e-3;

/// Curves without holes that enclose the same: every hole is joined, by a channel of no width along a row, to the curve
/// around it. `curves` are outlines of one label; the order of the outer ones is kept.
pub fn keyhole(curves: Vec<Curve>) -> Vec<Curve> {
    let (mut outer, holes): (Vec<Curve>, Vec<Curve>) = curves.into_iter().partition(|curve| area(curve) > 0.0);
    // Joined to the right ones first to the left of them: the channel to the left then ends at the first line it meets.
    let mut holes: Vec<(usize, Curve)> = holes.into_iter().map(|hole| (leftmost(&hole), hole)).collect();
    holes.sort_by(|(a, one), (b, other)| one[*a][0].total_cmp(&other[*b][0]));
    // Which curve is around which hole is asked of the curves as they were.
    let around: Vec<Option<usize>> = holes.iter().map(|(_, hole)| surrounding(&outer, hole)).collect();
    for ((start, hole), around) in holes.into_iter().zip(around) {
        let Some(n) = around else { continue };
        let joined = join(std::mem::take(&mut outer[n]), &hole, start);
        outer[n] = joined;
    }
    outer
}

/// The leftmost point, the upper one of several.
fn leftmost(curve: &Curve) -> usize {
    let before = |a: [f32; 2], b: [f32; 2]| a[0] < b[0] || a[0] == b[0] && a[1] < b[1];
    (1..curve.len()).fold(0, |best, n| if before(curve[n], curve[best]) { n } else { best })
}

/// The smallest of the outer curves that surrounds a hole.
fn surrounding(outer: &[Curve], hole: &Curve) -> Option<usize> {
    // A point beside the longest edge, on the right of the direction of travel: there the label is.
    let edge = |n: usize| (hole[n], hole[(n + 1) % hole.len()]);
    let length = |n: usize| (edge(n).1[0] - edge(n).0[0]).hypot(edge(n).1[1] - edge(n).0[1]);
    let longest = (0..hole.len()).max_by(|&a, &b| length(a).total_cmp(&length(b)))?;
    let ((a, b), l) = (edge(longest), length(longest));
    let p = [(a[0] + b[0]) / 2.0 - BESIDE * (b[1] - a[1]) / l, (a[1] + b[1]) / 2.0 + BESIDE * (b[0] - a[0]) / l];
    let contains = |curve: &Curve| {
        let next = curve.iter().cycle().skip(1);
        let crosses = |(a, b): &(&[f32; 2], &[f32; 2])| {
            (a[1] <= p[1]) != (b[1] <= p[1]) && a[0] + (b[0] - a[0]) * (p[1] - a[1]) / (b[1] - a[1]) > p[0]
        };
        curve.iter().zip(next).filter(crosses).count() % 2 == 1
    };
    let candidates = (0..outer.len()).filter(|&n| contains(&outer[n]));
    candidates.min_by(|&a, &b| area(&outer[a]).total_cmp(&area(&outer[b])))
}

/// The curve with the hole, whose leftmost point is `start`, as a keyhole.
fn join(curve: Curve, hole: &Curve, start: usize) -> Curve {
    let from = hole[start];
    // The nearest line to the left of the point.
    let mut best: Option<(usize, f32)> = None;
    for (n, a) in curve.iter().enumerate() {
        let b = curve[(n + 1) % curve.len()];
        let (top, bottom) = (a[1].min(b[1]), a[1].max(b[1]));
        if top == bottom || from[1] < top || from[1] > bottom {
            continue;
        }
        let x = a[0] + (b[0] - a[0]) * (from[1] - a[1]) / (b[1] - a[1]);
        if x < from[0] && best.is_none_or(|(_, nearest)| x > nearest) {
            best = Some((n, x));
        }
    }
    // Nothing there: not an outline of one label. As a curve of its own in the same list of points it still counts as a
    // hole wherever curves are filled by the even-odd rule.
    let (edge, x) = best.unwrap_or((curve.len().saturating_sub(1), from[0]));
    let bridge = [x, from[1]];
    let mut joined = Curve::with_capacity(curve.len() + hole.len() + 4);
    let around = hole[start..].iter().chain(&hole[..=start]).copied();
    let points = curve[..=edge].iter().copied().chain([bridge]).chain(around).chain([bridge]);
    for point in points.chain(curve[edge + 1..].iter().copied()) {
        if joined.last() != Some(&point) {
            joined.push(point);
        }
    }
    if joined.len() > 1 && joined.first() == joined.last() {
        joined.pop();
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::{Filler, boxes, edge_outlines, smooth_outlines};
    use super::*;

    fn fill(curves: &[Curve], width: usize, height: usize) -> Vec<u8> {
        let mut filler = Filler::new(width, height);
        curves.iter().for_each(|c| filler.add(c.iter().map(|p| p.map(f64::from))));
        let mut filled = vec![0; width * height];
        filler.fill(|y, x| x.for_each(|x| filled[x + width * y] = 1));
        filled
    }

    #[test]
    fn a_ring_is_one_curve_of_its_own_area() {
        let ring: Vec<u8> = (0..25).map(|n| u8::from(!(n % 5 == 2 && n / 5 == 2))).collect();
        let curves = keyhole(edge_outlines(&ring, 5, 1, [0, 0, 4, 4]));
        assert_eq!(curves.len(), 1);
        assert_eq!(area(&curves[0]), 24.0);
        // Four corners, four of the hole, the one where the channel starts twice, and the hole's first point again.
        assert_eq!(curves[0].len(), 11);
        assert_eq!(fill(&curves, 5, 5), ring);
    }

    #[test]
    fn an_island_in_a_hole_is_a_curve_of_its_own() {
        // Rings within rings: 11 x 11, by distance from the border.
        let ring = |n: usize| [n % 11, n / 11].map(|v| v.min(10 - v)).into_iter().min().unwrap();
        let labels: Vec<u8> = (0..121).map(|n| u8::from(ring(n) % 2 == 0)).collect();
        let curves = keyhole(edge_outlines(&labels, 11, 1, [0, 0, 10, 10]));
        assert_eq!(curves.len(), 3);
        assert_eq!(curves.iter().map(|c| area(c)).sum::<f32>(), labels.iter().map(|&l| f32::from(l)).sum::<f32>());
        assert_eq!(fill(&curves, 11, 11), labels);
    }

    proptest::proptest! {
        #[test]
        fn no_hole_is_left_and_nothing_is_lost(bits in proptest::collection::vec(0u8..4, 12 * 10)) {
            // Three in four are inside: many holes, some of them in islands.
            let labels: Vec<u8> = bits.iter().map(|&b| u8::from(b > 0)).collect();
            let Some(bounds) = boxes(&labels, 12)[1] else { return Ok(()) };
            let curves = keyhole(edge_outlines(&labels, 12, 1, bounds));
            proptest::prop_assert!(curves.iter().all(|c| area(c) > 0.0 && c.len() > 3));
            proptest::prop_assert_eq!(fill(&curves, 12, 10), labels.clone());
            // Also between the pixels: the same area with and without keyholes.
            let smooth = smooth_outlines(&labels, 12, 1, bounds);
            let whole: f32 = smooth.iter().map(|c| area(c)).sum();
            let joined = keyhole(smooth);
            proptest::prop_assert!(joined.iter().all(|c| area(c) > 0.0));
            proptest::prop_assert!((joined.iter().map(|c| area(c)).sum::<f32>() - whole).abs() < 1e-3);
        }
    }
}
