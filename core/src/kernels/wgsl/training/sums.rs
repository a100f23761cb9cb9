//! Sums of convolutions over a batch, forward and as the way back to an input: the kernels of inference.

use attention_anatomy_shaders::network::{Kernel, SPARE_ROWS};

use super::memory::{BatchMaps, Room};
use super::order::{NO_WEIGHT, Tensors, Term, order};
use super::work::Work;
use crate::kernels::wgsl::network::{LAYER_WORDS, SOURCE_WORDS};
use crate::kernels::wgsl::tuning::Choice;
use crate::kernels::wgsl::weights::LANES;

/// `layer.wgsl`: four channels each to a corner of its own, and a residual that lies as the result does.
const SCATTER: usize = 4;
const SAME: usize = 8;

/// A sum of convolutions on the device.
#[derive(Debug)]
pub struct Sum {
    weights: Room,
    /// Of each term channels, pixels a side and step.
    terms: Vec<[usize; 3]>,
    outputs: usize,
    /// 4 where every pixel of the grid gives four of the output, else 1.
    corners: usize,
    bias_row: usize,
}

impl Sum {
    /// Weights of a step as `[term][tap][channel][corner][output]`, channels and outputs filled up to groups of four with zeros; `bias`
    /// is where a parameter with one begins.
    pub fn new(
        terms: &[Term],
        [outputs, corners]: [usize; 2],
        bias: Option<usize>,
        tensors: &Tensors,
        work: &mut Work,
    ) -> Self {
        let width = corners * outputs.next_multiple_of(LANES);
        let count: usize = terms.iter().map(Term::rows).sum();
        let bias_row = count + SPARE_ROWS;
        // A tile reads whole rows of its own, wider ones than these at the end.
        let weights = work.room(((bias_row + 1) * width + 64).div_ceil(LANES));
        let mut row = 0;
        for term in terms {
            tensors.pack(&term.words(row * width, outputs), &weights, work);
            row += term.rows();
        }
        let none = [NO_WEIGHT; 4];
        let spare = order([SPARE_ROWS, 0, SPARE_ROWS], [outputs, corners], [row * width, 0], [0; 2], &none);
        tensors.pack(&spare, &weights, work);
        let taps = if bias.is_some() { [0; 4] } else { none };
        let at = [bias_row * width, bias.unwrap_or(0)];
        tensors.pack(&order([1, 1, 1], [outputs, corners], at, [0, 1], &taps), &weights, work);
        let terms = terms.iter().map(|term| [term.channels, term.kernel, term.stride]).collect();
        Self { weights, terms, outputs, corners, bias_row }
    }

    /// The sum of all terms of a batch, each of one of the inputs, with `more` added.
    pub fn run(&self, inputs: &[&BatchMaps], more: Option<&BatchMaps>, work: &mut Work) -> BatchMaps {
        let [_, _, stride] = self.terms[0];
        let slices = inputs[0].slices;
        let grid = inputs[0].size.map(|n| n / stride);
        let scale = if self.corners == 4 { 2 } else { 1 };
        let result = work.maps(self.outputs, grid.map(|n| n * scale), slices);
        let (pixels, out_c4) = (grid[0] * grid[1], result.c4());
        let n4 = self.corners * out_c4;
        let chunks =
            self.terms.iter().map(|[channels, kernel, _]| kernel * kernel * channels.div_ceil(4 * LANES)).sum();
        let simple = self.corners == 1 && self.terms.iter().all(|[_, kernel, stride]| *stride == 1 && *kernel != 2);
        let choice = work.gpu.tuning().choose((slices * pixels) as u32, (n4 * LANES) as u32, chunks as u32, simple);
        let Choice { kernel, parts } = choice;
        let parts = parts as usize;
        let flags = usize::from(self.corners == 4) * SCATTER + usize::from(more.is_some()) * SAME;
        let mut words = [0; LAYER_WORDS + 4 * SOURCE_WORDS];
        let head = [
            grid[1],
            pixels,
            n4,
            out_c4,
            chunks,
            chunks.div_ceil(parts),
            parts,
            flags,
            self.terms.len(),
            self.bias_row,
            0,
            0,
        ];
        words[..LAYER_WORDS].copy_from_slice(&head);
        for (n, ([_, kernel, stride], maps)) in self.terms.iter().zip(inputs).enumerate() {
            let ([height, width], c4) = (maps.size, maps.c4());
            let of_source = [c4, width, height, *kernel, *stride, 0, width, height, 0, 0, width * height * c4, 0];
            words[LAYER_WORDS + n * SOURCE_WORDS..][..SOURCE_WORDS].copy_from_slice(&of_source);
        }
        let none = &self.weights;
        let source = |n: usize| inputs.get(n).map_or(none, |maps| &maps.room);
        let more = more.map_or(none, |maps| &maps.room);
        let groups = choice.groups([grid[1], grid[0]], n4, slices);
        // What is not split has no parts.
        let found = work.room(if parts > 1 { slices * parts * pixels * n4 } else { 1 });
        let buffers = [&self.weights, source(0), source(1), source(2), more, &result.room, &found];
        work.run(kernel, &words, &buffers, groups);
        if parts > 1 {
            work.run(Kernel::AddParts, &words, &buffers, [(pixels * n4).div_ceil(64), slices, 1]);
        }
        result
    }
}
