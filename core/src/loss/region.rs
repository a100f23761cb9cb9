//! Cross entropy of the region classifier on soft targets.
//!
//! A slice near a boundary belongs a little to both regions (linear over +-15 mm), and a slice whose region nobody can
//! know has no target and weighs nothing.

use burn::tensor::{Tensor, TensorData, activation::log_softmax};

use crate::anatomy::REGION_COUNT;

/// -(1 / `known`) sum over the known slices of sum_r t_r ln p_r. `known` is that of the whole batch.
///
/// # Shapes
/// `logits` `[B, 5]`, a target for each slice, to `[1]`.
pub fn region_cross_entropy(logits: Tensor<2>, targets: &[Option<[f32; REGION_COUNT]>], known: usize) -> Tensor<1> {
    let scale = 1.0 / known.max(1) as f32;
    let rows: Vec<f32> = targets.iter().flat_map(|t| t.unwrap_or([0.0; REGION_COUNT])).map(|v| v * scale).collect();
    let targets = Tensor::<2>::from_data(TensorData::new(rows, [targets.len(), REGION_COUNT]), &logits.device());
    (log_softmax(logits, 1) * targets).sum().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn uniform_logits_cost_ln_5_and_unknown_slices_nothing() {
        let logits = Tensor::<2>::zeros([3, REGION_COUNT], &Device::flex());
        let targets = [Some([1.0, 0.0, 0.0, 0.0, 0.0]), None, Some([0.0, 0.5, 0.5, 0.0, 0.0])];
        let loss = region_cross_entropy(logits, &targets, 2).into_scalar::<f32>();
        assert!((loss - 5f32.ln()).abs() < 1e-6);
    }
}
