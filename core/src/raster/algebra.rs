//! What planners do with structures: a margin around one, one and another, one without another, only what lies in the body.
//!
//! A mask has a number for each voxel of a grid, not 0 inside. A margin is exact: a voxel belongs to the structure with its margin if
//! its centre lies within the margin of the centre of a voxel of the structure. With a margin of its own for each of the six
//! directions that is an ellipsoid in each of eight octants, which is what treatment planning systems draw.
//!
//! The distance to the structure, in margins, is the sum of a convex cost along each axis, so its smallest value is found along one axis
//! after the other by a lower envelope, as with [`squared_distances`](super::squared_distances), in linear time for any margin.

use std::ops::Range;

/// How far from a structure voxels still belong to it, in mm, for each axis of the grid: towards lower and towards higher indices. On a
/// canonical grid that is right and left, anterior and posterior, inferior and superior.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Margin {
    /// Towards lower indices, mm.
    pub lower: [f64; 3],
    /// Towards higher indices, mm.
    pub higher: [f64; 3],
}

impl Margin {
    /// The same in all directions, mm.
    pub fn uniform(mm: f64) -> Self {
        Self { lower: [mm; 3], higher: [mm; 3] }
    }

    /// The same to both sides along each axis, mm.
    pub fn symmetric(mm: [f64; 3]) -> Self {
        Self { lower: mm, higher: mm }
    }

    /// The two sides of each axis exchanged: what a structure loses to a margin is what its surroundings gain by this one.
    fn reversed(self) -> Self {
        Self { lower: self.higher, higher: self.lower }
    }
}

/// Voxels of the one or the other.
pub fn union(a: &[u8], b: &[u8]) -> Vec<u8> {
    combine(a, b, |a, b| a || b)
}

/// Voxels of both.
pub fn intersection(a: &[u8], b: &[u8]) -> Vec<u8> {
    combine(a, b, |a, b| a && b)
}

/// Voxels of `a` that are not of `b`.
pub fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    combine(a, b, |a, b| a && !b)
}

fn combine(a: &[u8], b: &[u8], both: impl Fn(bool, bool) -> bool) -> Vec<u8> {
    assert_eq!(a.len(), b.len(), "masks of one grid");
    a.iter().zip(b).map(|(&a, &b)| u8::from(both(a != 0, b != 0))).collect()
}

/// A structure with a margin around it. `size` and `spacing` (mm) are the grid's. Nothing is added beyond the grid. A margin that is not
/// above 0 adds nothing to its side.
pub fn grow(mask: &[u8], size: [usize; 3], spacing: [f64; 3], margin: Margin) -> Vec<u8> {
    assert_eq!(mask.len(), size.iter().product::<usize>(), "one number for each voxel of the grid");
    let mut out: Vec<u8> = mask.iter().map(|&v| u8::from(v != 0)).collect();
    let Some(own) = bounds(&out, size) else { return out };
    let reach: [Range<usize>; 3] = std::array::from_fn(|a| {
        let steps = |mm: f64| (mm.max(0.0) / spacing[a]).min(size[a] as f64) as usize + 1;
        own[a].start.saturating_sub(steps(margin.lower[a]))..(own[a].end + steps(margin.higher[a])).min(size[a])
    });
    within(&mut out, size, spacing, margin, &reach);
    out
}

/// A structure without a margin at its surface. What the grid cuts is taken to go on beyond it, so nothing is taken away there.
pub fn shrink(mask: &[u8], size: [usize; 3], spacing: [f64; 3], margin: Margin) -> Vec<u8> {
    assert_eq!(mask.len(), size.iter().product::<usize>(), "one number for each voxel of the grid");
    let mut outside: Vec<u8> = mask.iter().map(|&v| u8::from(v == 0)).collect();
    let inside: Vec<u8> = outside.iter().map(|&v| 1 - v).collect();
    let Some(own) = bounds(&inside, size) else { return inside };
    // One voxel more on every side: the nearest of what is outside is always next to the structure or within its box.
    let reach = std::array::from_fn(|a| own[a].start.saturating_sub(1)..(own[a].end + 1).min(size[a]));
    within(&mut outside, size, spacing, margin.reversed(), &reach);
    outside.iter().map(|&v| 1 - v).collect()
}

/// The part of a structure that lies in another one, the body for instance, and at least `inset_mm` from its surface.
pub fn crop_to(mask: &[u8], other: &[u8], size: [usize; 3], spacing: [f64; 3], inset_mm: f64) -> Vec<u8> {
    if inset_mm > 0.0 {
        return intersection(mask, &shrink(other, size, spacing, Margin::uniform(inset_mm)));
    }
    intersection(mask, other)
}

/// The part of a structure that lies outside of another one, and further than `gap_mm` from it.
pub fn crop_from(mask: &[u8], other: &[u8], size: [usize; 3], spacing: [f64; 3], gap_mm: f64) -> Vec<u8> {
    if gap_mm > 0.0 {
        return difference(mask, &grow(other, size, spacing, Margin::uniform(gap_mm)));
    }
    difference(mask, other)
}

/// The voxels from the first to the last of a mask along each axis.
fn bounds(mask: &[u8], [w, h, _]: [usize; 3]) -> Option<[Range<usize>; 3]> {
    let mut found: Option<[Range<usize>; 3]> = None;
    for (n, row) in mask.chunks_exact(w.max(1)).enumerate() {
        let Some(first) = row.iter().position(|&v| v != 0) else { continue };
        let last = row.iter().rposition(|&v| v != 0).unwrap_or(first);
        let (y, z) = (n % h, n / h);
        let bounds = found.get_or_insert([first..last + 1, y..y + 1, z..z + 1]);
        for (range, [low, high]) in bounds.iter_mut().zip([[first, last], [y, y], [z, z]]) {
            *range = range.start.min(low)..range.end.max(high + 1);
        }
    }
    found
}

/// How much further than a margin of 1 a voxel may lie for the rounding of what is kept between the axes.
const ROUNDING: f32 = 1e-5;

/// Sets to 1 what lies within the margin of a voxel that is 1, as far as the box `reach` goes.
fn within(mask: &mut [u8], size: [usize; 3], spacing: [f64; 3], margin: Margin, reach: &[Range<usize>; 3]) {
    let side: [usize; 3] = std::array::from_fn(|a| reach[a].len());
    let row = |y: usize, z: usize| reach[0].start + size[0] * (reach[1].start + y + size[1] * (reach[2].start + z));
    let rows: Vec<(usize, usize)> = (0..side[2]).flat_map(|z| (0..side[1]).map(move |y| (y, z))).collect();
    let mut field = Vec::with_capacity(side.iter().product());
    for &(y, z) in &rows {
        field.extend(mask[row(y, z)..][..side[0]].iter().map(|&v| if v == 0 { f32::INFINITY } else { 0.0 }));
    }
    let step = [1, side[0], side[0] * side[1]];
    for axis in 0..3 {
        let cost = Cost::of(margin.lower[axis] / spacing[axis], margin.higher[axis] / spacing[axis]);
        let Some(cost) = cost else { continue };
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut line = vec![0.0f32; side[axis]];
        let mut envelope = Vec::new();
        for p in 0..side[u] {
            for q in 0..side[v] {
                let start = p * step[u] + q * step[v];
                (0..side[axis]).for_each(|n| line[n] = field[start + n * step[axis]]);
                cost.lower_envelope(&line, &mut envelope);
                cost.write(&line, &envelope, |n, value| field[start + n * step[axis]] = value);
            }
        }
    }
    for (&(y, z), values) in rows.iter().zip(field.chunks_exact(side[0])) {
        for (v, &value) in mask[row(y, z)..][..side[0]].iter_mut().zip(values) {
            *v = u8::from(*v != 0 || value <= 1.0 + ROUNDING);
        }
    }
}

/// What it costs to go along an axis: the square of the way in margins, with a margin for each direction.
struct Cost {
    /// One over the square of the margin in voxels, towards lower and towards higher indices.
    lower: f64,
    higher: f64,
}

impl Cost {
    /// Margins in voxels; `None` where neither reaches the next voxel.
    fn of(lower: f64, higher: f64) -> Option<Self> {
        // A margin of less than a voxel reaches nothing, whatever it is.
        let rate = |margin: f64| margin.max(1e-3).powi(-2);
        (lower.max(higher) >= 1.0 - f64::from(ROUNDING)).then(|| Self { lower: rate(lower), higher: rate(higher) })
    }

    /// Of going from a voxel to another one `by` indices higher.
    fn at(&self, by: f64) -> f64 {
        by * by * if by < 0.0 { self.lower } else { self.higher }
    }

    /// Where going on from `q` with `at_q` begins to cost less than from `p` with `at_p`, for p < q. The difference of the two costs
    /// only grows along the axis, so there is one such place.
    fn meeting(&self, p: f64, at_p: f64, q: f64, at_q: f64) -> f64 {
        let (more, between) = (at_q - at_p, q - p);
        // Both towards lower indices, both towards higher ones, or in between.
        if more <= self.at(0.0) - self.at(-between) {
            return 0.5 * (more / self.lower / between + p + q);
        }
        if more >= self.at(between) {
            return 0.5 * (more / self.higher / between + p + q);
        }
        // higher t^2 - lower (t - between)^2 = more, with t from p, between 0 and `between`.
        let (a, b, c) = (self.higher - self.lower, 2.0 * self.lower * between, -self.lower * between * between - more);
        let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
        p + -2.0 * c / (b + root)
    }

    /// Which voxels of a line the others are reached from at the least cost, and from where on.
    fn lower_envelope(&self, line: &[f32], envelope: &mut Vec<(usize, f64)>) {
        envelope.clear();
        // What lies further than the margin already reaches nothing.
        for (n, &value) in line.iter().enumerate().filter(|(_, v)| **v <= 1.0 + ROUNDING) {
            let mut from = f64::NEG_INFINITY;
            while let Some(&(last, last_from)) = envelope.last() {
                let meeting = self.meeting(last as f64, line[last].into(), n as f64, value.into());
                if meeting > last_from {
                    from = meeting;
                    break;
                }
                envelope.pop();
            }
            envelope.push((n, from));
        }
    }

    fn write(&self, line: &[f32], envelope: &[(usize, f64)], mut put: impl FnMut(usize, f32)) {
        if envelope.is_empty() {
            return;
        }
        let mut at = 0;
        for n in 0..line.len() {
            while envelope.get(at + 1).is_some_and(|next| next.1 < n as f64) {
                at += 1;
            }
            let vertex = envelope[at].0;
            put(n, (f64::from(line[vertex]) + self.at(n as f64 - vertex as f64)) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 3] = [23, 17, 11];
    const SPACING: [f64; 3] = [0.9, 1.3, 3.0];

    fn count(mask: &[u8]) -> usize {
        mask.iter().filter(|&&v| v != 0).count()
    }

    fn random(seed: u64, one_of: u64) -> Vec<u8> {
        let mut state = seed;
        (0..SIZE.iter().product::<usize>())
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                u8::from((state >> 33).is_multiple_of(one_of))
            })
            .collect()
    }

    fn place(n: usize) -> [f64; 3] {
        let at = [n % SIZE[0], n / SIZE[0] % SIZE[1], n / (SIZE[0] * SIZE[1])];
        std::array::from_fn(|a| at[a] as f64 * SPACING[a])
    }

    /// Every voxel against every voxel of the structure.
    fn by_trying(mask: &[u8], margin: Margin) -> Vec<u8> {
        let seeds: Vec<[f64; 3]> = (0..mask.len()).filter(|&n| mask[n] != 0).map(place).collect();
        let reached = |n: usize| {
            let at = place(n);
            seeds.iter().any(|seed| {
                let part = |a: usize| {
                    let way = at[a] - seed[a];
                    let mm = if way < 0.0 { margin.lower[a] } else { margin.higher[a] };
                    if way == 0.0 { 0.0 } else { (way / mm.max(1e-9)).powi(2) }
                };
                part(0) + part(1) + part(2) <= 1.0 + 1e-9
            })
        };
        (0..mask.len()).map(|n| u8::from(reached(n))).collect()
    }

    fn margins() -> [Margin; 7] {
        [
            Margin::uniform(0.0),
            Margin::uniform(0.5),
            // Exactly three voxels along i; a distance that is met to the last digit belongs to the margin.
            Margin::uniform(2.7),
            Margin::uniform(6.31),
            Margin::symmetric([4.0, 0.0, 7.0]),
            Margin { lower: [1.0, 5.3, 0.0], higher: [6.0, 2.1, 9.5] },
            Margin { lower: [0.0, 40.0, 3.0], higher: [2.0, 0.0, 0.0] },
        ]
    }

    #[test]
    fn a_margin_is_that_by_trying_all_voxels() {
        for (seed, one_of) in [(1, 400), (2, 60), (3, 5)] {
            let mask = random(seed, one_of);
            for margin in margins() {
                let grown = grow(&mask, SIZE, SPACING, margin);
                assert!(grown == by_trying(&mask, margin), "{margin:?} around one voxel of {one_of}");
            }
        }
    }

    #[test]
    fn what_is_taken_away_is_the_margin_of_the_surroundings() {
        for margin in margins() {
            let mask: Vec<u8> = random(4, 90).iter().map(|v| 1 - v).collect();
            let around: Vec<u8> = mask.iter().map(|v| 1 - v).collect();
            let expected: Vec<u8> = by_trying(&around, margin.reversed()).iter().map(|v| 1 - v).collect();
            assert!(shrink(&mask, SIZE, SPACING, margin) == expected, "{margin:?}");
        }
        // The grid's end is no surface.
        let all = vec![1; SIZE.iter().product()];
        assert!(shrink(&all, SIZE, SPACING, Margin::uniform(20.0)) == all);
    }

    #[test]
    fn sides_are_those_of_the_patient() {
        let mut mask = vec![0; SIZE.iter().product()];
        let at = |x: usize, y: usize, z: usize| x + SIZE[0] * (y + SIZE[1] * z);
        mask[at(10, 8, 5)] = 1;
        let superior = Margin { lower: [0.0; 3], higher: [0.0, 0.0, 6.0] };
        let grown = grow(&mask, SIZE, SPACING, superior);
        let inside: Vec<usize> = (0..grown.len()).filter(|&n| grown[n] != 0).collect();
        assert_eq!(inside, [at(10, 8, 5), at(10, 8, 6), at(10, 8, 7)]);
        // A column shrunk from above loses its upper end.
        assert_eq!(shrink(&grown, SIZE, SPACING, Margin { lower: [0.0; 3], higher: [0.0, 0.0, 3.0] }), {
            let mut column = vec![0; mask.len()];
            (column[at(10, 8, 5)], column[at(10, 8, 6)]) = (1, 1);
            column
        });
    }

    #[test]
    fn one_and_another_and_without() {
        let (a, b) = ([0, 1, 5, 0], [0, 0, 9, 1]);
        assert_eq!(union(&a, &b), [0, 1, 1, 1]);
        assert_eq!(intersection(&a, &b), [0, 0, 1, 0]);
        assert_eq!(difference(&a, &b), [0, 1, 0, 0]);
        let (structure, body) = (random(5, 2), random(6, 2));
        assert_eq!(crop_to(&structure, &body, SIZE, SPACING, 0.0), intersection(&structure, &body));
        assert_eq!(crop_from(&structure, &body, SIZE, SPACING, 0.0), difference(&structure, &body));
        let far = crop_from(&structure, &body, SIZE, SPACING, 1.0);
        assert_eq!(far, difference(&structure, &grow(&body, SIZE, SPACING, Margin::uniform(1.0))));
        let deep = crop_to(&structure, &body, SIZE, SPACING, 1.0);
        assert!(count(&deep) < count(&intersection(&structure, &body)));
    }

    #[test]
    fn nothing_stays_nothing() {
        let none = vec![0; SIZE.iter().product()];
        assert_eq!(grow(&none, SIZE, SPACING, Margin::uniform(9.0)), none);
        assert_eq!(shrink(&none, SIZE, SPACING, Margin::uniform(9.0)), none);
        assert_eq!(grow(&[1], [1; 3], SPACING, Margin::uniform(1e6)), [1]);
    }

    /// A ball of 30 mm with 10 mm around it is one of 40 mm, less half of a voxel's diagonal at most: centres count, not corners.
    #[test]
    fn volumes_of_balls_are_those_of_geometry() {
        let size = [96, 96, 48];
        let spacing = [1.0, 1.0, 2.0];
        let ball: Vec<u8> = (0..size.iter().product())
            .map(|n: usize| {
                let at = [n % 96, n / 96 % 96, n / (96 * 96)];
                let way = |a: usize| (at[a] as f64 + 0.5 - size[a] as f64 / 2.0) * spacing[a];
                u8::from((0..3).map(|a| way(a).powi(2)).sum::<f64>() <= 900.0)
            })
            .collect();
        let radius = |mask: &[u8]| (count(mask) as f64 * 2.0 / (4.0 / 3.0 * std::f64::consts::PI)).cbrt();
        let grown = grow(&ball, size, spacing, Margin::uniform(10.0));
        assert!((40.0 - 1.23..40.1).contains(&radius(&grown)), "{}", radius(&grown));
        // Taking it away again gives the ball back, and closes its steps.
        let back = shrink(&grown, size, spacing, Margin::uniform(10.0));
        assert_eq!(difference(&ball, &back), vec![0; ball.len()]);
        assert!((30.0 - 0.1..30.3).contains(&radius(&back)), "{}", radius(&back));
    }
}
