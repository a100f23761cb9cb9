//! What is done to every pixel of a row, all channels of a block at a time.
//!
//! In vectors, not as loops over channels: those the compiler turns inside out, and gathers one channel of sixteen pixels.

use pulp::{Simd, WithSimd};

use super::memory::Pixel;
use crate::kernels::plan::blocked::BLOCK;
use crate::kernels::processor::{Processor, Threads};

/// Numbers of a pixel from others of it.
pub trait Formula {
    /// Of some channels: those of a `vector` of the block.
    fn of<S: Simd>(&self, simd: S, numbers: [S::f32s; 2], vector: usize) -> S::f32s;
}

/// Some channels of a block.
#[inline(always)]
pub fn channels<S: Simd>(block: &Pixel, vector: usize) -> S::f32s {
    S::as_simd_f32s(block).0[vector]
}

/// Writes a formula of two rows, or of one that is given twice, into a third.
pub fn write(out: &mut [Pixel], inputs: [&[Pixel]; 2], formula: impl Formula) {
    Processor::new(Threads::One).dispatch(Write { out, inputs, formula });
}

/// Puts a formula of a row and another in the place of the row.
pub fn change(row: &mut [Pixel], input: &[Pixel], formula: impl Formula) {
    Processor::new(Threads::One).dispatch(Change { row, input, formula });
}

/// Of every channel the sum over the pixels of a formula of two rows, or of one that is given twice.
pub fn sum(inputs: [&[Pixel]; 2], formula: impl Formula) -> [f64; BLOCK] {
    let sums = Processor::new(Threads::One).dispatch(Sum { inputs, formula });
    std::array::from_fn(|n| sums.iter().map(|sum| f64::from(sum[n])).sum())
}

struct Write<'a, F> {
    out: &'a mut [Pixel],
    inputs: [&'a [Pixel]; 2],
    formula: F,
}

impl<F: Formula> WithSimd for Write<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [a, b] = self.inputs;
        for ((out, a), b) in self.out.iter_mut().zip(a).zip(b) {
            for v in 0..BLOCK / S::F32_LANES {
                let numbers = [channels::<S>(a, v), channels::<S>(b, v)];
                S::as_mut_simd_f32s(out).0[v] = self.formula.of(simd, numbers, v);
            }
        }
    }
}

struct Change<'a, F> {
    row: &'a mut [Pixel],
    input: &'a [Pixel],
    formula: F,
}

impl<F: Formula> WithSimd for Change<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (pixel, input) in self.row.iter_mut().zip(self.input) {
            for v in 0..BLOCK / S::F32_LANES {
                let numbers = [channels::<S>(pixel, v), channels::<S>(input, v)];
                S::as_mut_simd_f32s(pixel).0[v] = self.formula.of(simd, numbers, v);
            }
        }
    }
}

/// Pixels whose sums are taken at once: the processor need not wait for one addition to begin the next.
const AT_ONCE: usize = 4;

struct Sum<'a, F> {
    inputs: [&'a [Pixel]; 2],
    formula: F,
}

impl<F: Formula> WithSimd for Sum<'_, F> {
    type Output = [Pixel; AT_ONCE];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let [(a, last_a), (b, last_b)] = [self.inputs[0].as_chunks::<AT_ONCE>(), self.inputs[1].as_chunks::<AT_ONCE>()];
        let mut out = [[0.0; BLOCK]; AT_ONCE];
        for v in 0..BLOCK / S::F32_LANES {
            let mut sums = [simd.splat_f32s(0.0); AT_ONCE];
            for (a, b) in a.iter().zip(b) {
                for k in 0..AT_ONCE {
                    let numbers = [channels::<S>(&a[k], v), channels::<S>(&b[k], v)];
                    sums[k] = simd.add_f32s(sums[k], self.formula.of(simd, numbers, v));
                }
            }
            for (a, b) in last_a.iter().zip(last_b) {
                let numbers = [channels::<S>(a, v), channels::<S>(b, v)];
                sums[0] = simd.add_f32s(sums[0], self.formula.of(simd, numbers, v));
            }
            for k in 0..AT_ONCE {
                S::as_mut_simd_f32s(&mut out[k]).0[v] = sums[k];
            }
        }
        out
    }
}
