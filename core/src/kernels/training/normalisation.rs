//! Batch normalisation with the ReLU and the shortcut that follow it, and the ways back.
//!
//! Sums run over a row in single precision and from row to row, slice to slice in double, always in the same order: a training
//! gives the same numbers however many threads take part.

use pulp::Simd;

use super::memory::{Pixel, rows, rows_mut};
use super::pixels::{Formula, change, channels, sum, write};
use crate::kernels::plan::blocked::{BLOCK, Maps, Shape};

/// Sums of every channel, of whole blocks.
pub type ChannelSums = Vec<f64>;

/// Count, mean and sum of squared distances from it, of every channel of a slice.
#[derive(Debug, Clone)]
pub struct Moments {
    count: f64,
    mean: ChannelSums,
    squares: ChannelSums,
}

/// The moments of a slice: of each row first, whose mean is near enough for squares in single precision.
pub fn moments(maps: Maps<'_>) -> Moments {
    let Shape { size: [height, width], .. } = maps.part.shape;
    let channels = maps.part.shape.blocks() * BLOCK;
    let (mut mean, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
    let row_count = width as f64;
    for (at, row) in rows(maps.part.shape, maps.values).enumerate() {
        let (block, before) = (at / height * BLOCK, (at % height) as f64);
        let row_mean = sum([row, row], First).map(|sum| sum / row_count);
        let distances = sum([row, row], SquaredDistance { from: row_mean.map(|mean| mean as f32) });
        for n in 0..BLOCK {
            // Two sets of values put together (Chan, Golub and LeVeque, 1983).
            let delta = row_mean[n] - mean[block + n];
            mean[block + n] += delta / (before + 1.0);
            squares[block + n] += distances[n] + delta * delta * row_count * before / (before + 1.0);
        }
    }
    Moments { count: row_count * height as f64, mean, squares }
}

/// A normalisation by the statistics of a batch. All vectors are of whole blocks.
#[derive(Debug, Clone)]
pub struct Normalisation {
    /// Values in a channel.
    count: f64,
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Variance of each channel, divided by the number of values.
    pub variance: Vec<f32>,
    /// 1 / sqrt(variance + epsilon).
    inverse: Vec<f32>,
    /// gamma / sqrt(variance + epsilon).
    scale: Vec<f32>,
    /// beta - mean scale.
    shift: Vec<f32>,
}

/// Gradients of a normalisation's parameters, and what its gradient by its input is made of.
#[derive(Debug, Clone)]
pub struct NormalisationGradients {
    /// By gamma.
    pub gamma: Vec<f32>,
    /// By beta.
    pub beta: Vec<f32>,
    level: Vec<f32>,
    slope: Vec<f32>,
}

/// Sum of the gradient by a normalisation's output, and of its products with the distance of the input from its mean.
#[derive(Debug, Clone)]
pub struct Slopes {
    plain: ChannelSums,
    products: ChannelSums,
}

impl Normalisation {
    /// From the moments of all slices; gamma and beta of the channels that there are.
    pub fn new(slices: &[Moments], gamma: &[f32], beta: &[f32], epsilon: f64) -> Self {
        let channels = slices[0].mean.len();
        let (mut count, mut mean, mut squares) = (0.0, vec![0.0; channels], vec![0.0; channels]);
        for slice in slices {
            let all = count + slice.count;
            for n in 0..channels {
                let delta = slice.mean[n] - mean[n];
                mean[n] += delta * slice.count / all;
                squares[n] += slice.squares[n] + delta * delta * slice.count * count / all;
            }
            count = all;
        }
        let of = |values: &[f32], n: usize| f64::from(values.get(n).copied().unwrap_or(0.0));
        let inverse: Vec<f64> = squares.iter().map(|squares| 1.0 / (squares / count + epsilon).sqrt()).collect();
        let scale: Vec<f64> = inverse.iter().enumerate().map(|(n, inverse)| of(gamma, n) * inverse).collect();
        let shift = (0..channels).map(|n| (of(beta, n) - mean[n] * scale[n]) as f32).collect();
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Self {
            count,
            mean: single(&mean),
            variance: squares.iter().map(|squares| (squares / count) as f32).collect(),
            inverse: single(&inverse),
            scale: single(&scale),
            shift,
        }
    }

    /// What follows from the sums of all slices.
    pub fn gradients(&self, slices: &[Slopes]) -> NormalisationGradients {
        let sum = |of: fn(&Slopes) -> &ChannelSums, n: usize| slices.iter().map(|slice| of(slice)[n]).sum::<f64>();
        let channels = 0..self.mean.len();
        let beta: Vec<f64> = channels.clone().map(|n| sum(|s| &s.plain, n)).collect();
        let gamma: Vec<f64> = channels.clone().map(|n| sum(|s| &s.products, n) * f64::from(self.inverse[n])).collect();
        NormalisationGradients {
            level: beta.iter().map(|beta| (beta / self.count) as f32).collect(),
            slope: channels.map(|n| (gamma[n] * f64::from(self.inverse[n]) / self.count) as f32).collect(),
            gamma: gamma.into_iter().map(|gamma| gamma as f32).collect(),
            beta: beta.into_iter().map(|beta| beta as f32).collect(),
        }
    }
}

/// The numbers of a block.
#[inline(always)]
fn block(values: &[f32], block: usize) -> Pixel {
    values.as_chunks().0[block]
}

/// The first of two numbers.
struct First;

impl Formula for First {
    #[inline(always)]
    fn of<S: Simd>(&self, _: S, [x, _]: [S::f32s; 2], _: usize) -> S::f32s {
        x
    }
}

/// (x - from)^2.
struct SquaredDistance {
    from: Pixel,
}

impl Formula for SquaredDistance {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, [x, _]: [S::f32s; 2], vector: usize) -> S::f32s {
        let distance = simd.sub_f32s(x, channels::<S>(&self.from, vector));
        simd.mul_f32s(distance, distance)
    }
}

/// What is negative becomes 0; what is not a number stays so.
#[inline(always)]
fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
}

/// relu(y scale + shift).
struct Activated {
    scale: Pixel,
    shift: Pixel,
}

impl Formula for Activated {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, [y, _]: [S::f32s; 2], vector: usize) -> S::f32s {
        let scaled = simd.mul_f32s(y, channels::<S>(&self.scale, vector));
        relu(simd, simd.add_f32s(scaled, channels::<S>(&self.shift, vector)))
    }
}

/// relu(norm(y)).
pub fn activate(y: Maps<'_>, norm: &Normalisation, out: &mut [f32]) {
    let height = y.part.shape.size[0];
    for (at, (out, y)) in rows_mut(y.part.shape, out).zip(rows(y.part.shape, y.values)).enumerate() {
        let (scale, shift) = (block(&norm.scale, at / height), block(&norm.shift, at / height));
        write(out, [y, y], Activated { scale, shift });
    }
}

/// relu(y scale + z scale_z + shift).
struct Joined {
    scale: Pixel,
    scale_z: Pixel,
    shift: Pixel,
}

impl Formula for Joined {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, [y, z]: [S::f32s; 2], vector: usize) -> S::f32s {
        let y = simd.mul_f32s(y, channels::<S>(&self.scale, vector));
        let z = simd.mul_f32s(z, channels::<S>(&self.scale_z, vector));
        relu(simd, simd.add_f32s(simd.add_f32s(y, z), channels::<S>(&self.shift, vector)))
    }
}

/// relu(norm(y) + other(z)); `other` is `None` where z is added as it is.
pub fn join(y: Maps<'_>, norm: &Normalisation, z: Maps<'_>, other: Option<&Normalisation>, out: &mut [f32]) {
    let height = y.part.shape.size[0];
    let inputs = rows(y.part.shape, y.values).zip(rows(z.part.shape, z.values));
    for (at, (out, (y, z))) in rows_mut(y.part.shape, out).zip(inputs).enumerate() {
        let at = at / height;
        let (scale, mut shift, mut scale_z) = (block(&norm.scale, at), block(&norm.shift, at), [1.0; BLOCK]);
        if let Some(other) = other {
            let shift_z = block(&other.shift, at);
            (0..BLOCK).for_each(|n| shift[n] += shift_z[n]);
            scale_z = block(&other.scale, at);
        }
        write(out, [y, z], Joined { scale, scale_z, shift });
    }
}

/// The gradient where the output of a ReLU is positive.
struct Passed;

impl Formula for Passed {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, [by, out]: [S::f32s; 2], _: usize) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        simd.select_f32s(simd.less_than_f32s(zero, out), by, zero)
    }
}

/// by (x - mean).
struct TimesDistance {
    mean: Pixel,
}

impl Formula for TimesDistance {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, [by, x]: [S::f32s; 2], vector: usize) -> S::f32s {
        simd.mul_f32s(by, simd.sub_f32s(x, channels::<S>(&self.mean, vector)))
    }
}

/// Makes of `by_out`, the gradient by the output of a ReLU, the one by its input, in place, and sums it up for the normalisations
/// before it, whose inputs are `inputs`.
pub fn before_relu<const N: usize>(
    by_out: &mut [f32],
    out: Maps<'_>,
    inputs: [(Maps<'_>, &Normalisation); N],
) -> [Slopes; N] {
    let shape = out.part.shape;
    let (height, channels) = (shape.size[0], shape.blocks() * BLOCK);
    let mut plain = vec![0.0; channels];
    let mut products = [(); N].map(|()| vec![0.0; channels]);
    let mut input_rows = inputs.map(|(maps, _)| rows(shape, maps.values));
    for (at, (by, out)) in rows_mut(shape, by_out).zip(rows(shape, out.values)).enumerate() {
        let at = at / height;
        change(by, out, Passed);
        let by: &[Pixel] = by;
        let add = |sums: &mut ChannelSums, more: [f64; BLOCK]| {
            sums[at * BLOCK..][..BLOCK].iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };
        add(&mut plain, sum([by, by], First));
        for ((rows, (_, norm)), products) in input_rows.iter_mut().zip(inputs).zip(&mut products) {
            let Some(input) = rows.next() else { continue };
            add(products, sum([by, input], TimesDistance { mean: block(&norm.mean, at) }));
        }
    }
    products.map(|products| Slopes { plain: plain.clone(), products })
}

/// scale (by - level - (y - mean) slope).
struct Before {
    scale: Pixel,
    mean: Pixel,
    level: Pixel,
    slope: Pixel,
}

impl Before {
    fn new(norm: &Normalisation, found: &NormalisationGradients, at: usize) -> Self {
        let [scale, mean] = [block(&norm.scale, at), block(&norm.mean, at)];
        Self { scale, mean, level: block(&found.level, at), slope: block(&found.slope, at) }
    }
}

impl Formula for Before {
    #[inline(always)]
    fn of<S: Simd>(&self, simd: S, [by, y]: [S::f32s; 2], vector: usize) -> S::f32s {
        let distance = simd.sub_f32s(y, channels::<S>(&self.mean, vector));
        let plain = simd.sub_f32s(by, channels::<S>(&self.level, vector));
        let sloped = simd.mul_f32s(distance, channels::<S>(&self.slope, vector));
        simd.mul_f32s(channels::<S>(&self.scale, vector), simd.sub_f32s(plain, sloped))
    }
}

/// The gradient by the input `y` of a normalisation, from the one by its output.
pub fn before(by: &[f32], y: Maps<'_>, norm: &Normalisation, found: &NormalisationGradients, out: &mut [f32]) {
    let height = y.part.shape.size[0];
    let inputs = rows(y.part.shape, by).zip(rows(y.part.shape, y.values));
    for (at, (out, (by, y))) in rows_mut(y.part.shape, out).zip(inputs).enumerate() {
        write(out, [by, y], Before::new(norm, found, at / height));
    }
}

/// [`before`] in place.
pub fn before_in_place(by: &mut [f32], y: Maps<'_>, norm: &Normalisation, found: &NormalisationGradients) {
    let height = y.part.shape.size[0];
    for (at, (by, y)) in rows_mut(y.part.shape, by).zip(rows(y.part.shape, y.values)).enumerate() {
        change(by, y, Before::new(norm, found, at / height));
    }
}

/// The sum of every channel of a slice.
pub fn channel_sums(maps: Maps<'_>) -> ChannelSums {
    let mut sums = vec![0.0; maps.part.shape.blocks() * BLOCK];
    for (at, row) in rows(maps.part.shape, maps.values).enumerate() {
        let block = at / maps.part.shape.size[0] * BLOCK;
        sums[block..][..BLOCK].iter_mut().zip(sum([row, row], First)).for_each(|(sum, more)| *sum += more);
    }
    sums
}
