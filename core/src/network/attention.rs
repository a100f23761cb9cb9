//! Equation (1): the attention vector modulates the decoder's logits.
//!
//! For organ c and voxel n: z5'_n(c) = ln(z4(c) + eps) + z5_n(c), eps = 1e-6, always in f32; the background logit is
//! unchanged; then softmax over all 34. This equals weighting the softmax by z4 and renormalising: an organ whose
//! attention is 0 loses its probability mass to the others, it is not merely scaled down.

use burn::tensor::Tensor;

/// Keeps the logarithm finite for an organ that is fully suppressed.
pub const EPSILON: f64 = 1e-6;

/// ln(z4 + eps) with a 0 for the background, to be added to the logits.
///
/// # Shapes
/// `[B, 33]` to `[B, 34, 1, 1]`.
pub fn log_weights(attention: Tensor<2>) -> Tensor<4> {
    let [batch, organs] = attention.dims();
    let background = Tensor::zeros([batch, 1], &attention.device());
    Tensor::cat(vec![background, (attention + EPSILON).log()], 1).reshape([batch, organs + 1, 1, 1])
}

/// z5' from z5 and z4.
///
/// # Shapes
/// `[B, 34, H, W]` and `[B, 33]` to `[B, 34, H, W]`.
pub fn modulate(logits: Tensor<4>, attention: Tensor<2>) -> Tensor<4> {
    logits + log_weights(attention)
}
