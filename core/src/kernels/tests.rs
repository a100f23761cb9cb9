use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Distribution, Tensor};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::convolution::{Shape, forward};
use super::convolve;

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
}

impl Example {
    fn new(shape: Shape, seed: u64) -> Self {
        let mut random = Pcg64::seed_from_u64(seed);
        let mut values = |n: usize| (0..n).map(|_| random.random_range(-1.0..1.0f32)).collect::<Vec<_>>();
        let [height, width] = shape.size;
        let [from, to] = shape.channels;
        Self { x: values(shape.batch * from * height * width), weight: values(to * from * shape.kernel * shape.kernel) }
    }
}

#[test]
fn the_output_is_the_sum_of_products() {
    for shape in SHAPES {
        let Example { x, weight } = Example::new(shape, 1);
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
fn burn_convolves_to_the_same_values() {
    for Shape { batch, channels, size: [height, width], kernel, stride } in SHAPES {
        let device = Device::flex();
        let pad = kernel / 2;
        let conv = Conv2dConfig::new(channels, [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
            .init(&device);
        // As views leave them: not in the order of memory.
        let x =
            Tensor::<4>::random([batch, channels[0], width, height], Distribution::Default, &device).swap_dims(2, 3);
        let (ours, theirs) = (convolve(&conv, x.clone()), conv.forward(x));
        ours.into_data().assert_approx_eq::<f32>(&theirs.into_data(), burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
    }
}
