//! The gradients of convolutions by their weights.
//!
//! A kernel position is an offset between gradients and inputs; their products are summed up for a band of rows at a time. Where it
//! pays, both are transformed before.

use super::clock::{Clock, Kind};
use super::memory::BatchMaps;
use super::outer::OuterProducts;
use super::transformed;
use crate::kernels::plan::blocked::{BLOCK, BORDER, Maps};
use crate::kernels::processor::{Processor, Threads, map};

/// What meets what, for one position of the kernel.
#[derive(Debug, Clone, Copy)]
struct Tap {
    /// Row and column of the first pixel of the gradients and of the inputs, borders counted.
    first: [[usize; 2]; 2],
    /// Steps of both from pixel to pixel.
    steps: [usize; 2],
}

/// Which pairs of gradient and input a weight has seen.
#[derive(Debug, Clone, Copy)]
pub enum Kernel {
    /// Of this odd side, at this stride.
    Convolution { side: usize, stride: usize },
    /// 2x2 at stride 2.
    Transposed,
}

impl Kernel {
    fn taps(self) -> Vec<Tap> {
        let positions = |side: usize| (0..side * side).map(move |n| [n / side, n % side]);
        match self {
            Self::Convolution { side, stride } => {
                let before = BORDER - side / 2;
                let tap = |at: [usize; 2]| Tap { first: [[BORDER; 2], at.map(|n| n + before)], steps: [1, stride] };
                positions(side).map(tap).collect()
            }
            Self::Transposed => {
                let tap = |at: [usize; 2]| Tap { first: [at.map(|n| n + BORDER), [BORDER; 2]], steps: [2, 1] };
                positions(2).map(tap).collect()
            }
        }
    }
}

/// Pairs of blocks from which on the whole batch is summed up at once, without sums of every slice.
const MANY_PAIRS: usize = 16;

/// Numbers of a band of rows, so that it stays in the second cache for all positions of the kernel.
const BAND: usize = 48 * 1024;

/// Of a batch the sums over all pixels of gradient times input: `[out / 16][in / 16][k * k][16 in][16 out]`. A slice takes as many
/// multiply-adds as are told.
pub fn sums(gradients: &BatchMaps, inputs: &BatchMaps, kernel: Kernel, multiply_adds: u64, clock: &Clock) -> Vec<f32> {
    if let Kernel::Convolution { side: 3, stride: 1 } = kernel
        && transformed::worth_transforming(inputs.shape.channels)
    {
        return transformed::sums(gradients, inputs, multiply_adds, clock);
    }
    let taps = kernel.taps();
    let (outputs, count) = (gradients.shape.blocks(), inputs.shape.blocks());
    let (pairs, length) = (outputs * count, taps.len() * BLOCK * BLOCK);
    let slices = gradients.count();
    let groups = if pairs >= MANY_PAIRS { 1 } else { slices };
    let mut sums = vec![0.0; groups * pairs * length];
    let tasks: Vec<(usize, &mut [f32])> = sums.chunks_exact_mut(length).enumerate().collect();
    map(tasks, |(n, sums)| {
        let (group, pair) = (n / pairs, n % pairs);
        let mine = if groups == 1 { 0..slices } else { group..group + 1 };
        let operations = multiply_adds * mine.len() as u64 / pairs as u64;
        clock.time(Kind::WeightGradient, operations, || {
            for slice in mine {
                add(gradients.slice(slice), pair / count, inputs.slice(slice), pair % count, &taps, sums);
            }
        });
    });
    let (total, rest) = sums.split_at_mut(pairs * length);
    for part in rest.chunks_exact(pairs * length) {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    sums.truncate(pairs * length);
    sums
}

/// Adds one pair of blocks of one slice.
fn add(gradients: Maps<'_>, out: usize, inputs: Maps<'_>, input: usize, taps: &[Tap], sums: &mut [f32]) {
    let channels = BLOCK.min(inputs.part.shape.channels - input * BLOCK);
    let [gradient_steps, input_steps] = taps[0].steps;
    let [height, width] = gradients.part.shape.size.map(|n| n / gradient_steps);
    let row = gradients.part.shape.pitch() * gradient_steps + inputs.part.shape.pitch() * input_steps;
    let band = (BAND / row).clamp(1, height);
    let processor = Processor::new(Threads::One);
    for first in (0..height).step_by(band) {
        let rows = first..(first + band).min(height);
        for (tap, sums) in taps.iter().zip(sums.chunks_exact_mut(BLOCK * BLOCK)) {
            let [gradient, pixel] = tap.first;
            let gradient_row =
                |y: usize| &gradients.row(out, gradient[0] + y * gradient_steps).as_chunks().0[gradient[1]..];
            let input_row = |y: usize| &inputs.row(input, pixel[0] + y * input_steps).as_chunks().0[pixel[1]..];
            let sums = sums.as_chunks_mut().0;
            macro_rules! outer {
                ($gradient_step:literal, $input_step:literal) => {
                    processor.dispatch(OuterProducts::<$gradient_step, $input_step, _, _> {
                        gradients: &gradient_row,
                        inputs: &input_row,
                        rows: rows.clone(),
                        width,
                        channels,
                        sums,
                    })
                };
            }
            match (gradient_steps, input_steps) {
                (1, 1) => outer!(1, 1),
                (1, 2) => outer!(1, 2),
                (2, 1) => outer!(2, 1),
                steps => unreachable!("no kernel of steps {steps:?}"),
            }
        }
    }
}
