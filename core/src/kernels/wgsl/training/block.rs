//! A residual block: conv3x3-BN-ReLU-conv3x3-BN plus shortcut, then ReLU; and the way back.

use super::layer::ConvNorm;
use super::memory::BatchMaps;
use super::normalisation::{Normalisation, before_relu};
use super::order::Tensors;
use super::sums::Sum;
use super::work::Work;

/// A convolution's output, its statistics, and what follows from both.
#[derive(Debug)]
pub struct Activated {
    y: BatchMaps,
    /// Its statistics.
    pub norm: Normalisation,
    /// relu(norm(y)).
    pub out: BatchMaps,
}

impl Activated {
    /// Convolution, normalisation, ReLU.
    pub fn run(layer: &ConvNorm, inputs: &[&BatchMaps], work: &mut Work) -> Self {
        let (y, norm) = layer.run(inputs, work);
        let out = norm.activate(&y, work);
        Self { y, norm, out }
    }

    /// From the gradient by [`out`](Self::out) to the one by the convolution's output; adds the layer's gradients.
    pub fn back(
        &self,
        layer: &ConvNorm,
        by: &BatchMaps,
        inputs: &[&BatchMaps],
        tensors: &mut Tensors,
        work: &mut Work,
    ) -> BatchMaps {
        let slopes = before_relu(by, &self.out, (&self.y, &self.norm), None, work);
        let found = self.norm.gradients(&self.y, &slopes, 1, work);
        let before = self.norm.before(by, &self.y, &found, work);
        layer.gradients(&before, inputs, &found, tensors, work);
        before
    }
}

/// A residual block.
#[derive(Debug)]
pub struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
    /// From the gradients by the second convolution's output to those by its input.
    back_second: Sum,
    /// From those by the first convolution's and the shortcut's output to those by each input.
    back: Vec<Sum>,
}

/// What the way back needs.
#[derive(Debug)]
pub struct Kept {
    first: Activated,
    second: (BatchMaps, Normalisation),
    shortcut: Option<(BatchMaps, Normalisation)>,
}

impl Block {
    /// `inputs` are the channels of what stands for a concatenation.
    pub fn new(name: &str, inputs: &[usize], stride: usize, tensors: &Tensors, work: &mut Work) -> Self {
        let of = |what: &str| format!("{name}.{what}");
        let names = [&*of("first"), &of("shortcut")];
        let (first, shortcut, back) = ConvNorm::together(names, inputs, stride, tensors, work);
        let (second, back_second) = ConvNorm::alone(&of("second"), first.outputs, tensors, work);
        Self { first, second, shortcut, back_second, back }
    }

    /// Every slice.
    pub fn run(&self, inputs: &[&BatchMaps], work: &mut Work) -> (BatchMaps, Kept) {
        let first = Activated::run(&self.first, inputs, work);
        let shortcut = self.shortcut.as_ref().map(|shortcut| shortcut.run(inputs, work));
        let second = self.second.run(&[&first.out], work);
        let (z, other) = match &shortcut {
            Some((z, norm)) => (z, Some(norm)),
            None => (inputs[0], None),
        };
        let out = second.1.join(&second.0, z, other, work);
        (out, Kept { first, second, shortcut })
    }

    /// Channels of the output.
    pub fn channels(&self) -> usize {
        self.first.outputs
    }

    /// The normalisations of a pass, each with its layer.
    pub fn norms<'a>(&'a self, kept: &'a Kept) -> impl Iterator<Item = (&'a ConvNorm, &'a Normalisation)> {
        let shortcut = self.shortcut.as_ref().zip(kept.shortcut.as_ref().map(|(_, norm)| norm));
        [(&self.first, &kept.first.norm), (&self.second, &kept.second.1)].into_iter().chain(shortcut)
    }

    /// From the gradient by the output `out`, which is used up, to those by the inputs: `more` has an entry for each that is wanted,
    /// which is added to it.
    pub fn back(
        &self,
        by: &BatchMaps,
        (out, inputs, kept): (&BatchMaps, &[&BatchMaps], Kept),
        more: &[Option<BatchMaps>],
        tensors: &mut Tensors,
        work: &mut Work,
    ) -> Vec<BatchMaps> {
        let Kept { first, second: (y, norm), shortcut } = kept;
        // Through the last ReLU, to both that are added before it.
        let other = shortcut.as_ref().map(|(z, norm)| (z, norm));
        let slopes = before_relu(by, out, (&y, &norm), other, work);
        let found = norm.gradients(&y, &slopes, 1, work);
        let by_second = norm.before(by, &y, &found, work);
        self.second.gradients(&by_second, &[&first.out], &found, tensors, work);
        let by_shortcut = self.shortcut.as_ref().zip(shortcut).map(|(layer, (z, norm))| {
            let found = norm.gradients(&z, &slopes, 2, work);
            let before = norm.before(by, &z, &found, work);
            layer.gradients(&before, inputs, &found, tensors, work);
            before
        });
        let by_first = self.back_second.run(&[&by_second], None, work);
        drop((by_second, y));
        let by_first = first.back(&self.first, &by_first, inputs, tensors, work);
        drop(first);
        let both: Vec<&BatchMaps> = [&by_first].into_iter().chain(&by_shortcut).collect();
        self.back.iter().zip(more).map(|(back, more)| back.run(&both, more.as_ref(), work)).collect()
    }
}
