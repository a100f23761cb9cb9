//! Operations of the network.
//!
//! A whole network is laid out as one list of operations: for inference natively and in WebAssembly from one source (`plan/`), for
//! training natively, forward and backward (`training/`). The losses stand beside their equations (`loss/fused_cpu.rs`).
//!
//! A GPU has both with kernels of its own (`wgsl/`); in the browser training is burn's. burn's CPU backend unrolls a convolution into a
//! matrix that is nine times as large as its input; for what still goes through it there is one without.
//!
//! | file | what |
//! |---|---|
//! | `processor.rs` | which vectors there are, how many threads, and how work is shared among them |
//! | `plan/` | the network for inference: folded, laid out once, without a tensor library |
//! | `parameters.rs` | a network's tensors as numbers |
//! | `floats.rs` | numbers in messages |
//! | `wgsl/` | the same for a GPU, with kernels of our own |
//! | `training/` | the network for training, forward and backward, on the same kernels |
//! | `voxels.rs` | logits of which only sums are asked for |
//! | `convolution.rs` | the convolution of slices of numbers |
//! | `backend.rs` | the same of burn's tensors |

#[cfg(not(target_family = "wasm"))]
pub(crate) mod backend;
#[cfg(not(target_family = "wasm"))]
mod convolution;
pub(crate) mod floats;
pub mod parameters;
pub mod plan;
pub mod processor;
#[cfg(not(target_family = "wasm"))]
#[cfg(test)]
mod tests;
#[cfg(not(target_family = "wasm"))]
pub mod training;
pub mod voxels;
pub mod wgsl;

use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

/// A convolution with a square odd kernel and a padding that keeps the size at stride 1.
///
/// # Shapes
/// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`.
pub fn convolve(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(not(target_family = "wasm"))]
    if backend::computes(&x) && !x.device().is_autodiff() {
        let y = backend::convolve(x, conv.weight.val(), conv.stride[0]);
        return match &conv.bias {
            Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
            None => y,
        };
    }
    conv.forward(x)
}
