//! Equation (3), the spatially balanced focal loss: -(1 / norm) sum_c w_c sum_n g (1 - p^)^2 ln p^, with
//! w_c = 1 / max(sum g, 16) over the whole batch, and 0 for classes absent from it.
//!
//! Each class counts the same however few voxels it has; the floor of 16 keeps a class of one voxel from ruling the
//! batch. `norm` is the number of present classes (mean over classes), or literally N, the number of voxels, as the paper
//! prints it - which makes the term about 1e-4 of Dice and is kept for comparison only.

use burn::tensor::{Tensor, TensorData};

use super::Recalibrated;
use crate::anatomy::CLASS_COUNT;

/// Fewest voxels that a class is taken to have.
pub const SMALLEST_CLASS: f64 = 16.0;

/// w_c / norm for every class, from the voxel counts of the whole batch.
pub fn class_weights(counts: &[u64; CLASS_COUNT], norm: f64) -> [f32; CLASS_COUNT] {
    std::array::from_fn(
        |c| if counts[c] == 0 { 0.0 } else { (1.0 / (counts[c] as f64).max(SMALLEST_CLASS) / norm) as f32 },
    )
}

/// The loss; additive over micro-batches when `class_weights` are those of the whole batch.
///
/// # Shapes
/// `[B, 34, H, W]` both to `[1]`.
pub fn focal(p: &Recalibrated, truth: Tensor<4>, class_weights: &[f32; CLASS_COUNT]) -> Tensor<1> {
    let device = truth.device();
    let weights = Tensor::<4>::from_data(TensorData::new(class_weights.to_vec(), [1, CLASS_COUNT, 1, 1]), &device);
    // One value per voxel, that of its true class: smaller tensors from here on.
    let ln_p = (p.log_probability.clone() * truth.clone()).sum_dim(1);
    let miss = (p.probability.clone() * truth.clone()).sum_dim(1).neg() + 1.0;
    let weight = (truth * weights).sum_dim(1);
    (weight * miss.clone() * miss * ln_p).sum().neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn focal_is_its_closed_form() {
        // Two voxels: background with p = 0.7, organ 1 with p = 0.2; counts as given.
        let device = Device::flex();
        let mut p = vec![0.0f32; CLASS_COUNT * 2];
        p[0] = 0.7;
        p[2] = 0.3;
        p[1] = 0.8;
        p[3] = 0.2;
        let mut g = vec![0.0f32; CLASS_COUNT * 2];
        g[0] = 1.0;
        g[3] = 1.0;
        let shape = [1, CLASS_COUNT, 1, 2];
        let probability = Tensor::<4>::from_data(TensorData::new(p, shape), &device);
        let log_probability = (probability.clone() + 1e-30).log();
        let truth = Tensor::from_data(TensorData::new(g, shape), &device);
        let mut counts = [0; CLASS_COUNT];
        counts[0] = 1000;
        counts[1] = 4;
        let weights = class_weights(&counts, 2.0);
        let loss = focal(&Recalibrated { probability, log_probability }, truth, &weights).into_scalar::<f32>();
        let expected = -(0.09 * 0.7f64.ln() / 1000.0 + 0.64 * 0.2f64.ln() / 16.0) / 2.0;
        assert!((f64::from(loss) - expected).abs() < 1e-6, "{loss} {expected}");
    }

    #[test]
    fn absent_classes_weigh_nothing_and_tiny_ones_are_capped() {
        let mut counts = [0; CLASS_COUNT];
        counts[0] = 1000;
        counts[7] = 1;
        let w = class_weights(&counts, 1.0);
        assert_eq!((w[0], w[7], w[8]), (0.001, 1.0 / 16.0, 0.0));
    }
}
