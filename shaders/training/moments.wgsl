// Of every channel the sum and the sum of squares over the positions of a batch, a part of them in each workgroup. They are taken from
// the channel's first value (or from 0, where only the sum is wanted): near enough to the mean for squares in single precision.

struct Moments {
    positions: u32,
    // Channels in groups of four, 256 at most.
    c4: u32,
    // Positions of a workgroup.
    per_part: u32,
    // Whether sums are taken from the first value.
    from_first: u32,
}

@group(0) @binding(0) var<uniform> moments: Moments;
// [position][c4]
@group(0) @binding(1) var<storage, read> maps: array<vec4<f32>>;
// [part][sum, squares][c4]
@group(0) @binding(2) var<storage, read_write> result: array<vec4<f32>>;

var<workgroup> sums: array<vec4<f32>, 512>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lanes = 256u / moments.c4;
    let c = local % moments.c4;
    let lane = local / moments.c4;
    var centre = vec4<f32>();
    if moments.from_first != 0u {
        centre = maps[c];
    }
    var sum = vec4<f32>();
    var squares = vec4<f32>();
    let begin = group.x * moments.per_part;
    let end = min(begin + moments.per_part, moments.positions);
    if lane < lanes {
        for (var position = begin + lane; position < end; position += lanes) {
            let value = maps[position * moments.c4 + c] - centre;
            sum += value;
            squares = fma(value, value, squares);
        }
    }
    sums[local] = sum;
    sums[256u + local] = squares;
    workgroupBarrier();
    if lane == 0u {
        for (var other = 1u; other < lanes; other++) {
            sum += sums[other * moments.c4 + c];
            squares += sums[256u + other * moments.c4 + c];
        }
        result[2u * group.x * moments.c4 + c] = sum;
        result[(2u * group.x + 1u) * moments.c4 + c] = squares;
    }
}
