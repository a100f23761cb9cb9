// From the sums of `slopes.wgsl` to the gradients of a normalisation's parameters, and to what its gradient by its input is made of.

struct Batch {
    // Parts of the sums.
    parts: u32,
    c4: u32,
    // Positions.
    count: f32,
    // Which products: 1 or 2.
    which: u32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
// [part][sum, products with y, products with z][c4]
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
// As `statistics.wgsl` leaves them.
@group(0) @binding(2) var<storage, read> statistics: array<vec4<f32>>;
// [by gamma, by beta, level, slope][c4]
@group(0) @binding(3) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= batch.c4 {
        return;
    }
    var beta = vec4<f32>();
    var products = vec4<f32>();
    for (var part = 0u; part < batch.parts; part++) {
        beta += sums[3u * part * batch.c4 + id.x];
        products += sums[(3u * part + batch.which) * batch.c4 + id.x];
    }
    let inverse = statistics[2u * batch.c4 + id.x];
    let gamma = products * inverse;
    result[id.x] = gamma;
    result[batch.c4 + id.x] = beta;
    result[2u * batch.c4 + id.x] = beta / batch.count;
    result[3u * batch.c4 + id.x] = gamma * inverse / batch.count;
}
