//! A residual block: conv3x3-BN-ReLU-conv3x3-BN plus shortcut, then ReLU; and the way back.

use super::clock::Kind;
use super::layer::ConvNorm;
use super::memory::BatchMaps;
use super::normalisation::{Normalisation, activate, before, before_in_place, before_relu, join};
use super::work::{Gradients, Statistics, Work};
use crate::kernels::parameters::Parameters;
use crate::kernels::plan::convolution::Convolution;
use crate::kernels::processor::map;

/// A convolution's output, its statistics, and what follows from both.
#[derive(Debug)]
pub struct Activated {
    y: BatchMaps,
    norm: Normalisation,
    /// relu(norm(y)).
    pub out: BatchMaps,
}

impl Activated {
    /// Convolution, normalisation, ReLU.
    pub fn run(layer: &ConvNorm, inputs: &[&BatchMaps], work: &mut Work<'_>) -> Self {
        let (y, norm) = layer.run(inputs, work);
        let mut out = work.memory.take(y.shape, y.count());
        map(out.parts().enumerate().collect(), |(n, out)| {
            work.clock.time(Kind::Normalisation, 0, || activate(y.slice(n), &norm, out));
        });
        Self { y, norm, out }
    }

    /// The statistics, under their name.
    pub fn statistics(&self, layer: &ConvNorm) -> Statistics {
        layer.statistics(&self.norm)
    }

    /// Makes of the gradient by [`out`](Self::out) the one by the convolution's output, and adds the layer's gradients.
    pub fn back(
        &self,
        layer: &ConvNorm,
        mut by: BatchMaps,
        inputs: &[&BatchMaps],
        work: &Work<'_>,
        to: &mut Gradients,
    ) -> BatchMaps {
        let slopes: Vec<_> = map(by.parts().enumerate().collect(), |(n, by)| {
            work.clock.time(Kind::NormalisationGradient, 0, || {
                let [slopes] = before_relu(by, self.out.slice(n), [(self.y.slice(n), &self.norm)]);
                slopes
            })
        });
        let found = self.norm.gradients(&slopes);
        map(by.parts().enumerate().collect(), |(n, by)| {
            work.clock.time(Kind::NormalisationGradient, 0, || {
                before_in_place(by, self.y.slice(n), &self.norm, &found);
            });
        });
        layer.gradients(&by, inputs, &found, work, to);
        by
    }

    /// Gives its memory back.
    pub fn release(self, work: &mut Work<'_>) {
        work.memory.give(self.y);
        work.memory.give(self.out);
    }
}

/// A residual block.
#[derive(Debug)]
pub struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
    /// From the gradients by the second convolution's output to those by its input.
    back_second: Convolution,
    /// From those by the first convolution's and the shortcut's output to those by each input.
    back: Vec<Convolution>,
    inputs: Vec<usize>,
}

/// What the way back needs.
#[derive(Debug)]
pub struct Kept {
    first: Activated,
    second: (BatchMaps, Normalisation),
    shortcut: Option<(BatchMaps, Normalisation)>,
}

impl Kept {
    /// Gives its memory back.
    pub fn release(self, work: &mut Work<'_>) {
        self.first.release(work);
        for (maps, _) in [self.second].into_iter().chain(self.shortcut) {
            work.memory.give(maps);
        }
    }
}

/// What went through a block.
#[derive(Debug)]
pub struct Passed<'a> {
    /// Its output.
    pub out: &'a BatchMaps,
    /// Its inputs.
    pub inputs: &'a [&'a BatchMaps],
    /// What it kept.
    pub kept: Kept,
}

impl Block {
    /// `inputs` are the channels of what stands for a concatenation.
    pub fn new(name: &str, inputs: &[usize], stride: usize, parameters: &Parameters) -> Self {
        let of = |what: &str| format!("{name}.{what}");
        let (first, shortcut, back) = ConvNorm::together([&of("first"), &of("shortcut")], inputs, stride, parameters);
        let (second, back_second) = ConvNorm::alone(&of("second"), &[first.outputs], parameters);
        Self { first, second, shortcut, back_second, back, inputs: inputs.to_vec() }
    }

    /// Every slice.
    pub fn run(
        &self,
        inputs: &[&BatchMaps],
        work: &mut Work<'_>,
        statistics: &mut Vec<Statistics>,
    ) -> (BatchMaps, Kept) {
        let first = Activated::run(&self.first, inputs, work);
        let shortcut = self.shortcut.as_ref().map(|shortcut| shortcut.run(inputs, work));
        let second = self.second.run(&[&first.out], work);
        statistics.push(first.statistics(&self.first));
        statistics.push(self.second.statistics(&second.1));
        if let (Some(layer), Some((_, norm))) = (&self.shortcut, &shortcut) {
            statistics.push(layer.statistics(norm));
        }
        let mut out = work.memory.take(second.0.shape, second.0.count());
        map(out.parts().enumerate().collect(), |(n, out)| {
            let (z, other) = match &shortcut {
                Some((z, norm)) => (z.slice(n), Some(norm)),
                None => (inputs[0].slice(n), None),
            };
            work.clock.time(Kind::Normalisation, 0, || join(second.0.slice(n), &second.1, z, other, out));
        });
        (out, Kept { first, second, shortcut })
    }

    /// From the gradient by the output to those by the inputs: `more` has an entry for each that is wanted, which is added to it.
    pub fn back(
        &self,
        mut by: BatchMaps,
        passed: Passed<'_>,
        more: &[Option<BatchMaps>],
        work: &mut Work<'_>,
        to: &mut Gradients,
    ) -> Vec<BatchMaps> {
        let Passed { out, inputs, kept } = passed;
        let Kept { first, second: (y, norm), shortcut } = kept;
        // Through the last ReLU, to both that are added before it.
        let slopes = map(by.parts().enumerate().collect(), |(n, by)| {
            work.clock.time(Kind::NormalisationGradient, 0, || match &shortcut {
                Some((z, other)) => {
                    let inputs = [(y.slice(n), &norm), (z.slice(n), other)];
                    let [own, others] = before_relu(by, out.slice(n), inputs);
                    (own, Some(others))
                }
                None => {
                    let [own] = before_relu(by, out.slice(n), [(y.slice(n), &norm)]);
                    (own, None)
                }
            })
        });
        let (own, others): (Vec<_>, Vec<_>) = slopes.into_iter().unzip();
        let found = norm.gradients(&own);
        let mut by_second = work.memory.take(y.shape, y.count());
        map(by_second.parts().enumerate().collect(), |(n, to)| {
            work.clock.time(Kind::NormalisationGradient, 0, || {
                before(by.slice(n).values, y.slice(n), &norm, &found, to);
            });
        });
        if let (Some(layer), Some((z, norm))) = (&self.shortcut, &shortcut) {
            let others: Vec<_> = others.into_iter().flatten().collect();
            let found = norm.gradients(&others);
            map(by.parts().enumerate().collect(), |(n, by)| {
                work.clock.time(Kind::NormalisationGradient, 0, || before_in_place(by, z.slice(n), norm, &found));
            });
            layer.gradients(&by, inputs, &found, work, to);
        }
        self.second.gradients(&by_second, &[&first.out], &found, work, to);
        let size = y.shape.size;
        let operations = self.second.multiply_adds(size);
        let spent = (Kind::InputGradient, operations);
        let by_first = work.convolve(&self.back_second, &[&by_second], None, first.out.shape, spent);
        work.memory.give(by_second);
        work.memory.give(y);
        let by_first = first.back(&self.first, by_first, inputs, work, to);
        first.release(work);
        let of = |layer: &ConvNorm| layer.multiply_adds(size);
        let operations = of(&self.first) + self.shortcut.as_ref().map_or(0, of);
        let all: usize = self.inputs.iter().sum();
        let mut found = Vec::new();
        for (n, (back, more)) in self.back.iter().zip(more).enumerate() {
            let spent = (Kind::InputGradient, operations * self.inputs[n] as u64 / all as u64);
            found.push(work.convolve(back, &[&by_first, &by], more.as_ref(), inputs[n].shape, spent));
        }
        work.memory.give(by_first);
        work.memory.give(by);
        if let Some((z, _)) = shortcut {
            work.memory.give(z);
        }
        found
    }
}
