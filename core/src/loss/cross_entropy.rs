//! Cross entropy on the re-calibrated probabilities of equation (4): -(1 / N) sum_n ln p^_n(true class), N the voxels of the whole
//! batch.
//!
//! Not in the paper. Dice alone says nothing of a class that a batch does not show and little of how sure a voxel is; beside it,
//! this term does. Voxels count alike, so that it is a term of the large classes where the focal loss is one of all classes.

use burn::tensor::Tensor;

use super::Recalibrated;
use crate::anatomy::CLASS_COUNT;

/// sum ln p^ of each class where it is true.
///
/// # Shapes
/// `truth` `[B, 34, H, W]` to `[34]`.
pub fn true_log_sums(p: &Recalibrated, truth: Tensor<4>) -> Tensor<1> {
    (p.log_probability.clone() * truth).sum_dim(3).sum_dim(2).sum_dim(0).reshape([CLASS_COUNT])
}

/// The loss from [`true_log_sums`]; additive over micro-batches when `voxels` are those of the whole batch.
///
/// # Shapes
/// `log_sums` `[34]` to `[1]`.
pub fn cross_entropy(log_sums: Tensor<1>, voxels: u64) -> Tensor<1> {
    log_sums.sum() * (-1.0 / voxels.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::ORGAN_COUNT;
    use crate::loss::recalibrate;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn what_is_not_annotated_counts_as_background_that_was_found() {
        // One voxel of background, all 34 classes alike; four organs are not annotated: p^ of the background is 5/34.
        let device = Device::flex();
        let mut weights = [true; ORGAN_COUNT];
        weights[..4].fill(false);
        let p = recalibrate(Tensor::zeros([1, CLASS_COUNT, 1, 1], &device), &[weights]);
        let mut truth = vec![0.0; CLASS_COUNT];
        truth[0] = 1.0;
        let truth = Tensor::<4>::from_data(TensorData::new(truth, [1, CLASS_COUNT, 1, 1]), &device);
        let loss = cross_entropy(true_log_sums(&p, truth), 2).into_scalar::<f32>();
        assert!((loss + (5.0f32 / 34.0).ln() / 2.0).abs() < 1e-6, "{loss}");
    }
}
