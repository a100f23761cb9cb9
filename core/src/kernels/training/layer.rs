//! The layers with weights: in the order of their use for a step, and their gradients in the order of the parameters.

use super::clock::Kind;
use super::memory::BatchMaps;
use super::normalisation::{Normalisation, NormalisationGradients, channel_sums, moments};
use super::products::{self, Kernel};
use super::work::{Gradients, Statistics, Work};
use crate::kernels::parameters::Parameters;
use crate::kernels::plan::blocked::{BLOCK, Shape};
use crate::kernels::plan::convolution::{Convolution, Filter, Term};
use crate::kernels::processor::map;

/// A convolution of 3x3 or 1x1 without bias, over maps that stand for their concatenation.
#[derive(Debug)]
struct Weights<'a> {
    /// `[out, in, side, side]`.
    values: &'a [f32],
    /// Channels of each input.
    inputs: Vec<usize>,
    /// Channels of all inputs.
    all_inputs: usize,
    outputs: usize,
    side: usize,
    stride: usize,
}

impl Weights<'_> {
    fn first(&self, input: usize) -> usize {
        self.inputs[..input].iter().sum()
    }

    fn at(&self, [o, i]: [usize; 2], [y, x]: [usize; 2]) -> f32 {
        self.values[((o * self.all_inputs + i) * self.side + y) * self.side + x]
    }

    fn forward(&self) -> Vec<Term> {
        let term = |input: usize| {
            let first = self.first(input);
            let at = |o: usize, i: usize, y: usize, x: usize| self.at([o, first + i], [y, x]);
            let filter = Filter::new(self.side, self.stride, [self.inputs[input], self.outputs], at);
            Term { input, filter, offset: [0, 0] }
        };
        (0..self.inputs.len()).map(term).collect()
    }

    /// From gradients by the output, which are input `from`, to those by one of the inputs.
    fn back(&self, input: usize, from: usize) -> Vec<Term> {
        let (first, channels) = (self.first(input), [self.outputs, self.inputs[input]]);
        let last = self.side - 1;
        if self.stride == 1 {
            let at = |i: usize, o: usize, y: usize, x: usize| self.at([o, first + i], [last - y, last - x]);
            return vec![Term { input: from, filter: Filter::new(self.side, 1, channels, at), offset: [0, 0] }];
        }
        let even = |i: usize, o: usize, _: usize, _: usize| self.at([o, first + i], [self.side / 2; 2]);
        let mut terms = vec![Term { input: from, filter: Filter::new(1, 1, channels, even), offset: [0, 0] }];
        if self.side == 3 {
            // An even row was seen by the middle of the kernel; an odd one by its last row, and by its first one output later.
            let seen = |odd: usize, tap: usize| [[Some(1), None], [Some(2), Some(0)]][odd][tap];
            for offset in [[0, 1], [1, 0], [1, 1]] {
                let at = |i: usize, o: usize, y: usize, x: usize| match (seen(offset[0], y), seen(offset[1], x)) {
                    (Some(y), Some(x)) => self.at([o, first + i], [y, x]),
                    _ => 0.0,
                };
                terms.push(Term { input: from, filter: Filter::new(2, 1, channels, at), offset });
            }
        }
        terms
    }
}

fn no_bias(channels: usize) -> Vec<f32> {
    vec![0.0; channels.next_multiple_of(BLOCK)]
}

/// The way back through convolutions of the same input.
fn back(weights: &[&Weights<'_>], input: usize) -> Convolution {
    let mut terms: Vec<Term> =
        weights.iter().enumerate().flat_map(|(from, weights)| weights.back(input, from)).collect();
    // What is added up stands together.
    terms.sort_by_key(|term| term.offset);
    let Weights { inputs, stride, .. } = weights[0];
    Convolution { terms, bias: no_bias(inputs[input]), relu: false, step: *stride }
}

/// A convolution and the normalisation behind it.
#[derive(Debug)]
pub struct ConvNorm {
    name: String,
    side: usize,
    stride: usize,
    /// Channels of each input.
    inputs: Vec<usize>,
    /// Channels of the output.
    pub outputs: usize,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    forward: Convolution,
}

impl ConvNorm {
    fn new(name: String, weights: &Weights<'_>, parameters: &Parameters) -> Self {
        let of = |what: &str| parameters[&format!("{name}.norm.{what}")].values.clone();
        Self {
            side: weights.side,
            stride: weights.stride,
            inputs: weights.inputs.clone(),
            outputs: weights.outputs,
            gamma: of("gamma"),
            beta: of("beta"),
            forward: Convolution { terms: weights.forward(), bias: no_bias(weights.outputs), relu: false, step: 1 },
            name,
        }
    }

    fn weights<'a>(name: &str, inputs: &[usize], stride: usize, parameters: &'a Parameters) -> Weights<'a> {
        let weight = &parameters[&format!("{name}.conv.weight")];
        Weights {
            values: &weight.values,
            inputs: inputs.to_vec(),
            all_inputs: inputs.iter().sum(),
            outputs: weight.shape[0],
            side: weight.shape[2],
            stride,
        }
    }

    /// One alone, and the way back.
    pub fn alone(name: &str, inputs: &[usize], parameters: &Parameters) -> (Self, Convolution) {
        let weights = Self::weights(name, inputs, 1, parameters);
        (Self::new(name.into(), &weights, parameters), back(&[&weights], 0))
    }

    /// One, and perhaps another, of the same inputs, and the ways back to each input.
    pub fn together(
        names: [&str; 2],
        inputs: &[usize],
        stride: usize,
        parameters: &Parameters,
    ) -> (Self, Option<Self>, Vec<Convolution>) {
        let first = Self::weights(names[0], inputs, stride, parameters);
        let second = parameters
            .contains_key(&format!("{}.conv.weight", names[1]))
            .then(|| Self::weights(names[1], inputs, stride, parameters));
        let all: Vec<&Weights<'_>> = [&first].into_iter().chain(&second).collect();
        let ways = (0..inputs.len()).map(|input| back(&all, input)).collect();
        (
            Self::new(names[0].into(), &first, parameters),
            second.map(|weights| Self::new(names[1].into(), &weights, parameters)),
            ways,
        )
    }

    /// Multiply-adds of a slice.
    pub fn multiply_adds(&self, output: [usize; 2]) -> u64 {
        (self.side.pow(2) * self.inputs.iter().sum::<usize>() * self.outputs * output[0] * output[1]) as u64
    }

    /// The convolution of every slice, and its statistics.
    pub fn run(&self, inputs: &[&BatchMaps], work: &mut Work<'_>) -> (BatchMaps, Normalisation) {
        let size = inputs[0].shape.size.map(|n| n / self.stride);
        let operations = self.multiply_adds(size);
        let shape = Shape { channels: self.outputs, size };
        let spent = (Kind::Forward, operations);
        let clock = work.clock;
        let (y, moments) = work.convolve_and(&self.forward, inputs, None, shape, spent, |maps| {
            clock.time(Kind::Normalisation, 0, || moments(maps))
        });
        let norm = Normalisation::new(&moments, &self.gamma, &self.beta, work.epsilon);
        (y, norm)
    }

    /// Statistics of the channels that there are, under the name of the normalisation.
    pub fn statistics(&self, norm: &Normalisation) -> Statistics {
        Statistics {
            name: format!("{}.norm", self.name),
            mean: norm.mean[..self.outputs].to_vec(),
            variance: norm.variance[..self.outputs].to_vec(),
        }
    }

    /// Gradients of weights and normalisation.
    pub fn gradients(
        &self,
        by_output: &BatchMaps,
        inputs: &[&BatchMaps],
        norm: &NormalisationGradients,
        work: &Work<'_>,
        to: &mut Gradients,
    ) {
        let kernel = Kernel::Convolution { side: self.side, stride: self.stride };
        let all: usize = self.inputs.iter().sum();
        let operations = self.multiply_adds(by_output.shape.size);
        let mut weight = vec![0.0; self.outputs * all * self.side.pow(2)];
        let mut first = 0;
        for maps in inputs {
            let count = maps.shape.channels;
            let share = operations * count as u64 / all as u64;
            let sums = products::sums(by_output, maps, kernel, share, work.clock);
            work.clock.time(Kind::WeightGradient, 0, || {
                unblock(&sums, count, self.side.pow(2), &mut weight, [first, all]);
            });
            first += count;
        }
        add(to, format!("{}.conv.weight", self.name), weight);
        add(to, format!("{}.norm.gamma", self.name), norm.gamma[..self.outputs].to_vec());
        add(to, format!("{}.norm.beta", self.name), norm.beta[..self.outputs].to_vec());
    }
}

/// `[out / 16][in / 16][taps][16 in][16 out]` into `[out, in, taps]`, of which it is `count` channels from the `first` of `all`.
fn unblock(sums: &[f32], count: usize, taps: usize, to: &mut [f32], [first, all]: [usize; 2]) {
    let blocks = count.div_ceil(BLOCK);
    let outputs: Vec<(usize, &mut [f32])> = to.chunks_exact_mut(all * taps).enumerate().collect();
    map(outputs, |(o, to)| {
        let of_block = &sums[o / BLOCK * blocks * taps * BLOCK * BLOCK..][..blocks * taps * BLOCK * BLOCK];
        for (i, to) in to[first * taps..][..count * taps].chunks_exact_mut(taps).enumerate() {
            for (tap, to) in to.iter_mut().enumerate() {
                *to = of_block[((i / BLOCK * taps + tap) * BLOCK + i % BLOCK) * BLOCK + o % BLOCK];
            }
        }
    });
}

/// Adds to what is there of a parameter.
fn add(to: &mut Gradients, name: String, values: Vec<f32>) {
    match to.entry(name) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(values);
        }
        std::collections::btree_map::Entry::Occupied(mut entry) => {
            entry.get_mut().iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }
}

/// A layer with a bias and no normalisation: the transposed convolutions and the head.
#[derive(Debug)]
pub struct Biased {
    name: String,
    kernel: Kernel,
    /// Channels in and out.
    channels: [usize; 2],
    /// The layer.
    forward: Convolution,
    back: Convolution,
}

impl Biased {
    /// A transposed convolution of 2x2 at stride 2, `[in, out, 2, 2]`.
    pub fn transposed(name: &str, parameters: &Parameters) -> Self {
        let weight = &parameters[&format!("{name}.weight")];
        let [inputs, outputs] = [weight.shape[0], weight.shape[1]];
        let at = |i: usize, o: usize, y: usize, x: usize| weight.values[((i * outputs + o) * 2 + y) * 2 + x];
        let back = Filter::new(2, 2, [outputs, inputs], at);
        Self {
            name: name.into(),
            kernel: Kernel::Transposed,
            channels: [inputs, outputs],
            forward: Convolution::transposed([inputs, outputs], at, &parameters[&format!("{name}.bias")].values),
            back: Convolution {
                terms: vec![Term { input: 0, filter: back, offset: [0, 0] }],
                bias: no_bias(inputs),
                relu: false,
                step: 1,
            },
        }
    }

    /// A convolution of 1x1, `[out, in, 1, 1]`.
    pub fn pointwise(name: &str, parameters: &Parameters) -> Self {
        let weight = &parameters[&format!("{name}.weight")];
        let [outputs, inputs] = [weight.shape[0], weight.shape[1]];
        let weights =
            Weights { values: &weight.values, inputs: vec![inputs], all_inputs: inputs, outputs, side: 1, stride: 1 };
        let forward = Convolution::new(weights.forward(), &parameters[&format!("{name}.bias")].values, false);
        let kernel = Kernel::Convolution { side: 1, stride: 1 };
        Self { name: name.into(), kernel, channels: [inputs, outputs], forward, back: back(&[&weights], 0) }
    }

    fn multiply_adds(&self, input: [usize; 2]) -> u64 {
        let taps = if matches!(self.kernel, Kernel::Transposed) { 4 } else { 1 };
        (taps * self.channels[0] * self.channels[1] * input[0] * input[1]) as u64
    }

    /// Every slice.
    pub fn run(&self, x: &BatchMaps, work: &mut Work<'_>) -> BatchMaps {
        let operations = self.multiply_adds(x.shape.size);
        let size = x.shape.size.map(|n| n * self.forward.step);
        let shape = Shape { channels: self.channels[1], size };
        work.convolve(&self.forward, &[x], None, shape, (Kind::Forward, operations))
    }

    /// Gradients of the parameters, and the gradient by the input, with `more` added.
    pub fn gradients(
        &self,
        by_output: &BatchMaps,
        x: &BatchMaps,
        more: Option<&BatchMaps>,
        work: &mut Work<'_>,
        to: &mut Gradients,
    ) -> BatchMaps {
        let operations = self.multiply_adds(x.shape.size);
        let sums = products::sums(by_output, x, self.kernel, operations, work.clock);
        let [inputs, outputs] = self.channels;
        let taps = sums.len() / (outputs.next_multiple_of(BLOCK) * inputs.next_multiple_of(BLOCK));
        let mut weight = vec![0.0; outputs * inputs * taps];
        unblock(&sums, inputs, taps, &mut weight, [0, inputs]);
        if matches!(self.kernel, Kernel::Transposed) {
            // Here the input's channels come first.
            let at = |n: usize| weight[(n / taps % outputs * inputs + n / (taps * outputs)) * taps + n % taps];
            weight = (0..weight.len()).map(at).collect();
        }
        add(to, format!("{}.weight", self.name), weight);
        let slices: Vec<usize> = (0..by_output.count()).collect();
        let sums =
            map(slices, |n| work.clock.time(Kind::NormalisationGradient, 0, || channel_sums(by_output.slice(n))));
        let bias = (0..outputs).map(|channel| sums.iter().map(|sums| sums[channel]).sum::<f64>() as f32).collect();
        add(to, format!("{}.bias", self.name), bias);
        work.convolve(&self.back, &[by_output], more, x.shape, (Kind::InputGradient, operations))
    }
}
