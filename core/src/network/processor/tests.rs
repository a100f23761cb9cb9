use burn::nn::conv::Conv2dConfig;
use burn::nn::{BatchNormConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::convolution::{Shape, forward, input_gradient, weight_gradient};
use super::losses::{self, Sums, Truth};
use super::{convolve, loss_sums, normalise};
use crate::anatomy::ORGAN_COUNT;
use crate::loss::batch_dice::DiceSums;
use crate::loss::focal::focal;
use crate::loss::recalibrate;
use crate::network::CLASS_COUNT;

/// All kernels and strides of the network, with sizes that are no multiple of anything.
const SHAPES: [Shape; 9] = [
    shape([5, 8], [9, 11], 3, 1),
    shape([6, 7], [10, 12], 3, 2),
    shape([3, 4], [9, 11], 3, 2),
    shape([3, 5], [6, 7], 1, 1),
    shape([4, 6], [8, 10], 1, 2),
    shape([3, 4], [7, 9], 1, 2),
    shape([2, 3], [1, 1], 3, 1),
    shape([16, 16], [33, 70], 3, 1),
    // With the gaps between rows one position more than whole vectors have, of 8 or of 16 numbers.
    shape([2, 3], [5, 27], 3, 1),
];

const fn shape(channels: [usize; 2], size: [usize; 2], kernel: usize, stride: usize) -> Shape {
    Shape { batch: 2, channels, size, kernel, stride }
}

/// The definition: every output is the sum of its products, in f64.
fn by_definition(shape: Shape, x: &[f32], weight: &[f32]) -> Vec<f64> {
    let Shape { batch, channels: [from, to], size: [height, width], kernel, stride } = shape;
    let [rows, columns] = shape.output();
    let mut y = Vec::new();
    for n in 0..batch * to * rows * columns {
        let (image, o, [i, j]) =
            (n / (to * rows * columns), n / (rows * columns) % to, [n / columns % rows, n % columns]);
        let mut sum = 0.0;
        for m in 0..from * kernel * kernel {
            let (c, [dy, dx]) = (m / (kernel * kernel), [m / kernel % kernel, m % kernel]);
            let [v, u] = [i * stride + dy, j * stride + dx].map(|n| n.wrapping_sub(kernel / 2));
            if v < height && u < width {
                let value = x[((image * from + c) * height + v) * width + u];
                sum += f64::from(value) * f64::from(weight[o * from * kernel * kernel + m]);
            }
        }
        y.push(sum);
    }
    y
}

struct Example {
    x: Vec<f32>,
    weight: Vec<f32>,
    /// Taken as the gradient by the output.
    dy: Vec<f32>,
}

impl Example {
    fn new(shape: Shape, seed: u64) -> Self {
        let mut random = Pcg64::seed_from_u64(seed);
        let mut values = |n: usize| (0..n).map(|_| random.random_range(-1.0..1.0f32)).collect::<Vec<_>>();
        let [[height, width], [rows, columns]] = [shape.size, shape.output()];
        let [from, to] = shape.channels;
        Self {
            x: values(shape.batch * from * height * width),
            weight: values(to * from * shape.kernel * shape.kernel),
            dy: values(shape.batch * to * rows * columns),
        }
    }
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The same scalar product from two sides, as far as single precision goes.
fn check_adjoint(gradient: &[f64], other: &[f64], expected: f64, name: &str) {
    let (seen, scale) = (product(gradient, other), (product(gradient, gradient) * product(other, other)).sqrt());
    assert!((seen - expected).abs() < 1e-6 * scale, "{name}: {seen}, {expected}");
}

#[test]
fn the_output_is_the_sum_of_products() {
    for shape in SHAPES {
        let Example { x, weight, .. } = Example::new(shape, 1);
        let (seen, expected) = (forward(shape, &x, &weight), by_definition(shape, &x, &weight));
        assert_eq!(seen.len(), expected.len());
        for (seen, expected) in seen.iter().zip(expected) {
            assert!(
                (f64::from(*seen) - expected).abs() < 1e-5 * shape.channels[0] as f64,
                "{shape:?}: {seen}, {expected}"
            );
        }
    }
}

/// The output is linear in input and in weights: <dy, conv(x', w)> = <dx, x'> and <dy, conv(x, w')> = <dw, w'>, for any x' and
/// w'.
#[test]
fn the_gradients_are_the_adjoints() {
    for shape in SHAPES {
        let Example { x, weight, dy } = Example::new(shape, 1);
        let other = Example::new(shape, 2);
        let expected = product(&doubles(&dy), &by_definition(shape, &other.x, &weight));
        let dx = doubles(&input_gradient(shape, &dy, &weight));
        check_adjoint(&dx, &doubles(&other.x), expected, &format!("input of {shape:?}"));
        let expected = product(&doubles(&dy), &by_definition(shape, &x, &other.weight));
        let dw = doubles(&weight_gradient(shape, &x, &dy));
        check_adjoint(&dw, &doubles(&other.weight), expected, &format!("weights of {shape:?}"));
    }
}

#[test]
fn an_image_of_ones_gives_the_sum_of_the_weights_inside_and_less_at_the_rim() {
    let shape = Shape { batch: 1, channels: [1, 1], size: [4, 5], kernel: 3, stride: 1 };
    let weight: Vec<f32> = (1..=9).map(|n| n as f32).collect();
    let y = forward(shape, &[1.0; 20], &weight);
    assert_eq!(
        [y[6], y[0], y[4], y[15], y[19]],
        [45.0, 5.0 + 6.0 + 8.0 + 9.0, 4.0 + 5.0 + 7.0 + 8.0, 2.0 + 3.0 + 5.0 + 6.0, 1.0 + 2.0 + 4.0 + 5.0]
    );
}

#[test]
fn burn_convolves_to_the_same_values_and_gradients() {
    for Shape { batch, channels, size: [height, width], kernel, stride } in SHAPES {
        let device = Device::flex().autodiff();
        let pad = kernel / 2;
        let conv = Conv2dConfig::new(channels, [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .init(&device);
        // As views leave them: not in the order of memory.
        let x = Tensor::<4>::random([batch, channels[0], width, height], Distribution::Default, &device)
            .swap_dims(2, 3)
            .require_grad();
        let run = |y: Tensor<4>| {
            let gradients = (y.clone() * y.clone()).sum().backward();
            [y.inner(), x.grad(&gradients).unwrap(), conv.weight.val().grad(&gradients).unwrap()]
        };
        for (ours, theirs) in run(convolve(&conv, x.clone())).into_iter().zip(run(conv.forward(x.clone()))) {
            ours.into_data().assert_approx_eq::<f32>(&theirs.into_data(), burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
        }
    }
}

#[test]
fn a_normalised_channel_has_mean_beta_and_deviation_gamma() {
    let device = Device::flex().autodiff();
    let mut norm = BatchNormConfig::new(3).init(&device);
    norm.gamma = norm.gamma.map(|gamma| gamma * Tensor::from_floats([1.0, 2.0, 0.5], &device));
    norm.beta = norm.beta.map(|beta| beta + Tensor::from_floats([0.0, -1.0, 4.0], &device));
    // Far from zero, where a sum of squares in single precision would be wrong.
    let x = Tensor::<4>::random([2, 3, 70, 61], Distribution::Normal(1000.0, 3.0), &device);
    let y = normalise(&norm, x).swap_dims(0, 1).reshape([3, -1]);
    let (variance, mean) = y.var_mean_bias(1);
    let tolerance = burn::tensor::Tolerance::absolute(1e-3);
    mean.into_data().assert_approx_eq::<f32>(&[[0.0], [-1.0], [4.0]].into(), tolerance);
    variance.into_data().assert_approx_eq::<f32>(&[[1.0], [4.0], [0.25]].into(), tolerance);
}

#[test]
fn burn_normalises_to_the_same_values_gradients_and_running_statistics() {
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::random([2, 5, 9, 7], Distribution::Normal(2.0, 3.0), &device).swap_dims(2, 3).require_grad();
    let mut norm = BatchNormConfig::new(5).init(&device);
    norm.gamma = norm.gamma.map(|gamma| Tensor::random(gamma.shape(), Distribution::Default, &device).require_grad());
    let weights = Tensor::<4>::random([2, 5, 7, 9], Distribution::Default, &device);
    let run = |norm: &burn::nn::BatchNorm, y: Tensor<4>| {
        let gradients = (y.clone() * y.clone() * weights.clone()).sum().backward();
        [
            y.inner().into_data(),
            x.grad(&gradients).unwrap().into_data(),
            norm.gamma.val().grad(&gradients).unwrap().into_data(),
            norm.beta.val().grad(&gradients).unwrap().into_data(),
            norm.running_mean.value_sync().into_data(),
            norm.running_var.value_sync().into_data(),
        ]
    };
    let mut theirs = BatchNormConfig::new(5).init(&device);
    theirs.gamma = norm.gamma.clone();
    let expected = run(&theirs, theirs.forward(x.clone()));
    for (ours, theirs) in run(&norm, normalise(&norm, x.clone())).into_iter().zip(expected) {
        ours.assert_approx_eq::<f32>(&theirs, burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
    }
}

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
fn sums_by_definition(logits: &[f32], shift: &[f32], truth: &Truth) -> [[f64; CLASS_COUNT]; 3] {
    let plane = truth.labels.len() / truth.weights.len();
    let mut sums = [[0.0; CLASS_COUNT]; 3];
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
    }
    sums
}

#[test]
fn the_sums_of_the_losses_are_their_definition() {
    let (logits, shift, truth) = slices(1);
    let Sums { probability, intersection, focal } = losses::forward(&logits, &shift, &truth);
    let expected = sums_by_definition(&logits, &shift, &truth);
    for (seen, expected) in [probability, intersection, focal].iter().zip(&expected) {
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
    let coefficients: [Vec<f32>; 3] =
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
        let sums = DiceSums::of(p.probability, one_hot);
        gradients(weighed(0, sums.probability) + weighed(1, sums.intersection) + of_focal)
    };
    let at_once = {
        let sums =
            loss_sums(&logits, || shift.clone().reshape([2, CLASS_COUNT]), &truth.labels, &truth.weights).unwrap();
        let row = |n: usize| sums.clone().slice(n..n + 1).reshape([CLASS_COUNT]);
        gradients(weighed(0, row(0)) + weighed(1, row(1)) + weighed(2, row(2)))
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
    let sums = losses::forward(&logits, &[0.0; CLASS_COUNT], &truth);
    let ln_p = f64::from(1.0f32 + (-1.0f32).exp()).ln() - 400.0;
    assert!((f64::from(sums.focal[0]) - ln_p).abs() < 1e-3, "{} {ln_p}", sums.focal[0]);
    let mut by = Sums { probability: [0.0; CLASS_COUNT], intersection: [0.0; CLASS_COUNT], focal: [0.0; CLASS_COUNT] };
    by.focal[0] = 1.0;
    let [gradient, _] = losses::gradients(&logits, &[0.0; CLASS_COUNT], &truth, &by);
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
    let sums = losses::forward(&logits, &shift, &truth);
    assert!(sums.probability.iter().any(|sum| sum.is_nan()));
}
