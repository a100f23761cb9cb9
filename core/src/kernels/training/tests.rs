//! Gradients by weights against their definition, and normalisations against theirs, in double precision. The layers strung together
//! are compared with burn's graph where they are used (`train/processor/tests.rs`).

use super::clock::Clock;
use super::memory::{BatchMaps, Memory};
use super::normalisation::{Normalisation, activate, before, before_relu, channel_sums, moments};
use super::products::{Kernel, sums};
use crate::kernels::plan::blocked::{BLOCK, Part, Shape, from_planes, to_planes};

fn noise(count: usize, salt: u32) -> Vec<f32> {
    let of = |n: u32| (n.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(0x9E37_79B1)) >> 8 & 0xffff) as f32;
    (0..count as u32).map(|n| of(n) / 65_535.0 - 0.5).collect()
}

/// Maps of `slices`, in memory that held something else before.
fn maps(channels: usize, size: [usize; 2], slices: usize, values: &[f32]) -> BatchMaps {
    let mut memory = Memory::default();
    let mut before = memory.take(Shape { channels: channels + 16, size: [size[0] + 3, size[1] + 2] }, slices);
    before.parts().for_each(|slice| slice.fill(7.0));
    memory.give(before);
    let shape = Shape { channels, size };
    let mut maps = memory.take(shape, slices);
    let planes = values.chunks_exact(channels * size[0] * size[1]);
    maps.parts().zip(planes).for_each(|(maps, planes)| from_planes(Part::whole(shape), planes, maps));
    maps
}

/// The gradient by every weight, from its definition: `[out, in, side, side]`.
fn by_definition(
    [outputs, inputs]: [usize; 2],
    size: [usize; 2],
    slices: usize,
    kernel: Kernel,
    gradients: &[f32],
    x: &[f32],
) -> Vec<f64> {
    let (side, stride, pad) = match kernel {
        Kernel::Convolution { side, stride } => (side, stride, side / 2),
        Kernel::Transposed => (2, 2, 0),
    };
    // Of the finer maps, and of the coarser.
    let (fine, coarse) = match kernel {
        Kernel::Convolution { .. } => (size, size.map(|n| n / stride)),
        Kernel::Transposed => (size.map(|n| n * 2), size),
    };
    let value = |values: &[f32], channels: usize, [height, width]: [usize; 2], at: [usize; 4]| {
        let [slice, channel, y, x] = at;
        f64::from(values[((slice * channels + channel) * height + y) * width + x])
    };
    let mut found = Vec::new();
    for (o, i) in (0..outputs).flat_map(|o| (0..inputs).map(move |i| (o, i))) {
        for (dy, dx) in (0..side).flat_map(|dy| (0..side).map(move |dx| (dy, dx))) {
            let mut sum = 0.0;
            for slice in 0..slices {
                for (y, c) in (0..coarse[0]).flat_map(|y| (0..coarse[1]).map(move |c| (y, c))) {
                    let [v, u] = [(y * stride + dy).wrapping_sub(pad), (c * stride + dx).wrapping_sub(pad)];
                    if v >= fine[0] || u >= fine[1] {
                        continue;
                    }
                    sum += match kernel {
                        Kernel::Convolution { .. } => {
                            value(gradients, outputs, coarse, [slice, o, y, c])
                                * value(x, inputs, fine, [slice, i, v, u])
                        }
                        Kernel::Transposed => {
                            value(gradients, outputs, fine, [slice, o, v, u])
                                * value(x, inputs, coarse, [slice, i, y, c])
                        }
                    };
                }
            }
            found.push(sum);
        }
    }
    found
}

fn check(channels: [usize; 2], size: [usize; 2], slices: usize, kernel: Kernel) {
    let [outputs, inputs] = channels;
    let out = match kernel {
        Kernel::Convolution { stride, .. } => size.map(|n| n / stride),
        Kernel::Transposed => size.map(|n| n * 2),
    };
    let gradients = noise(slices * outputs * out[0] * out[1], 1);
    let x = noise(slices * inputs * size[0] * size[1], 2);
    let expected = by_definition(channels, size, slices, kernel, &gradients, &x);
    let taps = expected.len() / (outputs * inputs);
    let seen =
        sums(&maps(outputs, out, slices, &gradients), &maps(inputs, size, slices, &x), kernel, 0, &Clock::default());
    let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let blocks = inputs.div_ceil(BLOCK);
    for (n, expected) in expected.iter().enumerate() {
        let (o, i, tap) = (n / (inputs * taps), n / taps % inputs, n % taps);
        let pair = o / BLOCK * blocks + i / BLOCK;
        let seen = f64::from(seen[((pair * taps + tap) * BLOCK + i % BLOCK) * BLOCK + o % BLOCK]);
        assert!(
            (seen - expected).abs() < 3e-6 * scale.max(1.0),
            "{channels:?}, {size:?}, {kernel:?}: {seen}, {expected}"
        );
    }
}

#[test]
fn gradients_by_weights_are_their_definition() {
    let three = Kernel::Convolution { side: 3, stride: 1 };
    // Directly, with few input channels; transformed, by slices and by pairs of blocks.
    check([9, 5], [7, 10], 2, three);
    check([20, 5], [1, 1], 1, three);
    check([16, 16], [33, 18], 3, three);
    check([17, 33], [5, 7], 2, three);
    check([160, 160], [2, 3], 2, three);
    check([7, 18], [6, 10], 2, Kernel::Convolution { side: 3, stride: 2 });
    check([18, 7], [6, 4], 1, Kernel::Convolution { side: 1, stride: 2 });
    check([34, 16], [5, 9], 2, Kernel::Convolution { side: 1, stride: 1 });
    check([16, 32], [5, 3], 2, Kernel::Transposed);
}

#[test]
fn a_normalisation_and_its_way_back_are_their_definition() {
    let (channels, size, slices) = (18, [5, 7], 3);
    let plane = size[0] * size[1];
    let count = slices * channels * plane;
    // Far from zero, where sums of squares in single precision would be wrong.
    let x: Vec<f32> = noise(count, 3).into_iter().map(|v| 10.0 + v).collect();
    let dy = noise(count, 4);
    let (gamma, beta) = (noise(channels, 5), noise(channels, 6));
    let (y, by) = (maps(channels, size, slices, &x), maps(channels, size, slices, &dy));
    let found: Vec<_> = (0..slices).map(|n| moments(y.slice(n))).collect();
    let norm = Normalisation::new(&found, &gamma, &beta, 1e-5);
    let mut out = maps(channels, size, slices, &x);
    out.parts().enumerate().for_each(|(n, out)| activate(y.slice(n), &norm, out));
    let mut masked = maps(channels, size, slices, &dy);
    let slopes: Vec<_> = masked
        .parts()
        .enumerate()
        .map(|(n, by)| {
            let [slopes] = before_relu(by, out.slice(n), [(y.slice(n), &norm)]);
            slopes
        })
        .collect();
    let gradients = norm.gradients(&slopes);
    let mut dx = maps(channels, size, slices, &dy);
    dx.parts().enumerate().for_each(|(n, dx)| before(masked.slice(n).values, y.slice(n), &norm, &gradients, dx));

    let all = |channel: usize| {
        (0..slices).flat_map(move |slice| (0..plane).map(move |p| (slice * channels + channel) * plane + p))
    };
    let n = (slices * plane) as f64;
    let planes = |maps: &BatchMaps| (0..slices).flat_map(|n| to_planes(maps.slice(n))).collect::<Vec<f32>>();
    let (seen_out, seen_dx) = (planes(&out), planes(&dx));
    for channel in 0..channels {
        let mean = all(channel).map(|at| f64::from(x[at])).sum::<f64>() / n;
        let variance = all(channel).map(|at| (f64::from(x[at]) - mean).powi(2)).sum::<f64>() / n;
        assert!((f64::from(norm.mean[channel]) - mean).abs() < 1e-4);
        assert!((f64::from(norm.variance[channel]) - variance).abs() < 1e-5 * variance);
        let deviation = (variance + 1e-5).sqrt();
        let (gamma, beta) = (f64::from(gamma[channel]), f64::from(beta[channel]));
        let hat = |at: usize| (f64::from(x[at]) - mean) / deviation;
        // Near zero rounding decides.
        let g = |at: usize| if seen_out[at] > 0.0 { f64::from(dy[at]) } else { 0.0 };
        let by_beta: f64 = all(channel).map(g).sum();
        let by_gamma: f64 = all(channel).map(|at| g(at) * hat(at)).sum();
        assert!((f64::from(gradients.beta[channel]) - by_beta).abs() < 1e-3);
        assert!((f64::from(gradients.gamma[channel]) - by_gamma).abs() < 1e-3);
        for at in all(channel) {
            let expected = (hat(at) * gamma + beta).max(0.0);
            assert!((f64::from(seen_out[at]) - expected).abs() < 1e-3, "{} {expected}", seen_out[at]);
            let expected = gamma / deviation * (g(at) - by_beta / n - hat(at) * by_gamma / n);
            assert!((f64::from(seen_dx[at]) - expected).abs() < 1e-3, "{} {expected}", seen_dx[at]);
        }
    }
    let sums = channel_sums(by.slice(1));
    let expected: f64 = dy[(channels + 17) * plane..][..plane].iter().map(|&v| f64::from(v)).sum();
    assert!((sums[17] - expected).abs() < 1e-5 && sums[18] == 0.0, "channels past the last are zero");
}
