//! Operations on the processor.
//!
//! For inference a whole network is laid out as one list of operations, natively and in WebAssembly from one source (`plan/`). For
//! training there is what it spends its time in: convolutions and batch normalisations, with their gradients. The losses,
//! the third part, stand beside their equations (`loss/fused_cpu.rs`).
//!
//! On a GPU and in the browser they are burn's. burn's CPU backend unrolls a convolution into a matrix that is nine times as
//! large as its input, and makes of a normalisation a dozen operations that each go through memory.
//!
//! | file | what |
//! |---|---|
//! | `processor.rs` | which vectors there are, how many threads, and how work is shared among them |
//! | `plan/` | the network for inference: folded, laid out once, without a tensor library |
//! | `floats.rs` | numbers in messages |
//! | `wgsl/` | the same for a GPU, with kernels of our own |
//! | `convolution.rs` | the convolution and its gradients, of slices of numbers |
//! | `normalisation.rs` | the batch normalisation and its gradients, of slices of numbers |
//! | `backend.rs` | both as operations of burn's CPU backend that can be differentiated |

#[cfg(not(target_family = "wasm"))]
pub(crate) mod backend;
#[cfg(not(target_family = "wasm"))]
mod convolution;
pub(crate) mod floats;
#[cfg(not(target_family = "wasm"))]
mod normalisation;
pub mod plan;
pub mod processor;
#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;
#[cfg(not(target_family = "wasm"))]
pub mod training;
pub mod wgsl;

use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

/// A convolution with a square odd kernel and a padding that keeps the size at stride 1.
///
/// # Shapes
/// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`.
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

/// A normalisation over batch and space: in training by the batch, whose statistics go into the running ones.
///
/// # Shapes
/// `[B, C, H, W]` to the same.
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
