//! From a layout to what the processor carries out: every weight in the order in which it is used.

use super::convolution::{Convolution, Filter, Term};
use super::error::PlanError;
use super::head::Head;
use super::layout::{Layout, Operation, Place, Step, Sum, Taps};
use super::region::{AttentionLine, RegionLayers};
use crate::kernels::parameters::Parameters;
use crate::parallel::map;

/// What a step computes.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a plan has some dozens of them, and each is read in place")]
pub(super) enum Work {
    /// Feature maps.
    Convolution(Convolution),
    /// Region and attention, from pooled maps.
    Region(RegionLayers),
}

/// A folded network, ready to compute.
#[derive(Debug)]
pub struct Plan {
    pub(super) steps: Vec<Step<Work>>,
    pub(super) places: Vec<Place>,
    /// All maps that are ever made.
    pub(super) maps: Vec<Place>,
    /// The input among them, and the decoder's last maps.
    pub(super) ends: [usize; 2],
    /// Where the input goes.
    pub(super) input: usize,
    /// Where the decoder's last maps are.
    pub(super) output: usize,
    /// From the decoder's last maps to classes.
    pub(super) head: Head,
}

impl Plan {
    /// Of the tensors of a folded network in PyTorch's names and layout; `line` changes its attention, if it has any.
    ///
    /// # Errors
    /// A tensor that is missing or has no fitting shape.
    pub fn compile(parameters: &Parameters, line: Option<AttentionLine>) -> Result<Self, PlanError> {
        let Layout { steps, places, maps, ends, input, output, head } = Layout::new(parameters, line)?;
        let step = |Step { name, work, inputs, residual, output, flow }: Step<Operation>| {
            let work = match work {
                Operation::Sum(sum) => Work::Convolution(convolution(&sum)),
                Operation::Region(region) => Work::Region(region),
            };
            Step { name, work, inputs, residual, output, flow }
        };
        let steps = map(steps, step);
        Ok(Self { steps, places, maps, ends, input, output, head })
    }

    /// Channels of the input.
    pub fn stack(&self) -> usize {
        self.places[self.input].channels
    }
}

fn convolution(sum: &Sum) -> Convolution {
    if let (true, [taps]) = (sum.transposed, &sum.taps[..]) {
        return Convolution::transposed(taps.channels, |i, o, y, x| taps.at(o, i, y, x), &sum.bias);
    }
    let term = |taps: &Taps| {
        let filter = Filter::new(taps.kernel, taps.stride, taps.channels, |o, i, y, x| taps.at(o, i, y, x));
        Term { input: taps.input, filter, offset: [0, 0] }
    };
    Convolution::new(sum.taps.iter().map(term).collect(), &sum.bias, sum.relu)
}
