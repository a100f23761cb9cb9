//! The two-branch network: a residual U-Net and the region branch whose attention vector modulates its output.
//!
//! One code for both systems of the paper: with [`NetworkConfig::attention`] off it is the plain U-Net.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | what has to be known to build a network |
//! | `block.rs` | convolution + batch normalisation, residual block, folding |
//! | `unet.rs` | encoder and decoder |
//! | `region.rs` | region classifier and attention vector z4 |
//! | `attention.rs` | equation (1) |
//! | `gauge.rs` | which height of z4 counts as 1 |
//! | `parameters.rs` | all tensors as numbers |
//! | `count.rs` | multiply-adds, in closed form |
//! | `weights.rs` | SafeTensors file with its model information |
//! | `folded.rs` | the network as inference takes it |
//! | `pytorch.rs` | the same in PyTorch's names and layout |
//! | `onnx/` | the folded network for any ONNX runtime |

pub mod attention;
pub mod block;
mod config;
pub mod count;
mod folded;
pub mod gauge;
pub mod onnx;
#[cfg(not(target_family = "wasm"))]
mod parameters;
pub mod pytorch;
pub mod region;
pub mod unet;
pub mod weights;

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

#[cfg(not(target_family = "wasm"))]
use crate::kernels::parameters::Parameters;
use crate::kernels::voxels::VoxelLosses;
pub use config::NetworkConfig;
pub use folded::Folded;
use gauge::AttentionGauge;
use region::{Outside, RegionBranch, RegionOutput};
pub use unet::ORGAN_LOGIT;
use unet::{Decoder, Encoder};

impl NetworkConfig {
    /// A freshly initialised network on `device`.
    pub fn init(&self, device: &Device) -> AttentionAnatomy {
        AttentionAnatomy {
            encoder: Encoder::new(self, device),
            decoder: Decoder::new(self, device),
            region: self.attention.then(|| RegionBranch::new(self.channels(self.levels - 1), device)),
        }
    }
}

/// The network. Parameter names in the weights file follow the field names.
#[derive(Module, Debug)]
pub struct AttentionAnatomy {
    encoder: Encoder,
    decoder: Decoder,
    region: Option<RegionBranch>,
}

/// What the network says of a batch, before attention is applied.
#[derive(Debug, Clone)]
pub struct NetworkOutput {
    /// z5: logits `[B, 34, H, W]`, background first.
    pub logits: Tensor<4>,
    /// Who has them, where they are not in `logits`: of a training whose layers are computed by other means.
    pub elsewhere: Option<Arc<dyn VoxelLosses>>,
    /// Region logits and attention vector; `None` for the plain U-Net.
    pub region: Option<RegionOutput>,
}

impl AttentionAnatomy {
    /// Everything, from intensities in `[0, 1]`.
    ///
    /// # Shapes
    /// `stack` is `[B, S, H, W]`, H and W multiples of [`NetworkConfig::granularity`]; logits are `[B, 34, H, W]`.
    pub fn forward(&self, stack: Tensor<4>) -> NetworkOutput {
        let features = self.encoder.forward(stack);
        let region = self.region.as_ref().zip(features.last()).map(|(branch, deepest)| branch.forward(deepest.clone()));
        NetworkOutput { logits: self.decoder.forward(features), elsewhere: None, region }
    }

    /// Encoder and region branch only (pre-training phase). `None` for the plain U-Net.
    ///
    /// # Shapes
    /// As for [`forward`](Self::forward).
    pub fn forward_region(&self, stack: Tensor<4>) -> Option<RegionOutput> {
        let branch = self.region.as_ref()?;
        self.encoder.forward(stack).pop().map(|deepest| branch.forward(deepest))
    }

    /// With inputs that are boxes of a field, as regions and attention see it: the rest is air. Without one they are whole fields.
    pub fn within(self, outside: Option<Outside>) -> Self {
        Self { region: self.region.map(|region| region.within(outside)), ..self }
    }

    /// Whether something was said to stand around the maps.
    pub(crate) fn is_within(&self) -> bool {
        self.region.as_ref().is_some_and(RegionBranch::is_within)
    }

    /// What the region branch sees of a field of air of `stack` slices of `side` x `side` pixels with intensity `air`; `None` for the
    /// plain U-Net.
    ///
    /// # Errors
    /// The device gives no answer.
    pub async fn air(&self, stack: usize, side: usize, air: f64) -> Result<Option<Outside>, ExecutionError> {
        let Some(branch) = &self.region else { return Ok(None) };
        let field = Tensor::full([1, stack, side, side], air, &self.decoder.device());
        let Some(features) = self.encoder.forward(field).pop() else { return Ok(None) };
        let maps = branch.maps(features);
        let [_, channels, height, width] = maps.dims();
        let mean = maps.reshape([channels, height * width]).mean_dim(1);
        let air = mean.into_data_async().await?.try_to_vec::<f32>().unwrap_or_default();
        Ok(Some(Outside { air, positions: height * width }))
    }

    /// What the region branch says of its last maps, for whoever computes the layers before them by other means. `None` for the
    /// plain U-Net.
    ///
    /// # Shapes
    /// `[B, 64, h, w]`.
    pub fn region_of(&self, maps: Tensor<4>) -> Option<RegionOutput> {
        self.region.as_ref().map(|branch| branch.answer(maps))
    }

    /// All tensors, under the names of the fields. Reads from the device.
    #[cfg(not(target_family = "wasm"))]
    pub fn parameters(&self) -> Parameters {
        let mut collect = parameters::Collect::default();
        self.visit(&mut collect);
        collect.found
    }

    /// What the normalisations add to variances.
    pub fn epsilon(&self) -> f64 {
        self.norms().first().map_or(0.0, |(_, norm)| norm.epsilon)
    }

    /// Takes mean and variance that normalisations saw of a batch, by name, into the running ones: for whoever computes the layers
    /// by other means.
    pub fn update_statistics(&self, seen: impl IntoIterator<Item = (String, [Vec<f32>; 2])>) {
        let norms: BTreeMap<String, &BatchNorm> = self.norms().into_iter().collect();
        for (name, now) in seen {
            let Some(norm) = norms.get(&name) else { continue };
            for (running, now) in [&norm.running_mean, &norm.running_var].into_iter().zip(now) {
                let before = running.value_sync();
                let now = Tensor::<1>::from_data(TensorData::new(now, before.dims()), &before.device());
                running.update((before * (1.0 - norm.momentum) + now * norm.momentum).detach());
            }
        }
    }

    /// All normalisations, under the names of the fields.
    fn norms(&self) -> Vec<(String, &BatchNorm)> {
        let mut found = Vec::new();
        self.encoder.norms("encoder", &mut found);
        self.decoder.norms("decoder", &mut found);
        self.region.iter().for_each(|region| region.norms("region", &mut found));
        found
    }

    /// The same encoder and decoder without region branch: what the network draws when attention is off.
    pub fn without_attention(self) -> Self {
        Self { region: None, ..self }
    }

    /// The same outputs with attention in units of `gauge`: z4' and z5' in place of z4 and z5.
    pub fn with_gauge(self, gauge: &AttentionGauge) -> Self {
        let Some(region) = self.region else { return self };
        Self { decoder: self.decoder.add_bias(gauge.bias()), region: Some(region.with_gauge(gauge)), ..self }
    }

    /// The units of attention, if it has any.
    pub fn gauge(&self) -> Option<&AttentionGauge> {
        self.region.as_ref()?.gauge()
    }

    /// The same function with every batch normalisation folded into its convolution, for inference.
    pub fn fold(self) -> Self {
        Self { encoder: self.encoder.fold(), decoder: self.decoder.fold(), region: self.region.map(RegionBranch::fold) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Organ;
    use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};
    use crate::network::attention::modulate;
    use burn::module::Module;
    use burn::tensor::Distribution;

    fn tiny() -> NetworkConfig {
        NetworkConfig { base: 4, levels: 3, stack: 5, attention: true }
    }

    #[test]
    fn folding_batch_norm_changes_nothing() {
        let training = Device::flex().autodiff();
        let network = tiny().init(&training);
        // Running statistics and scales that differ from their start: two training passes and a shifted gamma.
        for _ in 0..3 {
            network.forward(Tensor::random([2, 5, 16, 16], Distribution::Normal(0.4, 0.3), &training));
        }
        let network = network.valid();
        let device = Device::flex();
        let x = Tensor::random([2, 5, 16, 16], Distribution::Uniform(0.0, 1.0), &device);
        let before = network.forward(x.clone());
        let after = network.clone().fold().forward(x);
        let difference = (before.logits - after.logits).abs().max().into_scalar::<f32>();
        assert!(difference < 2e-5, "logits differ by {difference}");
        let (b, a) = (before.region.unwrap(), after.region.unwrap());
        assert!((b.attention - a.attention).abs().max().into_scalar::<f32>() < 2e-5);
        assert!((b.regions - a.regions).abs().max().into_scalar::<f32>() < 2e-5);
    }

    #[test]
    fn without_attention_the_logits_stay_and_nothing_modulates_them() {
        let device = Device::flex();
        let network = tiny().init(&device);
        let x = Tensor::random([1, 5, 16, 16], Distribution::Uniform(0.0, 1.0), &device);
        let (with, without) = (network.forward(x.clone()), network.clone().without_attention().forward(x));
        assert_eq!(with.logits.into_data(), without.logits.into_data());
        assert!(with.region.is_some() && without.region.is_none());
    }

    #[test]
    fn no_organ_starts_suppressed() {
        let device = Device::flex();
        let network = tiny().init(&device);
        let out = network.forward(Tensor::random([1, 5, 16, 16], Distribution::Uniform(0.0, 1.0), &device));
        let z4: Vec<f32> = out.region.unwrap().attention.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(z4.len(), ORGAN_COUNT);
        assert!(z4.iter().all(|&v| v > 0.75), "{z4:?}");
    }

    #[test]
    fn attention_equals_weighting_the_softmax_and_renormalising() {
        // Equation (1) says: softmax of the modulated logits = softmax weighted by z4 (background by 1), renormalised.
        let device = Device::flex();
        let logits = Tensor::<4>::random([2, CLASS_COUNT, 3, 2], Distribution::Normal(0.0, 2.0), &device);
        let z4 = Tensor::<2>::random([2, ORGAN_COUNT], Distribution::Uniform(0.01, 1.0), &device);
        let modulated = burn::tensor::activation::softmax(modulate(logits.clone(), z4.clone()), 1);
        let got: Vec<f32> = modulated.into_data().try_to_vec::<f32>().unwrap();
        let z: Vec<f32> = logits.into_data().try_to_vec::<f32>().unwrap();
        let w: Vec<f32> = z4.into_data().try_to_vec::<f32>().unwrap();
        for b in 0..2 {
            for n in 0..6 {
                let weighted: Vec<f64> = (0..CLASS_COUNT)
                    .map(|c| {
                        let weight = if c == 0 { 1.0 } else { f64::from(w[b * ORGAN_COUNT + c - 1]) };
                        f64::from(z[(b * CLASS_COUNT + c) * 6 + n]).exp() * weight
                    })
                    .collect();
                let sum: f64 = weighted.iter().sum();
                for (c, v) in weighted.iter().enumerate() {
                    let g = f64::from(got[(b * CLASS_COUNT + c) * 6 + n]);
                    assert!((g - v / sum).abs() < 1e-4, "{g} {v}");
                }
            }
        }
    }

    #[test]
    fn a_gauge_changes_the_height_of_attention_and_no_probability() {
        let device = Device::flex();
        let network = tiny().init(&device);
        let x = Tensor::random([2, 5, 16, 16], Distribution::Uniform(0.0, 1.0), &device);
        let gauge = AttentionGauge {
            organs: [(Organ::Liver, 3e-4), (Organ::BrainStem, 0.7)]
                .map(|(organ, unit)| gauge::OrganGauge { organ, unit, slices: 20 })
                .to_vec(),
        };
        let of = |network: &AttentionAnatomy| {
            let out = network.forward(x.clone());
            let attention = out.region.unwrap().attention;
            let p = burn::tensor::activation::softmax(modulate(out.logits, attention.clone()), 1);
            (p, attention.into_data().try_to_vec::<f32>().unwrap())
        };
        let (before, z4) = of(&network);
        for gauged in [network.clone().with_gauge(&gauge), network.clone().with_gauge(&gauge).fold()] {
            let (after, gauged) = of(&gauged);
            let difference = (before.clone() - after).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-5, "{difference}");
            let liver = Organ::Liver.index();
            assert!((gauged[liver] / (z4[liver] / 3e-4) - 1.0).abs() < 1e-2, "{} {}", gauged[liver], z4[liver]);
            let heart = Organ::Heart.index();
            assert!((gauged[heart] - z4[heart]).abs() < 1e-6);
        }
    }

    #[test]
    fn a_suppressed_organ_vanishes_and_an_untouched_one_does_not() {
        let device = Device::flex();
        let logits = Tensor::<4>::zeros([1, CLASS_COUNT, 1, 1], &device);
        let mut z4 = vec![1.0f32; ORGAN_COUNT];
        z4[6] = 0.0;
        let z4 = Tensor::<2>::from_data(TensorData::new(z4, [1, ORGAN_COUNT]), &device);
        let p: Vec<f32> =
            burn::tensor::activation::softmax(modulate(logits, z4), 1).into_data().try_to_vec::<f32>().unwrap();
        assert!(p[7] < 1e-6 && (p[8] - 1.0 / 33.0).abs() < 1e-5, "{p:?}");
    }
}
