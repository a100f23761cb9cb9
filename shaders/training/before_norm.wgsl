// The gradient by the input y of a normalisation, from the one by its output.

struct Before {
    // Vectors of all maps.
    count: u32,
    c4: u32,
    unused0: u32,
    unused1: u32,
}

@group(0) @binding(0) var<uniform> before: Before;
@group(0) @binding(1) var<storage, read> by: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
// As `statistics.wgsl` leaves them.
@group(0) @binding(3) var<storage, read> statistics: array<vec4<f32>>;
// As `norm_gradient.wgsl` leaves them.
@group(0) @binding(4) var<storage, read> found: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * {ROW}u + group.x) * 256u + local;
    if at >= before.count {
        return;
    }
    let c = at % before.c4;
    let level = found[2u * before.c4 + c];
    let slope = found[3u * before.c4 + c];
    result[at] = statistics[3u * before.c4 + c] * (by[at] - level - (y[at] - statistics[c]) * slope);
}
