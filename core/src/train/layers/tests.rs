//! The layers by their plan, on the processor and on a GPU, against burn's graph on the same network.

use std::collections::BTreeMap;

use attention_anatomy_shaders::network::Kernel;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use super::{Layers, TrainingDevice};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};
use crate::dataset::{BatchCounts, Target};
use crate::kernels::wgsl::Tuning;
use crate::loss::total::total;
use crate::loss::{FocalNorm, LossWeights};
use crate::network::{AttentionAnatomy, NetworkConfig, NetworkOutput};
use crate::train::start;

const ALL: LossWeights = LossWeights { dice: 1.0, focal: 1.0, region: 1.0, cross_entropy: 1.0, presence: 1.0 };

/// A batch of noise, and labels in patches.
struct Example {
    shape: [usize; 4],
    stacks: Vec<f32>,
    target: Target,
}

impl Example {
    fn new(shape: [usize; 4]) -> Self {
        let [slices, channels, height, width] = shape;
        let noise = |n: usize| ((n as u32).wrapping_mul(2_654_435_761) >> 8 & 0xffff) as f32 / 65_535.0;
        let label = |n: usize| match (n / 5 % 7, n / (5 * width)) {
            (0, row) => (row * 3 % CLASS_COUNT) as u8,
            _ => 0,
        };
        let mut weights = vec![[true; ORGAN_COUNT]; slices];
        weights[0][4] = false;
        let region = |n: usize| (n % 3 != 2).then_some([0.5, 0.5, 0.0, 0.0, 0.0]);
        let labels = (0..slices * height * width).map(label);
        let labels = labels.map(|label| if label == 5 { 0 } else { label }).collect();
        let target =
            Target { labels, size: [height, width], outside: 0, weights, regions: (0..slices).map(region).collect() };
        Self { shape, stacks: (0..slices * channels * height * width).map(noise).collect(), target }
    }

    fn loss(&self, output: &NetworkOutput, loss: &LossWeights) -> Tensor<1> {
        total(output, &self.target, &BatchCounts::of(&self.target), loss, FocalNorm::PresentClasses, None).total
    }
}

/// Loss, gradients, and the running statistics after it.
struct Found {
    loss: f32,
    gradients: BTreeMap<String, Vec<f32>>,
    statistics: BTreeMap<String, Vec<f32>>,
}

struct Visit<'a> {
    path: Vec<String>,
    gradients: GradientsParams,
    found: &'a mut Found,
}

impl ModuleVisitor for Visit<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if path.contains("running") {
            self.found.statistics.insert(path, param.val().into_data().try_to_vec().unwrap());
        } else if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.found.gradients.insert(path, gradient.into_data().try_to_vec().unwrap());
        }
    }
}

fn found(network: &AttentionAnatomy, loss: f32, gradients: GradientsParams) -> Found {
    let mut found = Found { loss, gradients: BTreeMap::new(), statistics: BTreeMap::new() };
    // What was learned last is visible once it is asked for.
    let network = network.valid();
    network.visit(&mut Visit { path: Vec::new(), gradients, found: &mut found });
    found
}

fn network(config: &NetworkConfig, device: &Device) -> AttentionAnatomy {
    start::seeded(config.init(device), 5, -1.0)
}

fn by_burn(config: &NetworkConfig, example: &Example, loss: &LossWeights) -> Found {
    let device = Device::flex().autodiff();
    let network = network(config, &device);
    let x = Tensor::<4>::from_data(TensorData::new(example.stacks.clone(), example.shape), &device);
    let output = if loss.segments() {
        network.forward(x)
    } else {
        NetworkOutput {
            logits: Tensor::zeros([example.shape[0], 1, 1, 1], &device),
            elsewhere: None,
            region: network.forward_region(x),
        }
    };
    let value = example.loss(&output, loss);
    let gradients = GradientsParams::from_grads(value.clone().backward(), &network);
    found(&network, value.into_scalar(), gradients)
}

fn by_plan(on: &TrainingDevice, config: &NetworkConfig, example: &Example, loss: &LossWeights) -> Found {
    let device = Device::flex().autodiff();
    let network = network(config, &device);
    let mut layers = Layers::for_device(on, &device).unwrap();
    layers.load(&network).unwrap();
    let output = layers.forward(&network, &example.stacks, example.shape, loss.segments()).unwrap();
    let value = example.loss(&output, loss);
    let mut gradients = value.clone().backward();
    layers.backward(&mut gradients).unwrap();
    let gradients = GradientsParams::from_grads(gradients, &network);
    let mut found = found(&network, value.into_scalar(), gradients);
    found.gradients.extend(layers.gradients().unwrap());
    found
}

/// The length of a difference against the length of what it is a difference from.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let apart = square(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    apart / square(&mut b.iter().map(|&v| f64::from(v))).max(1e-7)
}

fn check(config: &NetworkConfig, shape: [usize; 4], loss: &LossWeights) {
    check_on(&TrainingDevice::from(&Device::flex()), config, shape, loss);
}

fn check_on(on: &TrainingDevice, config: &NetworkConfig, shape: [usize; 4], loss: &LossWeights) {
    let example = Example::new(shape);
    let (seen, expected) = (by_plan(on, config, &example, loss), by_burn(config, &example, loss));
    assert!((seen.loss - expected.loss).abs() < 1e-4 * expected.loss.abs(), "{} {}", seen.loss, expected.loss);
    for (seen, expected) in [(&seen.gradients, &expected.gradients), (&seen.statistics, &expected.statistics)] {
        assert_eq!(seen.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        assert!(!expected.is_empty());
        for (name, expected) in expected {
            let off = difference(&seen[name], expected);
            // What is summed up over pixels cancels out for the most part, and the rounding of both ways stays.
            let summed = name.contains(".norm.") || name.ends_with(".bias");
            assert!(off < if summed { 4e-3 } else { 1e-3 }, "{config:?}, {shape:?}, {name}: {off}");
        }
    }
}

#[test]
fn loss_gradients_and_statistics_are_those_of_burns_graph() {
    let light = NetworkConfig::default();
    check(&light, [3, 5, 48, 80], &ALL);
    check(&light, [1, 5, 64, 48], &ALL);
    // Channels that fill no block, and a stack that needs no convolution in the first shortcut.
    check(&NetworkConfig { base: 5, levels: 3, ..light.clone() }, [2, 5, 20, 12], &ALL);
    check(&NetworkConfig { base: 20, levels: 2, stack: 3, attention: true }, [2, 3, 14, 10], &ALL);
    check(&NetworkConfig { attention: false, ..light.clone() }, [2, 5, 32, 48], &ALL);
}

#[test]
fn on_a_gpu_too_they_are_those_of_burns_graph() {
    for tuning in [Tuning::INTEGRATED, Tuning::SOFTWARE] {
        let Some(gpu) = crate::kernels::wgsl::tests::gpu(tuning, Kernel::source) else { return };
        let on = TrainingDevice { tensors: Device::flex(), gpu: Some(gpu) };
        let light = NetworkConfig::default();
        check_on(&on, &light, [2, 5, 32, 48], &ALL);
        check_on(&on, &NetworkConfig { base: 5, levels: 3, ..light.clone() }, [2, 5, 20, 12], &ALL);
        let region = LossWeights { dice: 0.0, focal: 0.0, region: 1.0, ..LossWeights::default() };
        check_on(&on, &NetworkConfig { base: 8, levels: 3, ..light }, [3, 5, 24, 32], &region);
    }
}

#[test]
fn what_a_gpu_says_of_air_and_of_slices_is_what_the_network_says() {
    let Some(gpu) = crate::kernels::wgsl::tests::gpu(Tuning::SOFTWARE, Kernel::source) else { return };
    let on = TrainingDevice { tensors: Device::flex(), gpu: Some(gpu) };
    let (config, device) = (NetworkConfig { levels: 3, ..NetworkConfig::default() }, Device::flex().autodiff());
    let network = network(&config, &device);
    let mut layers = Layers::for_device(&on, &device).unwrap();
    layers.load(&network).unwrap();
    // So that running statistics are not those of the beginning.
    let example = Example::new([2, 5, 24, 32]);
    layers.forward(&network, &example.stacks, example.shape, true).unwrap();
    layers.load(&network).unwrap();
    let found = layers.air(5, 32, 0.3).unwrap().unwrap();
    let expected = pollster::block_on(network.valid().air(5, 32, 0.3)).unwrap().unwrap();
    assert_eq!(found.positions, expected.positions);
    let off = difference(&found.air, &expected.air);
    assert!(off < 1e-4 && expected.air.iter().any(|&v| v > 0.1), "{off}");

    // And of slices, as validation asks.
    let (network, example) = (network.valid(), Example::new([3, 5, 16, 24]));
    let found = layers.infer(&network, &example.stacks, example.shape).unwrap().unwrap();
    let data = TensorData::new(example.stacks.clone(), example.shape);
    let expected = network.forward(Tensor::from_data(data, &Device::flex()));
    let values = |tensor: Tensor<4>| tensor.into_data().try_to_vec::<f32>().unwrap();
    assert!(difference(&values(found.logits), &values(expected.logits)) < 1e-4);
    let [found, expected] = [found.region, expected.region].map(|region| region.unwrap().attention.into_data());
    let [found, expected] = [found, expected].map(|data| data.try_to_vec::<f32>().unwrap());
    assert!(difference(&found, &expected) < 1e-4);
}

#[test]
fn a_phase_that_needs_no_decoder_gives_it_no_gradients() {
    let config = NetworkConfig { base: 8, levels: 3, ..NetworkConfig::default() };
    check(&config, [3, 5, 24, 32], &LossWeights { dice: 0.0, focal: 0.0, region: 1.0, ..LossWeights::default() });
    check(&config, [3, 5, 24, 32], &LossWeights { dice: 1.0, focal: 0.0, region: 0.0, ..LossWeights::default() });
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let example = Example::new([3, 5, 48, 32]);
    let config = NetworkConfig::default();
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| by_plan(&TrainingDevice::from(&Device::flex()), &config, &example, &ALL))
    };
    let (one, three) = (of(1), of(3));
    assert_eq!(one.loss, three.loss);
    assert_eq!(one.statistics, three.statistics);
    for (name, gradient) in &one.gradients {
        assert_eq!(gradient, &three.gradients[name], "{name}");
    }
}
