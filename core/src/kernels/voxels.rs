//! Logits that stay where they were computed: of a step of training only sums over voxels are asked for, and gradients by these given.

use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};

/// A number for each class, of each of the four sums: of the re-calibrated probability p^ (equation 4), of p^ where the class is true,
/// of (1 - p^)^2 ln p^ where it is, and of ln p^ where it is.
pub type VoxelSums = [[f32; CLASS_COUNT]; 4];

/// Whoever has the logits of a batch.
pub trait VoxelLosses: std::fmt::Debug + Send + Sync {
    /// The sums over all voxels, with `shift` `[B, 34]` added to the logits; no numbers where a device fails, which its next answer
    /// tells. `labels` are `[B, H, W]`, `weights` the w of equation (4) of every slice.
    fn sums(&self, shift: &[f32], labels: &[u8], weights: &[[bool; ORGAN_COUNT]]) -> VoxelSums;

    /// Takes the gradients of a loss by the sums of the last time of asking, keeps those by the logits, and gives those by the shift,
    /// `[B, 34]`.
    fn gradients(&self, by: &VoxelSums) -> Vec<f32>;
}
