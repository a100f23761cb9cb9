// The rest of the way, across the rows: to slices of the model grid, each at its place.

@group(0) @binding(2) var<storage, read> columns: array<f32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= resample.width {
        return;
    }
    let first = weights[id.x];
    let from_column = max(first, resample.x);
    let end = min(first + resample.across, resample.x + resample.columns);
    let weights_at = resample.width + id.x * resample.across;
    let row_at = (id.z * resample.height + id.y) * 2u * resample.pitch;
    var sum = 0.0;
    for (var column = from_column; column < end; column++) {
        sum = fma(bitcast<f32>(weights[weights_at + column - first]), columns[row_at + column - resample.x], sum);
    }
    let place = resample.place[id.z / 4u][id.z % 4u];
    result[(place * resample.height + id.y) * resample.width + id.x] = sum;
}
