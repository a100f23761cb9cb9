//! Blurring with a Gaussian, an axis at a time.

/// The longest kernel, in values to either side: what no grid and no width in use comes near.
const LONGEST: f64 = 1000.0;

/// A Gaussian up to three standard deviations.
#[derive(Clone, Debug)]
pub struct Gaussian {
    /// Not normalised.
    weights: Vec<f32>,
    sum: f32,
}

impl Gaussian {
    /// Of standard deviation `sigma`, in values; one that is not above 0 changes nothing.
    pub fn new(sigma: f64) -> Self {
        let reach = if sigma.is_finite() && sigma > 0.0 { (3.0 * sigma).ceil().min(LONGEST) as usize } else { 0 };
        let weight = |n: usize| (-0.5 * ((n as f64 - reach as f64) / sigma).powi(2)).exp() as f32;
        let weights: Vec<f32> = if reach == 0 { vec![1.0] } else { (0..=2 * reach).map(weight).collect() };
        Self { sum: weights.iter().sum(), weights }
    }

    /// How many values to either side make each value.
    pub fn reach(&self) -> usize {
        self.weights.len() / 2
    }

    /// Blurs along one axis of `n` values that are `stride` apart. Beyond the ends the last value goes on.
    pub fn blur(&self, values: &mut [f32], n: usize, stride: usize) {
        let reach = self.reach();
        if reach == 0 {
            return;
        }
        let mut line = vec![0.0; n + 2 * reach];
        for block in values.chunks_exact_mut(n * stride) {
            for start in 0..stride {
                for (p, value) in line.iter_mut().enumerate() {
                    *value = block[start + stride * p.saturating_sub(reach).min(n - 1)];
                }
                // Most lines of a mask; only these two values come out exactly as they went in.
                if (line[0] == 0.0 || line[0] == 1.0) && line.iter().all(|v| *v == line[0]) {
                    continue;
                }
                for p in 0..n {
                    let sum: f32 = line[p..].iter().zip(&self.weights).map(|(v, w)| w * v).sum();
                    block[start + stride * p] = sum / self.sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_a_gaussian_of_its_width_along_the_axis_and_the_ends_go_on() {
        let (n, stride, sigma) = (41, 3, 2.5);
        let mut values = vec![0.0f32; n * stride];
        values[20 * stride + 1] = 1.0;
        values.iter_mut().skip(2).step_by(stride).for_each(|v| *v = 7.0);
        Gaussian::new(sigma).blur(&mut values, n, stride);
        let along: Vec<f64> = values.iter().skip(1).step_by(stride).map(|v| f64::from(*v)).collect();
        let moment = |power: i32| along.iter().enumerate().map(|(n, v)| v * (n as f64 - 20.0).powi(power)).sum::<f64>();
        assert!((moment(0) - 1.0).abs() < 1e-5 && moment(1).abs() < 1e-5);
        // Cut at three deviations, a Gaussian has 0.973 of its variance.
        assert!((moment(2) / (sigma * sigma) - 0.973).abs() < 0.02, "{}", moment(2));
        assert!(values.iter().step_by(stride).all(|v| *v == 0.0));
        assert!(values.iter().skip(2).step_by(stride).all(|v| (v - 7.0).abs() < 1e-5));
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Gaussian::new(sigma).reach(), 0);
        }
    }
}
