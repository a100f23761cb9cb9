//! What all layers work with, take and give.

use std::collections::BTreeMap;

use super::clock::{Clock, Kind};
use super::memory::{BatchMaps, Memory};
use crate::kernels::plan::blocked::{Maps, Part, Shape};
use crate::kernels::plan::convolution::Convolution;
use crate::kernels::processor::{Processor, Threads, available, map};

/// Gradients, under the names of the parameters.
pub type Gradients = BTreeMap<String, Vec<f32>>;

/// Of a batch, what one normalisation saw.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// The normalisation.
    pub name: String,
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Variance of each channel, divided by the number of values.
    pub variance: Vec<f32>,
}

/// What all layers work with.
pub struct Work<'a> {
    /// Maps that nobody uses.
    pub memory: &'a mut Memory,
    /// Where the time goes.
    pub clock: &'a Clock,
    /// Added to the variances of normalisations.
    pub epsilon: f64,
}

impl Work<'_> {
    /// A convolution of every slice, with `more` added.
    pub fn convolve(
        &mut self,
        convolution: &Convolution,
        inputs: &[&BatchMaps],
        more: Option<&BatchMaps>,
        shape: Shape,
        spent: (Kind, u64),
    ) -> BatchMaps {
        self.convolve_and(convolution, inputs, more, shape, spent, |_| ()).0
    }

    /// [`convolve`](Self::convolve), and what follows at once from each slice.
    pub fn convolve_and<R: Send>(
        &mut self,
        convolution: &Convolution,
        inputs: &[&BatchMaps],
        more: Option<&BatchMaps>,
        shape: Shape,
        (kind, multiply_adds): (Kind, u64),
        after: impl Fn(Maps<'_>) -> R + Sync + Send,
    ) -> (BatchMaps, Vec<R>) {
        let slices = inputs[0].count();
        let mut out = self.memory.take(shape, slices);
        let processor = within_a_slice(slices);
        let clock = self.clock;
        let results = map(out.parts().enumerate().collect(), |(n, out)| {
            let maps: Vec<Maps<'_>> = inputs.iter().map(|maps| maps.slice(n)).collect();
            let more = more.map(|maps| maps.slice(n));
            clock.time(kind, multiply_adds, || convolution.run(&maps, more, Part::whole(shape), out, processor));
            after(Maps::whole(shape, out))
        });
        (out, results)
    }
}

/// Slices are shared among the threads; where that would leave some without work, the rows of each are, too.
fn within_a_slice(slices: usize) -> Processor {
    let threads = available();
    let even = slices.is_multiple_of(threads) || slices >= 4 * threads;
    Processor::new(if even { Threads::One } else { Threads::All })
}
