//! The region branch: which part of the body a slice shows, and from the same features the attention vector z4.
//!
//! 1x1 convolution down to 64 channels, 3x3 at 64, global average pooling, one fully connected layer; up to here shared.
//! The last layers are separate on purpose: the classifier's five numbers are supervised directly, the attention
//! vector through the segmentation (and through re-calibration's region half), and by what a slice shows where a training asks for
//! that (`loss/presence.rs`).
//!
//! Where the paper is silent: z4 is a sigmoid, and its bias starts at +2 so that no organ starts suppressed.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData, activation};

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
    /// What stands outside the maps, where they are those of a box of the field.
    #[module(skip)]
    outside: Option<Outside>,
}

/// What the branch pools besides what it is given: the rest of a field, which is air.
#[derive(Debug, Clone, PartialEq)]
pub struct Outside {
    /// Mean of each of the branch's last maps over a field of air, `[64]`.
    pub air: Vec<f32>,
    /// Positions of the whole field.
    pub positions: usize,
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
            outside: None,
        }
    }

    /// From the deepest features to region logits and attention vector.
    ///
    /// # Shapes
    /// `[B, C, h, w]` to `[B, 5]` and `[B, 33]`.
    pub fn forward(&self, features: Tensor<4>) -> RegionOutput {
        self.answer(self.maps(features))
    }

    /// The branch's last maps.
    ///
    /// # Shapes
    /// `[B, C, h, w]` to `[B, 64, h, w]`.
    pub fn maps(&self, features: Tensor<4>) -> Tensor<4> {
        let x = activation::relu(self.reduce.forward(features));
        activation::relu(self.conv.forward(x))
    }

    /// From the branch's last maps.
    ///
    /// # Shapes
    /// `[B, 64, h, w]` to `[B, 5]` and `[B, 33]`.
    pub fn answer(&self, x: Tensor<4>) -> RegionOutput {
        let pooled = self.pool(x);
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

    /// The mean over the field: of all positions, or of those that there are and air for the rest.
    fn pool(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = x.dims();
        let here = height * width;
        let pooled = x.reshape([batch, channels, here]).mean_dim(2).reshape([batch, channels]);
        match &self.outside {
            Some(Outside { air, positions }) if *positions > here => {
                let part = here as f64 / *positions as f64;
                let air = TensorData::new(air.clone(), [1, channels]);
                let air = Tensor::from_data(air, &pooled.device());
                pooled * part + air * (1.0 - part)
            }
            _ => pooled,
        }
    }

    /// With a field around what it is given; without one the maps are all of it.
    pub fn within(self, outside: Option<Outside>) -> Self {
        Self { outside, ..self }
    }

    /// Whether something was said to stand around them.
    pub fn is_within(&self) -> bool {
        self.outside.is_some()
    }

    /// The normalisations, under the names of the fields.
    pub(super) fn norms<'a>(&'a self, name: &str, found: &mut Vec<(String, &'a BatchNorm)>) {
        self.reduce.norms(&format!("{name}.reduce"), found);
        self.conv.norms(&format!("{name}.conv"), found);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_box_with_air_around_it_is_that_of_the_field() {
        let device = Device::flex();
        let branch = RegionBranch::new(8, &device);
        let air: Vec<f32> = (0..BRANCH_CHANNELS).map(|c| (c * 29 % 13) as f32 / 10.0).collect();
        // Two rows and three columns of a field of five by six are not air.
        let value = |c: usize, y: usize, x: usize| {
            if (1..3).contains(&y) && (2..5).contains(&x) { (c * 7 + y * 5 + x * 3) as f32 % 11.0 } else { air[c] }
        };
        let maps = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            let shape = [1, BRANCH_CHANNELS, rows.len(), columns.len()];
            let pixels = |c: usize| {
                let columns = columns.clone();
                rows.clone().flat_map(move |y| columns.clone().map(move |x| (c, y, x)))
            };
            let values: Vec<f32> = (0..BRANCH_CHANNELS).flat_map(pixels).map(|(c, y, x)| value(c, y, x)).collect();
            Tensor::<4>::from_data(TensorData::new(values, shape), &device)
        };
        let (field, part) = (maps(0..5, 0..6), maps(1..3, 2..5));
        let whole = branch.answer(field.clone());
        let surrounded = branch.clone().within(Some(Outside { air, positions: 30 }));
        let off = |a: &RegionOutput| {
            let attention = (a.attention.clone() - whole.attention.clone()).abs().max().into_scalar::<f32>();
            attention.max((a.regions.clone() - whole.regions.clone()).abs().max().into_scalar::<f32>())
        };
        assert!(off(&surrounded.answer(part.clone())) < 1e-5);
        assert!(off(&branch.answer(part)) > 1e-3, "the mean of the box alone is another");
        // Around a whole field there is nothing.
        assert_eq!(surrounded.answer(field).regions.into_data(), whole.regions.clone().into_data());
    }
}
