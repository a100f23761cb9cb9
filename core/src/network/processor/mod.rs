//! What training on a processor spends its time in: convolutions, batch normalisations and losses, with their gradients.
//!
//! On a GPU and in the browser they are burn's. burn's CPU backend unrolls a convolution into a matrix that is nine times as
//! large as its input, and makes of a normalisation a dozen operations that each go through memory, and of a loss several dozen.
//!
//! | file | what |
//! |---|---|
//! | `convolution.rs` | the convolution and its gradients, of slices of numbers |
//! | `normalisation.rs` | the batch normalisation and its gradients, of slices of numbers |
//! | `losses.rs` | from logits to the sums of the losses and their gradients, of slices of numbers |
//! | `backend.rs` | all three as operations of burn's CPU backend that can be differentiated |

#[cfg(not(target_family = "wasm"))]
mod backend;
#[cfg(not(target_family = "wasm"))]
mod convolution;
#[cfg(not(target_family = "wasm"))]
mod losses;
#[cfg(not(target_family = "wasm"))]
mod normalisation;
#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;

use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use crate::anatomy::ORGAN_COUNT;

/// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`, with a square odd kernel and a padding that keeps the size at stride
/// 1.
pub fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(not(target_family = "wasm"))]
    if backend::computes(&x) {
        let y = backend::convolve(x, conv.weight.val(), conv.stride[0]);
        return match &conv.bias {
            Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
            None => y,
        };
    }
    conv.forward(x)
}

/// `[B, C, H, W]`, normalised over batch and space: in training by the batch, whose statistics go into the running ones.
pub fn normalise(norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    #[cfg(not(target_family = "wasm"))]
    if x.device().is_autodiff() && norm.training.is_enabled() && backend::computes(&x) {
        let (y, mean, variance) = backend::normalise(x, norm.gamma.val(), norm.beta.val(), norm.epsilon);
        for (running, now) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
            running.update((running.value_sync() * (1.0 - norm.momentum) + now * norm.momentum).detach());
        }
        return y;
    }
    norm.forward(x)
}

/// From logits `[B, 34, H, W]` and what attention adds to them, `[B, 34]`, to sums over all voxels by class, `[3, 34]`: of the re-calibrated
/// probability p^ (equation 4), of p^ where the class is true, and of (1 - p^)^2 ln p^ where the class is true. `labels` is
/// `[B, H, W]`, `weights` the w of every slice. `None` where a device computes by other means.
#[allow(unused_variables)]
pub fn loss_sums(
    logits: &Tensor<4>,
    shift: impl FnOnce() -> Tensor<2>,
    labels: &[u8],
    weights: &[[bool; ORGAN_COUNT]],
) -> Option<Tensor<2>> {
    #[cfg(not(target_family = "wasm"))]
    if backend::computes(logits) {
        let truth = losses::Truth { labels: labels.to_vec(), weights: weights.to_vec() };
        return Some(backend::loss_sums(logits.clone(), shift(), truth));
    }
    None
}
