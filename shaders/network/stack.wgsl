// Slices of the model grid to the input of the network, a box of a field: each channel a mean of some slices, and the intensity curve.

struct Stack {
    // Columns of the box, and its pixels.
    columns: u32,
    pixels: u32,
    channels: u32,
    c4: u32,
    // Columns and rows of the model grid, and the pixel of it at which the box begins.
    width: u32,
    height: u32,
    x: i32,
    y: i32,
    // Knots of the curve.
    knots: u32,
    // Where the parts begin among all that is told of a submission.
    parts: u32,
    unused0: u32,
    unused1: u32,
}

const AIR = -1000.0;

@group(0) @binding(0) var<uniform> stack: Stack;
// [place][row][column], counted from air.
@group(0) @binding(1) var<storage, read> slices: array<f32>;
// From `stack.parts` on where the parts of each channel begin, counted from there, and where those of the last end; a part is the place
// of a slice and its weight.
@group(0) @binding(2) var<storage, read> told: array<u32>;
// HU and intensity, HU rising.
@group(0) @binding(3) var<storage, read> curve: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> result: array<Stored>;

fn intensity(hu: f32) -> f32 {
    var before = curve[0];
    if hu <= before.x {
        return before.y;
    }
    for (var n = 1u; n < stack.knots; n++) {
        let next = curve[n];
        if hu < next.x {
            return before.y + (next.y - before.y) * ((hu - before.x) / (next.x - before.x));
        }
        before = next;
    }
    return before.y;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= stack.pixels {
        return;
    }
    let x = stack.x + i32(id.x % stack.columns);
    let y = stack.y + i32(id.x / stack.columns);
    // Beyond the field of view there is air.
    let inside = x >= 0 && y >= 0 && x < i32(stack.width) && y < i32(stack.height);
    let pixel = u32(max(y, 0)) * stack.width + u32(max(x, 0));
    for (var c = 0u; c < stack.c4; c++) {
        var value = vec4<f32>();
        for (var k = 0u; k < 4u; k++) {
            let channel = 4u * c + k;
            if channel < stack.channels {
                var hu = AIR;
                if inside {
                    let end = told[stack.parts + channel + 1u];
                    for (var part = told[stack.parts + channel]; part < end; part += 2u) {
                        let at = told[stack.parts + part] * stack.width * stack.height + pixel;
                        hu = fma(bitcast<f32>(told[stack.parts + part + 1u]), slices[at], hu);
                    }
                }
                value[k] = intensity(hu);
            }
        }
        result[id.x * stack.c4 + c] = narrowed(value);
    }
}
