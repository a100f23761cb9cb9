//! Signed distance of pixels to the outline of a shape, in mm.

/// Distance of each pixel's centre to the outline, negative inside: half of a pixel less than to the nearest pixel of the
/// other side. Pixels beyond the picture are outside. All infinite without a pixel inside.
pub(super) fn signed_distance(inside: &[bool], [w, h]: [usize; 2], spacing: [f64; 2]) -> Vec<f32> {
    // One pixel of outside all around.
    let size = [w + 2, h + 2];
    let mut padded = vec![false; size[0] * size[1]];
    for (row, line) in inside.chunks_exact(w).enumerate() {
        let start = 1 + size[0] * (row + 1);
        padded[start..start + w].copy_from_slice(line);
    }
    let to_inside = squared_distance(&padded, true, size, spacing);
    let to_outside = squared_distance(&padded, false, size, spacing);
    let half = 0.25 * (spacing[0] + spacing[1]);
    let mut distance = Vec::with_capacity(w * h);
    for y in 1..=h {
        for x in 1..=w {
            let n = x + size[0] * y;
            let d = if padded[n] { half - to_outside[n].sqrt() } else { to_inside[n].sqrt() - half };
            distance.push(d as f32);
        }
    }
    distance
}

/// Squared distance of each pixel to the nearest one that is `wanted` (Felzenszwalb and Huttenlocher: the lower envelope
/// of parabolas along each axis in turn).
fn squared_distance(inside: &[bool], wanted: bool, [w, h]: [usize; 2], spacing: [f64; 2]) -> Vec<f64> {
    let mut squared: Vec<f64> = inside.iter().map(|&i| if i == wanted { 0.0 } else { f64::INFINITY }).collect();
    let mut envelope = Envelope::default();
    let mut line = Vec::new();
    for row in squared.chunks_exact_mut(w) {
        line.clear();
        line.extend_from_slice(row);
        envelope.lower(&line, spacing[0], |x, d| row[x] = d);
    }
    for x in 0..w {
        line.clear();
        line.extend((0..h).map(|y| squared[x + w * y]));
        envelope.lower(&line, spacing[1], |y, d| squared[x + w * y] = d);
    }
    squared
}

/// Parabolas that are lowest somewhere, and from where.
#[derive(Default)]
struct Envelope {
    vertex: Vec<usize>,
    from: Vec<f64>,
}

impl Envelope {
    fn lower(&mut self, heights: &[f64], spacing: f64, mut put: impl FnMut(usize, f64)) {
        self.vertex.clear();
        self.from.clear();
        let mm = |n: usize| n as f64 * spacing;
        for q in (0..heights.len()).filter(|&q| heights[q].is_finite()) {
            let mut start = f64::NEG_INFINITY;
            while let (Some(&v), Some(&from)) = (self.vertex.last(), self.from.last()) {
                let meet = (heights[q] + mm(q).powi(2) - heights[v] - mm(v).powi(2)) / (2.0 * (mm(q) - mm(v)));
                if meet > from {
                    start = meet;
                    break;
                }
                self.vertex.pop();
                self.from.pop();
            }
            self.vertex.push(q);
            self.from.push(start);
        }
        if self.vertex.is_empty() {
            return;
        }
        let mut at = 0;
        for p in 0..heights.len() {
            while at + 1 < self.from.len() && self.from[at + 1] < mm(p) {
                at += 1;
            }
            let v = self.vertex[at];
            put(p, heights[v] + (mm(p) - mm(v)).powi(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_distance_by_trying_all_pixels() {
        let (size, spacing) = ([17, 13], [0.7, 1.9]);
        let mut seed = 12345u32;
        for density in [2u32, 5, 40] {
            let inside: Vec<bool> = (0..size[0] * size[1])
                .map(|_| {
                    seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                    seed >> 16 & 0xff < 256 / density
                })
                .collect();
            let distance = signed_distance(&inside, size, spacing);
            for (n, &d) in distance.iter().enumerate() {
                let at = [(n % size[0]) as isize, (n / size[0]) as isize];
                let mut nearest = f64::INFINITY;
                for y in -1..=size[1] as isize {
                    for x in -1..=size[0] as isize {
                        let within = (0..size[0] as isize).contains(&x) && (0..size[1] as isize).contains(&y);
                        let other = within && inside[x as usize + size[0] * y as usize];
                        if other != inside[n] {
                            let (dx, dy) = ((x - at[0]) as f64 * spacing[0], (y - at[1]) as f64 * spacing[1]);
                            nearest = nearest.min(dx.hypot(dy));
                        }
                    }
                }
                let expected = if inside[n] { 0.65 - nearest } else { nearest - 0.65 };
                assert!((f64::from(d) - expected).abs() < 1e-5, "{n}: {d}, not {expected}");
            }
        }
        assert!(signed_distance(&[false; 6], [3, 2], [1.0; 2]).iter().all(|d| d.is_infinite()));
    }
}
