// HU in boxes of slices, from `resample.begin` on [slice][row][column], two a word, the first lower, down the columns:
// [slice][model row][column].

@group(0) @binding(2) var<storage, read> slices: array<u32>;
@group(0) @binding(3) var<storage, read_write> result: array<vec2<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= resample.pitch {
        return;
    }
    let first = weights[id.y];
    let from_row = max(first, resample.y);
    let end = min(first + resample.down, resample.y + resample.rows);
    let weights_at = resample.height + id.y * resample.down;
    let slice_at = resample.begin + id.z * resample.rows * resample.pitch + id.x;
    var sum = vec2<f32>();
    for (var row = from_row; row < end; row++) {
        let word = slices[slice_at + (row - resample.y) * resample.pitch];
        let hu = vec2<f32>(f32(bitcast<i32>(word << 16u) >> 16u), f32(bitcast<i32>(word) >> 16u));
        let seen = clamp(hu, vec2<f32>(resample.low), vec2<f32>(resample.high)) - AIR;
        sum = fma(vec2<f32>(bitcast<f32>(weights[weights_at + row - first])), seen, sum);
    }
    result[(id.z * resample.height + id.y) * resample.pitch + id.x] = sum;
}
