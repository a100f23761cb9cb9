//! Convolution with batch normalisation, and the residual block made of two of them.
//!
//! The paper leaves the residual U-Net "standard": conv3x3-BN-ReLU-conv3x3-BN plus a shortcut, then ReLU. Batch
//! normalisation is kept (instead of group or instance normalisation) because burn has a native operation for it and
//! because it folds into the convolution, which makes inference free of it.

use crate::kernels::convolve;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor, activation::relu};

/// A convolution followed by batch normalisation; after [`fold`](Self::fold) a convolution with a bias.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    norm: Option<BatchNorm>,
}

impl ConvNorm {
    /// `kernel` is odd; the padding keeps the size at stride 1.
    pub fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let pad = kernel / 2;
        let conv = Conv2dConfig::new(channels, [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .with_bias(false)
            .with_initializer(Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false })
            .init(device);
        Self { conv, norm: Some(BatchNormConfig::new(channels[1]).init(device)) }
    }

    /// The convolution, and the normalisation unless it is folded in.
    ///
    /// # Shapes
    /// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = convolve(&self.conv, x);
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }

    /// The normalisation, under the name of its field.
    pub(super) fn norms<'a>(&'a self, name: &str, found: &mut Vec<(String, &'a BatchNorm)>) {
        found.extend(self.norm.as_ref().map(|norm| (format!("{name}.norm"), norm)));
    }

    /// w' = w gamma / sqrt(var + eps), b' = beta - mean gamma / sqrt(var + eps): the running statistics become part of
    /// the convolution.
    pub fn fold(mut self) -> Self {
        let Some(norm) = self.norm.take() else { return self };
        let scale = norm.gamma.val() / (norm.running_var.value_sync() + norm.epsilon).sqrt();
        let bias = norm.beta.val() - norm.running_mean.value_sync() * scale.clone();
        let [out] = scale.dims();
        self.conv.weight = self.conv.weight.map(|w| w * scale.reshape([out, 1, 1, 1]));
        self.conv.bias = Some(Param::from_tensor(bias));
        self
    }
}

/// conv3x3-BN-ReLU-conv3x3-BN plus shortcut (1x1 convolution with BN where the shape changes), then ReLU.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl ResidualBlock {
    /// `stride` 2 halves the size.
    pub fn new(channels: [usize; 2], stride: usize, device: &Device) -> Self {
        let [input, output] = channels;
        Self {
            first: ConvNorm::new([input, output], 3, stride, device),
            second: ConvNorm::new([output, output], 3, 1, device),
            shortcut: (input != output || stride != 1).then(|| ConvNorm::new([input, output], 1, stride, device)),
        }
    }

    /// Both convolutions and the shortcut around them.
    ///
    /// # Shapes
    /// `[B, in, H, W]` to `[B, out, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone()),
            None => x.clone(),
        };
        let y = relu(self.first.forward(x));
        relu(self.second.forward(y) + shortcut)
    }

    /// The normalisations, under the names of the fields.
    pub(super) fn norms<'a>(&'a self, name: &str, found: &mut Vec<(String, &'a BatchNorm)>) {
        self.first.norms(&format!("{name}.first"), found);
        self.second.norms(&format!("{name}.second"), found);
        self.shortcut.iter().for_each(|shortcut| shortcut.norms(&format!("{name}.shortcut"), found));
    }

    /// With the normalisations folded into the convolutions.
    pub fn fold(self) -> Self {
        Self { first: self.first.fold(), second: self.second.fold(), shortcut: self.shortcut.map(ConvNorm::fold) }
    }
}
