//! The region branch: which part of the body a slice shows, and from the same features the attention vector z4.
//!
//! 1x1 convolution down to 64 channels, 3x3 at 64, global average pooling, one fully connected layer; up to here shared.
//! The last layers are separate on purpose: the classifier's five numbers are supervised directly, the attention
//! vector only through the segmentation (and through re-calibration's region half).
//!
//! Where the paper is silent: z4 is a sigmoid, and its bias starts at +2 so that no organ starts suppressed.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation};

use super::block::ConvNorm;
use super::gauge::AttentionGauge;
use crate::anatomy::{ORGAN_COUNT, REGION_COUNT};

/// Width of the branch.
pub const BRANCH_CHANNELS: usize = 64;
/// Start of the attention layer's bias.
const ATTENTION_BIAS: f32 = 2.0;

/// Region classifier and attention vector on the encoder's deepest features.
#[derive(Module, Debug)]
pub struct RegionBranch {
    reduce: ConvNorm,
    conv: ConvNorm,
    shared: Linear,
    region: Linear,
    attention: Linear,
    /// Units of attention, for inference: training knows none.
    #[module(skip)]
    gauge: Option<AttentionGauge>,
}

/// What the branch says of a batch.
#[derive(Debug, Clone)]
pub struct RegionOutput {
    /// Region logits `[B, 5]`: head, upper chest, chest, upper abdomen, abdomen.
    pub regions: Tensor<2>,
    /// z4 `[B, 33]`, in (0, 1); in units of the gauge where there is one.
    pub attention: Tensor<2>,
}

impl RegionBranch {
    /// `channels` of the deepest features.
    pub fn new(channels: usize, device: &Device) -> Self {
        let mut attention = LinearConfig::new(BRANCH_CHANNELS, ORGAN_COUNT)
            .with_initializer(Initializer::Normal { mean: 0.0, std: 0.01 })
            .init(device);
        attention.bias = Some(Param::from_tensor(Tensor::full([ORGAN_COUNT], ATTENTION_BIAS, device)));
        Self {
            reduce: ConvNorm::new([channels, BRANCH_CHANNELS], 1, 1, device),
            conv: ConvNorm::new([BRANCH_CHANNELS, BRANCH_CHANNELS], 3, 1, device),
            shared: LinearConfig::new(BRANCH_CHANNELS, BRANCH_CHANNELS).init(device),
            region: LinearConfig::new(BRANCH_CHANNELS, REGION_COUNT).init(device),
            attention,
            gauge: None,
        }
    }

    /// From the deepest features to region logits and attention vector.
    ///
    /// # Shapes
    /// `[B, C, h, w]` to `[B, 5]` and `[B, 33]`.
    pub fn forward(&self, features: Tensor<4>) -> RegionOutput {
        let x = activation::relu(self.reduce.forward(features));
        let x = activation::relu(self.conv.forward(x));
        let [batch, channels, height, width] = x.dims();
        let pooled = x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels]);
        let x = activation::relu(self.shared.forward(pooled));
        let attention = activation::sigmoid(self.attention.forward(x.clone()));
        RegionOutput {
            regions: self.region.forward(x),
            attention: match &self.gauge {
                Some(gauge) => gauge.apply(attention),
                None => attention,
            },
        }
    }

    /// The units of attention, if it has any.
    pub fn gauge(&self) -> Option<&AttentionGauge> {
        self.gauge.as_ref()
    }

    /// With attention in units of `gauge`.
    pub fn with_gauge(self, gauge: &AttentionGauge) -> Self {
        Self { gauge: Some(gauge.clone()), ..self }
    }

    /// With the normalisations folded into the convolutions.
    pub fn fold(self) -> Self {
        Self { reduce: self.reduce.fold(), conv: self.conv.fold(), ..self }
    }
}
