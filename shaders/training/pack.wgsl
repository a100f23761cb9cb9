// Parameters in the order of the kernels, zero where there is none.

@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = (group.y * {ROW}u + group.x) * 256u + local;
    if number >= order.count {
        return;
    }
    let home = parameter(number);
    var value = 0.0;
    if home >= 0 {
        value = parameters[home];
    }
    result[order.rows_at + number] = value;
}
