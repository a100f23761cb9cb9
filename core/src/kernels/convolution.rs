//! Convolutions: direct, on padded planes, without a matrix of columns.
//!
//! A kernel position of an input channel is an offset into the padded planes: the output at `p` takes the input at
//! `p + offset`, for all positions of an image at once, because the rows of input and output have the same pitch. What is
//! computed in the gap between two rows is thrown away. At stride 2 the planes are first split by even and odd rows and
//! columns, which makes neighbours of what an output takes.

use pulp::{Arch, Simd, WithSimd, bytemuck};
use rayon::prelude::*;

/// Output channels computed at once.
const CHANNELS: usize = 4;
/// Vectors of output positions computed at once; with [`CHANNELS`] as many sums as a processor has registers for.
const VECTORS: usize = 3;
/// Output positions computed at once.
const BAND: usize = 2048;
/// The longest vector of any processor.
const LANES: usize = 16;
/// What vectors may read and write past the last plane.
const SLACK: usize = VECTORS * LANES;

/// Shape of a convolution with a square kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Images in the batch.
    pub batch: usize,
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Rows and columns of the input.
    pub size: [usize; 2],
    /// Rows and columns of the kernel; odd.
    pub kernel: usize,
    /// Step of the output.
    pub stride: usize,
}

impl Shape {
    fn pad(&self) -> usize {
        self.kernel / 2
    }

    /// Rows and columns of the output.
    pub fn output(&self) -> [usize; 2] {
        self.size.map(|n| (n + 2 * self.pad() - self.kernel) / self.stride + 1)
    }
}

/// Padded planes of one image, and where the kernel positions find theirs.
struct Layout {
    /// Distance between rows.
    pitch: usize,
    /// Length of a channel's planes.
    channel: usize,
    /// Offset of each kernel position in its channel's planes.
    offsets: Vec<usize>,
}

impl Layout {
    /// Offsets of all kernel positions of all channels, in the order of the weights.
    fn columns(&self, channels: usize) -> Vec<usize> {
        (0..channels).flat_map(|c| self.offsets.iter().map(move |offset| c * self.channel + offset)).collect()
    }
}

/// How a channel of the input is padded and split by the stride.
fn input_layout(shape: Shape) -> Layout {
    let Shape { size, kernel, stride, .. } = shape;
    let [rows, pitch] = size.map(|n| (n + 2 * shape.pad()).div_ceil(stride));
    let phase = rows * pitch;
    let offset =
        |[dy, dx]: [usize; 2]| (dy % stride * stride + dx % stride) * phase + dy / stride * pitch + dx / stride;
    let offsets = (0..kernel * kernel).map(|n| offset([n / kernel, n % kernel])).collect();
    Layout { pitch, channel: phase * stride * stride, offsets }
}

/// Pads and splits one channel of the input.
fn split(shape: Shape, layout: &Layout, from: &[f32], to: &mut [f32]) {
    let Shape { size: [_, width], stride, .. } = shape;
    let (pad, phase) = (shape.pad(), layout.channel / (stride * stride));
    for (y, row) in from.chunks_exact(width).enumerate() {
        let y = y + pad;
        for remainder in 0..stride {
            // The first column whose number, with the padding, leaves this remainder.
            let first = (remainder + stride - pad % stride) % stride;
            let start = (y % stride * stride + remainder) * phase + y / stride * layout.pitch + (first + pad) / stride;
            if stride == 1 {
                to[start..start + width].copy_from_slice(row);
            } else {
                for (to, from) in to[start..].iter_mut().zip(row.iter().skip(first).step_by(stride)) {
                    *to = *from;
                }
            }
        }
    }
}

/// `[B, in, H, W]` with `[out, in, k, k]` to `[B, out, H', W']`.
pub fn forward(shape: Shape, x: &[f32], weight: &[f32]) -> Vec<f32> {
    let [from, to] = shape.channels;
    let layout = input_layout(shape);
    let columns = layout.columns(from);
    let weights = Packed::new(to, columns.len(), |o, column| weight[o * columns.len() + column]);
    correlate(&input_planes(shape, &layout, x), layout.pitch, &columns, &weights, shape.output())
}

/// Images whose channels are laid out anew before they are used.
struct Planes<'a, F> {
    values: &'a [f32],
    channels: usize,
    /// Length of a channel as it is, and as it is laid out.
    lengths: [usize; 2],
    fill: F,
}

impl<F: Fn(&[f32], &mut [f32]) + Sync> Planes<'_, F> {
    /// Room for one image, zero where [`fill`](Self::fill) does not write; with channels past the last up to a whole block.
    fn room(&self) -> Vec<f32> {
        vec![0.0; self.channels.next_multiple_of(CHANNELS) * self.lengths[1] + SLACK]
    }

    /// Lays out an image.
    fn fill(&self, image: usize, room: &mut [f32]) {
        let [from, to] = self.lengths;
        let image = &self.values[image * self.channels * from..][..self.channels * from];
        room.par_chunks_mut(to).zip(image.par_chunks(from)).for_each(|(to, from)| (self.fill)(from, to));
    }
}

/// The input, padded and split.
fn input_planes<'a>(shape: Shape, layout: &'a Layout, x: &'a [f32]) -> Planes<'a, impl Fn(&[f32], &mut [f32]) + Sync> {
    let Shape { channels: [channels, _], size: [height, width], .. } = shape;
    let fill = move |from: &[f32], to: &mut [f32]| split(shape, layout, from, to);
    Planes { values: x, channels, lengths: [height * width, layout.channel], fill }
}

/// Weights in the order in which they are used.
struct Packed {
    /// Channels of the output.
    channels: usize,
    /// Of each block of channels, for each column; zero for channels past the last.
    blocks: Vec<Vec<[f32; CHANNELS]>>,
}

impl Packed {
    fn new(channels: usize, columns: usize, weight: impl Fn(usize, usize) -> f32) -> Self {
        let blocks = (0..channels.div_ceil(CHANNELS)).map(|block| {
            let at = |column| {
                std::array::from_fn(|n| {
                    let channel = block * CHANNELS + n;
                    if channel < channels { weight(channel, column) } else { 0.0 }
                })
            };
            (0..columns).map(at).collect()
        });
        Self { channels, blocks: blocks.collect() }
    }
}

/// Of every image and output channel the sum over columns of weight times plane; `[B, channels, size]`.
fn correlate<F: Fn(&[f32], &mut [f32]) + Sync>(
    input: &Planes<'_, F>,
    pitch: usize,
    columns: &[usize],
    weights: &Packed,
    [height, width]: [usize; 2],
) -> Vec<f32> {
    let batch = input.values.len() / (input.channels * input.lengths[0]);
    let mut result = vec![0.0; batch * weights.channels * height * width];
    let images = result.par_chunks_mut(weights.channels * height * width).enumerate();
    images.for_each_init(
        || input.room(),
        |room, (image, result)| {
            input.fill(image, room);
            let room: &[f32] = room;
            result.par_chunks_mut(CHANNELS * height * width).zip(&weights.blocks).for_each(|(result, weights)| {
                // As many rows at once as stay in the nearest cache with what they take.
                let band = (BAND / pitch).clamp(1, height);
                let length = band * pitch + SLACK;
                let mut sums = vec![0.0; CHANNELS * length];
                for start in (0..height).step_by(band) {
                    let rows = band.min(height - start);
                    let input = &room[start * pitch..];
                    // Without the gap behind the last row: what it would take may lie beyond the last plane.
                    let positions = (rows - 1) * pitch + width;
                    Arch::new().dispatch(Sums { input, columns, weights, positions, sums: &mut sums });
                    for (result, sums) in result.chunks_exact_mut(height * width).zip(sums.chunks_exact(length)) {
                        let rows = result[start * width..].chunks_exact_mut(width).take(rows);
                        for (to, from) in rows.zip(sums.chunks_exact(pitch)) {
                            to.copy_from_slice(&from[..width]);
                        }
                    }
                }
            });
        },
    );
    result
}

/// One band of rows of one block of channels.
struct Sums<'a> {
    input: &'a [f32],
    columns: &'a [usize],
    weights: &'a [[f32; CHANNELS]],
    positions: usize,
    /// Of each channel.
    sums: &'a mut [f32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let step = VECTORS * S::F32_LANES;
        let length = self.sums.len() / CHANNELS;
        for at in (0..self.positions).step_by(step) {
            let mut sums = [[simd.splat_f32s(0.0); VECTORS]; CHANNELS];
            for (&column, weights) in self.columns.iter().zip(self.weights) {
                let from = &self.input[at + column..][..step];
                let values: [S::f32s; VECTORS] = std::array::from_fn(|v| load::<S>(&from[v * S::F32_LANES..]));
                for (sums, &weight) in sums.iter_mut().zip(weights) {
                    let weight = simd.splat_f32s(weight);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = simd.mul_add_e_f32s(weight, value, *sum);
                    }
                }
            }
            for (channel, sums) in sums.iter().enumerate() {
                self.sums[channel * length + at..][..step].copy_from_slice(bytemuck::cast_slice(sums));
            }
        }
    }
}

#[inline(always)]
fn load<S: Simd>(values: &[f32]) -> S::f32s {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(&values[..S::F32_LANES]))
}
