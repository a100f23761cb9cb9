// Probabilities on the model grid to labels on the input matrix: bilinear in the plane, the slices below and above blended, and the
// largest wins, at a tie the background, then the lower label. And how far ahead of the runner-up it is, 0 to 255 for 0 to 1.
//
// Only of a box of the input matrix: beyond the areas with probabilities there is background, with certainty. A thread makes four pixels.
// Of the 34 classes only those are looked at that are not negligible at one of the pixels around: one or two, as a rule.
//
// What is counted of each organ, its pixels and those in which it only just won, is counted here, too: the host compares nothing.

struct Part {
    // Columns and rows of the area with probabilities.
    width: u32,
    height: u32,
    weight: f32,
    unused0: u32,
    // Of an input pixel n the place on the area is scale n + offset: across, down.
    scale: vec2<f32>,
    offset: vec2<f32>,
}

struct Labels {
    // Of the box the columns, the pixels, and the input pixel at which it begins.
    columns: u32,
    pixels: u32,
    x: u32,
    y: u32,
    // 1, or 2 where the slice lies between two that were computed.
    parts: u32,
    // MARGINS, COUNTS.
    flags: u32,
    // With a lead of less than this the winner only just won.
    sure: u32,
    unused0: u32,
    part: array<Part, 2>,
}

const MARGINS = 1u;
const COUNTS = 2u;

@group(0) @binding(0) var<uniform> labels: Labels;
// [row][column][36], see `probabilities.wgsl`.
@group(0) @binding(1) var<storage, read> below: array<u32>;
@group(0) @binding(2) var<storage, read> above: array<u32>;
// Four labels a word, the first lowest.
@group(0) @binding(3) var<storage, read_write> result: array<u32>;
@group(0) @binding(4) var<storage, read_write> margins: array<u32>;
// Pixels of each class, then of each those in which it only just won.
@group(0) @binding(5) var<storage, read_write> counts: array<atomic<u32>>;

var<workgroup> found: array<atomic<u32>, 128>;

fn word(part: u32, at: u32) -> u32 {
    if part == 0u {
        return below[at];
    }
    return above[at];
}

// Where the pixels around an input pixel are, and how far between them it lies.
struct Around {
    // Of the pixels at the upper left, upper right, lower left, lower right.
    at: vec4<u32>,
    t: vec2<f32>,
    outside: bool,
}

fn around(part: Part, x: u32, y: u32) -> Around {
    let size = vec2<f32>(f32(part.width), f32(part.height));
    let place = part.scale * vec2<f32>(f32(x), f32(y)) + part.offset;
    if any(place < vec2<f32>(-0.5)) || any(place > size - 0.5) {
        return Around(vec4<u32>(), vec2<f32>(), true);
    }
    let inside = clamp(place, vec2<f32>(), size - 1.0);
    let first = floor(inside);
    let one = vec2<u32>(first);
    let two = min(one + 1u, vec2<u32>(part.width, part.height) - 1u);
    let rows = vec2<u32>(one.y, two.y) * part.width;
    return Around(vec4<u32>(rows.xx + vec2<u32>(one.x, two.x), rows.yy + vec2<u32>(one.x, two.x)) * 36u, inside - first, false);
}

fn between(part: u32, around: Around, class_of: u32) -> f32 {
    if around.outside {
        return select(0.0, 1.0, class_of == 0u);
    }
    let a = bitcast<f32>(word(part, around.at.x + class_of));
    let b = bitcast<f32>(word(part, around.at.y + class_of));
    let c = bitcast<f32>(word(part, around.at.z + class_of));
    let d = bitcast<f32>(word(part, around.at.w + class_of));
    let upper = a + around.t.x * (b - a);
    let lower = c + around.t.x * (d - c);
    return upper + around.t.y * (lower - upper);
}

fn mask_of(part: u32, around: Around) -> vec2<u32> {
    if around.outside {
        return vec2<u32>();
    }
    var mask = vec2<u32>();
    for (var k = 0u; k < 2u; k++) {
        let at = 34u + k;
        mask[k] = word(part, around.at.x + at) | word(part, around.at.y + at) | word(part, around.at.z + at)
            | word(part, around.at.w + at);
    }
    return mask;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    atomicStore(&found[local], 0u);
    atomicStore(&found[64u + local], 0u);
    workgroupBarrier();
    var packed = 0u;
    var packed_margin = 0u;
    for (var n = 0u; n < 4u; n++) {
        let pixel = id.x * 4u + n;
        if pixel < labels.pixels {
            let x = labels.x + pixel % labels.columns;
            let y = labels.y + pixel / labels.columns;
            let one = around(labels.part[0], x, y);
            var mask = mask_of(0u, one);
            var best = labels.part[0].weight * between(0u, one, 0u);
            var two = one;
            if labels.parts == 2u {
                two = around(labels.part[1], x, y);
                mask |= mask_of(1u, two);
                best += labels.part[1].weight * between(1u, two, 0u);
            }
            mask.x &= 0xfffffffeu;
            var label = 0u;
            var second = 0.0;
            while mask.x != 0u || mask.y != 0u {
                var class_of = 0u;
                if mask.x != 0u {
                    class_of = firstTrailingBit(mask.x);
                    mask.x &= mask.x - 1u;
                } else {
                    class_of = 32u + firstTrailingBit(mask.y);
                    mask.y &= mask.y - 1u;
                }
                var value = labels.part[0].weight * between(0u, one, class_of);
                if labels.parts == 2u {
                    value += labels.part[1].weight * between(1u, two, class_of);
                }
                // Of the two that were ahead and this one, the middle.
                second = max(second, min(value, best));
                if value > best {
                    label = class_of;
                    best = value;
                }
            }
            let margin = u32(clamp(floor((best - second) * 255.0 + 0.5), 0.0, 255.0));
            packed |= label << (8u * n);
            packed_margin |= margin << (8u * n);
            if label != 0u {
                atomicAdd(&found[label], 1u);
                if margin < labels.sure {
                    atomicAdd(&found[64u + label], 1u);
                }
            }
        }
    }
    if id.x * 4u < labels.pixels {
        result[id.x] = packed;
        if (labels.flags & MARGINS) != 0u {
            margins[id.x] = packed_margin;
        }
    }
    workgroupBarrier();
    if (labels.flags & COUNTS) != 0u {
        for (var n = local; n < 128u; n += 64u) {
            let count = atomicLoad(&found[n]);
            if count != 0u {
                atomicAdd(&counts[n], count);
            }
        }
    }
}
