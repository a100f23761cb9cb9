//! Convolutions of feature maps in blocks: sums of terms with bias, residual and ReLU in the last of them.
//!
//! One operation adds up any number of inputs under kernels of 3x3 or 1x1: two maps in place of their concatenation, and a
//! block's shortcut beside its second convolution. A transposed convolution of 2x2 at stride 2 is four kernels of one
//! pixel, each writing every other pixel of every other row; the way back through a convolution at stride 2 is likewise four
//! sums. A kernel of 2x2 has its first pixel where a kernel of 3x3 has its middle.

use std::cell::RefCell;
use std::ops::Range;

use super::blocked::{BLOCK, BORDER, Maps, Part, Shape};
use super::tile::{End, Rows};
use super::winograd::{Groups, POINTS, Products, ROOM, Transform, TransformedInput, transform_weights};
use crate::kernels::processor::{Processor, Threads};

/// Whether a 3x3 convolution is worth being transformed. With few channels the transforms outweigh what they spare: with vectors
/// of sixteen 32 to 16 channels take 2.2 ms instead of 2.1 at 160 x 160, 64 to 32 at 80 x 80 take 1.5 instead of 2.1, and 256
/// to 128 at 20 x 20 take 1.15 instead of 2.2 (one thread, Zen 4).
fn worth_transforming([inputs, outputs]: [usize; 2]) -> bool {
    let long = Processor::new(Threads::One).lanes() == BLOCK;
    inputs >= 12 && (outputs > BLOCK || !long)
}

/// Weights in the order in which they are used.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Rows and columns of the kernel: 1, 2 or 3.
    kernel: usize,
    /// Step of the output in the input: 1 or 2.
    stride: usize,
    /// Channels in and out.
    channels: [usize; 2],
    /// Whether the weights are transformed: `[out / 16][16 points][in][16]`. Else `[out / 16][in / 16][k, k][16][16]`, without
    /// input channels past the last.
    transformed: bool,
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
        let transformed = kernel == 3 && stride == 1 && worth_transforming(channels);
        let offsets = if transformed { POINTS } else { kernel * kernel };
        let mut values = vec![0.0; outputs.next_multiple_of(BLOCK) * inputs * offsets];
        for (block, values) in values.chunks_exact_mut((offsets * inputs * BLOCK).max(1)).enumerate() {
            let values = values.as_chunks_mut::<BLOCK>().0;
            let channels = BLOCK.min(outputs - block * BLOCK);
            for input in 0..inputs {
                // Of all channels of the block; zero past the last.
                let mut taps = [[[0.0; BLOCK]; 3]; 3];
                for n in 0..channels {
                    for y in 0..kernel {
                        for x in 0..kernel {
                            taps[y][x][n] = weight(block * BLOCK + n, input, y, x);
                        }
                    }
                }
                if transformed {
                    for (point, row) in transform_weights(taps).into_iter().enumerate() {
                        values[point * inputs + input] = row;
                    }
                    continue;
                }
                let first = input / BLOCK * BLOCK;
                let count = BLOCK.min(inputs - first);
                for offset in 0..offsets {
                    values[first * offsets + offset * count + input - first] = taps[offset / kernel][offset % kernel];
                }
            }
        }
        Self { kernel, stride, channels, transformed, values }
    }

    /// Of an output block and an input block, not transformed.
    fn block(&self, out: usize, input: usize) -> &[f32] {
        let per_channel = self.kernel * self.kernel * BLOCK;
        let first = input * BLOCK;
        let count = BLOCK.min(self.channels[0] - first);
        &self.values[(out * self.channels[0] + first) * per_channel..][..count * per_channel]
    }

    /// Of an output block, transformed.
    fn points(&self, out: usize) -> &[f32] {
        let len = POINTS * self.channels[0] * BLOCK;
        &self.values[out * len..][..len]
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
    /// Terms of one offset are added up, and stand behind each other; at step 2 each offset has pixels of its own.
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

    /// Computes a part of some maps in `out` from its inputs: parts that begin at the same pixel, each on its grid. `residual` has
    /// the shape of the output.
    pub fn run(
        &self,
        inputs: &[Maps<'_>],
        residual: Option<Maps<'_>>,
        part: Part,
        out: &mut [f32],
        processor: Processor,
    ) {
        let shape = part.shape;
        let job = Job { convolution: self, inputs, residual, part, shape, processor };
        // Two blocks at once only where two vectors of sums for every pixel have room in the registers.
        let two = processor.lanes() == BLOCK && shape.blocks().is_multiple_of(2);
        match (two, self.terms.iter().any(|term| term.filter.transformed)) {
            (true, true) => job.wide::<2>(0, out),
            (false, true) => job.wide::<1>(0, out),
            (true, false) => job.groups::<2>(0, out),
            (false, false) => job.groups::<1>(0, out),
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

/// 2x2 groups that are computed together, where the cache holds them.
const GROUPS: usize = 64;

/// A convolution under way.
#[derive(Clone, Copy)]
struct Job<'a> {
    convolution: &'a Convolution,
    inputs: &'a [Maps<'a>],
    residual: Option<Maps<'a>>,
    part: Part,
    /// Of the part.
    shape: Shape,
    processor: Processor,
}

impl Job<'_> {
    /// All blocks in `out`, the first of which is `block`; `B` at once.
    fn groups<const B: usize>(&self, block: usize, out: &mut [f32]) {
        let len = self.part.block_len;
        let groups = out.len() / (B * len);
        if groups > 1 {
            let half = groups / 2 * B;
            let (left, right) = out.split_at_mut(half * len);
            self.processor.join(|| self.groups::<B>(block, left), || self.groups::<B>(block + half, right));
            return;
        }
        let mut blocks = out.chunks_exact_mut(len);
        let inner = self.part.inner_rows();
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

    fn bands<const B: usize>(&self, block: usize, rows: Range<usize>, mut out: [&mut [f32]; B], band: usize) {
        if rows.len() > band {
            let half = rows.len().div_ceil(band) / 2 * band;
            let at = half * self.convolution.step * self.part.pitch;
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
    fn compute<const B: usize>(&self, block: usize, rows: Range<usize>, out: [&mut [f32]; B]) {
        let terms: Vec<&Term> = self.convolution.terms.iter().collect();
        self.direct(&terms, false, block, rows, out);
    }

    /// Bias of `B` blocks.
    fn bias<const B: usize>(&self, block: usize) -> [&[f32; BLOCK]; B] {
        std::array::from_fn(|b| &self.convolution.bias.as_chunks().0[block + b])
    }

    /// The end of the sums of `B` blocks in a band of rows.
    fn end<const B: usize>(&self, block: usize, rows: &Range<usize>) -> End<'_, B> {
        let residual = self.residual.map(|maps| {
            let Part { pitch, block_len, start, .. } = maps.part;
            let first = start + (rows.start * self.convolution.step + BORDER) * pitch;
            (std::array::from_fn(|b| &maps.values[(block + b) * block_len + first..]), pitch)
        });
        End { residual, relu: self.convolution.relu }
    }

    /// Terms that are not transformed, added to what is there where the sums are `begun`.
    fn direct<const B: usize>(
        &self,
        terms: &[&Term],
        begun: bool,
        block: usize,
        rows: Range<usize>,
        mut out: [&mut [f32]; B],
    ) {
        let step = self.convolution.step;
        let (pitch, bias, end) = (self.part.pitch, self.bias::<B>(block), self.end::<B>(block, &rows));
        for (n, term) in terms.iter().enumerate() {
            let input = self.inputs[term.input];
            let blocks = input.part.shape.blocks();
            for source in 0..blocks {
                let other = |neighbour: Option<&&Term>| neighbour.is_none_or(|other| other.offset != term.offset);
                let first = source == 0 && !begun && other(n.checked_sub(1).map(|n| &terms[n]));
                let last = source + 1 == blocks && other(terms.get(n + 1));
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
                            end: last.then_some(end),
                        })
                    };
                }
                match (term.filter.kernel, term.filter.stride, step) {
                    (3, 1, 1) => rows!(3, 1, 1),
                    (3, 2, 1) => rows!(3, 2, 1),
                    (1, 1, 1) => rows!(1, 1, 1),
                    (1, 2, 1) => rows!(1, 2, 1),
                    (1, 1, 2) => rows!(1, 1, 2),
                    #[cfg(not(target_family = "wasm"))]
                    (2, 1, 2) => rows!(2, 1, 2),
                    #[cfg(not(target_family = "wasm"))]
                    (2, 2, 1) => rows!(2, 2, 1),
                    (kernel, stride, step) => unreachable!("no kernel of {kernel} at stride {stride}, step {step}"),
                }
            }
        }
    }

    /// All blocks in `out`, with transformed terms: all of them take the inputs transformed for a chunk of rows, unless there
    /// would be too few chunks for the threads.
    fn wide<const B: usize>(&self, block: usize, out: &mut [f32]) {
        let len = self.part.block_len;
        let blocks = out.len() / len;
        let (rows, chunk) = (self.shape.size[0].div_ceil(2), self.chunk());
        if rows.div_ceil(chunk) * (self.shape.blocks() / blocks) < self.processor.count() && blocks >= 2 * B {
            let half = blocks / (2 * B) * B;
            let (left, right) = out.split_at_mut(half * len);
            self.processor.join(|| self.wide::<B>(block, left), || self.wide::<B>(block + half, right));
            return;
        }
        let inner = self.part.inner_rows();
        let out = out.chunks_exact_mut(len).map(|block| &mut block[inner.clone()]).collect();
        self.chunks::<B>(block, 0..rows, out, chunk);
    }

    /// Rows of 2x2 groups in a chunk: enough groups to make use of the weights, few enough for the cache, some for every thread.
    fn chunk(&self) -> usize {
        let [rows, columns] = self.shape.size.map(|n| n.div_ceil(2));
        let transformed = self.convolution.terms.iter().filter(|term| term.filter.transformed);
        let row: usize = transformed.map(|t| POINTS * columns * t.filter.channels[0].next_multiple_of(BLOCK)).sum();
        let shared = rows.div_ceil(self.processor.count());
        GROUPS.div_ceil(columns).min(CACHED / row).min(shared).clamp(1, rows)
    }

    fn chunks<const B: usize>(&self, block: usize, rows: Range<usize>, mut out: Vec<&mut [f32]>, chunk: usize) {
        if rows.len() > chunk {
            let half = rows.len().div_ceil(chunk) / 2 * chunk;
            let at = 2 * half * self.part.pitch;
            let (upper, lower): (Vec<_>, Vec<_>) = out.into_iter().map(|block| block.split_at_mut(at)).unzip();
            let middle = rows.start + half;
            self.processor.join(
                || self.chunks::<B>(block, rows.start..middle, upper, chunk),
                || self.chunks::<B>(block, middle..rows.end, lower, chunk),
            );
            return;
        }
        let mut memory = TRANSFORMED_INPUT.take();
        self.transformed::<B>(block, rows, &mut out, &mut memory);
        TRANSFORMED_INPUT.set(memory);
    }

    /// A chunk of rows of all blocks in `out`.
    fn transformed<const B: usize>(
        &self,
        block: usize,
        rows: Range<usize>,
        out: &mut [&mut [f32]],
        memory: &mut Vec<f32>,
    ) {
        let [height, width] = self.shape.size;
        let groups = Groups { rows: [rows.start, rows.len()], columns: width.div_ceil(2) };
        let (terms, direct): (Vec<&Term>, Vec<&Term>) =
            self.convolution.terms.iter().partition(|term| term.filter.transformed);
        let length = |term: &Term| POINTS * groups.len() * term.filter.channels[0].next_multiple_of(BLOCK);
        let all = terms.iter().map(|term| length(term)).sum();
        if memory.len() < all {
            memory.resize(all, 0.0);
        }
        let mut rest = &mut memory[..];
        for term in &terms {
            let (to, after) = rest.split_at_mut(length(term));
            self.processor.dispatch(Transform { input: self.inputs[term.input], groups, to });
            rest = after;
        }
        let memory = &memory[..];
        let mut room = [[0.0; BLOCK]; ROOM];
        let rows = 2 * rows.start..(2 * rows.end).min(height);
        for (n, out) in out.chunks_exact_mut(B).enumerate() {
            let block = block + n * B;
            let mut blocks = out.iter_mut();
            let mut out: [&mut [f32]; B] = std::array::from_fn(|_| blocks.next().map_or(&mut [][..], |out| &mut **out));
            let mut at = 0;
            let mut sources = terms.iter().map(|term| {
                let values = &memory[at..][..length(term)];
                at += length(term);
                let weights = std::array::from_fn(|b| term.filter.points(block + b));
                TransformedInput { values, channels: term.filter.channels[0], weights }
            });
            self.processor.dispatch(Products {
                sources: [sources.next(), sources.next()],
                groups,
                size: self.shape.size,
                out: out.each_mut().map(|out| &mut **out),
                pitch: self.part.pitch,
                bias: self.bias(block),
                end: direct.is_empty().then(|| self.end(block, &rows)),
                room: &mut room,
            });
            self.direct(&direct, true, block, rows.clone(), out);
        }
    }
}

thread_local! {
    /// Where each thread puts transformed inputs.
    static TRANSFORMED_INPUT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}
