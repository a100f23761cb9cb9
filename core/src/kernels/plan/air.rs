//! What air gives: every map of a field in which there is nothing.
//!
//! Its features are not zero: biases alone see to that, and near the edges of the field they differ from those in its middle. They
//! are computed once for a network, and then stand around whatever is computed of a slice.

use super::blocked::Maps;
use super::compile::Plan;
use crate::kernels::processor::Processor;

/// The maps of a field of air.
#[derive(Debug)]
pub struct Air {
    size: [usize; 2],
    /// Of each map; nothing where it is zero or nobody reads around what is computed.
    maps: Vec<Vec<f32>>,
}

impl Plan {
    /// The maps of a field of `size` (rows, columns) in which everything has the intensity `air`.
    pub fn air(&self, size: [usize; 2], air: f32, processor: Processor) -> Air {
        let mut arena = self.arena(size);
        let stack = vec![air; self.stack() * size[0] * size[1]];
        let mut maps = vec![Vec::new(); self.maps.len()];
        self.steps(&mut arena, &stack, processor, self.steps.len(), &mut |places, n| match n {
            None if air != 0.0 => maps[self.ends[0]] = copied(&places[self.input], processor),
            None => (),
            Some(n) => {
                let step = &self.steps[n];
                // The region branch has a mean of its last maps.
                if step.flow.surrounded || step.flow.reaches.is_empty() {
                    maps[step.flow.output] = copied(&places[step.output], processor);
                }
            }
        });
        Air { size, maps }
    }
}

/// A copy, made by all threads: for the most part that is touching memory for the first time.
fn copied(values: &[f32], processor: Processor) -> Vec<f32> {
    const ALONE: usize = 1 << 15;
    fn copy(to: &mut [f32], from: &[f32], processor: Processor) {
        if to.len() <= ALONE {
            return to.copy_from_slice(from);
        }
        let middle = to.len() / 2;
        let ((a, b), (c, d)) = (to.split_at_mut(middle), from.split_at(middle));
        processor.join(|| copy(a, c, processor), || copy(b, d, processor));
    }
    let mut copied = vec![0.0; values.len()];
    copy(&mut copied, values, processor);
    copied
}

impl Air {
    /// Rows and columns of the field.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Of a map; `None` where it is zero or nobody asks for it.
    pub(super) fn map(&self, plan: &Plan, map: usize) -> Option<Maps<'_>> {
        let values = &self.maps[map];
        (!values.is_empty()).then(|| Maps::whole(plan.maps[map].shape(self.size), values))
    }
}
