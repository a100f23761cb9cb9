//! Distances to shapes, exact for any spacing, in linear time (Felzenszwalb and Huttenlocher, "Distance transforms of
//! sampled functions", 2012): along each axis in turn, the lower envelope of parabolas.

/// What distances are kept as between the axes, and come out as: `f32` halves the memory of a volume.
pub trait Distance: Copy {
    /// The nearest number that can be kept.
    fn of(value: f64) -> Self;
    /// The kept number, exactly.
    fn get(self) -> f64;
}

impl Distance for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }
    fn get(self) -> f64 {
        self.into()
    }
}

impl Distance for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn get(self) -> f64 {
        self
    }
}

/// The squared distance in mm2 from every point of a grid to the nearest seed; infinite without seeds.
pub fn squared_distances<T: Distance>(size: [usize; 3], spacing: [f64; 3], seed: impl Fn(usize) -> bool) -> Vec<T> {
    let mut field: Vec<T> =
        (0..size.iter().product()).map(|n| T::of(if seed(n) { 0.0 } else { f64::INFINITY })).collect();
    let step = [1, size[0], size[0] * size[1]];
    let longest = size.iter().copied().max().unwrap_or(0);
    let mut line = vec![0.0f64; longest];
    let mut envelope = Envelope { vertex: Vec::with_capacity(longest), from: Vec::with_capacity(longest) };
    for axis in (0..3).filter(|&axis| size[axis] > 1) {
        let (u, v) = ((axis + 1) % 3, (axis + 2) % 3);
        for p in 0..size[u] {
            for q in 0..size[v] {
                let start = p * step[u] + q * step[v];
                for (n, value) in line[..size[axis]].iter_mut().enumerate() {
                    *value = field[start + n * step[axis]].get();
                }
                envelope.lower(&line[..size[axis]], spacing[axis]);
                envelope.write(&line[..size[axis]], spacing[axis], |n, value| {
                    field[start + n * step[axis]] = T::of(value);
                });
            }
        }
    }
    field
}

/// Distance in mm of each pixel's centre to the outline of a shape, negative inside: half of a pixel less than to the nearest
/// pixel of the other side. Pixels beyond the picture are outside. All infinite without a pixel inside.
pub fn signed_distance(inside: &[bool], [w, h]: [usize; 2], spacing: [f64; 2]) -> Vec<f32> {
    // One pixel of outside all around.
    let size = [w + 2, h + 2, 1];
    let mut padded = vec![false; size[0] * size[1]];
    for (row, line) in inside.chunks_exact(w).enumerate() {
        let start = 1 + size[0] * (row + 1);
        padded[start..start + w].copy_from_slice(line);
    }
    let to = |wanted: bool| squared_distances::<f64>(size, [spacing[0], spacing[1], 1.0], |n| padded[n] == wanted);
    let (to_inside, to_outside) = (to(true), to(false));
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

/// The lower envelope of the parabolas `value[n] + (x - n spacing)^2` of a line.
struct Envelope {
    /// The parabolas of the envelope, by their sample.
    vertex: Vec<usize>,
    /// Where each begins to be the lowest, in mm.
    from: Vec<f64>,
}

impl Envelope {
    fn lower(&mut self, values: &[f64], spacing: f64) {
        self.vertex.clear();
        self.from.clear();
        for (n, &value) in values.iter().enumerate() {
            if value.is_infinite() {
                continue;
            }
            let x = n as f64 * spacing;
            let mut from = f64::NEG_INFINITY;
            while let (Some(&last), Some(&last_from)) = (self.vertex.last(), self.from.last()) {
                let y = last as f64 * spacing;
                let meet = (value + x * x - values[last] - y * y) / (2.0 * (x - y));
                if meet > last_from {
                    from = meet;
                    break;
                }
                self.vertex.pop();
                self.from.pop();
            }
            self.vertex.push(n);
            self.from.push(from);
        }
    }

    fn write(&self, values: &[f64], spacing: f64, mut put: impl FnMut(usize, f64)) {
        if self.vertex.is_empty() {
            return;
        }
        let mut at = 0;
        for n in 0..values.len() {
            let x = n as f64 * spacing;
            while self.from.get(at + 1).is_some_and(|&from| from < x) {
                at += 1;
            }
            let vertex = self.vertex[at];
            put(n, values[vertex] + (x - vertex as f64 * spacing).powi(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shape of pixels at random, about one of `density`.
    fn random(count: usize, density: u32) -> Vec<bool> {
        let mut seed = 12345u32 + density;
        (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                seed >> 16 & 0xff < 256 / density
            })
            .collect()
    }

    #[test]
    fn squared_distances_are_those_by_trying_all_seeds() {
        let (size, spacing) = ([9, 7, 6], [0.7, 1.9, 3.0]);
        let at = |n: usize| [n % 9, n / 9 % 7, n / 63].map(|v| v as f64);
        for density in [2, 10, 100] {
            let seeds = random(378, density);
            let narrow = squared_distances::<f32>(size, spacing, |n| seeds[n]);
            for (n, d) in squared_distances::<f64>(size, spacing, |n| seeds[n]).into_iter().enumerate() {
                let squared = |m: usize| (0..3).map(|a| ((at(m)[a] - at(n)[a]) * spacing[a]).powi(2)).sum::<f64>();
                let nearest = (0..378).filter(|&m| seeds[m]).map(squared).fold(f64::INFINITY, f64::min);
                assert!((d - nearest).abs() < 1e-9 && (f64::from(narrow[n]) - nearest).abs() < 1e-4, "{n}: {d}");
            }
        }
        assert!(squared_distances::<f32>(size, spacing, |_| false).iter().all(|d| d.is_infinite()));
    }

    #[test]
    fn the_signed_distance_is_that_by_trying_all_pixels() {
        let (size, spacing) = ([17, 13], [0.7, 1.9]);
        for density in [2u32, 5, 40] {
            let inside = random(size[0] * size[1], density);
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
