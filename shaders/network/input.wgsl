// Planes [slice][channel][row][column] to maps [slice][row][column][c4], with zeros in channels past the last.

struct Input {
    pixels: u32,
    channels: u32,
    c4: u32,
    unused0: u32,
}

@group(0) @binding(0) var<uniform> input: Input;
@group(0) @binding(1) var<storage, read> planes: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<Stored>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= input.pixels {
        return;
    }
    for (var c = 0u; c < input.c4; c++) {
        var value = vec4<f32>();
        for (var k = 0u; k < 4u; k++) {
            if 4u * c + k < input.channels {
                value[k] = planes[(id.y * input.channels + 4u * c + k) * input.pixels + id.x];
            }
        }
        result[(id.y * input.pixels + id.x) * input.c4 + c] = narrowed(value);
    }
}
