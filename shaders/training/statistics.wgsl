// From the sums of `moments.wgsl` to a normalisation: x scale + shift.

struct Batch {
    // Parts of the sums; 0: they are mean and variance of many batches.
    parts: u32,
    c4: u32,
    // Positions.
    count: f32,
    // Added to the variance.
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
// [part][sum, squares][c4]
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
// What they were taken of.
@group(0) @binding(2) var<storage, read> maps: array<vec4<f32>>;
// [gamma, beta][c4]
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
// [mean, variance, 1 / deviation, scale, shift][c4]
@group(0) @binding(4) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= batch.c4 {
        return;
    }
    var sum = vec4<f32>();
    var squares = vec4<f32>();
    for (var part = 0u; part < batch.parts; part++) {
        sum += sums[2u * part * batch.c4 + id.x];
        squares += sums[(2u * part + 1u) * batch.c4 + id.x];
    }
    let from_first = sum / batch.count;
    var mean = maps[id.x] + from_first;
    // Rounding may make a little less than nothing of a variance of 0.
    let spread = squares / batch.count - from_first * from_first;
    var variance = select(spread, vec4<f32>(), spread < vec4<f32>());
    if batch.parts == 0u {
        mean = sums[id.x];
        variance = sums[batch.c4 + id.x];
    }
    let inverse = 1.0 / sqrt(variance + vec4<f32>(batch.epsilon));
    let scale = parameters[id.x] * inverse;
    result[id.x] = mean;
    result[batch.c4 + id.x] = variance;
    result[2u * batch.c4 + id.x] = inverse;
    result[3u * batch.c4 + id.x] = scale;
    result[4u * batch.c4 + id.x] = parameters[batch.c4 + id.x] - mean * scale;
}
