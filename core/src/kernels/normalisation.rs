//! Batch normalisation over `[B, C, n]`: each value is read as often as the definition needs, and no more.

use pulp::Arch;
use rayon::prelude::*;

/// What lies in one channel of all images.
#[derive(Debug, Clone, Copy)]
pub struct Statistics {
    /// Mean of each channel.
    pub mean: f32,
    /// Variance of each channel, divided by the number of values.
    pub variance: f32,
}

/// Sums that are kept side by side, as many as the longest vector has.
const LANES: usize = 16;
/// Values after which the sums go on in double precision.
const SUMMED_IN_SINGLE: usize = 4096;

/// The sum of `of` over pairs of values.
fn sum(a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32 + Copy) -> f64 {
    let parts = a.chunks(SUMMED_IN_SINGLE).zip(b.chunks(SUMMED_IN_SINGLE));
    parts
        .map(|(a, b)| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let mut sums = [0.0f32; LANES];
                    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
                    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(&a, &b)| of(a, b)).sum();
                    for (a, b) in a.zip(b) {
                        for n in 0..LANES {
                            sums[n] += of(a[n], b[n]);
                        }
                    }
                    f64::from(rest) + sums.iter().map(|&sum| f64::from(sum)).sum::<f64>()
                },
            )
        })
        .sum()
}

/// The planes of one channel.
fn planes(values: &[f32], channels: usize, plane: usize, channel: usize) -> impl Iterator<Item = &[f32]> {
    values.chunks_exact(plane).skip(channel).step_by(channels)
}

/// Mean and variance of every channel.
pub fn statistics(x: &[f32], channels: usize, plane: usize) -> Vec<Statistics> {
    let count = (x.len() / channels) as f64;
    let of = |channel| {
        let total = |of: &dyn Fn(&[f32]) -> f64| planes(x, channels, plane, channel).map(of).sum::<f64>() / count;
        let mean = total(&|x| sum(x, x, |x, _| x)) as f32;
        let variance = total(&|x| sum(x, x, |x, _| (x - mean) * (x - mean))) as f32;
        Statistics { mean, variance }
    };
    (0..channels).into_par_iter().map(of).collect()
}

/// gamma (x - mean) / sqrt(variance + epsilon) + beta.
pub fn normalise(
    x: &[f32],
    plane: usize,
    statistics: &[Statistics],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(plane).zip(x.par_chunks(plane)).enumerate().for_each(|(n, (y, x))| {
        let channel = n % gamma.len();
        let Statistics { mean, variance } = statistics[channel];
        let scale = gamma[channel] / (variance + epsilon).sqrt();
        let shift = beta[channel] - mean * scale;
        Arch::new().dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y = x * scale + shift),
        );
    });
    y
}

/// Gradients by x, gamma and beta, from the one by y.
pub fn gradients(
    x: &[f32],
    dy: &[f32],
    plane: usize,
    statistics: &[Statistics],
    gamma: &[f32],
    epsilon: f32,
) -> [Vec<f32>; 3] {
    let channels = gamma.len();
    let count = (x.len() / channels) as f32;
    let of = |channel: usize| {
        let Statistics { mean, variance } = statistics[channel];
        let pairs = || planes(x, channels, plane, channel).zip(planes(dy, channels, plane, channel));
        let beta: f64 = pairs().map(|(_, dy)| sum(dy, dy, |dy, _| dy)).sum();
        let products: f64 = pairs().map(|(x, dy)| sum(x, dy, |x, dy| (x - mean) * dy)).sum();
        ((products / f64::from(variance + epsilon).sqrt()) as f32, beta as f32)
    };
    let (by_gamma, by_beta): (Vec<f32>, Vec<f32>) = (0..channels).into_par_iter().map(of).unzip();
    let mut by_x = vec![0.0; x.len()];
    by_x.par_chunks_mut(plane).zip(x.par_chunks(plane).zip(dy.par_chunks(plane))).enumerate().for_each(
        |(n, (by_x, (x, dy)))| {
            let channel = n % channels;
            let Statistics { mean, variance } = statistics[channel];
            let inverse = 1.0 / (variance + epsilon).sqrt();
            let scale = gamma[channel] * inverse;
            let slope = by_gamma[channel] * inverse / count;
            let level = by_beta[channel] / count;
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for ((by_x, x), dy) in by_x.iter_mut().zip(x).zip(dy) {
                        *by_x = scale * (dy - level - (x - mean) * slope);
                    }
                },
            );
        },
    );
    [by_x, by_gamma, by_beta]
}
