//! Cross entropy of the attention vector against "organ c is on this slice", where that is known.
//!
//! Not in the paper, whose attention learns by the segmentation alone, and off unless a training asks for it. An organ is known to be on
//! a slice that shows a voxel of it, and known not to be where it could have been drawn or cannot occur: where w of
//! equation (4) is 1. An organ of which nothing is known weighs nothing.

use burn::tensor::{Tensor, TensorData};

use crate::dataset::Target;

/// Keeps logarithms finite where attention is 0 or 1 to the last bit.
const EPSILON: f64 = 1e-6;

/// -(1 / `known`) sum over slices and organs of which it is known of ln z4 where the organ is there and of ln (1 - z4) where it is not. `known` is
/// that of the whole batch, so that the term is additive over micro-batches.
///
/// # Shapes
/// `attention` `[B, 33]`, a slice of `target` each, to `[1]`.
pub fn presence(attention: Tensor<2>, target: &Target, known: usize) -> Tensor<1> {
    let shape = attention.dims();
    let device = attention.device();
    let scale = 1.0 / known.max(1) as f32;
    let seen = target.seen();
    let pairs = || target.weights.iter().flatten().zip(seen.iter().flatten());
    let mask = |value: fn(bool, bool) -> bool| {
        let values: Vec<f32> = pairs().map(|(&known, &seen)| if value(known, seen) { scale } else { 0.0 }).collect();
        Tensor::<2>::from_data(TensorData::new(values, shape), &device)
    };
    let there = mask(|known, seen| known && seen);
    let absent = mask(|known, seen| known && !seen);
    let ln = |z: Tensor<2>| (z + EPSILON).log();
    (ln(attention.clone()) * there + ln(attention.neg() + 1.0) * absent).sum().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::ORGAN_COUNT;
    use burn::tensor::Device;

    #[test]
    fn known_pairs_alone_count_and_each_once() {
        // Slice one shows organ 3, slice two nothing; organ 5 is unknown on both, all others are known.
        let mut weights = [true; ORGAN_COUNT];
        weights[5] = false;
        let target = Target {
            labels: vec![0, 4, 4, 0, 0, 0, 0, 0],
            size: [2, 2],
            outside: 0,
            weights: vec![weights; 2],
            regions: vec![None; 2],
        };
        let known = 2 * (ORGAN_COUNT - 1);
        let mut z = vec![0.1f32; 2 * ORGAN_COUNT];
        z[3] = 0.8;
        z[ORGAN_COUNT + 3] = 0.4;
        (z[5], z[ORGAN_COUNT + 5]) = (0.0, 1.0);
        let z = Tensor::<2>::from_data(TensorData::new(z, [2, ORGAN_COUNT]), &Device::flex());
        let loss = f64::from(presence(z, &target, known).into_scalar::<f32>());
        let expected = -(0.8f64.ln() + 0.6f64.ln() + (known - 2) as f64 * 0.9f64.ln()) / known as f64;
        assert!((loss - expected).abs() < 1e-4, "{loss} {expected}");
    }
}
