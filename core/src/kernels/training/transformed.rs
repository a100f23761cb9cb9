//! Gradients of 3x3 convolutions at stride 1 by their weights, with fewer multiplications: Winograd's F(2x2, 3x3) the other way.
//!
//! The output is Y = A^T [(G g G^T) * (B^T d B)] A, so the gradient by the weights is G^T [(A dY A^T) * (B^T d B)] G: 16 products
//! in place of 36 for a group of 2x2 outputs, summed up over all groups before the way back to nine weights.

use pulp::{Simd, WithSimd};

use super::clock::{Clock, Kind};
use super::memory::{BatchMaps, Pixel};
use super::outer::OuterProducts;
use crate::kernels::plan::blocked::{BLOCK, BORDER, Maps};
use crate::kernels::plan::winograd::{Groups, POINTS, Transform};
use crate::kernels::processor::{Processor, Threads, map};

/// Weights of a kernel.
const TAPS: usize = 9;
/// Input channels from which on the transforms are worth their time.
const FEWEST_CHANNELS: usize = 12;
/// Pairs of blocks from which on a thread takes one pair of all slices; with fewer it takes a slice.
const MANY_PAIRS: usize = 100;
/// Numbers of transformed maps, so that they stay in the second cache for all pairs.
const CHUNK: usize = 96 * 1024;
/// Numbers of a pair of blocks.
const PAIR: usize = BLOCK * BLOCK;

/// Whether a convolution of 3x3 at stride 1 with so many input channels is worth being transformed.
pub fn worth_transforming(channels: usize) -> bool {
    channels >= FEWEST_CHANNELS
}

/// Of a batch the sums over all pixels of gradient times input: `[out / 16][in / 16][9][16 in][16 out]`. A slice takes as many
/// multiply-adds as are told.
pub fn sums(gradients: &BatchMaps, inputs: &BatchMaps, multiply_adds: u64, clock: &Clock) -> Vec<f32> {
    let blocks = [gradients, inputs].map(|maps| maps.shape.blocks());
    let pairs = blocks[0] * blocks[1];
    let slices = gradients.count();
    let [rows, columns] = gradients.shape.size.map(|n| n.div_ceil(2));
    let of_slice = |slice: usize, groups: Groups, room: [Vec<f32>; 2]| {
        Transformed::new(gradients.slice(slice), inputs.slice(slice), groups, room)
    };
    let processor = Processor::new(Threads::One);
    let mut sums = vec![0.0; pairs * TAPS * PAIR];
    if pairs >= MANY_PAIRS {
        let all = Groups { rows: [0, rows], columns };
        let transformed = map((0..slices).collect(), |slice| {
            clock.time(Kind::WeightGradient, 0, || of_slice(slice, all, Default::default()))
        });
        let tasks: Vec<(usize, &mut [f32])> = sums.chunks_exact_mut(TAPS * PAIR).enumerate().collect();
        let operations = multiply_adds * slices as u64 / pairs as u64;
        map(tasks, |(pair, sums)| {
            clock.time(Kind::WeightGradient, operations, || {
                let mut points = vec![0.0; POINTS * PAIR];
                transformed.iter().for_each(|slice| slice.add(pair, &mut points));
                processor.dispatch(Back { points: &points, to: sums });
            });
        });
        return sums;
    }
    // As many rows of groups at once as stay in the cache.
    let chunk = (CHUNK / ((blocks[0] + blocks[1]) * columns * POINTS * BLOCK)).clamp(1, rows);
    let parts = map((0..slices).collect(), |slice| {
        clock.time(Kind::WeightGradient, multiply_adds, || {
            let mut points = vec![0.0; pairs * POINTS * PAIR];
            let mut room = Default::default();
            for first in (0..rows).step_by(chunk) {
                let groups = Groups { rows: [first, chunk.min(rows - first)], columns };
                let transformed = of_slice(slice, groups, room);
                for (pair, points) in points.chunks_exact_mut(POINTS * PAIR).enumerate() {
                    transformed.add(pair, points);
                }
                room = transformed.values;
            }
            let mut part = vec![0.0; pairs * TAPS * PAIR];
            for (points, part) in points.chunks_exact(POINTS * PAIR).zip(part.chunks_exact_mut(TAPS * PAIR)) {
                processor.dispatch(Back { points, to: part });
            }
            part
        })
    });
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}

/// Some groups of a slice.
struct Transformed {
    groups: usize,
    /// Blocks of gradients and of inputs.
    blocks: [usize; 2],
    /// Of gradients and of inputs: `[16 points, blocks, groups, 16]`.
    values: [Vec<f32>; 2],
}

impl Transformed {
    /// In `room`, whatever is in it.
    fn new(gradients: Maps<'_>, inputs: Maps<'_>, groups: Groups, room: [Vec<f32>; 2]) -> Self {
        let processor = Processor::new(Threads::One);
        let blocks = [gradients, inputs].map(|maps| maps.part.shape.blocks());
        let mut values = room;
        for (values, blocks) in values.iter_mut().zip(blocks) {
            values.resize(POINTS * blocks * groups.len() * BLOCK, 0.0);
        }
        let [of_gradients, of_inputs] = &mut values;
        processor.dispatch(TransformGradients { gradients, groups, to: of_gradients });
        processor.dispatch(Transform { input: inputs, groups, to: of_inputs });
        Self { groups: groups.len(), blocks, values }
    }

    /// The values of a block at a point.
    fn stripe(&self, which: usize, point: usize, block: usize) -> &[Pixel] {
        let first = (point * self.blocks[which] + block) * self.groups;
        &self.values[which].as_chunks().0[first..][..self.groups]
    }

    /// Adds the products of a pair of blocks: `[16 points][16 in][16 out]`.
    fn add(&self, pair: usize, to: &mut [f32]) {
        let (out, input) = (pair / self.blocks[1], pair % self.blocks[1]);
        for (point, to) in to.chunks_exact_mut(PAIR).enumerate() {
            Processor::new(Threads::One).dispatch(OuterProducts::<1, 1, _, _> {
                gradients: &|_| self.stripe(0, point, out),
                inputs: &|_| self.stripe(1, point, input),
                rows: 0..1,
                width: self.groups,
                channels: BLOCK,
                sums: to.as_chunks_mut().0,
            });
        }
    }
}

/// A dY A^T for all channels.
struct TransformGradients<'a, 'b> {
    gradients: Maps<'a>,
    groups: Groups,
    /// `[16 points, blocks, groups, 16]`.
    to: &'b mut [f32],
}

impl WithSimd for TransformGradients<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { gradients, groups, to } = self;
        let (blocks, count) = (gradients.part.shape.blocks(), groups.len());
        let mut points = to.chunks_exact_mut(blocks * count * BLOCK);
        let mut points: [&mut [Pixel]; POINTS] =
            std::array::from_fn(|_| points.next().map_or(&mut [][..], |point| point.as_chunks_mut().0));
        let spread = |[a, b]: [S::f32s; 2]| [a, simd.add_f32s(a, b), simd.sub_f32s(a, b), simd.neg_f32s(b)];
        for block in 0..blocks {
            for n in 0..groups.rows[1] {
                let top = BORDER + 2 * (groups.rows[0] + n);
                // Beyond the last row and column lies the border, which is zero.
                let rows: [&[Pixel]; 2] = [top, top + 1].map(|row| &gradients.row(block, row).as_chunks().0[BORDER..]);
                let first = block * count + n * groups.columns;
                let out = points.each_mut().map(|point| &mut point[first..][..groups.columns]);
                for x in 0..groups.columns {
                    for v in 0..BLOCK / S::F32_LANES {
                        let at = |row: usize, column: usize| S::as_simd_f32s(&rows[row][2 * x + column]).0[v];
                        // Not by `map`: what that calls is not inlined, and then compiled for the oldest processor.
                        let [left, right] = [spread([at(0, 0), at(1, 0)]), spread([at(0, 1), at(1, 1)])];
                        for y in 0..4 {
                            let line = spread([left[y], right[y]]);
                            for k in 0..4 {
                                S::as_mut_simd_f32s(&mut out[y * 4 + k][x]).0[v] = line[k];
                            }
                        }
                    }
                }
            }
        }
    }
}

/// G^T u G: `[16 points][16 in][16 out]` to `[9][16 in][16 out]`.
struct Back<'a, 'b> {
    points: &'a [f32],
    to: &'b mut [f32],
}

impl WithSimd for Back<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let half = simd.splat_f32s(0.5);
        let line = |[a, b, c, d]: [S::f32s; 4]| {
            let (sum, difference) =
                (simd.mul_f32s(half, simd.add_f32s(b, c)), simd.mul_f32s(half, simd.sub_f32s(b, c)));
            [simd.add_f32s(a, sum), difference, simd.add_f32s(sum, d)]
        };
        let (points, to) = (S::as_simd_f32s(self.points).0, S::as_mut_simd_f32s(self.to).0);
        let pair = points.len() / POINTS;
        for n in 0..pair {
            let at = |y: usize, x: usize| points[(y * 4 + x) * pair + n];
            let mut columns = [[half; 3]; 4];
            for (x, column) in columns.iter_mut().enumerate() {
                *column = line([at(0, x), at(1, x), at(2, x), at(3, x)]);
            }
            let [a, b, c, d] = columns;
            for y in 0..3 {
                for (x, value) in line([a[y], b[y], c[y], d[y]]).into_iter().enumerate() {
                    to[(y * 3 + x) * pair + n] = value;
                }
            }
        }
    }
}
