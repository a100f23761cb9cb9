//! Equation (2): alpha * Dice + beta * focal + gamma * cross entropy, with two terms that the paper does not have and that are off unless asked for,
//! and its exact accumulation over micro-batches.
//!
//! A term of weight 0 is not computed at all. When a batch does not fit in memory it is split: [`dice_sums`] of every
//! micro-batch without gradient first, then [`total`] of every micro-batch with those sums as constants; gradients add
//! up to those of the unsplit batch (batch normalisation aside), which a test shows.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::batch_dice::{DiceSums, batch_dice, micro_batch_surrogate};
use super::cross_entropy::{cross_entropy, true_log_sums};
use super::focal::{class_weights, focal};
use super::presence::presence;
use super::recalibration::{Recalibrated, recalibrate};
use super::region::region_cross_entropy;
use crate::anatomy::CLASS_COUNT;
use crate::dataset::{BatchCounts, Target};
use crate::network::NetworkOutput;
use crate::network::attention::{log_weights, modulate};

#[cfg(not(target_family = "wasm"))]
use super::fused::sums as fused_sums;

/// In a browser the losses are maps.
#[cfg(target_family = "wasm")]
fn fused_sums(
    _: &NetworkOutput,
    _: impl FnOnce() -> Tensor<2>,
    _: &[u8],
    _: &[[bool; crate::anatomy::ORGAN_COUNT]],
) -> Option<Tensor<2>> {
    None
}

/// alpha, beta and gamma of equation (2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossWeights {
    /// alpha, of the batch Dice.
    pub dice: f64,
    /// beta, of the focal loss.
    pub focal: f64,
    /// gamma, of the region cross entropy.
    pub region: f64,
    /// Of the cross entropy over voxels; not in the paper.
    #[serde(default)]
    pub cross_entropy: f64,
    /// Of the cross entropy of attention against what a slice shows; not in the paper.
    #[serde(default)]
    pub presence: f64,
}

impl LossWeights {
    /// Whether the decoder is needed at all.
    pub fn segments(&self) -> bool {
        self.dice != 0.0 || self.focal != 0.0 || self.cross_entropy != 0.0
    }

    /// All of them.
    pub fn all(&self) -> [f64; LossParts::COUNT] {
        [self.dice, self.focal, self.region, self.cross_entropy, self.presence]
    }
}

/// What the focal loss is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FocalNorm {
    /// The number of classes present in the batch.
    #[default]
    PresentClasses,
    /// N, the number of voxels: the paper's literal form.
    Paper,
}

/// The terms of equation (2), unweighted, as tensors `[1]`; `None` where the weight is 0.
#[derive(Debug, Clone)]
pub struct LossParts {
    /// The batch Dice, `batch_dice.rs`.
    pub dice: Option<Tensor<1>>,
    /// The focal loss, `focal.rs`.
    pub focal: Option<Tensor<1>>,
    /// The cross entropy of the region classifier, `region.rs`.
    pub region: Option<Tensor<1>>,
    /// The cross entropy over voxels, `cross_entropy.rs`.
    pub cross_entropy: Option<Tensor<1>>,
    /// The cross entropy of attention, `presence.rs`.
    pub presence: Option<Tensor<1>>,
    /// alpha * Dice + beta * focal + gamma * CE, to be differentiated.
    pub total: Tensor<1>,
}

impl LossParts {
    /// How many terms there are.
    pub const COUNT: usize = 5;

    /// The terms, in the order of [`LossWeights::all`].
    pub fn terms(&self) -> [&Option<Tensor<1>>; Self::COUNT] {
        [&self.dice, &self.focal, &self.region, &self.cross_entropy, &self.presence]
    }
}

/// z5' of a network's output: modulated by attention where the network has it.
///
/// # Shapes
/// `[B, 34, H, W]`.
pub fn modulated(output: &NetworkOutput) -> Tensor<4> {
    match &output.region {
        Some(region) => modulate(output.logits.clone(), region.attention.clone()),
        None => output.logits.clone(),
    }
}

/// The truth as `[B, 34, H, W]`, 1 where a class is true.
fn one_hot(target: &Target, device: &burn::tensor::Device) -> Tensor<4> {
    let n = target.size[0] * target.size[1];
    let mut data = vec![0.0f32; target.len() * CLASS_COUNT * n];
    for (b, labels) in target.labels.chunks_exact(n).enumerate() {
        for (v, &label) in labels.iter().enumerate() {
            data[(b * CLASS_COUNT + usize::from(label)) * n + v] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(data, [target.len(), CLASS_COUNT, target.size[0], target.size[1]]), device)
}

/// What the losses over voxels are made of.
// There is one, for one step; without a GPU's tensors none of them is large.
#[allow(clippy::large_enum_variant)]
enum Voxels {
    /// As maps.
    Maps { p: Recalibrated, truth: Tensor<4> },
    /// Summed already: of p^, of p^ where the class is true, of what the focal loss weighs, and of ln p^, `[34]` each.
    Sums { probability: Tensor<1>, intersection: Tensor<1>, focal: Tensor<1>, log: Tensor<1>, truth: Tensor<1> },
}

impl Voxels {
    fn of(output: &NetworkOutput, target: &Target) -> Self {
        let device = output.logits.device();
        let shift = || match &output.region {
            Some(region) => log_weights(region.attention.clone()).reshape([target.len(), CLASS_COUNT]),
            None => Tensor::zeros([target.len(), CLASS_COUNT], &device),
        };
        match fused_sums(output, shift, &target.labels, &target.weights) {
            Some(sums) => {
                let row = |n: usize| sums.clone().slice(n..n + 1).reshape([CLASS_COUNT]);
                let mut truth = BatchCounts::of(target).voxels;
                truth[0] -= target.left_out();
                let truth: Vec<f32> = truth.iter().map(|&n| n as f32).collect();
                let truth = Tensor::from_data(TensorData::new(truth, [CLASS_COUNT]), &device);
                Self::Sums { probability: row(0), intersection: row(1), focal: row(2), log: row(3), truth }
            }
            None => Self::Maps { p: recalibrate(modulated(output), &target.weights), truth: one_hot(target, &device) },
        }
    }

    fn focal(&self, weights: &[f32; CLASS_COUNT]) -> Tensor<1> {
        match self {
            Self::Maps { p, truth } => focal(p, truth.clone(), weights),
            Self::Sums { focal, .. } => {
                let weights = Tensor::from_data(TensorData::new(weights.to_vec(), [CLASS_COUNT]), &focal.device());
                (focal.clone() * weights).sum().neg()
            }
        }
    }

    fn log_sums(&self) -> Tensor<1> {
        match self {
            Self::Maps { p, truth } => true_log_sums(p, truth.clone()),
            Self::Sums { log, .. } => log.clone(),
        }
    }

    /// `left_out` voxels beside these are background, and known to be.
    fn dice_sums(self, left_out: u64) -> DiceSums {
        let sums = match self {
            Self::Maps { p, truth } => DiceSums::of(p.probability, truth),
            Self::Sums { probability, intersection, truth, .. } => DiceSums { intersection, probability, truth },
        };
        if left_out == 0 {
            return sums;
        }
        let mut air = vec![0.0f32; CLASS_COUNT];
        air[0] = left_out as f32;
        let air = Tensor::from_data(TensorData::new(air, [CLASS_COUNT]), &sums.truth.device());
        sums.plus(DiceSums { intersection: air.clone(), probability: air.clone(), truth: air })
    }
}

/// The Dice sums of a micro-batch, for the first pass of the accumulation.
pub fn dice_sums(output: &NetworkOutput, target: &Target) -> DiceSums {
    Voxels::of(output, target).dice_sums(target.left_out())
}

/// Equation (2). `counts` are those of the whole batch. `whole` holds the whole batch's Dice sums when `target` is only
/// a part of it; the Dice term is then the surrogate of [`micro_batch_surrogate`], right in gradient but not in value.
pub fn total(
    output: &NetworkOutput,
    target: &Target,
    counts: &BatchCounts,
    loss: &LossWeights,
    norm: FocalNorm,
    whole: Option<&DiceSums>,
) -> LossParts {
    let device = output.logits.device();
    let mut sum = Tensor::<1>::zeros([1], &device);
    let [mut dice, mut focal_term, mut region, mut cross_entropy_term, mut presence_term] =
        [const { None }; LossParts::COUNT];
    if loss.segments() {
        let voxels = Voxels::of(output, target);
        let present = counts.present();
        if loss.focal != 0.0 {
            let norm = match norm {
                FocalNorm::PresentClasses => present.iter().filter(|&&p| p).count() as f64,
                FocalNorm::Paper => counts.voxels.iter().sum::<u64>() as f64,
            };
            let term = voxels.focal(&class_weights(&counts.voxels, norm));
            sum = sum + term.clone() * loss.focal;
            focal_term = Some(term);
        }
        if loss.cross_entropy != 0.0 {
            // What is left out is background, and known to be: its logarithm is 0.
            let term = cross_entropy(voxels.log_sums(), counts.voxels.iter().sum());
            sum = sum + term.clone() * loss.cross_entropy;
            cross_entropy_term = Some(term);
        }
        if loss.dice != 0.0 {
            let sums = voxels.dice_sums(target.left_out());
            let term = match whole {
                None => batch_dice(sums, &present),
                Some(whole) => micro_batch_surrogate(sums, whole, &present),
            };
            sum = sum + term.clone() * loss.dice;
            dice = Some(term);
        }
    }
    if loss.region != 0.0
        && let Some(out) = &output.region
    {
        let term = region_cross_entropy(out.regions.clone(), &target.regions, counts.known_regions);
        sum = sum + term.clone() * loss.region;
        region = Some(term);
    }
    if loss.presence != 0.0
        && let Some(out) = &output.region
    {
        let term = presence(out.attention.clone(), target, counts.known_organs);
        sum = sum + term.clone() * loss.presence;
        presence_term = Some(term);
    }
    LossParts {
        dice,
        focal: focal_term,
        region,
        cross_entropy: cross_entropy_term,
        presence: presence_term,
        total: sum,
    }
}
