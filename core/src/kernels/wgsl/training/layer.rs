//! The layers with weights: packed for a step, run, and their gradients.

use super::gradients::by_weights;
use super::memory::{BatchMaps, Room};
use super::normalisation::{Normalisation, NormalisationGradients, channel_sums};
use super::order::{NO_WEIGHT, Tensors, Term, order};
use super::sums::Sum;
use super::work::Work;
use crate::kernels::wgsl::weights::LANES;

/// A convolution of 3x3 or 1x1 without bias, over maps that stand for their concatenation: `[out, in, side, side]`.
#[derive(Clone, Debug)]
struct Weights {
    at: usize,
    /// Channels of each input.
    inputs: Vec<usize>,
    outputs: usize,
    side: usize,
    stride: usize,
}

impl Weights {
    fn of(name: &str, inputs: &[usize], stride: usize, tensors: &Tensors) -> Self {
        let name = format!("{name}.conv.weight");
        let shape = tensors.shape(&name);
        Self { at: tensors.at(&name), inputs: inputs.to_vec(), outputs: shape[0], side: shape[2], stride }
    }

    fn taps(&self) -> usize {
        self.side * self.side
    }

    /// From output to output.
    fn step(&self) -> usize {
        self.inputs.iter().sum::<usize>() * self.taps()
    }

    /// Where the weights of an input begin.
    fn first(&self, input: usize) -> usize {
        self.at + self.inputs[..input].iter().sum::<usize>() * self.taps()
    }

    fn forward(&self) -> Vec<Term> {
        let term = |input: usize| Term {
            channels: self.inputs[input],
            kernel: self.side,
            stride: self.stride,
            at: self.first(input),
            steps: [self.taps(), self.step()],
            taps: (0..self.taps() as i32).collect(),
        };
        (0..self.inputs.len()).map(term).collect()
    }

    /// From gradients by the output to those by one of the inputs: the same kernel with the weights turned, or at stride 2 four of
    /// them, one for each phase of the input.
    fn back(&self, input: usize) -> Term {
        let term = |kernel: usize, taps: Vec<i32>| Term {
            channels: self.outputs,
            kernel,
            stride: 1,
            at: self.first(input),
            steps: [self.step(), self.taps()],
            taps,
        };
        match (self.stride, self.side) {
            (1, side) => term(side, (0..self.taps() as i32).rev().collect()),
            // Only even rows and columns were seen.
            (_, 1) => term(1, vec![0, NO_WEIGHT, NO_WEIGHT, NO_WEIGHT]),
            _ => {
                // An even row was seen by the middle of the kernel; an odd one by its last row, and by its first one output later.
                let seen = |odd: usize, tap: usize| [[Some(1), None], [Some(2), Some(0)]][odd][tap];
                let at = |n: usize| {
                    let (tap, corner) = (n / 4, n % 4);
                    match (seen(corner / 2, tap / 2), seen(corner % 2, tap % 2)) {
                        (Some(y), Some(x)) => 3 * y + x,
                        _ => NO_WEIGHT,
                    }
                };
                term(2, (0..16).map(at).collect())
            }
        }
    }
}

/// The way back through convolutions of the same inputs to one of them.
fn back(weights: &[&Weights], input: usize, tensors: &Tensors, work: &mut Work) -> Sum {
    let terms: Vec<Term> = weights.iter().map(|weights| weights.back(input)).collect();
    let corners = if weights[0].stride == 2 { 4 } else { 1 };
    Sum::new(&terms, [weights[0].inputs[input], corners], None, tensors, work)
}

/// A convolution and the normalisation behind it.
#[derive(Debug)]
pub struct ConvNorm {
    /// Of the layer.
    pub name: String,
    weights: Weights,
    /// Channels of the output.
    pub outputs: usize,
    /// `[gamma, beta][c4]`.
    parameters: Room,
    /// `[mean, variance][c4]` over many batches.
    running: Room,
    forward: Sum,
}

impl ConvNorm {
    fn new(name: &str, weights: &Weights, tensors: &Tensors, work: &mut Work) -> Self {
        let forward = Sum::new(&weights.forward(), [weights.outputs, 1], None, tensors, work);
        let mut both = |names: [&str; 2]| {
            let filled = weights.outputs.next_multiple_of(LANES);
            let to = work.room(2 * filled / LANES);
            for (n, what) in names.into_iter().enumerate() {
                tensors.pack(&row(tensors, &format!("{name}.norm.{what}"), n * filled, weights.outputs), &to, work);
            }
            to
        };
        Self {
            name: name.into(),
            outputs: weights.outputs,
            parameters: both(["gamma", "beta"]),
            running: both(["running_mean", "running_var"]),
            weights: weights.clone(),
            forward,
        }
    }

    /// One alone, at stride 1, and the way back.
    pub fn alone(name: &str, inputs: usize, tensors: &Tensors, work: &mut Work) -> (Self, Sum) {
        let weights = Weights::of(name, &[inputs], 1, tensors);
        (Self::new(name, &weights, tensors, work), back(&[&weights], 0, tensors, work))
    }

    /// One, and perhaps another, of the same inputs, and the ways back to each input.
    pub fn together(
        names: [&str; 2],
        inputs: &[usize],
        stride: usize,
        tensors: &Tensors,
        work: &mut Work,
    ) -> (Self, Option<Self>, Vec<Sum>) {
        let first = Weights::of(names[0], inputs, stride, tensors);
        let second =
            tensors.has(&format!("{}.conv.weight", names[1])).then(|| Weights::of(names[1], inputs, stride, tensors));
        let all: Vec<&Weights> = [&first].into_iter().chain(&second).collect();
        let ways = (0..inputs.len()).map(|input| back(&all, input, tensors, work)).collect();
        let other = second.as_ref().map(|weights| Self::new(names[1], weights, tensors, work));
        (Self::new(names[0], &first, tensors, work), other, ways)
    }

    /// The convolution, and its statistics; or those of many batches, where the work is to be [settled](Work::settled).
    pub fn run(&self, inputs: &[&BatchMaps], work: &mut Work) -> (BatchMaps, Normalisation) {
        let y = self.forward.run(inputs, None, work);
        let norm = match work.settled {
            true => Normalisation::settled(&y, &self.running, &self.parameters, work),
            false => Normalisation::of(&y, &self.parameters, work),
        };
        (y, norm)
    }

    /// Gradients of weights and normalisation.
    pub fn gradients(
        &self,
        by_output: &BatchMaps,
        inputs: &[&BatchMaps],
        norm: &NormalisationGradients,
        tensors: &mut Tensors,
        work: &mut Work,
    ) {
        let Weights { side, stride, outputs, .. } = self.weights;
        let found = by_weights(inputs, by_output, [side, stride], work);
        let filled = outputs.next_multiple_of(LANES);
        let mut row_at = 0;
        for term in self.weights.forward() {
            let name = format!("{}.conv.weight", self.name);
            tensors.unpack(name, &term.words(row_at * filled, outputs), &found, work);
            row_at += term.rows();
        }
        for (n, what) in ["gamma", "beta"].into_iter().enumerate() {
            let name = format!("{}.norm.{what}", self.name);
            let words = row(tensors, &name, n * filled, outputs);
            tensors.unpack(name, &words, &norm.0, work);
        }
    }
}

/// Of a parameter that is one row.
fn row(tensors: &Tensors, name: &str, at: usize, outputs: usize) -> Vec<usize> {
    order([1, 1, 1], [outputs, 1], [at, tensors.at(name)], [0, 1], &[0])
}

/// A layer with a bias and no normalisation: the transposed convolutions and the head.
#[derive(Debug)]
pub struct Biased {
    name: String,
    transposed: bool,
    /// Of the gradients by the weights, and the columns that they have.
    term: Term,
    columns: usize,
    outputs: usize,
    forward: Sum,
    back: Sum,
}

impl Biased {
    /// A transposed convolution of 2x2 at stride 2, `[in, out, 2, 2]`.
    pub fn transposed(name: &str, tensors: &Tensors, work: &mut Work) -> Self {
        let (weight, bias) = (format!("{name}.weight"), tensors.at(&format!("{name}.bias")));
        let (at, [inputs, outputs]) = (tensors.at(&weight), [0, 1].map(|n| tensors.shape(&weight)[n]));
        let taps: Vec<i32> = (0..4).collect();
        let steps = [4 * outputs, 4];
        let forward = Term { channels: inputs, kernel: 1, stride: 1, at, steps, taps: taps.clone() };
        // A convolution from the output to the input, of 2x2 at stride 2.
        let back = Term { channels: outputs, kernel: 2, stride: 2, at, steps: [4, 4 * outputs], taps };
        Self {
            name: name.into(),
            transposed: true,
            forward: Sum::new(&[forward], [outputs, 4], Some(bias), tensors, work),
            back: Sum::new(std::slice::from_ref(&back), [inputs, 1], None, tensors, work),
            term: back,
            columns: inputs,
            outputs,
        }
    }

    /// A convolution of 1x1, `[out, in, 1, 1]`.
    pub fn pointwise(name: &str, tensors: &Tensors, work: &mut Work) -> Self {
        let (weight, bias) = (format!("{name}.weight"), tensors.at(&format!("{name}.bias")));
        let (at, [outputs, inputs]) = (tensors.at(&weight), [0, 1].map(|n| tensors.shape(&weight)[n]));
        let forward = Term { channels: inputs, kernel: 1, stride: 1, at, steps: [1, inputs], taps: vec![0] };
        let back = Term { channels: outputs, kernel: 1, stride: 1, at, steps: [inputs, 1], taps: vec![0] };
        Self {
            name: name.into(),
            transposed: false,
            forward: Sum::new(std::slice::from_ref(&forward), [outputs, 1], Some(bias), tensors, work),
            back: Sum::new(&[back], [inputs, 1], None, tensors, work),
            term: forward,
            columns: outputs,
            outputs,
        }
    }

    /// Every slice.
    pub fn run(&self, x: &BatchMaps, work: &mut Work) -> BatchMaps {
        self.forward.run(&[x], None, work)
    }

    /// Gradients of the parameters, and the gradient by the input, with `more` added.
    pub fn gradients(
        &self,
        by_output: &BatchMaps,
        x: &BatchMaps,
        more: Option<&BatchMaps>,
        tensors: &mut Tensors,
        work: &mut Work,
    ) -> BatchMaps {
        let [maps, by] = if self.transposed { [by_output, x] } else { [x, by_output] };
        let found = by_weights(&[maps], by, [self.term.kernel, self.term.stride], work);
        tensors.unpack(format!("{}.weight", self.name), &self.term.words(0, self.columns), &found, work);
        let sums = channel_sums(by_output, work);
        let name = format!("{}.bias", self.name);
        let words = row(tensors, &name, 0, self.outputs);
        tensors.unpack(name, &words, &sums, work);
        self.back.run(&[by_output], more, work)
    }
}
