//! Convolutions of feature maps in blocks: sums of terms with bias, residual and ReLU in the last of them.
//!
//! One operation adds up any number of inputs under kernels of 3x3 or 1x1: two maps in place of their concatenation, and a
//! block's shortcut beside its second convolution. A transposed convolution of 2x2 at stride 2 is four kernels of one
//! pixel, each writing every other pixel of every other row.

use super::blocked::{BLOCK, BORDER, Maps, Shape};
use super::tile::{End, Rows};
use crate::kernels::processor::Processor;

/// Weights in the order in which they are used: `[out / 16][in / 16][k, k][16][16]`, without input channels past the last.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Rows and columns of the kernel: 1 or 3.
    kernel: usize,
    /// Step of the output in the input: 1 or 2.
    stride: usize,
    /// Channels in and out.
    channels: [usize; 2],
    values: Vec<f32>,
}

impl Filter {
    /// `weight(out, in, row, column)`.
    pub fn new(
        kernel: usize,
        stride: usize,
        channels: [usize; 2],
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let [inputs, outputs] = channels;
        let mut values = Vec::with_capacity(outputs.next_multiple_of(BLOCK) * inputs * kernel * kernel);
        for out in (0..outputs).step_by(BLOCK) {
            for block in (0..inputs).step_by(BLOCK) {
                for (y, x) in (0..kernel * kernel).map(|tap| (tap / kernel, tap % kernel)) {
                    for input in block..(block + BLOCK).min(inputs) {
                        values
                            .extend((out..out + BLOCK).map(|o| if o < outputs { weight(o, input, y, x) } else { 0.0 }));
                    }
                }
            }
        }
        Self { kernel, stride, channels, values }
    }

    /// Of an output block and an input block.
    fn block(&self, out: usize, input: usize) -> &[f32] {
        let taps = self.kernel * self.kernel * BLOCK;
        let first = input * BLOCK;
        let count = BLOCK.min(self.channels[0] - first);
        &self.values[(out * self.channels[0] + first) * taps..][..count * taps]
    }
}

/// An input under a kernel.
#[derive(Clone, Debug)]
pub struct Term {
    /// Which of the inputs.
    pub input: usize,
    /// The kernel.
    pub filter: Filter,
    /// Row and column of each 2x2 group that it writes, in a transposed convolution.
    pub offset: [usize; 2],
}

/// A sum of terms, or (at step 2) four of them side by side.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// At step 1 all terms are added up; at step 2 each has pixels of its own.
    pub terms: Vec<Term>,
    /// Of whole blocks of channels.
    pub bias: Vec<f32>,
    /// Negative numbers become 0.
    pub relu: bool,
    /// Pixels of the output from one sum to the next: 2 in a transposed convolution.
    pub step: usize,
}

impl Convolution {
    /// The sum of terms, with the bias of each output channel.
    pub fn new(terms: Vec<Term>, bias: &[f32], relu: bool) -> Self {
        Self { terms, bias: whole_blocks(bias), relu, step: 1 }
    }

    /// 2x2 at stride 2: `weight(in, out, row, column)`.
    pub fn transposed(channels: [usize; 2], weight: impl Fn(usize, usize, usize, usize) -> f32, bias: &[f32]) -> Self {
        let part = |[dy, dx]: [usize; 2]| Term {
            input: 0,
            filter: Filter::new(1, 1, channels, |o, i, _, _| weight(i, o, dy, dx)),
            offset: [dy, dx],
        };
        let terms = [[0, 0], [0, 1], [1, 0], [1, 1]].map(part).to_vec();
        Self { terms, bias: whole_blocks(bias), relu: false, step: 2 }
    }

    /// Multiply-adds for an output of `size`.
    pub fn multiply_adds(&self, size: [usize; 2]) -> u64 {
        let sums = (size[0] / self.step * (size[1] / self.step)) as u64;
        let of = |term: &Term| (term.filter.kernel.pow(2) * term.filter.channels[0] * term.filter.channels[1]) as u64;
        self.terms.iter().map(of).sum::<u64>() * sums
    }

    /// Computes `out` of `shape` from its inputs. `residual` has the shape of the output.
    pub fn run(
        &self,
        inputs: &[Maps<'_>],
        residual: Option<Maps<'_>>,
        shape: Shape,
        out: &mut [f32],
        processor: Processor,
    ) {
        let job = Job { convolution: self, inputs, residual, shape, processor };
        // Two blocks at once only where two vectors of sums for every pixel have room in the registers.
        if processor.lanes() == BLOCK && shape.blocks().is_multiple_of(2) {
            job.groups::<2>(0, out);
        } else {
            job.groups::<1>(0, out);
        }
    }
}

fn whole_blocks(bias: &[f32]) -> Vec<f32> {
    let mut bias = bias.to_vec();
    bias.resize(bias.len().next_multiple_of(BLOCK), 0.0);
    bias
}

/// Numbers that a band of rows and what it takes may have, to stay in the second cache.
const CACHED: usize = 96 * 1024;

/// A convolution under way.
#[derive(Clone, Copy)]
struct Job<'a> {
    convolution: &'a Convolution,
    inputs: &'a [Maps<'a>],
    residual: Option<Maps<'a>>,
    shape: Shape,
    processor: Processor,
}

impl Job<'_> {
    /// All blocks in `out`, the first of which is `block`; `B` at once.
    fn groups<const B: usize>(&self, block: usize, out: &mut [f32]) {
        let len = self.shape.block_len();
        let groups = out.len() / (B * len);
        if groups > 1 {
            let half = groups / 2 * B;
            let (left, right) = out.split_at_mut(half * len);
            self.processor.join(|| self.groups::<B>(block, left), || self.groups::<B>(block + half, right));
            return;
        }
        let mut blocks = out.chunks_exact_mut(len);
        let inner = BORDER * self.shape.pitch()..len - BORDER * self.shape.pitch();
        let out: [&mut [f32]; B] =
            std::array::from_fn(|_| blocks.next().map_or(&mut [][..], |block| &mut block[inner.clone()]));
        self.bands(block, 0..self.shape.size[0] / self.convolution.step, out, self.band::<B>());
    }

    /// Rows of a band: few enough for the cache, and for all threads to have some.
    fn band<const B: usize>(&self) -> usize {
        let rows = self.shape.size[0] / self.convolution.step;
        let stride = self.convolution.terms.iter().map(|term| term.filter.stride).max().unwrap_or(1);
        let cached = CACHED / (self.shape.pitch() * (B * self.convolution.step + stride * stride));
        let groups = self.shape.blocks() / B;
        let shared = match self.processor.count() {
            1 => rows,
            threads => (rows * groups).div_ceil(4 * threads),
        };
        cached.min(shared).clamp(1, rows)
    }

    fn bands<const B: usize>(&self, block: usize, rows: std::ops::Range<usize>, mut out: [&mut [f32]; B], band: usize) {
        if rows.len() > band {
            let half = rows.len().div_ceil(band) / 2 * band;
            let at = half * self.convolution.step * self.shape.pitch();
            let mut right: [&mut [f32]; B] = std::array::from_fn(|_| Default::default());
            let left: [&mut [f32]; B] = std::array::from_fn(|n| {
                let (left, rest) = std::mem::take(&mut out[n]).split_at_mut(at);
                right[n] = rest;
                left
            });
            let middle = rows.start + half;
            self.processor.join(
                || self.bands(block, rows.start..middle, left, band),
                || self.bands(block, middle..rows.end, right, band),
            );
            return;
        }
        self.compute(block, rows, out);
    }

    /// A band of rows of `B` blocks.
    fn compute<const B: usize>(&self, block: usize, rows: std::ops::Range<usize>, mut out: [&mut [f32]; B]) {
        let Convolution { terms, bias, relu, step } = self.convolution;
        let pitch = self.shape.pitch();
        let bias: [&[f32; BLOCK]; B] = std::array::from_fn(|b| &bias.as_chunks().0[block + b]);
        let residual = self.residual.map(|maps| {
            std::array::from_fn(|b| {
                let first = (block + b) * self.shape.block_len() + (rows.start + BORDER) * pitch;
                &maps.values[first..][..rows.len() * pitch]
            })
        });
        for (n, term) in terms.iter().enumerate() {
            let input = self.inputs[term.input];
            let blocks = input.shape.blocks();
            for source in 0..blocks {
                let first = source == 0 && (n == 0 || *step > 1);
                let last = source + 1 == blocks && (n + 1 == terms.len() || *step > 1);
                macro_rules! rows {
                    ($kernel:literal, $stride:literal, $step:literal) => {
                        self.processor.dispatch(Rows::<B, $kernel, $stride, $step> {
                            input,
                            block: source,
                            weights: std::array::from_fn(|b| term.filter.block(block + b, source)),
                            rows: rows.clone(),
                            columns: self.shape.size[1] / step,
                            out: out.each_mut().map(|out| &mut **out),
                            pitch,
                            offset: term.offset,
                            bias: first.then_some(bias),
                            end: last.then_some(End { residual, relu: *relu }),
                        })
                    };
                }
                match (term.filter.kernel, term.filter.stride, step) {
                    (3, 1, 1) => rows!(3, 1, 1),
                    (3, 2, 1) => rows!(3, 2, 1),
                    (1, 1, 1) => rows!(1, 1, 1),
                    (1, 2, 1) => rows!(1, 2, 1),
                    (1, 1, 2) => rows!(1, 1, 2),
                    (kernel, stride, step) => unreachable!("no kernel of {kernel} at stride {stride}, step {step}"),
                }
            }
        }
    }
}
