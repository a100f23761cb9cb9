//! The fused form against the equations, voxel by voxel and map by map.

use attention_anatomy_shaders::network::Kernel;
use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::batch_dice::DiceSums;
use super::cross_entropy::true_log_sums;
use super::focal::focal;
use super::fused::sums as sums_at_once;
use super::fused_cpu::{self, Sums, Truth};
use super::recalibrate;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};
use crate::kernels::wgsl::training::GpuTrainingPlan;
use crate::kernels::wgsl::{Tuning, tests::gpu};
use crate::network::NetworkOutput;

/// Two slices of 13 x 17 voxels: no multiple of anything, with organs annotated in one slice only and one in none.
fn slices(seed: u64) -> (Vec<f32>, Vec<f32>, Truth) {
    let mut random = Pcg64::seed_from_u64(seed);
    let plane = 13 * 17;
    let logits = (0..2 * CLASS_COUNT * plane).map(|_| random.random_range(-6.0..6.0f32)).collect();
    let shift =
        (0..2 * CLASS_COUNT).map(|n| if n % CLASS_COUNT == 0 { 0.0 } else { random.random_range(-8.0..0.0f32) });
    let shift = shift.collect();
    let mut weights = vec![[true; ORGAN_COUNT]; 2];
    weights[0][4] = false;
    weights[1][20] = false;
    weights.iter_mut().for_each(|weights| weights[9] = false);
    let labels = (0..2 * plane).map(|n| match random.random_range(0..3) {
        0 => 0,
        _ => {
            let organ = random.random_range(0..ORGAN_COUNT);
            if weights[n / plane][organ] { organ as u8 + 1 } else { 0 }
        }
    });
    let labels = labels.collect();
    (logits, shift, Truth { labels, weights })
}

/// Equations (1), (4) and the sums at every voxel, in f64.
fn sums_by_definition(logits: &[f32], shift: &[f32], truth: &Truth) -> [[f64; CLASS_COUNT]; 4] {
    let plane = truth.labels.len() / truth.weights.len();
    let mut sums = [[0.0; CLASS_COUNT]; 4];
    for (n, &label) in truth.labels.iter().enumerate() {
        let (slice, voxel) = (n / plane, n % plane);
        let z = |class: usize| {
            f64::from(logits[(slice * CLASS_COUNT + class) * plane + voxel])
                + f64::from(shift[slice * CLASS_COUNT + class])
        };
        let total: f64 = (0..CLASS_COUNT).map(|class| z(class).exp()).sum();
        let mut p: [f64; CLASS_COUNT] = std::array::from_fn(|class| z(class).exp() / total);
        for organ in (0..ORGAN_COUNT).filter(|&organ| !truth.weights[slice][organ]) {
            p[0] += std::mem::take(&mut p[organ + 1]);
        }
        for class in 0..CLASS_COUNT {
            sums[0][class] += p[class];
        }
        let class = usize::from(label);
        sums[1][class] += p[class];
        sums[2][class] += (1.0 - p[class]).powi(2) * p[class].ln();
        sums[3][class] += p[class].ln();
    }
    sums
}

#[test]
fn the_sums_of_the_losses_are_their_definition() {
    let (logits, shift, truth) = slices(1);
    let Sums { probability, intersection, focal, log } = fused_cpu::forward(&logits, &shift, &truth);
    let expected = sums_by_definition(&logits, &shift, &truth);
    for (seen, expected) in [probability, intersection, focal, log].iter().zip(&expected) {
        for (seen, expected) in seen.iter().zip(expected) {
            assert!((f64::from(*seen) - expected).abs() < 1e-5 * expected.abs().max(1.0), "{seen}, {expected}");
        }
    }
}

#[test]
fn the_gradients_of_the_losses_are_those_of_the_maps() {
    let device = Device::flex().autodiff();
    let (logits, shift, truth) = slices(2);
    let of = |values: &[f32], shape: [usize; 4]| {
        Tensor::<4>::from_data(burn::tensor::TensorData::new(values.to_vec(), shape), &device)
    };
    let logits = of(&logits, [2, CLASS_COUNT, 13, 17]).require_grad();
    let shift = of(&shift, [2, CLASS_COUNT, 1, 1]).require_grad();
    let mut random = Pcg64::seed_from_u64(3);
    let coefficients: [Vec<f32>; 4] =
        std::array::from_fn(|_| (0..CLASS_COUNT).map(|_| random.random_range(-1.0..1.0f32)).collect());
    let weighed =
        |row: usize, sums: Tensor<1>| (sums * Tensor::<1>::from_floats(coefficients[row].as_slice(), &device)).sum();

    let gradients = |loss: Tensor<1>| {
        let gradients = loss.backward();
        [logits.grad(&gradients).unwrap().into_data(), shift.grad(&gradients).unwrap().into_data()]
    };
    let by_maps = {
        let p = recalibrate(logits.clone() + shift.clone(), &truth.weights);
        let mut one_hot = vec![0.0; 2 * CLASS_COUNT * 221];
        for (n, &label) in truth.labels.iter().enumerate() {
            one_hot[(n / 221 * CLASS_COUNT + usize::from(label)) * 221 + n % 221] = 1.0;
        }
        let one_hot = of(&one_hot, [2, CLASS_COUNT, 13, 17]);
        let weights: [f32; CLASS_COUNT] = std::array::from_fn(|class| coefficients[2][class]);
        let of_focal = focal(&p, one_hot.clone(), &weights).neg();
        let of_log = weighed(3, true_log_sums(&p, one_hot.clone()));
        let sums = DiceSums::of(p.probability, one_hot);
        gradients(weighed(0, sums.probability) + weighed(1, sums.intersection) + of_focal + of_log)
    };
    let at_once = {
        let output = NetworkOutput { logits: logits.clone(), elsewhere: None, region: None };
        let shift = || shift.clone().reshape([2, CLASS_COUNT]);
        let sums = sums_at_once(&output, shift, &truth.labels, &truth.weights).unwrap();
        let row = |n: usize| sums.clone().slice(n..n + 1).reshape([CLASS_COUNT]);
        gradients(weighed(0, row(0)) + weighed(1, row(1)) + weighed(2, row(2)) + weighed(3, row(3)))
    };
    for (seen, expected) in at_once.iter().zip(&by_maps) {
        seen.assert_approx_eq::<f32>(expected, burn::tensor::Tolerance::rel_abs(1e-3, 1e-5));
    }
}

/// The background is true, is given nothing that counts, and is e^400 times less likely than an organ.
#[test]
fn a_background_of_probability_0_still_has_a_logarithm_and_a_gradient() {
    let mut logits = vec![-200.0f32; CLASS_COUNT];
    logits[5] = 200.0;
    logits[10] = -201.0;
    let mut weights = [true; ORGAN_COUNT];
    weights[9] = false;
    let truth = Truth { labels: vec![0], weights: vec![weights] };
    let sums = fused_cpu::forward(&logits, &[0.0; CLASS_COUNT], &truth);
    let ln_p = f64::from(1.0f32 + (-1.0f32).exp()).ln() - 400.0;
    assert!((f64::from(sums.focal[0]) - ln_p).abs() < 1e-3, "{} {ln_p}", sums.focal[0]);
    let nothing = [0.0; CLASS_COUNT];
    let mut by = Sums { probability: nothing, intersection: nothing, focal: nothing, log: nothing };
    by.focal[0] = 1.0;
    let [gradient, _] = fused_cpu::gradients(&logits, &[0.0; CLASS_COUNT], &truth, &by);
    // d ln p^ / dz: shares in the background less softmax.
    let share = 1.0 / (1.0 + (-1.0f32).exp());
    for (class, expected) in [(0, share), (10, 1.0 - share), (5, -1.0), (3, 0.0)] {
        assert!((gradient[class] - expected).abs() < 1e-5, "class {class}: {}, {expected}", gradient[class]);
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let (mut logits, shift, truth) = slices(4);
    logits[1000] = f32::NAN;
    let sums = fused_cpu::forward(&logits, &shift, &truth);
    assert!(sums.probability.iter().any(|sum| sum.is_nan()));
}

#[test]
fn on_a_gpu_sums_and_gradients_are_the_processors() {
    let Some(gpu) = gpu(Tuning::SOFTWARE, Kernel::source) else { return };
    let mut plan = GpuTrainingPlan::new(&gpu).unwrap();
    // Of one more batch the background is all but impossible, and of one an organ certain.
    for (seed, background, liver) in [(3, 0.0, 0.0), (4, -90.0, 0.0), (5, 0.0, 200.0)] {
        let (logits, mut shift, truth) = slices(seed);
        for shift in shift.chunks_exact_mut(CLASS_COUNT) {
            shift[0] += background;
            shift[usize::from(crate::anatomy::Organ::Liver.label())] += liver;
        }
        let size = [13, 17];
        plan.set_logits(&logits, size, 2);
        let sums = fused_cpu::forward(&logits, &shift, &truth);
        let expected = [sums.probability, sums.intersection, sums.focal, sums.log].concat();
        let found = plan.loss_sums(&shift, &truth.labels, &truth.weights).unwrap().concat();
        let near = |found: &[f32], expected: &[f32], what: &str| {
            let scale = expected.iter().fold(1e-3f32, |most, v| most.max(v.abs()));
            for (n, (a, b)) in found.iter().zip(expected).enumerate() {
                assert!((a - b).abs() <= 2e-4 * b.abs() + 2e-6 * scale, "{what} {n} of {seed}: {a} against {b}");
            }
            assert_eq!(found.len(), expected.len());
        };
        near(&found, &expected, "sum");
        let row = |salt: u64| -> [f32; CLASS_COUNT] {
            let mut random = Pcg64::seed_from_u64(salt);
            std::array::from_fn(|_| random.random_range(-1.0..1.0))
        };
        let by = Sums { probability: row(1), intersection: row(2), focal: row(3), log: row(4) };
        let [by_logits, by_shift] = fused_cpu::gradients(&logits, &shift, &truth, &by);
        let found = plan.loss_gradients(&[by.probability, by.intersection, by.focal, by.log]).unwrap();
        near(&found, &by_shift, "gradient by shift");
        near(&plan.by_logits().unwrap(), &by_logits, "gradient by logit");
    }
}
