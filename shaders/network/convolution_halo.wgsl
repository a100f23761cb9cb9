// A sum of convolutions of 3x3 or 1x1 at stride 1 to sixteen channels: where there are few channels, reading the neighbours of each
// pixel again and again is what takes the time, and here each is read once for a tile.
//
// A workgroup makes 32 x 16 pixels from a tile of 34 x 18 in workgroup memory, four input channels at a time; a thread makes four
// pixels in a row by eight channels.

const WIDTH = 32u;
const HEIGHT = 16u;
const HALO_WIDTH = 34u;
const HALO_PIXELS = 612u;

var<workgroup> halo: array<vec4<f32>, 612>;
// [tap][4 channels][4 groups of four channels]
var<workgroup> taps: array<vec4<f32>, 144>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let half = 2u * (local / 128u);
    let ty = (local % 128u) / 8u;
    let tx = (local % 8u) * 4u;
    let left = i32(layer.x + group.x * WIDTH) - 1;
    let top = i32(layer.y + group.y * HEIGHT) - 1;
#for i 0 4
    var low{i} = vec4<f32>();
    var high{i} = vec4<f32>();
#end
    var weight_row = 0u;
    for (var which = 0u; which < layer.sources; which++) {
        let source = layer.source[which];
        let three = source.kernel == 3u;
        for (var c = 0u; c < source.c4; c++) {
            workgroupBarrier();
            for (var at = local; at < HALO_PIXELS; at += 256u) {
                var value = vec4<f32>();
                let begin = channels_at(source, top + i32(at / HALO_WIDTH), left + i32(at % HALO_WIDTH));
                if begin >= 0 {
                    value = load(which, group.z * source.slice + u32(begin) + c);
                }
                halo[at] = value;
            }
            if three {
                if local < 144u {
                    let row = weight_row + (local / 16u) * 4u * source.c4 + 4u * c + (local % 16u) / 4u;
                    taps[local] = weight(row * 4u + local % 4u);
                }
            } else if local < 16u {
                // A kernel of one pixel is the middle of nine.
                taps[64u + local] = weight((weight_row + 4u * c + local / 4u) * 4u + local % 4u);
            }
            workgroupBarrier();
            let first = select(1u, 0u, three);
            for (var y = first; y < 3u - first; y++) {
                let at = (ty + y) * HALO_WIDTH + tx;
#for i 0 6
                let p{i} = halo[at + {i}u];
#end
#for x 0 3
                if three || {x}u == 1u {
                    let tap = y * 48u + {x*16}u + half;
#for k 0 4
                    let w{k} = taps[tap + {k*4}u];
                    let v{k} = taps[tap + {k*4+1}u];
#end
#for i 0 4
                    low{i} = fma(vec4<f32>(p{i+x}.x), w0, low{i});
                    low{i} = fma(vec4<f32>(p{i+x}.y), w1, low{i});
                    low{i} = fma(vec4<f32>(p{i+x}.z), w2, low{i});
                    low{i} = fma(vec4<f32>(p{i+x}.w), w3, low{i});
                    high{i} = fma(vec4<f32>(p{i+x}.x), v0, high{i});
                    high{i} = fma(vec4<f32>(p{i+x}.y), v1, high{i});
                    high{i} = fma(vec4<f32>(p{i+x}.z), v2, high{i});
                    high{i} = fma(vec4<f32>(p{i+x}.w), v3, high{i});
#end
                }
#end
            }
        }
        weight_row += source.kernel * source.kernel * 4u * source.c4;
    }
    let y = group.y * HEIGHT + ty;
#for i 0 4
    {
        let x = group.x * WIDTH + tx + {i}u;
        if x < layer.columns && y * layer.columns < layer.pixels {
            let pixel = y * layer.columns + x;
            let to = (group.z * layer.pixels + pixel) * 4u + half;
            store(to, finished(low{i}, group.z, pixel, half));
            store(to + 1u, finished(high{i}, group.z, pixel, half + 1u));
        }
    }
#end
}
