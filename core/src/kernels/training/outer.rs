//! The innermost loop of gradients by weights: 256 sums in registers.
//!
//! Of every pixel the sixteen gradients of a block of output channels, a vector, meet each of the sixteen numbers of a block of
//! input channels.

use pulp::{Simd, WithSimd};

use super::memory::Pixel;

/// One kernel position of one pair of blocks in a band of rows.
pub struct OuterProducts<'a, const GRADIENT_STEP: usize, const INPUT_STEP: usize, G, I> {
    /// The pixels of a row of gradients.
    pub gradients: &'a G,
    /// The pixels of a row of inputs.
    pub inputs: &'a I,
    /// Rows of the band.
    pub rows: std::ops::Range<usize>,
    /// Pixels of a row.
    pub width: usize,
    /// Channels of the input's block that mean something.
    pub channels: usize,
    /// Of each input channel.
    pub sums: &'a mut [Pixel],
}

impl<'a, const GRADIENT_STEP: usize, const INPUT_STEP: usize, G, I> WithSimd
    for OuterProducts<'a, GRADIENT_STEP, INPUT_STEP, G, I>
where
    G: Fn(usize) -> &'a [Pixel],
    I: Fn(usize) -> &'a [Pixel],
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match S::F32_LANES {
            16 if self.channels > 8 => self.tile::<S, 1, 16>(simd, 0),
            16 => self.tile::<S, 1, 8>(simd, 0),
            8 => {
                self.tile::<S, 2, 6>(simd, 0);
                if self.channels > 6 {
                    self.tile::<S, 2, 6>(simd, 6);
                }
                if self.channels > 12 {
                    self.tile::<S, 2, 4>(simd, 12);
                }
            }
            4 => (0..self.channels.div_ceil(4)).for_each(|part| self.tile::<S, 4, 4>(simd, 4 * part)),
            _ => (0..self.channels).for_each(|channel| self.tile::<S, 16, 1>(simd, channel)),
        }
    }
}

impl<'a, const GRADIENT_STEP: usize, const INPUT_STEP: usize, G, I> OuterProducts<'a, GRADIENT_STEP, INPUT_STEP, G, I>
where
    G: Fn(usize) -> &'a [Pixel],
    I: Fn(usize) -> &'a [Pixel],
{
    /// `N` input channels from the `first`, whose gradients are `V` vectors.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const N: usize>(&mut self, simd: S, first: usize) {
        let mut sums = [[simd.splat_f32s(0.0); V]; N];
        for y in self.rows.clone() {
            let gradients = &(self.gradients)(y)[..(self.width - 1) * GRADIENT_STEP + 1];
            let inputs = &(self.inputs)(y)[..(self.width - 1) * INPUT_STEP + 1];
            for x in 0..self.width {
                let mut vectors = [simd.splat_f32s(0.0); V];
                vectors.copy_from_slice(&S::as_simd_f32s(&gradients[x * GRADIENT_STEP]).0[..V]);
                let pixel = &inputs[x * INPUT_STEP];
                for n in 0..N {
                    let value = simd.splat_f32s(pixel[first + n]);
                    for v in 0..V {
                        sums[n][v] = simd.mul_add_e_f32s(vectors[v], value, sums[n][v]);
                    }
                }
            }
        }
        for (total, sums) in self.sums[first..].iter_mut().zip(sums) {
            for (total, sum) in S::as_mut_simd_f32s(total).0.iter_mut().zip(sums) {
                *total = simd.add_f32s(*total, sum);
            }
        }
    }
}
