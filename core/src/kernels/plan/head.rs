//! From the decoder's last maps to probabilities: head, softmax, attention and the choice of organs in one pass.
//!
//! Logits exist for sixteen pixels at a time. A first pass over bands of rows finds for each pixel the largest logit and the sum of all
//! weighted exponentials, the background's probability, and which classes can win anywhere; a second one writes the maps of those few.
//! Maps of all 34 classes are never there.

use pulp::{Simd, WithSimd};

use super::blocked::{BLOCK, BORDER, Maps};
use super::error::PlanError;
use crate::anatomy::CLASS_COUNT;
use crate::kernels::processor::Processor;

/// Channels of the decoder's last maps that the head takes at most.
const MOST_CHANNELS: usize = 128;
/// Rows that one thread takes at once.
const BAND: usize = 8;

/// The 1x1 convolution at the end.
#[derive(Clone, Debug)]
pub struct Head {
    /// `[34, channels]`.
    weight: Vec<f32>,
    bias: [f32; CLASS_COUNT],
    channels: usize,
}

/// Probabilities of those classes that may win.
#[derive(Clone, Debug, PartialEq)]
pub struct Probabilities {
    /// Background (0) first, then in rising order.
    pub classes: Vec<u8>,
    /// `[classes, rows, columns]`.
    pub values: Vec<f32>,
}

impl Head {
    /// Weight `[34, channels]` and bias.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn new(weight: &[f32], bias: &[f32]) -> Result<Self, PlanError> {
        let channels = weight.len() / CLASS_COUNT;
        let bias = bias.try_into().ok().filter(|_| channels <= MOST_CHANNELS && channels * CLASS_COUNT == weight.len());
        let bias = bias.ok_or_else(|| PlanError::Tensor(format!("the head has {} weights", weight.len())))?;
        Ok(Self { weight: weight.to_vec(), bias, channels })
    }

    /// Channels, weight `[34, channels]` and bias.
    pub fn parameters(&self) -> (usize, &[f32], &[f32; CLASS_COUNT]) {
        (self.channels, &self.weight, &self.bias)
    }

    /// The softmax's probabilities, each class's weighted (the background's weight is 1) and the whole renormalised; those
    /// of classes that are not `drawn` go to the background. Left out are classes that stay below `negligible` everywhere. `None`
    /// where a logit is not finite.
    pub fn probabilities(
        &self,
        maps: Maps<'_>,
        weights: &[f32; CLASS_COUNT],
        enabled: &[bool; CLASS_COUNT],
        negligible: f32,
        processor: Processor,
    ) -> Option<Probabilities> {
        let [rows, columns] = maps.part.shape.size;
        let area = rows * columns;
        let mut values = vec![0.0; area];
        let mut scales = vec![[0.0; 2]; area];
        let pass = First { head: self, maps, weights, enabled };
        let (largest, check) = pass.bands(0..rows, &mut values, &mut scales, processor);
        // Zero times every logit: anything but 0 where one is not finite.
        if check != 0.0 {
            return None;
        }
        let organs =
            (1..CLASS_COUNT as u8).filter(|&c| enabled[usize::from(c)] && largest[usize::from(c)] >= negligible);
        let organs: Vec<u8> = organs.collect();
        values.resize((1 + organs.len()) * area, 0.0);
        let pass = Second { head: self, maps, weights, scales: &scales, classes: &organs };
        pass.bands(0..rows, values[area..].chunks_exact_mut(area).collect(), processor);
        Some(Probabilities { classes: std::iter::once(0).chain(organs).collect(), values })
    }

    /// The plain softmax of all classes, `[34, rows, columns]`; `None` where a logit is not finite.
    pub fn softmax(&self, maps: Maps<'_>, processor: Processor) -> Option<Vec<f32>> {
        let [rows, columns] = maps.part.shape.size;
        let area = rows * columns;
        let (weights, mut background, mut scales) = ([1.0; CLASS_COUNT], vec![0.0; area], vec![[0.0; 2]; area]);
        let pass = First { head: self, maps, weights: &weights, enabled: &[true; CLASS_COUNT] };
        let (_, check) = pass.bands(0..rows, &mut background, &mut scales, processor);
        if check != 0.0 {
            return None;
        }
        let classes: [u8; CLASS_COUNT] = std::array::from_fn(|c| c as u8);
        let mut values = vec![0.0; CLASS_COUNT * area];
        let pass = Second { head: self, maps, weights: &weights, scales: &scales, classes: &classes };
        pass.bands(0..rows, values.chunks_exact_mut(area).collect(), processor);
        Some(values)
    }
}

/// Sixteen pixels with a vector for each channel.
type Turned = [[f32; BLOCK]; MOST_CHANNELS];

/// Turns up to sixteen pixels of a row, from column `x`.
#[inline(always)]
fn turn(maps: Maps<'_>, row: usize, x: usize, count: usize, turned: &mut Turned) {
    for block in 0..maps.part.shape.blocks() {
        let pixels = &maps.row(block, row + BORDER).as_chunks::<BLOCK>().0[BORDER + x..][..count];
        let turned = &mut turned[block * BLOCK..][..BLOCK];
        for (n, pixel) in pixels.iter().enumerate() {
            for (turned, value) in turned.iter_mut().zip(pixel) {
                turned[n] = *value;
            }
        }
    }
}

/// The logits of one class, of sixteen pixels.
#[inline(always)]
fn logits<S: Simd, const V: usize>(simd: S, head: &Head, class: usize, turned: &Turned) -> [S::f32s; V] {
    let mut sums = [simd.splat_f32s(head.bias[class]); V];
    for (weight, values) in head.weight[class * head.channels..][..head.channels].iter().zip(turned) {
        let weight = simd.splat_f32s(*weight);
        let values = S::as_simd_f32s(values).0;
        for v in 0..V {
            sums[v] = simd.mul_add_e_f32s(weight, values[v], sums[v]);
        }
    }
    sums
}

/// e^x for x from -87 to 0, to a unit or two in the last place (Cephes' expf): 2^n by the exponent, the rest by a polynomial.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let constant = |v: f32| simd.splat_f32s(v);
    let x = simd.max_f32s(x, constant(-87.0));
    // Adding 1.5 * 2^23 leaves the nearest whole number in the lowest bits.
    let magic = constant(12_582_912.0);
    let shifted = simd.mul_add_e_f32s(x, constant(std::f32::consts::LOG2_E), magic);
    let n = simd.sub_f32s(shifted, magic);
    let r = simd.mul_add_e_f32s(n, constant(-0.693_359_4), x);
    let r = simd.mul_add_e_f32s(n, constant(2.121_944_4e-4), r);
    let mut p = constant(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        p = simd.mul_add_e_f32s(p, r, constant(c));
    }
    let p = simd.mul_add_e_f32s(p, simd.mul_f32s(r, r), simd.add_f32s(r, constant(1.0)));
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(p), power))
}

/// The first pass.
#[derive(Clone, Copy)]
struct First<'a> {
    head: &'a Head,
    maps: Maps<'a>,
    weights: &'a [f32; CLASS_COUNT],
    enabled: &'a [bool; CLASS_COUNT],
}

/// The largest probability of each class, and 0 where all logits are finite.
type Found = ([f32; CLASS_COUNT], f32);

impl First<'_> {
    /// Writes the background's probability, and of each pixel the largest logit and one over the weighted sum.
    fn bands(
        self,
        rows: std::ops::Range<usize>,
        background: &mut [f32],
        scales: &mut [[f32; 2]],
        processor: Processor,
    ) -> Found {
        if rows.len() <= BAND {
            return processor.dispatch(FirstBand { pass: self, rows, background, scales });
        }
        let middle = rows.start + rows.len().div_ceil(BAND) / 2 * BAND;
        let at = (middle - rows.start) * self.maps.part.shape.size[1];
        let (upper, lower) = background.split_at_mut(at);
        let (above, below) = scales.split_at_mut(at);
        let ((mut a, x), (b, y)) = processor.join(
            || self.bands(rows.start..middle, upper, above, processor),
            || self.bands(middle..rows.end, lower, below, processor),
        );
        a.iter_mut().zip(b).for_each(|(a, b)| *a = a.max(b));
        (a, x + y)
    }
}

struct FirstBand<'a, 'b> {
    pass: First<'a>,
    rows: std::ops::Range<usize>,
    background: &'b mut [f32],
    scales: &'b mut [[f32; 2]],
}

impl WithSimd for FirstBand<'_, '_> {
    type Output = Found;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Found {
        match S::F32_LANES {
            16 => self.compute::<S, 1>(simd),
            8 => self.compute::<S, 2>(simd),
            4 => self.compute::<S, 4>(simd),
            _ => self.compute::<S, 16>(simd),
        }
    }
}

impl FirstBand<'_, '_> {
    #[inline(always)]
    fn compute<S: Simd, const V: usize>(self, simd: S) -> Found {
        let First { head, maps, weights, enabled } = self.pass;
        let columns = maps.part.shape.size[1];
        let zero = simd.splat_f32s(0.0);
        let one = simd.splat_f32s(1.0);
        let mut turned = [[0.0; BLOCK]; MOST_CHANNELS];
        let mut largest = [[zero; V]; CLASS_COUNT];
        let mut check = [zero; V];
        for (n, row) in self.rows.enumerate() {
            for x in (0..columns).step_by(BLOCK) {
                let count = BLOCK.min(columns - x);
                turn(maps, row, x, count, &mut turned);
                let mut values = [[zero; V]; CLASS_COUNT];
                let mut top = [simd.splat_f32s(f32::MIN); V];
                for (class, values) in values.iter_mut().enumerate() {
                    *values = logits::<S, V>(simd, head, class, &turned);
                    for v in 0..V {
                        top[v] = simd.max_f32s(top[v], values[v]);
                        check[v] = simd.mul_add_e_f32s(values[v], zero, check[v]);
                    }
                }
                let mut sum = [zero; V];
                for (values, weight) in values.iter_mut().zip(weights) {
                    let weight = simd.splat_f32s(*weight);
                    for v in 0..V {
                        values[v] = simd.mul_f32s(weight, exp(simd, simd.sub_f32s(values[v], top[v])));
                        sum[v] = simd.add_f32s(sum[v], values[v]);
                    }
                }
                let inverse = sum.map(|sum| simd.div_f32s(one, simd.max_f32s(sum, simd.splat_f32s(f32::MIN_POSITIVE))));
                let mut rest = [one; V];
                for (class, values) in values.iter().enumerate().skip(1) {
                    if enabled[class] {
                        for v in 0..V {
                            let p = simd.mul_f32s(values[v], inverse[v]);
                            rest[v] = simd.sub_f32s(rest[v], p);
                            largest[class][v] = simd.max_f32s(largest[class][v], p);
                        }
                    }
                }
                let at = n * columns + x;
                self.background[at..][..count].copy_from_slice(&pulp::bytemuck::cast_slice(&rest)[..count]);
                let (top, inverse): (&[f32], &[f32]) =
                    (pulp::bytemuck::cast_slice(&top), pulp::bytemuck::cast_slice(&inverse));
                for (scale, (top, inverse)) in self.scales[at..][..count].iter_mut().zip(top.iter().zip(inverse)) {
                    *scale = [*top, *inverse];
                }
            }
        }
        let largest =
            largest.map(|vectors| vectors.into_iter().map(|vector| simd.reduce_max_f32s(vector)).fold(0.0, f32::max));
        (largest, check.into_iter().map(|vector| simd.reduce_sum_f32s(vector)).sum())
    }
}

/// The second pass.
#[derive(Clone, Copy)]
struct Second<'a> {
    head: &'a Head,
    maps: Maps<'a>,
    weights: &'a [f32; CLASS_COUNT],
    scales: &'a [[f32; 2]],
    classes: &'a [u8],
}

impl Second<'_> {
    /// Writes the maps of `classes`.
    fn bands(self, rows: std::ops::Range<usize>, out: Vec<&mut [f32]>, processor: Processor) {
        if rows.len() <= BAND || out.is_empty() {
            processor.dispatch(SecondBand { pass: self, rows, out });
            return;
        }
        let middle = rows.start + rows.len().div_ceil(BAND) / 2 * BAND;
        let at = (middle - rows.start) * self.maps.part.shape.size[1];
        let (upper, lower): (Vec<_>, Vec<_>) = out.into_iter().map(|map| map.split_at_mut(at)).unzip();
        processor.join(
            || self.bands(rows.start..middle, upper, processor),
            || self.bands(middle..rows.end, lower, processor),
        );
    }
}

struct SecondBand<'a, 'b> {
    pass: Second<'a>,
    rows: std::ops::Range<usize>,
    out: Vec<&'b mut [f32]>,
}

impl WithSimd for SecondBand<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.compute::<S, 1>(simd),
            8 => self.compute::<S, 2>(simd),
            4 => self.compute::<S, 4>(simd),
            _ => self.compute::<S, 16>(simd),
        }
    }
}

impl SecondBand<'_, '_> {
    #[inline(always)]
    fn compute<S: Simd, const V: usize>(mut self, simd: S) {
        let Second { head, maps, weights, scales, classes } = self.pass;
        let columns = maps.part.shape.size[1];
        let mut turned = [[0.0; BLOCK]; MOST_CHANNELS];
        for (n, row) in self.rows.enumerate() {
            for x in (0..columns).step_by(BLOCK) {
                let count = BLOCK.min(columns - x);
                turn(maps, row, x, count, &mut turned);
                let [mut top, mut inverse] = [[0.0f32; BLOCK]; 2];
                for (k, [t, i]) in scales[row * columns + x..][..count].iter().enumerate() {
                    (top[k], inverse[k]) = (*t, *i);
                }
                let (top, inverse) = (S::as_simd_f32s(&top).0, S::as_simd_f32s(&inverse).0);
                for (class, out) in classes.iter().zip(&mut self.out) {
                    let class = usize::from(*class);
                    let mut values = logits::<S, V>(simd, head, class, &turned);
                    for v in 0..V {
                        let scale = simd.mul_f32s(simd.splat_f32s(weights[class]), inverse[v]);
                        values[v] = simd.mul_f32s(scale, exp(simd, simd.sub_f32s(values[v], top[v])));
                    }
                    let to = &mut out[n * columns + x..][..count];
                    to.copy_from_slice(&pulp::bytemuck::cast_slice(&values)[..count]);
                }
            }
        }
    }
}
