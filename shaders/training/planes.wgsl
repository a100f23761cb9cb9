// Maps [slice][row][column][c4] to planes [slice][channel][row][column].

struct Planes {
    pixels: u32,
    channels: u32,
    c4: u32,
    unused0: u32,
}

@group(0) @binding(0) var<uniform> planes: Planes;
@group(0) @binding(1) var<storage, read> maps: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= planes.pixels {
        return;
    }
    for (var c = 0u; c < planes.c4; c++) {
        let value = maps[(id.y * planes.pixels + id.x) * planes.c4 + c];
        for (var k = 0u; k < 4u; k++) {
            if 4u * c + k < planes.channels {
                result[(id.y * planes.channels + 4u * c + k) * planes.pixels + id.x] = value[k];
            }
        }
    }
}
