//! Batch Dice: 1 - 2 sum(p^ g) / (sum p^ + sum g) per class, with sums over the *whole batch* (all slices, all voxels),
//! unsquared, eps = 1e-5; mean over the background and the classes present in the batch.
//!
//! Sums over the batch rather than over a slice: most organs are absent from most slices, and a slice-wise Dice of an
//! absent organ is 0 or 1 by accident.

use crate::anatomy::CLASS_COUNT;
use burn::tensor::{Tensor, TensorData};

/// Keeps a quotient of empty sums finite.
pub const EPSILON: f64 = 1e-5;

/// sum(p^ g), sum p^ and sum g per class `[34]`, over everything that was put in.
#[derive(Debug, Clone)]
pub struct DiceSums {
    /// sum(p^ g).
    pub intersection: Tensor<1>,
    /// sum p^.
    pub probability: Tensor<1>,
    /// sum g.
    pub truth: Tensor<1>,
}

impl DiceSums {
    /// The sums of p^ and a one-hot truth.
    ///
    /// # Shapes
    /// Both `[B, 34, H, W]`.
    pub fn of(probability: Tensor<4>, truth: Tensor<4>) -> Self {
        let per_class = |t: Tensor<4>| -> Tensor<1> { t.sum_dim(3).sum_dim(2).sum_dim(0).reshape([CLASS_COUNT]) };
        Self {
            intersection: per_class(probability.clone() * truth.clone()),
            probability: per_class(probability),
            truth: per_class(truth),
        }
    }

    /// Element-wise sum of the sums of two micro-batches.
    pub fn plus(self, other: Self) -> Self {
        Self {
            intersection: self.intersection + other.intersection,
            probability: self.probability + other.probability,
            truth: self.truth + other.truth,
        }
    }

    /// The same numbers without their history.
    pub fn detach(self) -> Self {
        Self {
            intersection: self.intersection.detach(),
            probability: self.probability.detach(),
            truth: self.truth.detach(),
        }
    }
}

/// 1 / n for the background and the present classes, 0 for the others; n is their number.
fn mean_weights(present: &[bool; CLASS_COUNT], sums: &DiceSums) -> Tensor<1> {
    let counted = |c: usize| c == 0 || present[c];
    let n = (0..CLASS_COUNT).filter(|&c| counted(c)).count() as f32;
    let weights: Vec<f32> = (0..CLASS_COUNT).map(|c| if counted(c) { 1.0 / n } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(weights, [CLASS_COUNT]), &sums.truth.device())
}

/// The loss from the sums of the whole batch.
///
/// # Shapes
/// `[34]` each to `[1]`.
pub fn batch_dice(sums: DiceSums, present: &[bool; CLASS_COUNT]) -> Tensor<1> {
    let weights = mean_weights(present, &sums);
    let dice = (sums.intersection * 2.0 + EPSILON) / (sums.probability + sums.truth + EPSILON);
    ((dice.neg() + 1.0) * weights).sum()
}

/// A term whose gradient with respect to one micro-batch equals that of [`batch_dice`] on the whole batch.
///
/// With I, P, G the whole batch's sums, dL/dp^ = -(2 g (P + G + eps) - (2 I + eps)) / (P + G + eps)^2: linear in the
/// micro-batch's own sums i and p once I, P and G are constants.
///
/// # Shapes
/// `[34]` each to `[1]`.
pub fn micro_batch_surrogate(micro: DiceSums, whole: &DiceSums, present: &[bool; CLASS_COUNT]) -> Tensor<1> {
    let weights = mean_weights(present, whole);
    let denominator = whole.probability.clone() + whole.truth.clone() + EPSILON;
    let numerator = whole.intersection.clone() * 2.0 + EPSILON;
    let term = micro.intersection * 2.0 / denominator.clone()
        - micro.probability * numerator / (denominator.clone() * denominator);
    (term.neg() * weights).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn one_hot(labels: &[usize], side: usize, device: &Device) -> Tensor<4> {
        let batch = labels.len() / (side * side);
        let mut data = vec![0.0f32; batch * CLASS_COUNT * side * side];
        for (n, &label) in labels.iter().enumerate() {
            let (b, v) = (n / (side * side), n % (side * side));
            data[(b * CLASS_COUNT + label) * side * side + v] = 1.0;
        }
        Tensor::from_data(TensorData::new(data, [batch, CLASS_COUNT, side, side]), device)
    }

    fn present(labels: &[usize]) -> [bool; CLASS_COUNT] {
        std::array::from_fn(|c| labels.contains(&c))
    }

    #[test]
    fn perfect_is_zero_and_disjoint_is_one() {
        let device = Device::flex();
        let truth = [0, 3, 3, 0, 0, 0, 5, 0];
        let g = one_hot(&truth, 2, &device);
        let loss = batch_dice(DiceSums::of(g.clone(), g.clone()), &present(&truth)).into_scalar::<f32>();
        assert!(loss.abs() < 1e-5, "{loss}");
        let wrong = [3, 0, 0, 3, 5, 5, 0, 5];
        let p = one_hot(&wrong, 2, &device);
        let loss = batch_dice(DiceSums::of(p, g), &present(&truth)).into_scalar::<f32>();
        assert!((loss - 1.0).abs() < 1e-4, "{loss}");
    }

    #[test]
    fn sums_run_over_the_whole_batch_not_per_slice() {
        // Organ 3: slice one 2 of 2 found, slice two 0 of 1 found -> batch Dice 2*2/(2+3) = 0.8, background by hand.
        let device = Device::flex();
        let truth = [3, 3, 0, 0, 3, 0, 0, 0];
        let guess = [3, 3, 0, 0, 0, 0, 0, 0];
        let sums = DiceSums::of(one_hot(&guess, 2, &device), one_hot(&truth, 2, &device));
        let loss = f64::from(batch_dice(sums, &present(&truth)).into_scalar::<f32>());
        let (organ, background) = (1.0 - 4.0 / 5.0, 1.0 - 2.0 * 5.0 / (6.0 + 5.0));
        assert!((loss - (organ + background) / 2.0).abs() < 1e-5, "{loss}");
    }

    #[test]
    fn the_papers_class_frequency_gives_its_expected_share() {
        // A class that occurs in 85 of 19113 slices is present in a batch of 16 with probability 1 - (1 - f)^16.
        let f: f64 = 85.0 / 19113.0;
        let share = 1.0 - (1.0 - f).powi(16);
        assert!((16.0 * f - 0.0712).abs() < 5e-5, "expected slices of the class in a batch: {}", 16.0 * f);
        assert!(share < 16.0 * f && share > 0.068);
    }
}
