// relu(norm(y)), or of a residual block relu(norm(y) + z) or relu(norm(y) + norm(z)).

struct Activate {
    // Vectors of all maps.
    count: u32,
    c4: u32,
    // ADD, NORMALISE.
    flags: u32,
    unused0: u32,
}

const ADD = 1u;
const NORMALISE = 2u;

@group(0) @binding(0) var<uniform> activate: Activate;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
// As `statistics.wgsl` leaves them.
@group(0) @binding(2) var<storage, read> of_y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> of_z: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let at = (group.y * {ROW}u + group.x) * 256u + local;
    if at >= activate.count {
        return;
    }
    let c = at % activate.c4;
    let scale = 3u * activate.c4 + c;
    let shift = 4u * activate.c4 + c;
    var value = fma(y[at], of_y[scale], of_y[shift]);
    if (activate.flags & NORMALISE) != 0u {
        value += fma(z[at], of_z[scale], of_z[shift]);
    } else if (activate.flags & ADD) != 0u {
        value += z[at];
    }
    // Not `max`, which may make a number of what is none.
    result[at] = select(value, vec4<f32>(), value < vec4<f32>());
}
