// A sum of convolutions as the product of two matrices (implicit GEMM): pixels by channels under taps, times weights.
//
// A workgroup makes {TM} pixels by {TN4} groups of four channels, a thread eight pixels of one group. Both matrices come through
// workgroup memory, sixteen channels under one tap at a time. Where there are fewer tiles than cores, each of several workgroups
// adds up a part of the channels, and `add_parts.wgsl` adds up the parts, in their order.

var<workgroup> pixels_tile: array<vec4<f32>, {4*PITCH}>;
var<workgroup> weights_tile: array<vec4<f32>, {16*TN4}>;

@compute @workgroup_size({THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tn = local % {TN4}u;
    let tm = local / {TN4}u;
    let first = group.x * {TM}u;
    let first_n = group.y * {TN4}u;
    // What this thread brings into workgroup memory: one group of four channels of these pixels.
    let lane = local % 4u;
#for j 0 LOADS
    let pixel{j} = first + local / 4u + {j*QUARTER}u;
    let row{j} = i32(layer.y + pixel{j} / layer.columns);
    let column{j} = i32(layer.x + pixel{j} % layer.columns);
    let inside{j} = pixel{j} < layer.pixels;
#end
#for i 0 8
    var sum{i} = vec4<f32>();
#end
    let slice = group.z / layer.parts;
    let part = group.z % layer.parts;
    let begin = part * layer.chunks_per_part;
    let end = min(begin + layer.chunks_per_part, layer.chunks);
    var which = 0u;
    var tap = 0u;
    var c = 0u;
    var weight_row = 0u;
    var source = layer.source[0];
    for (var chunk = 0u; chunk < end; chunk++) {
        if chunk >= begin {
            var dy = i32(tap / 2u);
            var dx = i32(tap % 2u);
            if source.kernel == 3u {
                dy = i32(tap / 3u) - 1;
                dx = i32(tap % 3u) - 1;
            }
            workgroupBarrier();
#for j 0 LOADS
            {
                var value = vec4<f32>();
                let at = channels_at(source, row{j} * i32(source.stride) + dy, column{j} * i32(source.stride) + dx);
                if inside{j} && c + lane < source.c4 && at >= 0 {
                    value = load(which, slice * source.slice + u32(at) + c + lane);
                }
                pixels_tile[lane * {PITCH}u + local / 4u + {j*QUARTER}u] = value;
            }
#end
#for j 0 WEIGHT_LOADS
            {
                let at = local + {j*THREADS}u;
                // Past the last group of channels the row below is read; what it is used for is not written.
                weights_tile[at] = weight((weight_row + at / {TN4}u) * layer.n4 + first_n + at % {TN4}u);
            }
#end
            workgroupBarrier();
            for (var k = 0u; k < 4u; k++) {
                let weights_at = k * {4*TN4}u + tn;
                let w0 = weights_tile[weights_at];
                let w1 = weights_tile[weights_at + {TN4}u];
                let w2 = weights_tile[weights_at + {2*TN4}u];
                let w3 = weights_tile[weights_at + {3*TN4}u];
                let pixels_at = k * {PITCH}u + tm;
#for i 0 8
                let p{i} = pixels_tile[pixels_at + {i*ROWS}u];
                sum{i} = fma(vec4<f32>(p{i}.x), w0, sum{i});
                sum{i} = fma(vec4<f32>(p{i}.y), w1, sum{i});
                sum{i} = fma(vec4<f32>(p{i}.z), w2, sum{i});
                sum{i} = fma(vec4<f32>(p{i}.w), w3, sum{i});
#end
            }
        }
        weight_row += 4u * min(4u, source.c4 - c);
        c += 4u;
        if c >= source.c4 {
            c = 0u;
            tap += 1u;
            if tap == source.kernel * source.kernel {
                tap = 0u;
                which += 1u;
                source = layer.source[min(which, 2u)];
            }
        }
    }
    let n = first_n + tn;
    if n >= layer.n4 {
        return;
    }
#for i 0 8
    {
        let pixel = first + tm + {i*ROWS}u;
        if pixel < layer.pixels {
            if layer.parts > 1u {
                parts[(group.z * layer.pixels + pixel) * layer.n4 + n] = sum{i};
            } else {
                store(slice_at(slice) + place(pixel, n), finished(sum{i}, slice, pixel, n));
            }
        }
    }
#end
}
