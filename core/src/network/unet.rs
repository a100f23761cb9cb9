//! Encoder and decoder of the residual U-Net.

use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::block::ResidualBlock;
use super::config::NetworkConfig;
use crate::anatomy::CLASS_COUNT;
use crate::kernels::convolve;

/// One residual block per level; every level but the first halves the size.
#[derive(Module, Debug)]
pub struct Encoder {
    levels: Vec<ResidualBlock>,
}

impl Encoder {
    /// Blocks for `config.levels` levels.
    pub fn new(config: &NetworkConfig, device: &Device) -> Self {
        let levels = (0..config.levels)
            .map(|level| {
                let input = if level == 0 { config.stack } else { config.channels(level - 1) };
                let stride = if level == 0 { 1 } else { 2 };
                ResidualBlock::new([input, config.channels(level)], stride, device)
            })
            .collect();
        Self { levels }
    }

    /// From stacks to the features of every level, shallow first.
    ///
    /// # Shapes
    /// `[B, S, H, W]` to `[B, base * 2^l, H / 2^l, W / 2^l]` for level l.
    pub fn forward(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let mut features = Vec::with_capacity(self.levels.len());
        let mut x = x;
        for level in &self.levels {
            x = level.forward(x);
            features.push(x.clone());
        }
        features
    }

    /// The normalisations, under the names of the fields.
    pub(super) fn norms<'a>(&'a self, name: &str, found: &mut Vec<(String, &'a BatchNorm)>) {
        for (n, level) in self.levels.iter().enumerate() {
            level.norms(&format!("{name}.levels.{n}"), found);
        }
    }

    /// With the normalisations folded into the convolutions.
    pub fn fold(self) -> Self {
        Self { levels: self.levels.into_iter().map(ResidualBlock::fold).collect() }
    }
}

/// One step up: 2x2 stride-2 transposed convolution, skip by concatenation, residual block.
#[derive(Module, Debug)]
pub struct UpStep {
    up: ConvTranspose2d,
    block: ResidualBlock,
}

/// Where the logits of organs begin, below the background's 0: about one voxel in a hundred is a given organ's. From an even
/// start the network would first have to suppress all organs everywhere, and would do so with what is quickest to learn,
/// the attention: it would then be small for organs that are there, and no longer tell a slice with the organ from one
/// without.
pub const ORGAN_LOGIT: f64 = -4.6;

/// The way back to full resolution, and the 1x1 head.
#[derive(Module, Debug)]
pub struct Decoder {
    steps: Vec<UpStep>,
    head: Conv2d,
}

impl Decoder {
    /// Steps from the deepest level upwards.
    pub fn new(config: &NetworkConfig, device: &Device) -> Self {
        let steps = (0..config.levels - 1)
            .rev()
            .map(|level| {
                let (deep, here) = (config.channels(level + 1), config.channels(level));
                UpStep {
                    up: ConvTranspose2dConfig::new([deep, here], [2, 2]).with_stride([2, 2]).init(device),
                    block: ResidualBlock::new([2 * here, here], 1, device),
                }
            })
            .collect();
        let mut head = Conv2dConfig::new([config.base, CLASS_COUNT], [1, 1]).init(device);
        let mut bias = vec![ORGAN_LOGIT as f32; CLASS_COUNT];
        bias[0] = 0.0;
        head.bias = Some(Param::from_tensor(Tensor::from_data(TensorData::new(bias, [CLASS_COUNT]), device)));
        Self { steps, head }
    }

    /// From the encoder's features to z5.
    ///
    /// # Shapes
    /// `[B, base * 2^l, H / 2^l, W / 2^l]` for level l to `[B, 34, H, W]`.
    pub fn forward(&self, mut features: Vec<Tensor<4>>) -> Tensor<4> {
        let mut x = features.pop().expect("the encoder has at least two levels");
        for (step, skip) in self.steps.iter().zip(features.into_iter().rev()) {
            x = step.block.forward(Tensor::cat(vec![step.up.forward(x), skip], 1));
        }
        convolve(&self.head, x)
    }

    /// Where its parameters are.
    pub fn device(&self) -> Device {
        self.head.weight.device()
    }

    /// With `bias`, `[34]`, added to the logits.
    pub fn add_bias(mut self, bias: [f32; CLASS_COUNT]) -> Self {
        self.head.bias = self.head.bias.map(|own| {
            own.map(|own| {
                let more = Tensor::from_data(TensorData::new(bias.to_vec(), [CLASS_COUNT]), &own.device());
                own + more
            })
        });
        self
    }

    /// The normalisations, under the names of the fields.
    pub(super) fn norms<'a>(&'a self, name: &str, found: &mut Vec<(String, &'a BatchNorm)>) {
        for (n, step) in self.steps.iter().enumerate() {
            step.block.norms(&format!("{name}.steps.{n}.block"), found);
        }
    }

    /// With the normalisations folded into the convolutions.
    pub fn fold(self) -> Self {
        let steps = self.steps.into_iter().map(|s| UpStep { up: s.up, block: s.block.fold() }).collect();
        Self { steps, head: self.head }
    }
}
