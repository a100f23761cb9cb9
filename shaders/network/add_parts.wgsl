// The parts of the sums of `convolution_tiles.wgsl`, added up in their order, so that the same slice always gives the same numbers.

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let count = layer.pixels * layer.n4;
    if id.x >= count {
        return;
    }
    var sum = vec4<f32>();
    for (var part = 0u; part < layer.parts; part++) {
        sum += parts[(id.y * layer.parts + part) * count + id.x];
    }
    let n = id.x % layer.n4;
    let pixel = id.x / layer.n4;
    store(slice_at(id.y) + place(pixel, n), finished(sum, id.y, pixel, n));
}
