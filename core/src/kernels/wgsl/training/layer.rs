//! The layers with weights: packed for a step, run, and their gradients.

use super::gradients::{OnDevice, by_weights};
use super::memory::{BatchMaps, Room};
use super::normalisation::{Normalisation, NormalisationGradients, channel_sums};
use super::sums::{Packed, Sum, Term};
use super::work::Work;
use crate::kernels::training::Parameters;
use crate::kernels::wgsl::weights::LANES;

/// A convolution of 3x3 or 1x1 without bias, over maps that stand for their concatenation.
struct Weights<'a> {
    /// `[out, in, side, side]`.
    values: &'a [f32],
    /// Channels of each input.
    inputs: &'a [usize],
    outputs: usize,
    side: usize,
    stride: usize,
}

impl<'a> Weights<'a> {
    fn of(name: &str, inputs: &'a [usize], stride: usize, parameters: &'a Parameters) -> Self {
        let weight = &parameters[&format!("{name}.conv.weight")];
        Self { values: &weight.values, inputs, outputs: weight.shape[0], side: weight.shape[2], stride }
    }

    /// Where the channels of an input begin.
    fn first(&self, input: usize) -> usize {
        self.inputs[..input].iter().sum()
    }

    fn at(&self, [o, i]: [usize; 2], [y, x]: [usize; 2]) -> f32 {
        let all: usize = self.inputs.iter().sum();
        self.values[((o * all + i) * self.side + y) * self.side + x]
    }

    fn forward(&self) -> Packed {
        let term = |input: usize| {
            let first = self.first(input);
            let weight = move |tap: usize, i: usize, _: usize, o: usize| {
                self.at([o, first + i], [tap / self.side, tap % self.side])
            };
            Term { channels: self.inputs[input], kernel: self.side, stride: self.stride, weight: Box::new(weight) }
        };
        let terms: Vec<Term<'_>> = (0..self.inputs.len()).map(term).collect();
        Packed::new(&terms, self.outputs, 1, None)
    }

    /// From gradients by the output to those by one of the inputs: the same kernel with the weights turned, or at stride 2 four of
    /// them, one for each phase of the input.
    fn back(&self, input: usize) -> Term<'_> {
        let (first, last) = (self.first(input), self.side - 1);
        let of = move |o: usize, i: usize, at: [usize; 2]| self.at([o, first + i], at);
        if self.stride == 1 {
            let weight = move |tap: usize, o: usize, _: usize, i: usize| {
                of(o, i, [last - tap / self.side, last - tap % self.side])
            };
            return Term { channels: self.outputs, kernel: self.side, stride: 1, weight: Box::new(weight) };
        }
        if self.side == 1 {
            let weight =
                move |_: usize, o: usize, corner: usize, i: usize| if corner == 0 { of(o, i, [0; 2]) } else { 0.0 };
            return Term { channels: self.outputs, kernel: 1, stride: 1, weight: Box::new(weight) };
        }
        // An even row was seen by the middle of the kernel; an odd one by its last row, and by its first one output later.
        let seen = |odd: usize, tap: usize| [[Some(1), None], [Some(2), Some(0)]][odd][tap];
        let weight = move |tap: usize, o: usize, corner: usize, i: usize| match (
            seen(corner / 2, tap / 2),
            seen(corner % 2, tap % 2),
        ) {
            (Some(y), Some(x)) => of(o, i, [y, x]),
            _ => 0.0,
        };
        Term { channels: self.outputs, kernel: 2, stride: 1, weight: Box::new(weight) }
    }
}

/// The way back through convolutions of the same inputs to one of them.
fn back(weights: &[&Weights<'_>], input: usize) -> Packed {
    let terms: Vec<Term<'_>> = weights.iter().map(|weights| weights.back(input)).collect();
    let corners = if weights[0].stride == 2 { 4 } else { 1 };
    Packed::new(&terms, weights[0].inputs[input], corners, None)
}

/// A convolution and the normalisation behind it, on the host.
pub struct PackedConvNorm {
    name: String,
    side: usize,
    stride: usize,
    inputs: Vec<usize>,
    outputs: usize,
    /// `[gamma, beta]`, filled up.
    parameters: Vec<f32>,
    /// `[mean, variance]` over many batches, filled up.
    running: Vec<f32>,
    forward: Packed,
}

impl PackedConvNorm {
    fn new(name: &str, weights: &Weights<'_>, parameters: &Parameters) -> Self {
        let filled = weights.outputs.next_multiple_of(LANES);
        let both = |names: [&str; 2]| {
            let mut both = vec![0.0; 2 * filled];
            for (what, to) in names.into_iter().zip(both.chunks_exact_mut(filled)) {
                to[..weights.outputs].copy_from_slice(&parameters[&format!("{name}.norm.{what}")].values);
            }
            both
        };
        Self {
            name: name.into(),
            side: weights.side,
            stride: weights.stride,
            inputs: weights.inputs.to_vec(),
            outputs: weights.outputs,
            parameters: both(["gamma", "beta"]),
            running: both(["running_mean", "running_var"]),
            forward: weights.forward(),
        }
    }

    /// One alone, at stride 1, and the way back.
    pub fn alone(name: &str, inputs: usize, parameters: &Parameters) -> (Self, Packed) {
        let inputs = [inputs];
        let weights = Weights::of(name, &inputs, 1, parameters);
        (Self::new(name, &weights, parameters), back(&[&weights], 0))
    }

    /// One, and perhaps another, of the same inputs, and the ways back to each input.
    pub fn together(
        names: [&str; 2],
        inputs: &[usize],
        stride: usize,
        parameters: &Parameters,
    ) -> (Self, Option<Self>, Vec<Packed>) {
        let first = Weights::of(names[0], inputs, stride, parameters);
        let second = parameters
            .contains_key(&format!("{}.conv.weight", names[1]))
            .then(|| Weights::of(names[1], inputs, stride, parameters));
        let all: Vec<&Weights<'_>> = [&first].into_iter().chain(&second).collect();
        let ways = (0..inputs.len()).map(|input| back(&all, input)).collect();
        let other = second.as_ref().map(|weights| Self::new(names[1], weights, parameters));
        (Self::new(names[0], &first, parameters), other, ways)
    }

    /// Channels of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// On the device.
    pub fn upload(self, work: &mut Work) -> ConvNorm {
        let Self { name, side, stride, inputs, outputs, parameters, running, forward } = self;
        let settled = settled(&parameters, &running, work.epsilon);
        let parameters = work.upload(&parameters);
        ConvNorm { name, side, stride, inputs, outputs, parameters, settled, forward: forward.upload(work) }
    }
}

/// A normalisation by the statistics of many batches, as [`Normalisation`] has it.
fn settled(parameters: &[f32], running: &[f32], epsilon: f32) -> Vec<f32> {
    let half = parameters.len() / 2;
    let ([gamma, beta], [mean, variance]) =
        ([&parameters[..half], &parameters[half..]], [&running[..half], &running[half..]]);
    let inverse: Vec<f32> = variance.iter().map(|variance| 1.0 / (variance + epsilon).sqrt()).collect();
    let scale: Vec<f32> = gamma.iter().zip(&inverse).map(|(gamma, inverse)| gamma * inverse).collect();
    let shift: Vec<f32> = (0..half).map(|n| beta[n] - mean[n] * scale[n]).collect();
    [mean, variance, &inverse, &scale, &shift].concat()
}

/// A convolution and the normalisation behind it.
#[derive(Debug)]
pub struct ConvNorm {
    /// Of the layer.
    pub name: String,
    side: usize,
    stride: usize,
    inputs: Vec<usize>,
    /// Channels of the output.
    pub outputs: usize,
    /// `[gamma, beta][c4]`.
    parameters: Room,
    /// By the statistics of many batches.
    settled: Vec<f32>,
    forward: Sum,
}

impl ConvNorm {
    /// The convolution, and its statistics; or those of many batches, where the work is to be [settled](Work::settled).
    pub fn run(&self, inputs: &[&BatchMaps], work: &mut Work) -> (BatchMaps, Normalisation) {
        let y = self.forward.run(inputs, None, work);
        let norm = match work.settled {
            true => Normalisation(work.upload(&self.settled)),
            false => Normalisation::of(&y, &self.parameters, work),
        };
        (y, norm)
    }

    /// Gradients of weights and normalisation.
    pub fn gradients(
        &self,
        by_output: &BatchMaps,
        inputs: &[&BatchMaps],
        norm: NormalisationGradients,
        work: &mut Work,
        to: &mut OnDevice,
    ) {
        let weights = by_weights(inputs, by_output, [self.side, self.stride], work);
        let name = format!("{}.conv.weight", self.name);
        to.weights(name, weights, &self.inputs, self.outputs, self.side.pow(2), false);
        let found = norm.0.into();
        to.plain(format!("{}.norm.gamma", self.name), &found, 0, self.outputs);
        to.plain(format!("{}.norm.beta", self.name), &found, self.outputs.next_multiple_of(LANES), self.outputs);
    }
}

/// A layer with a bias and no normalisation, on the host.
pub struct PackedBiased {
    name: String,
    transposed: bool,
    channels: [usize; 2],
    forward: Packed,
    back: Packed,
}

impl PackedBiased {
    /// A transposed convolution of 2x2 at stride 2, `[in, out, 2, 2]`.
    pub fn transposed(name: &str, parameters: &Parameters) -> Self {
        let weight = &parameters[&format!("{name}.weight")];
        let [inputs, outputs] = [weight.shape[0], weight.shape[1]];
        let at = |i: usize, o: usize, corner: usize| weight.values[(i * outputs + o) * 4 + corner];
        let forward = move |_: usize, i: usize, corner: usize, o: usize| at(i, o, corner);
        let forward = Term { channels: inputs, kernel: 1, stride: 1, weight: Box::new(forward) };
        let back = move |tap: usize, o: usize, _: usize, i: usize| at(i, o, tap);
        let back = Term { channels: outputs, kernel: 2, stride: 2, weight: Box::new(back) };
        Self {
            name: name.into(),
            transposed: true,
            channels: [inputs, outputs],
            forward: Packed::new(&[forward], outputs, 4, Some(&parameters[&format!("{name}.bias")].values)),
            back: Packed::new(&[back], inputs, 1, None),
        }
    }

    /// A convolution of 1x1, `[out, in, 1, 1]`.
    pub fn pointwise(name: &str, parameters: &Parameters) -> Self {
        let weight = &parameters[&format!("{name}.weight")];
        let [outputs, inputs] = [weight.shape[0], weight.shape[1]];
        let at = |i: usize, o: usize| weight.values[o * inputs + i];
        let forward = move |_: usize, i: usize, _: usize, o: usize| at(i, o);
        let forward = Term { channels: inputs, kernel: 1, stride: 1, weight: Box::new(forward) };
        let back = move |_: usize, o: usize, _: usize, i: usize| at(i, o);
        let back = Term { channels: outputs, kernel: 1, stride: 1, weight: Box::new(back) };
        Self {
            name: name.into(),
            transposed: false,
            channels: [inputs, outputs],
            forward: Packed::new(&[forward], outputs, 1, Some(&parameters[&format!("{name}.bias")].values)),
            back: Packed::new(&[back], inputs, 1, None),
        }
    }

    /// On the device.
    pub fn upload(self, work: &mut Work) -> Biased {
        let Self { name, transposed, channels, forward, back } = self;
        Biased { name, transposed, channels, forward: forward.upload(work), back: back.upload(work) }
    }
}

/// A layer with a bias and no normalisation: the transposed convolutions and the head.
#[derive(Debug)]
pub struct Biased {
    name: String,
    transposed: bool,
    /// In and out.
    channels: [usize; 2],
    forward: Sum,
    back: Sum,
}

impl Biased {
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
        work: &mut Work,
        to: &mut OnDevice,
    ) -> BatchMaps {
        let [inputs, outputs] = self.channels;
        let name = format!("{}.weight", self.name);
        if self.transposed {
            // A convolution from the output to the input, of 2x2 at stride 2.
            let weights = by_weights(&[by_output], x, [2, 2], work);
            to.weights(name, weights, &[outputs], inputs, 4, false);
        } else {
            let weights = by_weights(&[x], by_output, [1, 1], work);
            to.weights(name, weights, &[inputs], outputs, 1, false);
        }
        to.plain(format!("{}.bias", self.name), &channel_sums(by_output, work).into(), 0, outputs);
        self.back.run(&[by_output], more, work)
    }
}
