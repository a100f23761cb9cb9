// From the decoder's last maps of a tile to the probabilities of the 34 classes at each pixel: head, softmax, attention, and what is
// not drawn given to the background.
//
// A pixel is 36 numbers: the probabilities, and two words that say which classes are not negligible. Where tiles overlap, the
// probabilities of each count the more the further inside its field the pixel lies; until the last of them is there, the first of the two
// words holds the sum of what they count.

struct Area {
    // The area that all tiles lie in.
    width: u32,
    height: u32,
    // The tile, and where it lies in the area.
    tile_width: u32,
    tile_height: u32,
    tile_x: i32,
    tile_y: i32,
    // Its field, and where the tile lies in it.
    field_x: u32,
    field_y: u32,
    field: u32,
    // FIRST, LAST.
    flags: u32,
    // Classes that are drawn, a bit each.
    drawn0: u32,
    drawn1: u32,
    // Channels in groups of four.
    c4: u32,
    // A class below this is left out at a pixel.
    negligible: f32,
    unused0: u32,
    unused1: u32,
}

const FIRST = 1u;
const LAST = 2u;

@group(0) @binding(0) var<uniform> area: Area;
// [channel][9], and the bias.
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> maps: array<Stored>;
// What each class is weighed with.
@group(0) @binding(3) var<storage, read> class_weights: array<vec4<f32>>;
// [row][column][9]; words, because two of them are no numbers.
@group(0) @binding(4) var<storage, read_write> result: array<vec4<u32>>;
// A word that is not 0 afterwards where something was not finite.
@group(0) @binding(5) var<storage, read_write> broken: array<u32>;

fn drawn(class_of: u32) -> bool {
    let word = select(area.drawn0, area.drawn1, class_of >= 32u);
    return ((word >> (class_of % 32u)) & 1u) == 1u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= area.width * area.height {
        return;
    }
    let x = i32(id.x % area.width) - area.tile_x;
    let y = i32(id.x / area.width) - area.tile_y;
#for n 0 9
    var p{n} = vec4<f32>();
#end
    var covered = 0.0;
    if (area.flags & FIRST) == 0u {
#for n 0 9
        p{n} = bitcast<vec4<f32>>(result[id.x * 9u + {n}u]);
#end
        covered = p8.z;
        p8.z = 0.0;
        p8.w = 0.0;
    }
    if x >= 0 && y >= 0 && x < i32(area.tile_width) && y < i32(area.tile_height) {
        let pixel = u32(y) * area.tile_width + u32(x);
        let bias = area.c4 * 36u;
#for n 0 9
        var z{n} = weights[bias + {n}u];
#end
        for (var c = 0u; c < area.c4; c++) {
            let value = vec4<f32>(maps[pixel * area.c4 + c]);
            let row = c * 36u;
#for n 0 9
            z{n} = fma(vec4<f32>(value.x), weights[row + {n}u], z{n});
            z{n} = fma(vec4<f32>(value.y), weights[row + {9+n}u], z{n});
            z{n} = fma(vec4<f32>(value.z), weights[row + {18+n}u], z{n});
            z{n} = fma(vec4<f32>(value.w), weights[row + {27+n}u], z{n});
#end
        }
        // The last two are no classes.
        var top = max(max(z0, z1), max(z2, z3));
        top = max(max(top, z4), max(z5, max(z6, z7)));
        let largest = max(max(max(top.x, top.y), max(top.z, top.w)), max(z8.x, z8.y));
        var sum = 0.0;
#for n 0 9
        z{n} = class_weights[{n}u] * exp(z{n} - largest);
#end
        z8 = vec4<f32>(z8.xy, 0.0, 0.0);
        let sums = (z0 + z1 + z2 + z3) + (z4 + z5 + z6 + z7) + z8;
        sum = sums.x + sums.y + sums.z + sums.w;
        // By its bits: a compiler may take for granted that comparisons are of numbers.
        if (bitcast<u32>(sum) & 0x7f800000u) == 0x7f800000u {
            broken[0] = 1u;
        }
        var inside = 1.0;
        if area.flags != (FIRST | LAST) {
            let field_x = u32(x) + area.field_x;
            let field_y = u32(y) + area.field_y;
            let last = area.field - 1u;
            inside = f32(1u + min(min(field_x, last - field_x), min(field_y, last - field_y)));
        }
        let factor = inside / max(sum, 1.1754944e-38);
        covered += inside;
        var rest = inside;
#for n 0 9
        z{n} *= factor;
#end
#for n 0 9
#for k 0 4
        if {4*n+k}u > 0u && {4*n+k}u < 34u && drawn({4*n+k}u) {
            p{n}[{k}u] += z{n}[{k}u];
            rest -= z{n}[{k}u];
        }
#end
#end
        p0.x += rest;
    }
    if (area.flags & LAST) == 0u {
        p8.z = covered;
#for n 0 9
        result[id.x * 9u + {n}u] = bitcast<vec4<u32>>(p{n});
#end
        return;
    }
    if covered == 0.0 {
        // Corners between tiles.
        p0.x = 1.0;
        covered = 1.0;
    }
    let scale = 1.0 / covered;
    var mask = vec2<u32>();
#for n 0 9
    p{n} *= scale;
#end
#for n 0 8
#for k 0 4
    if p{n}[{k}u] >= area.negligible {
        mask.x |= 1u << {4*n+k}u;
    }
#end
#end
    if p8.x >= area.negligible {
        mask.y |= 1u;
    }
    if p8.y >= area.negligible {
        mask.y |= 2u;
    }
#for n 0 8
    result[id.x * 9u + {n}u] = bitcast<vec4<u32>>(p{n});
#end
    result[id.x * 9u + 8u] = vec4<u32>(bitcast<vec2<u32>>(p8.xy), mask);
}
