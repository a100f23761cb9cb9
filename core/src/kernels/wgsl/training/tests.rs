//! Steps on a GPU against the processor's, on every kind of device's kernels, and against finite differences; every kernel of a step is
//! broken in turn and seen. Losses and burn's graph: `train/layers/tests.rs`.

use std::collections::BTreeMap;

use attention_anatomy_shaders::network::{Kernel, Stored};
use burn::tensor::Device;

use super::GpuTrainingPlan;
use crate::infer::device::{TRAINING_TOLERANCE, training_difference};
use crate::kernels::parameters::Parameters;
use crate::kernels::training::{Gradients, Outputs, TrainingPlan};
use crate::kernels::wgsl::tests::gpu;
use crate::kernels::wgsl::{Gpu, GpuError, Tuning};
use crate::network::NetworkConfig;
use crate::train::start;

fn noise(count: usize, salt: u32) -> Vec<f32> {
    let of = |n: u32| (n.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(0x9E37_79B1)) >> 8 & 0xffff) as f32;
    (0..count as u32).map(|n| of(n) / 65_535.0 - 0.5).collect()
}

/// A network of a configuration, with a batch for it.
struct Example {
    parameters: Parameters,
    epsilon: f64,
    stacks: Vec<f32>,
    slices: usize,
    size: [usize; 2],
}

impl Example {
    fn new(config: &NetworkConfig, slices: usize, size: [usize; 2]) -> Self {
        let network = start::seeded(config.init(&Device::flex()), 5, -1.0);
        let stacks = noise(slices * config.stack * size[0] * size[1], 1);
        Self { parameters: network.parameters(), epsilon: network.epsilon(), stacks, slices, size }
    }

    /// What stands for the losses: the sums of logits and features, each times its number here.
    fn by(outputs: &Outputs) -> [Option<Vec<f32>>; 2] {
        let by_logits = outputs.logits.as_ref().map(|logits| noise(logits.len(), 2));
        let by_features = outputs.features.as_ref().map(|features| noise(features.values.len(), 3));
        [by_logits, by_features]
    }

    fn on_processor(&self, segments: bool) -> (Outputs, Gradients) {
        let mut plan = TrainingPlan::default();
        plan.load(&self.parameters, self.epsilon);
        let outputs = plan.forward(&self.stacks, self.slices, self.size, segments);
        let ([by_logits, by_features], mut gradients) = (Self::by(&outputs), Gradients::new());
        plan.backward(by_logits.as_deref(), by_features.as_deref(), &mut gradients);
        (outputs, gradients)
    }

    fn on_gpu(&self, plan: &mut GpuTrainingPlan, segments: bool) -> (Outputs, Gradients) {
        plan.load(&self.parameters, self.epsilon);
        let outputs = plan.forward(&self.stacks, self.slices, self.size, segments).unwrap();
        let outputs = Outputs { logits: plan.logits().unwrap(), ..outputs };
        let [by_logits, by_features] = Self::by(&outputs);
        plan.backward(by_logits.as_deref(), by_features.as_deref());
        (outputs, plan.gradients().unwrap())
    }
}

/// The length of a difference against the length of what it is a difference from.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let apart = length(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    apart / length(&mut b.iter().map(|&v| f64::from(v))).max(1e-7)
}

/// Everything that comes of a step, by name.
fn by_name((outputs, gradients): (Outputs, Gradients)) -> BTreeMap<String, Vec<f32>> {
    let mut all = gradients;
    for found in outputs.statistics {
        all.insert(format!("{} mean", found.name), found.mean);
        all.insert(format!("{} variance", found.name), found.variance);
    }
    all.extend(outputs.logits.map(|logits| ("logits".to_string(), logits)));
    all.extend(outputs.features.map(|features| ("features".to_string(), features.values)));
    all
}

fn check(plan: &mut GpuTrainingPlan, example: &Example, segments: bool) {
    let expected = by_name(example.on_processor(segments));
    let found = by_name(example.on_gpu(plan, segments));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, expected) in expected {
        let off = difference(&found[&name], &expected);
        // What is summed up over pixels cancels out for the most part, and the rounding of both ways stays.
        let bound = if name.contains(".norm.") || name.ends_with(".bias") { 4e-3 } else { 1e-3 };
        assert!(off < bound, "{}, {:?}, {name}: {off}", plan.gpu().tuning().name, example.size);
    }
}

fn plan(tuning: Tuning) -> Option<GpuTrainingPlan> {
    gpu(tuning, Kernel::source).map(|gpu| GpuTrainingPlan::new(&gpu).unwrap())
}

#[test]
fn steps_give_what_the_processor_gives_with_the_kernels_of_every_kind_of_device() {
    for tuning in Tuning::ALL {
        let Some(mut plan) = plan(tuning) else { return };
        let light = NetworkConfig::default();
        let small = |base, levels, stack, attention| NetworkConfig { base, levels, stack, attention };
        // Batches of other sizes, and networks of other widths, one after the other in the same memory.
        for (config, slices, size) in [
            (&light, 2, [32, 48]),
            (&light, 3, [48, 16]),
            // Channels that fill no group of four, sizes that are odd below.
            (&small(5, 3, 5, true), 3, [20, 12]),
            (&small(20, 2, 3, true), 2, [14, 10]),
            (&small(8, 4, 1, false), 1, [24, 40]),
        ] {
            check(&mut plan, &Example::new(config, slices, size), true);
        }
        // A phase that needs no decoder gives it no gradients. With the batch of the first example, none of whose activations lies so near to
        // the kink of a ReLU that rounding decides. Of sixteen batches of noise on 32 x 16 pixels two do: there gradients differ by 0.4 %, in one
        // with every kernel, and the processor's own move by as much when the input moves by a ten-millionth; in the others nothing differs by
        // more than 0.03 %.
        check(&mut plan, &Example::new(&light, 2, [32, 48]), false);
    }
}

#[test]
fn the_widest_layers_of_the_presets_give_what_the_processor_gives() {
    let Some(mut plan) = plan(Tuning::DISCRETE) else { return };
    let paper = NetworkConfig { base: 32, levels: 5, stack: 5, attention: true };
    check(&mut plan, &Example::new(&paper, 2, [16, 32]), true);
}

#[test]
fn the_same_batch_gives_the_same_numbers() {
    let Some(mut plan) = plan(Tuning::DISCRETE) else { return };
    let example = Example::new(&NetworkConfig { levels: 3, ..NetworkConfig::default() }, 2, [24, 20]);
    let other = Example::new(&NetworkConfig { base: 8, levels: 3, ..NetworkConfig::default() }, 3, [12, 8]);
    let first = by_name(example.on_gpu(&mut plan, true));
    other.on_gpu(&mut plan, true);
    assert_eq!(first, by_name(example.on_gpu(&mut plan, true)));
}

#[test]
fn gradients_are_finite_differences() {
    let Some(mut plan) = plan(Tuning::INTEGRATED) else { return };
    let example = Example::new(&NetworkConfig { base: 4, levels: 2, stack: 3, attention: true }, 2, [8, 12]);
    let (_, gradients) = example.on_gpu(&mut plan, true);
    let mut value = |parameters: &Parameters| -> f64 {
        plan.load(parameters, example.epsilon);
        let outputs = plan.forward(&example.stacks, example.slices, example.size, true).unwrap();
        let outputs = Outputs { logits: plan.logits().unwrap(), ..outputs };
        let [by_logits, by_features] = Example::by(&outputs);
        let of = |values: &[f32], by: &[f32]| -> f64 {
            values.iter().zip(by).map(|(v, by)| f64::from(*v) * f64::from(*by)).sum()
        };
        of(&outputs.logits.unwrap(), &by_logits.unwrap()) + of(&outputs.features.unwrap().values, &by_features.unwrap())
    };
    for (name, gradient) in &gradients {
        let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        // A step in the direction of the gradient itself, small enough that few inputs of a ReLU change their sign.
        let step = 5e-4;
        let moved = |by: f64| {
            let mut parameters = example.parameters.clone();
            let to = &mut parameters.get_mut(name).unwrap().values;
            to.iter_mut().zip(gradient).for_each(|(to, g)| *to += (by * f64::from(*g) / length) as f32);
            parameters
        };
        let slope = (value(&moved(step)) - value(&moved(-step))) / (2.0 * step);
        assert!((slope - length).abs() < 0.03 * length + 0.02, "{name}: {slope} against {length}");
    }
}

#[test]
fn a_kernel_that_is_broken_is_seen_before_anything_is_trained() {
    fn broken(kernel: Kernel, which: fn(Kernel) -> bool, from: &str, to: &str) -> String {
        let source = kernel.source(Stored::F32);
        if which(kernel) {
            assert!(source.contains(from), "{}: {source}", kernel.name());
            return source.replace(from, to);
        }
        source
    }
    let sources: [fn(Kernel, Stored) -> String; 12] = [
        |kernel, _| {
            broken(
                kernel,
                |k| matches!(k, Kernel::WeightGradient(_)),
                "if y == products.rows {",
                "if y > products.rows {",
            )
        },
        |kernel, _| broken(kernel, |k| k == Kernel::AddGradients, "var part = 0u;", "var part = 1u;"),
        |kernel, _| broken(kernel, |k| k == Kernel::Moments, "other = 1u", "other = 2u"),
        |kernel, _| broken(kernel, |k| k == Kernel::Statistics, "maps[id.x] + from_first", "from_first"),
        |kernel, _| broken(kernel, |k| k == Kernel::Activate, "of_z[shift]", "of_y[shift]"),
        |kernel, _| broken(kernel, |k| k == Kernel::Slopes, "z[at] - mean_z", "z[at] - mean_y"),
        |kernel, _| broken(kernel, |k| k == Kernel::BeforeNorm, "by[at] - level", "by[at]"),
        |kernel, _| broken(kernel, |k| k == Kernel::LossSums, "found.y", "found.x"),
        |kernel, _| broken(kernel, |k| k == Kernel::LossGradients, "more / sum_given", "more"),
        |kernel, _| broken(kernel, |k| k == Kernel::Pack, "value = parameters[home]", "value = parameters[0]"),
        |kernel, _| broken(kernel, |k| k == Kernel::Unpack, "gradients[to] += found", "gradients[to] -= found"),
        Kernel::source,
    ];
    for (n, source) in sources.into_iter().enumerate() {
        let Some(gpu) = gpu(Tuning::DISCRETE, source) else { return };
        let off = training_difference(&gpu).unwrap();
        assert_eq!(off > TRAINING_TOLERANCE, n < 11, "kernel {n}: {off}");
    }
}

#[test]
fn a_batch_that_is_too_large_and_a_device_that_is_gone_are_errors_with_a_sentence() {
    let Some(mut plan) = plan(Tuning::SOFTWARE) else { return };
    let example = Example::new(&NetworkConfig { base: 4, levels: 2, stack: 1, attention: false }, 1, [8, 8]);
    plan.load(&example.parameters, example.epsilon);
    // 36 maps of 32 bits: 81 MB a slice of 768 x 768, 144 of 1024 x 1024.
    let mut refused = |slices: usize, side: usize| {
        plan.forward(&vec![0.0; slices * side * side], slices, [side, side], true).unwrap_err().to_string()
    };
    let error = refused(2, 768);
    assert!(error.starts_with("a batch of 2 slices of 768 x 768 pixels needs 162 MB"), "{error}");
    assert!(error.contains("a smaller `micro_batch`") && !error.contains("--device"), "{error}");
    for slices in [1, 2] {
        let error = refused(slices, 1024);
        assert!(error.starts_with("a slice of 1024 x 1024 pixels needs 144 MB"), "{error}");
        assert!(error.contains("a smaller network") && !error.contains("micro_batch"), "{error}");
    }
    plan.forward(&example.stacks, 1, [8, 8], true).unwrap();
    let gpu: Gpu = plan.gpu().clone();
    gpu.destroy();
    let error = plan.forward(&example.stacks, 1, [8, 8], true).unwrap_err();
    assert!(matches!(error, GpuError::Lost(_) | GpuError::Refused { .. }), "{error}");
}
