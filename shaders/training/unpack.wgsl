// Gradients that lie in the order of the kernels, added to what is there in the order of the parameters.

@group(0) @binding(1) var<storage, read> found: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let number = (group.y * {ROW}u + group.x) * 256u + local;
    if number >= order.count {
        return;
    }
    let to = parameter(number);
    if to >= 0 {
        gradients[to] += found[order.rows_at + number];
    }
}
