// What several workgroups found, added up in their order.

struct Parts {
    // Vectors of a part.
    count: u32,
    parts: u32,
    unused0: u32,
    unused1: u32,
}

@group(0) @binding(0) var<uniform> parts: Parts;
// [part][vector]
@group(0) @binding(1) var<storage, read> found: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= parts.count {
        return;
    }
    var sum = vec4<f32>();
    for (var part = 0u; part < parts.parts; part++) {
        sum += found[part * parts.count + id.x];
    }
    result[id.x] = sum;
}
