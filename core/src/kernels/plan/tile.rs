//! The innermost loops: neighbouring pixels of one or two blocks of output channels, all in registers.
//!
//! A vector holds output channels. Each weight vector that is loaded meets one number of every pixel of the tile, and each of
//! these numbers meets the vectors of all blocks: with twelve pixels of two blocks 24 multiply-adds come to 14 loads. The
//! partial sums of a block of input channels go through memory, so that the weights of the block stay in the nearest cache
//! for all rows of a band; against 9 x 16 multiply-adds for each number that costs one part in a hundred.

use pulp::{Simd, WithSimd};

use super::blocked::{BLOCK, BORDER, Maps};

/// What a term adds to a band of rows: one block of input channels under one kernel.
pub struct Rows<'a, 'b, const B: usize, const K: usize, const STRIDE: usize, const STEP: usize> {
    /// The input and which of its blocks.
    pub input: Maps<'a>,
    /// Which block of it.
    pub block: usize,
    /// Of each output block `[K, K, channels, 16]`.
    pub weights: [&'a [f32]; B],
    /// Rows of the output grid (of the input's where `STEP` is 2).
    pub rows: std::ops::Range<usize>,
    /// Columns of it.
    pub columns: usize,
    /// Of each output block the rows `STEP * rows`, with the borders left and right.
    pub out: [&'b mut [f32]; B],
    /// Numbers in a row of the output.
    pub pitch: usize,
    /// Row and column of a 2x2 group that are written; 0 where `STEP` is 1.
    pub offset: [usize; 2],
    /// Where the sums begin; `None` where they go on from what is there.
    pub bias: Option<[&'a [f32; BLOCK]; B]>,
    /// How they end; `None` where they go on.
    pub end: Option<End<'a, B>>,
}

/// What is done to a finished sum.
#[derive(Clone, Copy)]
pub struct End<'a, const B: usize> {
    /// Rows of another map of the output's shape that are added, and the numbers in a row.
    pub residual: Option<([&'a [f32]; B], usize)>,
    /// Negative numbers become 0.
    pub relu: bool,
}

impl<const B: usize, const K: usize, const STRIDE: usize, const STEP: usize> WithSimd
    for Rows<'_, '_, B, K, STRIDE, STEP>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, B) {
            (16, 1) => self.sweep::<S, 1, 1, 20, 16, 8, 4>(simd),
            (16, _) => self.sweep::<S, 1, 1, 12, 10, 8, 4>(simd),
            (8, _) => self.sweep::<S, 2, 1, 6, 5, 4, 2>(simd),
            // Half a block at a time: browsers leave fifteen registers, and a product without addition needs one of its own.
            (4, _) => self.sweep::<S, 2, 2, 4, 4, 3, 2>(simd),
            _ => self.sweep::<S, 16, 1, 1, 1, 1, 1>(simd),
        }
    }
}

impl<const B: usize, const K: usize, const STRIDE: usize, const STEP: usize> Rows<'_, '_, B, K, STRIDE, STEP> {
    /// All rows, in tiles of the width of the four that leaves least over, each with `V` vectors of the `P` parts of a block.
    #[inline(always)]
    fn sweep<
        S: Simd,
        const V: usize,
        const P: usize,
        const A: usize,
        const C: usize,
        const D: usize,
        const E: usize,
    >(
        mut self,
        simd: S,
    ) {
        // A tile costs about a pixel more than it has.
        let cost = |width: usize| self.columns / width * (width + 1) + self.columns % width * 2;
        let main = [A, C, D].into_iter().min_by_key(|&width| cost(width)).unwrap_or(E);
        for row in self.rows.clone() {
            for first in (0..P).map(|part| part * V) {
                let mut x = 0;
                while x < self.columns {
                    let left = (self.columns - x).min(main);
                    if left >= A {
                        self.tile::<S, V, A>(simd, first, row, x);
                        x += A;
                    } else if left >= C {
                        self.tile::<S, V, C>(simd, first, row, x);
                        x += C;
                    } else if left >= D {
                        self.tile::<S, V, D>(simd, first, row, x);
                        x += D;
                    } else if left >= E {
                        self.tile::<S, V, E>(simd, first, row, x);
                        x += E;
                    } else {
                        self.tile::<S, V, 1>(simd, first, row, x);
                        x += 1;
                    }
                }
            }
        }
    }

    /// `W` pixels from column `x` of a row, and `V` of their vectors from the `first`.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const W: usize>(&mut self, simd: S, first: usize, row: usize, x: usize) {
        let lanes = S::F32_LANES;
        let from = (row - self.rows.start) * STEP + self.offset[0];
        let column = (x * STEP + self.offset[1] + BORDER) * BLOCK;
        let at = from * self.pitch + column;
        let pixels = (W - 1) * STEP + 1;
        let mut sums = [[[simd.splat_f32s(0.0); V]; W]; B];
        for (b, sums) in sums.iter_mut().enumerate() {
            match &self.bias {
                Some(bias) => {
                    let bias = &S::as_simd_f32s(bias[b]).0[first..][..V];
                    for sums in sums.iter_mut() {
                        sums.copy_from_slice(bias);
                    }
                }
                None => {
                    let out = &self.out[b][at..][..pixels * BLOCK];
                    for (p, sums) in sums.iter_mut().enumerate() {
                        sums.copy_from_slice(&S::as_simd_f32s(&out[p * STEP * BLOCK..][..BLOCK]).0[first..][..V]);
                    }
                }
            }
        }
        // A kernel of one or two pixels begins behind the border.
        let before = BORDER - (K - 1) / 2;
        let offsets: usize = K * K;
        let channels = self.weights[0].len() / (offsets * BLOCK);
        for ky in 0..K {
            let input = self.input.row(self.block, row * STRIDE + ky + before);
            let input = &input[(x * STRIDE + before) * BLOCK..][..((W - 1) * STRIDE + K) * BLOCK];
            let input = input.as_chunks::<BLOCK>().0;
            for kx in 0..K {
                let start = (ky * K + kx) * channels * BLOCK;
                let weights: [&[[f32; BLOCK]]; B] =
                    std::array::from_fn(|b| self.weights[b][start..][..channels * BLOCK].as_chunks::<BLOCK>().0);
                for channel in 0..channels {
                    let mut vectors = [[simd.splat_f32s(0.0); V]; B];
                    for (vectors, weights) in vectors.iter_mut().zip(weights) {
                        vectors.copy_from_slice(&S::as_simd_f32s(&weights[channel]).0[first..][..V]);
                    }
                    for p in 0..W {
                        let value = simd.splat_f32s(input[p * STRIDE + kx][channel % BLOCK]);
                        for b in 0..B {
                            for v in 0..V {
                                sums[b][p][v] = simd.mul_add_e_f32s(vectors[b][v], value, sums[b][p][v]);
                            }
                        }
                    }
                }
            }
        }
        let zero = simd.splat_f32s(0.0);
        for (b, sums) in sums.iter_mut().enumerate() {
            if let Some(end) = &self.end {
                if let Some((residual, pitch)) = &end.residual {
                    let residual = &residual[b][from * pitch + column..][..pixels * BLOCK];
                    for (p, sums) in sums.iter_mut().enumerate() {
                        let residual = &S::as_simd_f32s(&residual[p * STEP * BLOCK..][..BLOCK]).0[first..][..V];
                        for (sum, &residual) in sums.iter_mut().zip(residual) {
                            *sum = simd.add_f32s(*sum, residual);
                        }
                    }
                }
                if end.relu {
                    sums.as_flattened_mut().iter_mut().for_each(|sum| *sum = simd.max_f32s(*sum, zero));
                }
            }
            let out = &mut self.out[b][at..][..pixels * BLOCK];
            for (p, sums) in sums.iter().enumerate() {
                let to = &mut out[p * STEP * BLOCK..][..BLOCK][first * lanes..][..V * lanes];
                for (to, sum) in to.chunks_exact_mut(lanes).zip(sums) {
                    to.copy_from_slice(pulp::bytemuck::cast_slice(std::slice::from_ref(sum)));
                }
            }
        }
    }
}
