use burn::nn::conv::Conv2dConfig;
use burn::nn::{BatchNormConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::convolution::{Shape, forward, input_gradient, weight_gradient};
use super::{convolve, normalise};

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
