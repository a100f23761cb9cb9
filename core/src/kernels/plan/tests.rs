//! Every operation against burn's on flex, for the layer shapes of the presets and for odd ones.

use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor, TensorData, activation};

use super::blocked::{Maps, Part, Shape, from_planes, to_planes};
use super::convolution::{Convolution, Filter, Term};
use super::*;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};
use crate::kernels::parameters::Parameters;
use crate::kernels::processor::{Processor, Threads};
use crate::network::{AttentionAnatomy, NetworkConfig, pytorch};

fn noise(count: usize, salt: u32) -> Vec<f32> {
    let of = |i: u32| {
        let hash = i.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)).wrapping_mul(0x9E37_79B1) >> 8;
        (hash & 0xffff) as f32 / 65_535.0 - 0.5
    };
    (0..count as u32).map(of).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn blocked(shape: Shape, planes: &[f32]) -> Vec<f32> {
    let mut blocks = vec![0.0; shape.len()];
    from_planes(Part::whole(shape), planes, &mut blocks);
    blocks
}

/// Largest difference, relative to the largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
    a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs() / scale))
}

fn processors() -> Vec<Processor> {
    [Threads::One, Threads::All].into_iter().flat_map(Processor::every).collect()
}

/// A convolution of two inputs (the second may have no channels) with a residual and ReLU, and burn's.
fn check(
    channels: [usize; 2],
    outputs: usize,
    kernel: usize,
    stride: usize,
    size: [usize; 2],
    processors: &[Processor],
) {
    let all = channels[0] + channels[1];
    let x = noise(all * size[0] * size[1], 1);
    let weight = noise(outputs * all * kernel * kernel, 2);
    let bias = noise(outputs, 3);
    let out = Shape { channels: outputs, size: size.map(|n| n.div_ceil(stride)) };
    let residual = noise(outputs * out.size[0] * out.size[1], 4);
    let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
    let expected = conv2d(
        tensor(&x, [1, all, size[0], size[1]]),
        tensor(&weight, [outputs, all, kernel, kernel]),
        Some(tensor(&bias, [outputs])),
        options,
    );
    let expected = activation::relu(expected + tensor(&residual, [1, outputs, out.size[0], out.size[1]]));
    let expected = values(expected);

    let mut first = 0;
    let (mut terms, mut inputs) = (Vec::new(), Vec::new());
    for (input, count) in channels.into_iter().filter(|&count| count > 0).enumerate() {
        let at = |o: usize, i: usize, y: usize, x: usize| weight[((o * all + first + i) * kernel + y) * kernel + x];
        let filter = Filter::new(kernel, stride, [count, outputs], at);
        terms.push(Term { input, filter, offset: [0, 0] });
        let shape = Shape { channels: count, size };
        let area = size[0] * size[1];
        inputs.push((shape, blocked(shape, &x[first * area..][..count * area])));
        first += count;
    }
    let convolution = Convolution::new(terms, &bias, true);
    let inputs: Vec<_> = inputs.iter().map(|(shape, values)| Maps::whole(*shape, values)).collect();
    let residual = blocked(out, &residual);
    for &processor in processors {
        let mut got = vec![0.0; out.len()];
        convolution.run(&inputs, Some(Maps::whole(out, &residual)), Part::whole(out), &mut got, processor);
        let off = difference(&to_planes(Maps::whole(out, &got)), &expected);
        assert!(off < 1e-5, "{channels:?} to {outputs}, {kernel}x{kernel} / {stride}, {size:?}, {processor:?}: {off}");
        // The border stays zero: the next layer reads it.
        let planes = blocked(out, &to_planes(Maps::whole(out, &got)));
        assert!(got == planes, "something was written into the border");
    }
}

#[test]
fn convolutions_equal_burns_for_the_layer_shapes_of_the_presets() {
    let fast = [Processor::new(Threads::All)];
    for base in [16, 32] {
        for level in 0..5 {
            let here = base << level;
            // Small fields: what differs by size is tested below.
            let size = [10 >> (level / 2) | 1, 6];
            if level > 0 {
                check([here / 2, 0], here, 3, 2, [size[0] * 2, size[1] * 2], &fast);
                check([here / 2, 0], here, 1, 2, [size[0] * 2, size[1] * 2], &fast);
            }
            check([here, 0], here, 3, 1, size, &fast);
            if level < 4 {
                check([here, here], here, 3, 1, size, &fast);
                check([here, here], here, 1, 1, size, &fast);
            }
        }
        check([5, 0], base, 3, 1, [16, 20], &fast);
        check([base << 4, 0], 64, 1, 1, [5, 7], &fast);
    }
    check([64, 0], 64, 3, 1, [10, 10], &fast);
}

#[test]
fn convolutions_equal_burns_for_odd_sizes_channels_and_every_length_of_vectors() {
    for kernel in [1, 3] {
        for stride in [1, 2] {
            for size in [[1, 1], [2, 3], [5, 9], [17, 23], [8, 41]] {
                check([5, 0], 7, kernel, stride, size, &processors());
                check([3, 18], 33, kernel, stride, size, &processors());
            }
        }
    }
}

#[test]
fn a_transformed_kernel_gives_what_the_kernel_gives() {
    // One group of outputs by hand, in double precision.
    let g = [[0.3f32, -0.7, 0.2], [0.9, 0.1, -0.4], [-0.5, 0.8, 0.6]];
    let d: Vec<f64> = noise(16, 9).into_iter().map(f64::from).collect();
    let line = |v: [f64; 4]| [v[0] - v[2], v[1] + v[2], v[2] - v[1], v[1] - v[3]];
    let rows: Vec<[f64; 4]> = (0..4).map(|y| line([0, 1, 2, 3].map(|x| d[y * 4 + x]))).collect();
    let columns: Vec<[f64; 4]> = (0..4).map(|x| line([0, 1, 2, 3].map(|y| rows[y][x]))).collect();
    let u = super::winograd::transform_weights(g.map(|row| row.map(|weight| [weight; 16]))).map(|point| point[7]);
    let back = |v: [f64; 4]| [v[0] + v[1] + v[2], v[1] - v[2] - v[3]];
    let half: Vec<[f64; 2]> =
        (0..4).map(|x| back([0, 1, 2, 3].map(|y| columns[x][y] * f64::from(u[y * 4 + x])))).collect();
    for dy in 0..2 {
        let line = back([0, 1, 2, 3].map(|x| half[x][dy]));
        for (dx, got) in line.into_iter().enumerate() {
            let offsets = (0..9).map(|offset| (offset / 3, offset % 3));
            let expected: f64 = offsets.map(|(y, x)| f64::from(g[y][x]) * d[(dy + y) * 4 + dx + x]).sum();
            assert!((got - expected).abs() < 1e-6, "{dy} {dx}: {got} {expected}");
        }
    }
}

#[test]
fn a_transposed_convolution_equals_burns() {
    for (channels, size) in [([7, 5], [3, 5]), ([32, 16], [9, 11]), ([256, 128], [3, 2]), ([33, 40], [1, 1])] {
        let [inputs, outputs] = channels;
        let x = noise(inputs * size[0] * size[1], 1);
        let weight = noise(inputs * outputs * 4, 2);
        let bias = noise(outputs, 3);
        let expected = conv_transpose2d(
            tensor(&x, [1, inputs, size[0], size[1]]),
            tensor(&weight, [inputs, outputs, 2, 2]),
            Some(tensor(&bias, [outputs])),
            ConvTransposeOptions::new([2; 2], [0; 2], [0; 2], [1; 2], 1),
        );
        let at = |i: usize, o: usize, y: usize, x: usize| weight[((i * outputs + o) * 2 + y) * 2 + x];
        let convolution = Convolution::transposed(channels, at, &bias);
        let shape = Shape { channels: inputs, size };
        let x = blocked(shape, &x);
        let out = Shape { channels: outputs, size: size.map(|n| 2 * n) };
        for processor in processors() {
            let mut got = vec![0.0; out.len()];
            convolution.run(&[Maps::whole(shape, &x)], None, Part::whole(out), &mut got, processor);
            let off = difference(&to_planes(Maps::whole(out, &got)), &values(expected.clone()));
            assert!(off < 1e-5, "{channels:?} {size:?}: {off}");
        }
    }
}

fn plan_of(network: &AttentionAnatomy) -> Plan {
    Plan::compile(&pytorch::tensors(&network.clone().fold()).unwrap(), None).unwrap()
}

#[test]
fn whole_networks_equal_burns_on_fields_of_any_shape_and_nothing_of_a_slice_stays_for_the_next() {
    let all_processors = processors();
    for (base, levels, stack, attention, size) in
        [(4, 3, 5, true, [20, 36]), (16, 5, 5, true, [48, 80]), (5, 2, 5, true, [6, 2]), (24, 4, 3, false, [24, 8])]
    {
        let network = NetworkConfig { base, levels, stack, attention }.init(&Device::flex());
        let plan = plan_of(&network);
        assert_eq!(plan.stack(), stack);
        let mut arena = plan.arena(size);
        for (n, &processor) in all_processors.iter().enumerate() {
            let x: Vec<f32> = noise(stack * size[0] * size[1], n as u32).iter().map(|v| v + 0.5).collect();
            let expected = network.forward(tensor(&x, [1, stack, size[0], size[1]]));
            let answer = plan.run(&mut arena, &x, processor);
            assert_eq!(answer.is_some(), attention);
            if let (Some(answer), Some(expected)) = (answer, expected.region) {
                let regions = values(activation::softmax(expected.regions, 1));
                assert!(difference(&answer.regions, &regions) < 2e-5);
                assert!(difference(&answer.attention, &values(expected.attention)) < 2e-5);
                assert_eq!(plan.run_region(&mut plan.arena(size), &x, processor), Some(answer));
            }
            let features = arena.take_features(&plan, None);
            let softmax = plan.softmax(&features, processor).unwrap();
            let expected = values(activation::softmax(expected.logits, 1));
            let off = difference(&softmax, &expected);
            assert!(off < 5e-5, "base {base}, {size:?}: {off}");
            check_probabilities(&plan, &features, &softmax, size[0] * size[1], processor);
        }
    }
}

/// Weighted, renormalised, with what is not drawn in the background: in closed form from the softmax.
fn check_probabilities(plan: &Plan, features: &Features, softmax: &[f32], area: usize, processor: Processor) {
    let mut weights = [1.0; CLASS_COUNT];
    let mut enabled = [false; CLASS_COUNT];
    for n in 0..ORGAN_COUNT {
        weights[n + 1] = [1.0, 0.3, 1e-6, 0.8][n % 4];
        enabled[n + 1] = n % 3 != 1;
    }
    let negligible = 0.02;
    let found = plan.probabilities(features, &weights, &enabled, negligible, processor).unwrap();
    let mut expected = vec![vec![0.0f32; area]; CLASS_COUNT];
    for n in 0..area {
        let sum: f32 = (0..CLASS_COUNT).map(|c| weights[c] * softmax[c * area + n]).sum();
        for c in 0..CLASS_COUNT {
            let to = if enabled[c] { c } else { 0 };
            expected[to][n] += weights[c] * softmax[c * area + n] / sum;
        }
    }
    for c in 0..CLASS_COUNT {
        let slot = found.classes.iter().position(|&found| usize::from(found) == c);
        let largest = expected[c].iter().copied().fold(0.0, f32::max);
        match slot {
            Some(slot) => {
                let off = difference(&found.values[slot * area..][..area], &expected[c]);
                assert!(off < 2e-5 && (c == 0 || largest > 0.0199), "class {c}: {off}");
            }
            None => assert!(c != 0 && largest < 0.0201, "class {c} is left out with {largest}"),
        }
    }
}

#[test]
fn every_operation_of_a_slice_is_timed_and_together_they_are_all_multiply_adds() {
    let config = NetworkConfig { base: 8, levels: 3, stack: 5, attention: true };
    let plan = plan_of(&config.init(&Device::flex()));
    let timings = plan.profile(&mut plan.arena([32, 32]), &vec![0.5; 5 * 32 * 32], Processor::new(Threads::One));
    let counted: u64 = timings.iter().map(|t| t.multiply_adds).sum();
    let all = crate::network::count::multiply_adds(&config, 32).total();
    // Not a convolution: the head, which is part of the last stage, and the region branch's fully connected layers.
    let rest = 8 * CLASS_COUNT * 32 * 32 + 64 * 64 + 64 * (REGION_COUNT + ORGAN_COUNT);
    assert_eq!(counted + rest as u64, all);
    assert!(timings.iter().all(|t| t.seconds >= 0.0));
}

#[test]
fn tensors_that_make_no_network_are_refused() {
    assert!(Plan::compile(&Parameters::new(), None).is_err());
    let network = NetworkConfig { base: 4, levels: 2, stack: 5, attention: true }.init(&Device::flex());
    // Not folded: there are no biases.
    let error = Plan::compile(&pytorch::tensors(&network).unwrap(), None).unwrap_err();
    assert!(error.to_string().contains("encoder.levels.0.first.conv.bias"), "{error}");
}

#[test]
fn a_box_gives_what_the_whole_field_gives_wherever_it_lies_and_whatever_came_before() {
    let air = 0.25;
    let all_processors = processors();
    for (base, levels, stack, attention, field) in
        [(4, 3, 5, true, [20, 36]), (16, 5, 5, true, [48, 80]), (5, 2, 5, true, [12, 10]), (24, 4, 3, false, [40, 8])]
    {
        let network = NetworkConfig { base, levels, stack, attention }.init(&Device::flex());
        let plan = plan_of(&network);
        let around = std::sync::Arc::new(plan.air(field, air, all_processors[0]));
        let mut boxed = plan.empty_arena();
        let mut whole = plan.arena(field);
        let [height, width] = field;
        // In the middle, in a corner, from edge to edge, one pixel, all of it, and a smaller one again.
        let boxes = [
            ([height / 3, width / 3], [5, 7]),
            ([0, width - 3], [4, 3]),
            ([height / 2, 0], [1, width]),
            ([height - 1, 1], [1, 1]),
            ([0, 0], field),
            ([1, 2], [3, 2]),
        ];
        for (n, (first, size)) in boxes.into_iter().enumerate() {
            let size = [size[0].min(height - first[0]), size[1].min(width - first[1])];
            let inside = noise(stack * size[0] * size[1], n as u32);
            let mut all = vec![air; stack * height * width];
            for (c, plane) in inside.chunks_exact(size[0] * size[1]).enumerate() {
                for (y, row) in plane.chunks_exact(size[1]).enumerate() {
                    all[(c * height + first[0] + y) * width + first[1]..][..size[1]].copy_from_slice(row);
                }
            }
            let processor = all_processors[n % all_processors.len()];
            plan.set_box(&mut boxed, first, size, &around);
            let answer = plan.run(&mut boxed, &inside, processor);
            let expected = plan.run(&mut whole, &all, processor);
            let close = |a: &[f32], b: &[f32]| difference(a, b) < 2e-5;
            match (answer, expected) {
                (None, None) => assert!(!attention),
                (Some(a), Some(b)) => {
                    assert!(close(&a.regions, &b.regions) && close(&a.attention, &b.attention), "{field:?} box {n}");
                    let mut again = plan.empty_arena();
                    plan.set_box(&mut again, first, size, &around);
                    assert_eq!(plan.run_region(&mut again, &inside, processor), Some(a));
                }
                _ => panic!("both have regions or neither"),
            }
            let [part, field_maps] = [&mut boxed, &mut whole].map(|arena| {
                let features = arena.take_features(&plan, None);
                plan.softmax(&features, processor).unwrap()
            });
            let mut expected = Vec::new();
            for plane in field_maps.chunks_exact(height * width) {
                for y in first[0]..first[0] + size[0] {
                    expected.extend_from_slice(&plane[y * width + first[1]..][..size[1]]);
                }
            }
            let off = difference(&part, &expected);
            assert!(off < 5e-5, "base {base}, {field:?}, box {n}: {off}");
        }
    }
}
