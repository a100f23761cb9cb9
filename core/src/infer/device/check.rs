//! Whether a GPU answers rightly: a small network of our own layer shapes, on it and on the processor.

#[cfg(not(target_family = "wasm"))]
use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

#[cfg(not(target_family = "wasm"))]
use crate::anatomy::ORGAN_COUNT;
use crate::anatomy::{CLASS_COUNT, OrganSet};
use crate::infer::doubt::Doubt;
use crate::infer::engine::{Engine, LabelOutput, LabelRequest, SliceRequest, SliceResult, VolumeSlice, Wait};
use crate::infer::prediction::SlicePrediction;
use crate::infer::reduce::labels_and_margin;
use crate::infer::tile::Tile;
use crate::infer::{PlanEngine, WgslEngine};
#[cfg(not(target_family = "wasm"))]
use crate::kernels::training::{Gradients, Statistics, TrainingPlan};
use crate::kernels::wgsl::{Gpu, Stored};
#[cfg(not(target_family = "wasm"))]
use crate::kernels::wgsl::{GpuError, training::GpuTrainingPlan};
#[cfg(not(target_family = "wasm"))]
use crate::loss::fused_cpu::{self, PerClass, Sums, Truth};
use crate::network::{AttentionAnatomy, NetworkConfig};
use crate::preprocess::{InputConfig, ModelGrid, ModelSlices};
use crate::volume::{Geometry, Modality, Volume};

/// Largest difference of the check network's outputs that rounding explains: on a software adapter 4e-7, and 3e-5 with weights and maps
/// in f16, which a driver may round less well.
pub const KNOWN_ANSWER_TOLERANCE: f32 = 2e-3;

/// A network with every kind of layer of ours, its weights a fixed function of their position.
pub(in crate::infer) fn check_network(device: &Device, base: usize) -> AttentionAnatomy {
    made_up_network(device, base).fold()
}

/// The same with its normalisations.
fn made_up_network(device: &Device, base: usize) -> AttentionAnatomy {
    struct Fill(u32);
    impl burn::module::ModuleMapper for Fill {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            self.0 += 1;
            let salt = self.0;
            param.map(|t| {
                let shape = t.shape();
                let n = shape.num_elements();
                let values: Vec<f32> = (0..n as u32)
                    .map(|i| {
                        let h = i.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)) >> 8;
                        // Batch variances must be positive; one-dimensional numbers are scales, shifts and statistics.
                        let unit = (h & 0xffff) as f32 / 65_535.0;
                        if D == 1 { 0.5 + unit } else { (unit - 0.5) * 0.35 }
                    })
                    .collect();
                Tensor::from_data(TensorData::new(values, shape), &t.device())
            })
        }
    }
    let config = NetworkConfig { base, levels: 3, stack: 5, attention: true };
    burn::module::Module::map(config.init(device), &mut Fill(0))
}

#[cfg(not(target_family = "wasm"))]
fn check_output(device: &Device) -> (Tensor<4>, Tensor<2>, Tensor<2>) {
    let input: Vec<f32> = (0..5 * 32 * 32u32).map(|i| ((i.wrapping_mul(97) >> 2) & 255) as f32 / 255.0).collect();
    let input = Tensor::<4>::from_data(TensorData::new(input, [1, 5, 32, 32]), device);
    let output = check_network(device, 8).forward(input);
    match output.region {
        Some(region) => (output.logits, region.attention, region.regions),
        None => (output.logits, Tensor::zeros([1, 1], device), Tensor::zeros([1, 1], device)),
    }
}

fn relative_difference(answer: &[f32], truth: &[f32]) -> f32 {
    if answer.len() != truth.len() {
        return f32::INFINITY;
    }
    let scale = truth.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    answer.iter().zip(truth).fold(0.0f32, |m, (a, t)| {
        let d = (a - t).abs() / scale;
        if d.is_nan() { f32::INFINITY } else { m.max(d) }
    })
}

/// How far the tensor library's answer on a small network is from the CPU's, relative to the largest value. Natively only: it reads
/// back, and in a page the tensor library has no device but the processor.
#[cfg(not(target_family = "wasm"))]
pub fn known_answer_difference(device: &Device) -> f32 {
    let read = |device: &Device| -> Vec<f32> {
        let (a, b, c) = check_output(device);
        [a.into_data(), b.into_data(), c.into_data()]
            .into_iter()
            .flat_map(|d| d.try_to_vec::<f32>().unwrap_or_default())
            .collect()
    };
    relative_difference(&read(device), &read(&Device::flex()))
}

/// How far a step of training on `gpu` may be from the processor's: the length of the difference of a gradient against its length. What
/// is summed up over pixels cancels out for the most part, and the rounding of both stays.
#[cfg(not(target_family = "wasm"))]
pub const TRAINING_TOLERANCE: f32 = 5e-3;

/// How far gradients, statistics and outputs of a step of training on `gpu` are from the processor's, on a small network: the largest
/// length of a difference, relative to the length. All kernels of a training are used, each of those that split their work both ways.
///
/// # Errors
/// [`GpuError`] where the driver refuses a kernel, or is gone.
#[cfg(not(target_family = "wasm"))]
pub fn training_difference(gpu: &Gpu) -> Result<f32, GpuError> {
    let network = made_up_network(&Device::flex(), 16);
    let (parameters, epsilon) = (network.parameters(), network.epsilon());
    let (slices, size) = (3, [24, 16]);
    let noise = |count: usize, salt: usize| -> Vec<f32> {
        let number = |i: usize| ((i * 97 + salt * 31) as u32).wrapping_mul(2_654_435_761) >> 7;
        (0..count).map(|i| (number(i) & 1023) as f32 / 1023.0 - 0.5).collect()
    };
    let stacks = noise(slices * 5 * size[0] * size[1], 1);
    let mut processor = TrainingPlan::default();
    processor.load(&parameters, epsilon);
    let truth = processor.forward(&stacks, slices, size, true);
    let logits = truth.logits.clone().unwrap_or_default();
    let shift = noise(slices * CLASS_COUNT, 4);
    let mut weights = vec![[true; ORGAN_COUNT]; slices];
    weights[0][3] = false;
    let labels = (0..slices * size[0] * size[1]).map(|n| if n % 3 == 0 { 0 } else { n / 7 % CLASS_COUNT });
    let known = Truth { labels: labels.map(|label| label as u8).collect(), weights };
    let sums = fused_cpu::forward(&logits, &shift, &known);
    let sums = [sums.probability, sums.intersection, sums.focal, sums.log].concat();
    let row = |salt: usize| -> PerClass { std::array::from_fn(|class| noise(CLASS_COUNT, salt)[class]) };
    let by = Sums { probability: row(5), intersection: row(6), focal: row(7), log: row(8) };
    let [by_logits, by_shift] = fused_cpu::gradients(&logits, &shift, &known, &by);
    let by_features = truth.features.as_ref().map(|features| noise(features.values.len(), 3));
    let mut expected = Gradients::new();
    processor.backward(Some(&by_logits), by_features.as_deref(), &mut expected);
    let mut worst = 0.0f32;
    for tuning in gpu.tuning().to_check() {
        let mut plan = GpuTrainingPlan::new(&gpu.with_tuning(tuning))?;
        plan.load(&parameters, epsilon);
        let found = plan.forward(&stacks, slices, size, true)?;
        let found_logits = plan.logits()?.unwrap_or_default();
        let found_sums = plan.loss_sums(&shift, &known.labels, &known.weights)?.concat();
        let found_by_shift = plan.loss_gradients(&[by.probability, by.intersection, by.focal, by.log])?;
        plan.backward(None, by_features.as_deref());
        let gradients = plan.gradients()?;
        let mut compare = |found: &[f32], truth: &[f32]| worst = worst.max(relative_length(found, truth));
        compare(&found_logits, &logits);
        compare(&found_sums, &sums);
        compare(&found_by_shift, &by_shift);
        let [of_found, of_truth] = [&found.features, &truth.features].map(|f| f.as_ref().map(|f| &f.values[..]));
        compare(of_found.unwrap_or_default(), of_truth.unwrap_or_default());
        for (name, truth) in &expected {
            compare(gradients.get(name).map_or(&[], |found| &found[..]), truth);
        }
        let statistics = |outputs: &[Statistics]| -> BTreeMap<String, Vec<f32>> {
            outputs.iter().map(|s| (s.name.clone(), [&s.mean[..], &s.variance].concat())).collect()
        };
        let (found, truth) = (statistics(&found.statistics), statistics(&truth.statistics));
        for (name, truth) in &truth {
            compare(found.get(name).map_or(&[], |found| &found[..]), truth);
        }
    }
    Ok(worst)
}

/// The length of the difference against the length of the truth.
#[cfg(not(target_family = "wasm"))]
fn relative_length(found: &[f32], truth: &[f32]) -> f32 {
    if found.len() != truth.len() {
        return f32::INFINITY;
    }
    let length = |squares: f64| squares.sqrt() as f32;
    let apart = length(found.iter().zip(truth).map(|(a, b)| f64::from(a - b).powi(2)).sum());
    let off = apart / length(truth.iter().map(|&v| f64::from(v).powi(2)).sum()).max(1e-12);
    if off.is_nan() { f32::INFINITY } else { off }
}

/// Side of the field that the kernels are checked on.
const SIDE: usize = 32;
/// Pixels of the input matrix that may have another label: at a tie rounding decides.
const OTHER_LABELS: f32 = 1e-3;

/// How far every kernel that `gpu` uses is from the processor: the largest difference of a probability, of attention, of a margin.
/// Infinity where something is refused, or where more than one label in a thousand is another.
pub async fn kernels_difference(gpu: &Gpu) -> f32 {
    let mut worst = 0.0f32;
    for tuning in gpu.tuning().to_check() {
        worst = worst.max(tuned_difference(&gpu.with_tuning(tuning)).await.unwrap_or(f32::INFINITY));
    }
    worst
}

async fn tuned_difference(gpu: &Gpu) -> Option<f32> {
    let device = Device::flex();
    let input = InputConfig { crop: SIDE, ..InputConfig::light() };
    let network = || check_network(&device, 16);
    let mut plan = PlanEngine::new(network(), input.clone(), OrganSet::ALL, "processor".into()).ok()?;
    let mut own = WgslEngine::new(network(), input.clone(), OrganSet::ALL, gpu).ok()?;
    let grid = ModelGrid {
        size: [SIDE; 2],
        spacing_mm: [3.0; 2],
        slices: 2,
        slice_mm: 3.0,
        input_size: [91, 83],
        input_spacing_mm: [1.0, 1.1],
    };
    let request = |slice: usize, labels: Option<LabelRequest>| {
        let value = |i: usize| ((i * 97 + slice * 31) >> 2 & 255) as f32 / 255.0;
        let stack = (0..5 * SIDE * SIDE).map(value).collect();
        SliceRequest { slice, tiles: vec![Tile::whole([0; 2], stack, SIDE)], centre: None, labels }
    };
    let output = LabelOutput { slice: 0, parts: vec![(Some(0), 0.6), (Some(1), 0.4)] };
    let labels = LabelRequest { grid: grid.clone(), outputs: vec![output], explain: true };
    let mut expected = Vec::new();
    for slice in 0..2 {
        plan.submit(request(slice, None));
        expected.push(plan.poll(Wait::Yes)?.outcome.ok()?);
    }
    let mut found: Vec<SliceResult> = Vec::new();
    for wanted in [request(0, None), request(1, None), request(1, Some(labels))] {
        own.submit(wanted);
        own.arrival().await;
        found.push(own.poll(Wait::No)?);
    }
    let mut worst = 0.0f32;
    for (found, expected) in found.iter().zip(&expected) {
        worst = worst.max(prediction_difference(found.outcome.as_ref().ok()?, expected)?);
    }
    // And a slice whose stack is made on the device.
    let slices = made_up_slices(&input)?;
    let wanted = VolumeSlice::of(&slices, 4)?;
    plan.submit(wanted.clone().prepared(&slices));
    let truth = plan.poll(Wait::Yes)?.outcome.ok()?;
    if !own.prepares(&slices) {
        return None;
    }
    own.submit_slices(&slices, vec![wanted]);
    own.arrival().await;
    worst = worst.max(prediction_difference(&own.poll(Wait::No)?.outcome.ok()?, &truth)?);
    let made = found.last()?.labels.first()?;
    let [below, above] = &expected[..] else { return None };
    let (labels, margin) = labels_and_margin(&grid, below, Some((above, 0.4)));
    // In f16 a lead that rounding may turn round decides nothing.
    let slack = match gpu.stored() {
        Stored::F32 => 0,
        Stored::F16 => (2.0 * KNOWN_ANSWER_TOLERANCE * 255.0).ceil() as u8,
    };
    let pixels = labels.iter().zip(&made.labels).zip(&margin);
    let other = pixels.filter(|((a, b), lead)| a != b && **lead >= slack).count();
    if made.labels.len() != labels.len() || other as f32 > OTHER_LABELS * labels.len() as f32 {
        return None;
    }
    // Where a class is negligible the processor may leave it out, so that margins differ by that.
    let found = made.margin.as_ref()?;
    let wrong = margin.iter().zip(found).filter(|(a, b)| a.abs_diff(**b) > 9).count();
    if wrong as f32 > OTHER_LABELS * labels.len() as f32 {
        return None;
    }
    // What is counted is counted of these very labels.
    if *made.doubt != Doubt::of(&made.labels, found) {
        return None;
    }
    Some(worst)
}

/// The largest difference of a probability, of attention, of a region, relative to the largest value.
fn prediction_difference(found: &SlicePrediction, expected: &SlicePrediction) -> Option<f32> {
    if (found.origin, found.size) != (expected.origin, expected.size) {
        return None;
    }
    let area = expected.size[0] * expected.size[1];
    let all = |prediction: &SlicePrediction| {
        let mut all = vec![0.0; CLASS_COUNT * area];
        for (&class, map) in prediction.classes.iter().zip(prediction.probabilities.chunks_exact(area)) {
            all[usize::from(class) * area..][..area].copy_from_slice(map);
        }
        all
    };
    let (a, b) = (all(found), all(expected));
    // A class that is left out on one side only is negligible on both.
    let both = |class: &u8| found.classes.contains(class) == expected.classes.contains(class);
    let mut worst = 0.0f32;
    for class in (0..CLASS_COUNT as u8).filter(both) {
        let at = usize::from(class) * area;
        worst = worst.max(relative_difference(&a[at..][..area], &b[at..][..area]));
    }
    worst = worst.max(relative_difference(&found.attention?, &expected.attention?));
    Some(worst.max(relative_difference(&found.regions?, &expected.regions?)))
}

/// A body of noise in slices so thin that several of them make a slab, with values that the curve does not tell apart.
fn made_up_slices(input: &InputConfig) -> Option<Arc<ModelSlices>> {
    let size = [43, 37, 9];
    let geometry = Geometry::axial(size, [2.1, 2.3, 1.2], [0.0; 3]).ok()?;
    let voxel = |n: usize| {
        let [x, y] = [(n % size[0]) as f32 - 21.0, (n / size[0] % size[1]) as f32 - 18.0];
        let noise = ((n as u32).wrapping_mul(2_654_435_761) >> 9 & 4095) as i16;
        if (x / 18.0).hypot(y / 15.0) < 1.0 { noise - 1200 } else { -1000 }
    };
    let ct = Volume::from_stored(geometry, (0..size.iter().product()).map(voxel).collect(), Modality::Ct).ok()?;
    ModelSlices::new(Arc::new(ct), input).ok().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself_and_a_wrong_answer_is_seen() {
        assert_eq!(known_answer_difference(&Device::flex()), 0.0);
        assert!(relative_difference(&[1.0, 2.0], &[1.0, 2.1]) > KNOWN_ANSWER_TOLERANCE);
        assert_eq!(relative_difference(&[f32::NAN], &[1.0]), f32::INFINITY);
        assert_eq!(relative_difference(&[], &[1.0]), f32::INFINITY);
    }
}
