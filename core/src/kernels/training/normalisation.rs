//! Batch normalisation with the ReLU and the shortcut that follow it, and the ways back.
//!
//! Sums run over a row in single precision and from row to row, slice to slice in double, always in the same order: a training
//! gives the same numbers however many threads take part.

use pulp::Arch;

use super::memory::{Pixel, rows, rows_mut};
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

/// Rows of pixels whose sums are taken at once: the processor need not wait for one addition to begin the next.
const AT_ONCE: usize = 4;

#[inline(always)]
fn add_up(sums: [Pixel; AT_ONCE]) -> [f64; BLOCK] {
    std::array::from_fn(|n| sums.iter().map(|sum| f64::from(sum[n])).sum())
}

/// The sum of `of` over the pixels of a row and of another.
#[inline(always)]
fn row_sum(a: &[Pixel], b: &[Pixel], of: impl Fn(f32, f32, usize) -> f32) -> [f64; BLOCK] {
    let mut sums = [[0.0f32; BLOCK]; AT_ONCE];
    let (wholes_a, rest_a) = a.as_chunks::<AT_ONCE>();
    let (wholes_b, rest_b) = b.as_chunks::<AT_ONCE>();
    for (a, b) in wholes_a.iter().zip(wholes_b) {
        for k in 0..AT_ONCE {
            for n in 0..BLOCK {
                sums[k][n] += of(a[k][n], b[k][n], n);
            }
        }
    }
    for (a, b) in rest_a.iter().zip(rest_b) {
        for n in 0..BLOCK {
            sums[0][n] += of(a[n], b[n], n);
        }
    }
    add_up(sums)
}

/// The moments of a slice: of each row first, whose mean is near enough for squares in single precision.
pub fn moments(maps: Maps<'_>) -> Moments {
    let Shape { size: [height, width], .. } = maps.part.shape;
    let channels = maps.part.shape.blocks() * BLOCK;
    let (mut mean, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
    let row_count = width as f64;
    for (at, row) in rows(maps.part.shape, maps.values).enumerate() {
        let (block, before) = (at / height * BLOCK, (at % height) as f64);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let row_mean = row_sum(row, row, |x, _, _| x).map(|sum| sum / row_count);
                let centre = row_mean.map(|mean| mean as f32);
                let distances = row_sum(row, row, |x, _, n| (x - centre[n]) * (x - centre[n]));
                for n in 0..BLOCK {
                    // Two sets of values put together (Chan, Golub and LeVeque, 1983).
                    let delta = row_mean[n] - mean[block + n];
                    mean[block + n] += delta / (before + 1.0);
                    squares[block + n] += distances[n] + delta * delta * row_count * before / (before + 1.0);
                }
            },
        );
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

/// What is negative becomes 0; what is not a number stays so.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// relu(norm(y)).
pub fn activate(y: Maps<'_>, norm: &Normalisation, out: &mut [f32]) {
    let height = y.part.shape.size[0];
    for (at, (out, y)) in rows_mut(y.part.shape, out).zip(rows(y.part.shape, y.values)).enumerate() {
        let (scale, shift) = (block(&norm.scale, at / height), block(&norm.shift, at / height));
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (out, y) in out.iter_mut().zip(y) {
                    for n in 0..BLOCK {
                        out[n] = relu(y[n] * scale[n] + shift[n]);
                    }
                }
            },
        );
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
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for ((out, y), z) in out.iter_mut().zip(y).zip(z) {
                    for n in 0..BLOCK {
                        out[n] = relu(y[n] * scale[n] + z[n] * scale_z[n] + shift[n]);
                    }
                }
            },
        );
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
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (by, out) in by.iter_mut().zip(out) {
                    for n in 0..BLOCK {
                        by[n] = if out[n] > 0.0 { by[n] } else { 0.0 };
                    }
                }
            },
        );
        let by: &[Pixel] = by;
        let add = |sums: &mut ChannelSums, more: [f64; BLOCK]| {
            sums[at * BLOCK..][..BLOCK].iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        };
        let sum = Arch::new().dispatch(
            #[inline(always)]
            || row_sum(by, by, |by, _, _| by),
        );
        add(&mut plain, sum);
        for ((rows, (_, norm)), products) in input_rows.iter_mut().zip(inputs).zip(&mut products) {
            let Some(input) = rows.next() else { continue };
            let mean = block(&norm.mean, at);
            let sum = Arch::new().dispatch(
                #[inline(always)]
                || row_sum(by, input, |by, x, n| by * (x - mean[n])),
            );
            add(products, sum);
        }
    }
    products.map(|products| Slopes { plain: plain.clone(), products })
}

/// The gradient by the input `y` of a normalisation, from the one by its output.
pub fn before(by: &[f32], y: Maps<'_>, norm: &Normalisation, found: &NormalisationGradients, out: &mut [f32]) {
    let height = y.part.shape.size[0];
    let inputs = rows(y.part.shape, by).zip(rows(y.part.shape, y.values));
    for (at, (out, (by, y))) in rows_mut(y.part.shape, out).zip(inputs).enumerate() {
        let at = at / height;
        let (scale, mean) = (block(&norm.scale, at), block(&norm.mean, at));
        let (level, slope) = (block(&found.level, at), block(&found.slope, at));
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for ((out, by), y) in out.iter_mut().zip(by).zip(y) {
                    for n in 0..BLOCK {
                        out[n] = scale[n] * (by[n] - level[n] - (y[n] - mean[n]) * slope[n]);
                    }
                }
            },
        );
    }
}

/// [`before`] in place.
pub fn before_in_place(by: &mut [f32], y: Maps<'_>, norm: &Normalisation, found: &NormalisationGradients) {
    let height = y.part.shape.size[0];
    for (at, (by, y)) in rows_mut(y.part.shape, by).zip(rows(y.part.shape, y.values)).enumerate() {
        let at = at / height;
        let (scale, mean) = (block(&norm.scale, at), block(&norm.mean, at));
        let (level, slope) = (block(&found.level, at), block(&found.slope, at));
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (by, y) in by.iter_mut().zip(y) {
                    for n in 0..BLOCK {
                        by[n] = scale[n] * (by[n] - level[n] - (y[n] - mean[n]) * slope[n]);
                    }
                }
            },
        );
    }
}

/// The sum of every channel of a slice.
pub fn channel_sums(maps: Maps<'_>) -> ChannelSums {
    let mut sums = vec![0.0; maps.part.shape.blocks() * BLOCK];
    for (at, row) in rows(maps.part.shape, maps.values).enumerate() {
        let sum = Arch::new().dispatch(
            #[inline(always)]
            || row_sum(row, row, |x, _, _| x),
        );
        let block = at / maps.part.shape.size[0] * BLOCK;
        sums[block..][..BLOCK].iter_mut().zip(sum).for_each(|(sum, more)| *sum += more);
    }
    sums
}
