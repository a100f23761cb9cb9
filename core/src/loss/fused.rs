//! The fused losses as an operation of burn's CPU backend that can be differentiated.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use super::fused_cpu::{self, Sums, Truth};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};
use crate::kernels::backend::{Values, computes, slice, tensor};
use crate::kernels::voxels::VoxelLosses;
use crate::network::NetworkOutput;

/// From logits and what attention adds to them to sums over all voxels by class: of the re-calibrated probability p^ (equation 4), of
/// p^ where the class is true, of (1 - p^)^2 ln p^ where it is, and of ln p^ where it is. `weights` is the w of every slice. `None` where a
/// device computes by other means.
///
/// # Shapes
/// Logits `[B, 34, H, W]`, `shift` `[B, 34]`, `labels` `[B, H, W]` to `[4, 34]`.
pub fn sums(
    output: &NetworkOutput,
    shift: impl FnOnce() -> Tensor<2>,
    labels: &[u8],
    weights: &[[bool; ORGAN_COUNT]],
) -> Option<Tensor<2>> {
    let truth = || Truth { labels: labels.to_vec(), weights: weights.to_vec() };
    if let Some(losses) = &output.elsewhere {
        let shift = shift();
        // Whoever has the logits wants their gradient even where nobody wants the shift's.
        let shift = if output.region.is_some() { shift } else { shift.require_grad() };
        let elsewhere = Arc::new(Elsewhere { losses: losses.clone(), truth: truth() });
        return Some(Tensor::from_dispatch(<Dispatch as Operations>::sums_elsewhere(shift.into_dispatch(), elsewhere)));
    }
    computes(&output.logits).then(|| {
        let (logits, shift) = (output.logits.clone().into_dispatch(), shift().into_dispatch());
        Tensor::from_dispatch(<Dispatch as Operations>::loss_sums(logits, shift, Arc::new(truth())))
    })
}

/// Logits that somebody else has, and what is known of their slices.
#[derive(Debug)]
struct Elsewhere {
    losses: Arc<dyn VoxelLosses>,
    truth: Truth,
}

#[backend_extension(Autodiff, Flex)]
trait Operations: Backend {
    fn loss_sums(logits: FloatTensor<Self>, shift: FloatTensor<Self>, truth: Arc<Truth>) -> FloatTensor<Self>;

    fn sums_elsewhere(shift: FloatTensor<Self>, logits: Arc<Elsewhere>) -> FloatTensor<Self>;
}

impl Operations for Flex {
    fn loss_sums(logits: Values, shift: Values, truth: Arc<Truth>) -> Values {
        let [logits, shift] = [logits, shift].map(|tensor| tensor.to_contiguous());
        let Sums { probability, intersection, focal, log } = fused_cpu::forward(slice(&logits), slice(&shift), &truth);
        tensor([probability, intersection, focal, log].concat(), [4, CLASS_COUNT])
    }

    fn sums_elsewhere(shift: Values, logits: Arc<Elsewhere>) -> Values {
        let Elsewhere { losses, truth } = &*logits;
        let sums = losses.sums(slice(&shift.to_contiguous()), &truth.labels, &truth.weights);
        tensor(sums.concat(), [4, CLASS_COUNT])
    }
}

impl<C: CheckpointStrategy> Operations for Autodiff<Flex, C> {
    fn loss_sums(logits: FloatTensor<Self>, shift: FloatTensor<Self>, truth: Arc<Truth>) -> FloatTensor<Self> {
        let prepared = LossSums.prepare::<C>([logits.node(), shift.node()]).compute_bound().stateful();
        let (logits, shift) = (logits.into_primitive(), shift.into_primitive());
        let sums = Flex::loss_sums(logits.clone(), shift.clone(), truth.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((logits, shift, truth), sums),
            OpsKind::UnTracked(prepared) => prepared.finish(sums),
        }
    }

    fn sums_elsewhere(shift: FloatTensor<Self>, logits: Arc<Elsewhere>) -> FloatTensor<Self> {
        let prepared = SumsElsewhere.prepare::<C>([shift.node()]).compute_bound().stateful();
        let shift = shift.into_primitive();
        let sums = Flex::sums_elsewhere(shift.clone(), logits.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((shift, logits), sums),
            OpsKind::UnTracked(prepared) => prepared.finish(sums),
        }
    }
}

#[derive(Debug)]
struct SumsElsewhere;

impl Backward<Flex, 1> for SumsElsewhere {
    type State = (Values, Arc<Elsewhere>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([parent], (shift, logits)) = (ops.parents, ops.state);
        let by_sums = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let by = std::array::from_fn(|n| std::array::from_fn(|class| slice(&by_sums)[n * CLASS_COUNT + class]));
        let mut by_shift = logits.losses.gradients(&by);
        // None where the device has failed, which it tells by itself.
        by_shift.resize(shift.shape().num_elements(), f32::NAN);
        if let Some(node) = parent {
            gradients.register::<Flex>(node.id, tensor::<2>(by_shift, shift.shape().dims()));
        }
    }
}

#[derive(Debug)]
struct LossSums;

impl Backward<Flex, 2> for LossSums {
    type State = (Values, Values, Arc<Truth>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (logits, shift, truth)) = (ops.parents, ops.state);
        let by_sums = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [logits, shift] = [logits, shift].map(|tensor| tensor.to_contiguous());
        let row = |n: usize| std::array::from_fn(|class| slice(&by_sums)[n * CLASS_COUNT + class]);
        let by = Sums { probability: row(0), intersection: row(1), focal: row(2), log: row(3) };
        let [by_logits, by_shift] = fused_cpu::gradients(slice(&logits), slice(&shift), &truth, &by);
        let values = [tensor::<4>(by_logits, logits.shape().dims()), tensor::<2>(by_shift, shift.shape().dims())];
        for (node, gradient) in parents.into_iter().zip(values) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}
