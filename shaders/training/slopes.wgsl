// Back through a ReLU: the gradient stays where its output is above 0. Of what stays, of every channel: the sum, and the sums of its
// products with the distances of the inputs of one normalisation or two from their means, a part of the positions in each workgroup.

struct Slopes {
    positions: u32,
    // Channels in groups of four, 256 at most.
    c4: u32,
    // Positions of a workgroup.
    per_part: u32,
    // Whether there is a second normalisation.
    two: u32,
}

@group(0) @binding(0) var<uniform> slopes: Slopes;
// The output of the ReLU.
@group(0) @binding(1) var<storage, read> out: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
// As `statistics.wgsl` leaves them.
@group(0) @binding(3) var<storage, read> of_y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> of_z: array<vec4<f32>>;
// The gradient.
@group(0) @binding(6) var<storage, read_write> by: array<vec4<f32>>;
// [part][sum, products with y, products with z][c4]
@group(0) @binding(7) var<storage, read_write> result: array<vec4<f32>>;

var<workgroup> sums: array<vec4<f32>, 768>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lanes = 256u / slopes.c4;
    let c = local % slopes.c4;
    let lane = local / slopes.c4;
    var plain = vec4<f32>();
    var with_y = vec4<f32>();
    var with_z = vec4<f32>();
    let mean_y = of_y[c];
    let mean_z = of_z[c];
    let begin = group.x * slopes.per_part;
    let end = min(begin + slopes.per_part, slopes.positions);
    if lane < lanes {
        for (var position = begin + lane; position < end; position += lanes) {
            let at = position * slopes.c4 + c;
            let value = select(vec4<f32>(), by[at], out[at] > vec4<f32>());
            by[at] = value;
            plain += value;
            with_y = fma(value, y[at] - mean_y, with_y);
            if slopes.two != 0u {
                with_z = fma(value, z[at] - mean_z, with_z);
            }
        }
    }
    sums[local] = plain;
    sums[256u + local] = with_y;
    sums[512u + local] = with_z;
    workgroupBarrier();
    if lane == 0u {
        for (var other = 1u; other < lanes; other++) {
            plain += sums[other * slopes.c4 + c];
            with_y += sums[256u + other * slopes.c4 + c];
            with_z += sums[512u + other * slopes.c4 + c];
        }
        let to = 3u * group.x * slopes.c4 + c;
        result[to] = plain;
        result[to + slopes.c4] = with_y;
        result[to + 2u * slopes.c4] = with_z;
    }
}
