//! A network as inference takes it: every batch normalisation folded into its convolution, attention in units of the gauge, tensors as
//! numbers in PyTorch's names and layout.
//!
//! Read from a weights file without the tensor library, whose modules take several times as long to be made as the numbers to be read: who
//! opens a scan waits for it. What is computed is what [`AttentionAnatomy::fold`] and [`AttentionAnatomy::with_gauge`] compute, to the bit.

use std::collections::BTreeMap;

use burn::nn::BatchNormConfig;
use half::slice::HalfFloatSliceExt;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::region::BRANCH_CHANNELS;
use super::weights::{self, ModelInfo, WeightsError};
use super::{AttentionAnatomy, NetworkConfig, pytorch};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};
use crate::kernels::parameters::{Parameter, Parameters};
use crate::kernels::plan::AttentionLine;
use crate::parallel::map;

/// A network for inference.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// Its tensors.
    pub parameters: Parameters,
    /// What its attention is given on in place of z4, if anything.
    pub line: Option<AttentionLine>,
}

impl Folded {
    /// Of a network on a device, which this reads from.
    ///
    /// # Errors
    /// [`WeightsError::Write`] where the device gives no numbers.
    pub fn of(network: AttentionAnatomy) -> Result<Self, WeightsError> {
        let line = network.gauge().map(|gauge| gauge.line());
        Ok(Self { parameters: pytorch::tensors(&network.fold())?, line })
    }

    /// Of a weights file, with its description. Every tensor must be there, with its shape, and finite.
    ///
    /// # Errors
    /// As [`weights::read`].
    pub fn read(bytes: &[u8]) -> Result<(Self, ModelInfo), WeightsError> {
        let info = weights::read_info(bytes)?;
        let mut parameters = File::open(bytes)?.network(&info.network)?;
        if let (Some(gauge), Some(bias)) = (&info.gauge, parameters.get_mut("decoder.head.bias"))
            && info.network.attention
        {
            bias.values.iter_mut().zip(gauge.bias()).for_each(|(own, more)| *own += more);
        }
        let line = info.gauge.as_ref().filter(|_| info.network.attention).map(|gauge| gauge.line());
        Ok((Self { parameters, line }, info))
    }

    /// The same encoder and decoder without region branch: what the network draws when attention is off.
    pub fn without_attention(mut self) -> Self {
        self.parameters.retain(|name, _| !name.starts_with("region."));
        Self { line: None, ..self }
    }
}

/// Tensors of a file that belong together, before anything is computed.
enum Module<'a> {
    /// Of a convolution without bias its weight, and gamma, beta, mean and variance of the normalisation after it.
    Normalised(String, TensorView<'a>, [TensorView<'a>; 4]),
    /// Weight and bias of a convolution.
    Biased(String, [TensorView<'a>; 2]),
    /// Weight `[in, out]` and bias of a fully connected layer.
    Connected(String, [TensorView<'a>; 2]),
}

impl Module<'_> {
    fn parameters(self) -> Result<[(String, Parameter); 2], WeightsError> {
        let (module, weight, bias) = match self {
            Self::Normalised(module, weight, norm) => {
                let (shape, mut weight) = numbers(&module, &weight)?;
                let mut of_norm = Vec::with_capacity(norm.len());
                for view in &norm {
                    of_norm.push(numbers(&module, view)?.1);
                }
                let epsilon = BatchNormConfig::new(1).epsilon as f32;
                let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|n| &of_norm[n]);
                let scale: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
                let bias: Vec<f32> = beta.iter().zip(mean.iter().zip(&scale)).map(|(b, (m, s))| b - m * s).collect();
                let rows = weight.len() / scale.len().max(1);
                for (row, scale) in weight.chunks_exact_mut(rows.max(1)).zip(&scale) {
                    row.iter_mut().for_each(|weight| *weight *= scale);
                }
                let bias = Parameter { shape: vec![bias.len()], values: bias };
                (format!("{module}.conv"), Parameter { shape, values: weight }, bias)
            }
            Self::Biased(module, [weight, bias]) => {
                let [weight, bias] = [numbers(&module, &weight)?, numbers(&module, &bias)?];
                let [weight, bias] = [weight, bias].map(|(shape, values)| Parameter { shape, values });
                (module, weight, bias)
            }
            Self::Connected(module, [weight, bias]) => {
                let (shape, values) = numbers(&module, &weight)?;
                let [inputs, outputs] = [shape[0], shape[1]];
                let turned = (0..outputs).flat_map(|out| values[out..].iter().step_by(outputs)).copied().collect();
                let weight = Parameter { shape: vec![outputs, inputs], values: turned };
                let (shape, values) = numbers(&module, &bias)?;
                (module, weight, Parameter { shape, values })
            }
        };
        Ok([(format!("{module}.weight"), weight), (format!("{module}.bias"), bias)])
    }
}

/// A tensor's shape and its numbers in f32, which are finite.
fn numbers(module: &str, view: &TensorView<'_>) -> Result<(Vec<usize>, Vec<f32>), WeightsError> {
    fn of<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|&bytes| number(bytes)).collect()
    }
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F64 => of(data, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::F32 => of(data, f32::from_le_bytes),
        Dtype::F16 => {
            let halves: Vec<half::f16> = data.as_chunks().0.iter().map(|&b| half::f16::from_le_bytes(b)).collect();
            halves.to_f32_vec()
        }
        Dtype::BF16 => of(data, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
        other => {
            return Err(WeightsError::Mismatch(format!("a tensor of `{module}` holds numbers of type {other:?}")));
        }
    };
    match values.iter().all(|value| value.is_finite()) {
        true => Ok((view.shape().to_vec(), values)),
        false => Err(WeightsError::Mismatch(format!("a tensor of `{module}` contains numbers that are not finite"))),
    }
}

/// The tensors of a weights file that nobody has taken yet, and what was taken.
struct File<'a> {
    left: BTreeMap<String, TensorView<'a>>,
    modules: Vec<Module<'a>>,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| WeightsError::NotSafeTensors(e.to_string()))?;
        Ok(Self { left: file.tensors().into_iter().collect(), modules: Vec::new() })
    }

    /// All tensors of a network, folded.
    fn network(mut self, config: &NetworkConfig) -> Result<Parameters, WeightsError> {
        let channels = |level: usize| config.channels(level);
        for level in 0..config.levels {
            let (input, stride) = if level == 0 { (config.stack, 1) } else { (channels(level - 1), 2) };
            self.block(&format!("encoder.levels.{level}"), [input, channels(level)], stride)?;
        }
        for (step, level) in (0..config.levels - 1).rev().enumerate() {
            let (module, here) = (format!("decoder.steps.{step}"), channels(level));
            self.biased(format!("{module}.up"), &[channels(level + 1), here, 2, 2], here)?;
            self.block(&format!("{module}.block"), [2 * here, here], 1)?;
        }
        self.biased("decoder.head".into(), &[CLASS_COUNT, config.base, 1, 1], CLASS_COUNT)?;
        if config.attention {
            let width = BRANCH_CHANNELS;
            self.normalised("region.reduce".into(), [channels(config.levels - 1), width], 1)?;
            self.normalised("region.conv".into(), [width, width], 3)?;
            for (layer, outputs) in [("shared", width), ("region", REGION_COUNT), ("attention", ORGAN_COUNT)] {
                let module = format!("region.{layer}");
                let tensors =
                    [self.take(&module, "weight", &[width, outputs])?, self.take(&module, "bias", &[outputs])?];
                self.modules.push(Module::Connected(module, tensors));
            }
        }
        if let Some(name) = self.left.keys().next() {
            return Err(WeightsError::Mismatch(format!("tensor `{name}` has no place in the network")));
        }
        let read = map(self.modules, Module::parameters).into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(read.into_iter().flatten().collect())
    }

    fn take(&mut self, module: &str, name: &str, shape: &[usize]) -> Result<TensorView<'a>, WeightsError> {
        let name = format!("{module}.{name}");
        let mismatch = |what: String| Err(WeightsError::Mismatch(format!("tensor `{name}` {what}")));
        match self.left.remove(&name) {
            None => mismatch("is missing".into()),
            Some(view) if view.shape() != shape => {
                mismatch(format!("has the shape {:?} instead of {shape:?}", view.shape()))
            }
            Some(view) => Ok(view),
        }
    }

    fn normalised(&mut self, module: String, channels: [usize; 2], kernel: usize) -> Result<(), WeightsError> {
        let [input, output] = channels;
        let weight = self.take(&module, "conv.weight", &[output, input, kernel, kernel])?;
        let mut of_norm = |name: &str| self.take(&module, &format!("norm.{name}"), &[output]);
        let norm = [of_norm("gamma")?, of_norm("beta")?, of_norm("running_mean")?, of_norm("running_var")?];
        self.modules.push(Module::Normalised(module, weight, norm));
        Ok(())
    }

    fn biased(&mut self, module: String, weight: &[usize], outputs: usize) -> Result<(), WeightsError> {
        let tensors = [self.take(&module, "weight", weight)?, self.take(&module, "bias", &[outputs])?];
        self.modules.push(Module::Biased(module, tensors));
        Ok(())
    }

    /// As [`ResidualBlock`](super::block::ResidualBlock) names them.
    fn block(&mut self, module: &str, channels: [usize; 2], stride: usize) -> Result<(), WeightsError> {
        let [input, output] = channels;
        self.normalised(format!("{module}.first"), channels, 3)?;
        self.normalised(format!("{module}.second"), [output, output], 3)?;
        if input != output || stride != 1 {
            self.normalised(format!("{module}.shortcut"), channels, 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::anatomy::Organ;
    use crate::network::gauge::{AttentionGauge, OrganGauge};
    use crate::network::weights::Precision;
    use crate::preprocess::InputConfig;

    fn info(network: NetworkConfig) -> ModelInfo {
        let liver = OrganGauge { organ: Organ::Liver, unit: 2e-4, slices: 30 };
        ModelInfo {
            format: weights::FORMAT_VERSION,
            name: "test".into(),
            input: InputConfig { stack: network.stack, ..InputConfig::light() },
            gauge: Some(AttentionGauge { organs: vec![liver] }).filter(|_| network.attention),
            network,
            trained_organs: Vec::new(),
            data: Vec::new(),
            held_out: Vec::new(),
            steps: 7,
            note: String::new(),
        }
    }

    /// A weights file whose normalisations have seen a batch.
    fn file(config: &NetworkConfig, precision: Precision) -> Vec<u8> {
        let training = Device::flex().autodiff();
        let network = config.init(&training);
        let side = 2 * config.granularity();
        network.forward(Tensor::random([2, config.stack, side, side], Distribution::Normal(0.4, 0.3), &training));
        weights::write(&network.valid(), &info(config.clone()), precision).unwrap()
    }

    fn configurations() -> [NetworkConfig; 3] {
        [(4, 3, 5, true), (6, 2, 3, true), (5, 4, 1, false)].map(|(base, levels, stack, attention)| NetworkConfig {
            base,
            levels,
            stack,
            attention,
        })
    }

    #[test]
    fn a_file_is_read_as_its_network_is_folded_to_the_bit() {
        for config in configurations() {
            for precision in [Precision::Full, Precision::Half] {
                let bytes = file(&config, precision);
                let (read, found) = Folded::read(&bytes).unwrap();
                let (network, expected) = weights::read_gauged(&bytes, &Device::flex()).unwrap();
                assert_eq!(found, expected);
                assert_eq!(read, Folded::of(network.clone()).unwrap(), "{config:?}");
                assert_eq!(read.line.is_some(), config.attention);
                assert_eq!(read.without_attention(), Folded::of(network.without_attention()).unwrap());
            }
        }
    }

    #[test]
    fn what_is_no_network_of_its_description_is_refused_with_the_tensors_name() {
        let [config, ..] = configurations();
        let bytes = file(&config, Precision::Full);
        let refused = |bytes: &[u8]| match Folded::read(bytes).unwrap_err() {
            WeightsError::Mismatch(why) => why,
            other => panic!("{other}"),
        };
        let of = |config: NetworkConfig| weights::describe(&bytes, &info(config)).unwrap();
        let why = refused(&of(NetworkConfig { base: 8, ..config.clone() }));
        assert!(why.contains("`encoder.levels.0.first.conv.weight` has the shape [4, 5, 3, 3]"), "{why}");
        let why = refused(&of(NetworkConfig { levels: 4, ..config.clone() }));
        assert!(why.contains("`encoder.levels.3.first.conv.weight` is missing"), "{why}");
        let why = refused(&of(NetworkConfig { attention: false, ..config.clone() }));
        assert!(why.contains("`region.") && why.contains("no place"), "{why}");
        let mut broken = bytes.clone();
        let end = broken.len();
        broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        let why = refused(&broken);
        assert!(why.contains("not finite"), "{why}");
        assert!(matches!(Folded::read(b"not weights"), Err(WeightsError::NotSafeTensors(_))));
        assert!(Folded::read(&bytes[..bytes.len() - 9]).is_err());
    }
}
