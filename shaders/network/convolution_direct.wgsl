// A sum of convolutions without workgroup memory, for adapters that are a processor.
//
// With tiles in workgroup memory and barriers around them the same sums take these three times as long. What takes the time is reading,
// which is done number by number. So every thread reads for itself, and makes {PIXELS} pixels, one after the other in the grid, by {GROUPS}
// groups of four channels, so that each number counts for many products. Such adapters also take their time to compile, one of them many
// times as long for every further branch within a loop: nothing branches in these, and what is rare is written once.

@compute @workgroup_size({THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let across = (layer.pixels + {LAST}u) / {PIXELS}u;
    let thread = group.x * {THREADS}u + local;
    let slice = group.z;
    let first = (thread % across) * {PIXELS}u;
    let n = (thread / across) * {GROUPS}u;
    if n >= layer.n4 {
        return;
    }
#for i 0 PIXELS
    // Past the last pixel the last one again.
    let pixel{i} = min(first + {i}u, layer.pixels - 1u);
    let row{i} = i32(layer.y + pixel{i} / layer.columns);
    let column{i} = i32(layer.x + pixel{i} % layer.columns);
#for j 0 GROUPS
    var sum{i}_{j} = vec4<f32>();
#end
#end
    var weights_at = n;
    for (var which = 0u; which < layer.sources; which++) {
        let source = layer.source[which];
        let stride = i32(source.stride);
        let begin = slice * source.slice;
        for (var tap = 0u; tap < source.kernel * source.kernel; tap++) {
            let three = source.kernel == 3u;
            let dy = select(i32(tap / 2u), i32(tap / 3u) - 1, three);
            let dx = select(i32(tap % 2u), i32(tap % 3u) - 1, three);
#for i 0 PIXELS
            let at{i} = channels_at(source, row{i} * stride + dy, column{i} * stride + dx);
            let from{i} = begin + u32(max(at{i}, 0));
#end
            for (var c = 0u; c < source.c4; c++) {
#for i 0 PIXELS
                let p{i} = select(vec4<f32>(), load(which, from{i} + c), at{i} >= 0);
#end
#for j 0 GROUPS
                {
                    // Past the last group of channels the row below is read; what it is used for is not written.
                    let w0 = weight(weights_at + {j}u);
                    let w1 = weight(weights_at + layer.n4 + {j}u);
                    let w2 = weight(weights_at + 2u * layer.n4 + {j}u);
                    let w3 = weight(weights_at + 3u * layer.n4 + {j}u);
#for i 0 PIXELS
                    sum{i}_{j} = fma(vec4<f32>(p{i}.x), w0, sum{i}_{j});
                    sum{i}_{j} = fma(vec4<f32>(p{i}.y), w1, sum{i}_{j});
                    sum{i}_{j} = fma(vec4<f32>(p{i}.z), w2, sum{i}_{j});
                    sum{i}_{j} = fma(vec4<f32>(p{i}.w), w3, sum{i}_{j});
#end
                }
#end
                weights_at += 4u * layer.n4;
            }
        }
    }
    // Where a residual follows, sums are put down as they are.
    let residual_follows = (layer.flags & (RESIDUAL | SAME)) != 0u;
    let relu = vec4<bool>((layer.flags & RELU) != 0u && !residual_follows);
    let to = slice_at(slice);
#for j 0 GROUPS
    let bias{j} = select(weight(layer.bias_row * layer.n4 + n + {j}u), vec4<f32>(), residual_follows);
    let to_group{j} = to + place(0u, n + {j}u);
#end
#for i 0 PIXELS
    if first + {i}u < layer.pixels {
        let to_pixel = place(pixel{i}, 0u);
#for j 0 GROUPS
        if n + {j}u < layer.n4 {
            let value = sum{i}_{j} + bias{j};
            // Not `max`, which may make a number of what is none.
            store(to_group{j} + to_pixel, select(value, vec4<f32>(), relu & (value < vec4<f32>())));
        }
#end
    }
#end
    if !residual_follows {
        return;
    }
    for (var k = 0u; k < {PIXELS*GROUPS}u; k++) {
        let pixel = first + k / {GROUPS}u;
        let m = n + k % {GROUPS}u;
        if pixel < layer.pixels && m < layer.n4 {
            let at = to + place(pixel, m);
            store(at, finished(vec4<f32>(result[at]), slice, pixel, m));
        }
    }
}
