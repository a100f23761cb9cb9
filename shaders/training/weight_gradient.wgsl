// The gradients by the weights of a convolution: at every position of a batch the product of its input under each tap with the gradient by
// its output, summed up over the positions. As a product of matrices: channels under taps by positions, times positions by channels.
//
// A workgroup makes {4*TM4} rows (channels under taps) by {TN4} groups of four channels, a thread two groups of four rows by one group of
// four channels. Sixteen positions at a time come through workgroup memory. The positions are shared among several workgroups, and
// `add_gradients.wgsl` adds up what each found, in their order, so that the same batch always gives the same numbers.

struct Products {
    // Columns and rows of the grid that positions are counted on, the positions of all slices, and how many a part adds up.
    columns: u32,
    rows: u32,
    positions: u32,
    per_part: u32,
    // Of the gradients channels in groups of four; of the result rows in groups of four, from the first of these maps on, and of all maps.
    n4: u32,
    m4: u32,
    first_m4: u32,
    all_m4: u32,
    // Of the maps channels in groups of four, columns and rows.
    c4: u32,
    width: u32,
    height: u32,
    // As of a source in `layer.wgsl`.
    kernel: u32,
    stride: u32,
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> products: Products;
// [slice][row][column][c4]
@group(0) @binding(1) var<storage, read> maps: array<vec4<f32>>;
// [slice][row][column][n4]
@group(0) @binding(2) var<storage, read> gradients: array<vec4<f32>>;
// [part][source][tap][channel][n4]
@group(0) @binding(3) var<storage, read_write> result: array<vec4<f32>>;

var<workgroup> maps_tile: array<vec4<f32>, {16*PITCH}>;
var<workgroup> gradients_tile: array<vec4<f32>, {16*TN4}>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tn = local % {TN4}u;
    let tm = local / {TN4}u;
    let first_m = group.x * {TM4}u;
    let first_n = group.y * {TN4}u;
    // What this thread brings into workgroup memory: every fourth group of one of sixteen positions.
    let turn = local / 4u;
    let lane = local % 4u;
#for j 0 LOADS
    let row{j} = first_m + lane + {4*j}u;
    let tap{j} = row{j} / products.c4;
    let channel{j} = row{j} % products.c4;
    let there{j} = row{j} < products.m4;
    var dy{j} = i32(tap{j} / 2u);
    var dx{j} = i32(tap{j} % 2u);
    if products.kernel == 3u {
        dy{j} = i32(tap{j} / 3u) - 1;
        dx{j} = i32(tap{j} % 3u) - 1;
    }
#end
    let begin = group.z * products.per_part;
    let end = min(begin + products.per_part, products.positions);
    var position = begin + turn;
    var x = position % products.columns;
    var y = position / products.columns % products.rows;
    var slice = position / (products.columns * products.rows);
#for i 0 8
    var sum{i} = vec4<f32>();
#end
    for (var at = begin; at < end; at += 16u) {
        let inside = position < end;
        workgroupBarrier();
#for j 0 LOADS
        {
            var value = vec4<f32>();
            let v = i32(y * products.stride) + dy{j};
            let u = i32(x * products.stride) + dx{j};
            if inside && there{j} && v >= 0 && u >= 0 && v < i32(products.height) && u < i32(products.width) {
                value = maps[((slice * products.height + u32(v)) * products.width + u32(u)) * products.c4 + channel{j}];
            }
            maps_tile[turn * {PITCH}u + lane + {4*j}u] = value;
        }
#end
#for j 0 GRADIENT_LOADS
        {
            var value = vec4<f32>();
            let n = first_n + lane + {4*j}u;
            if inside && n < products.n4 {
                value = gradients[position * products.n4 + n];
            }
            gradients_tile[turn * {TN4}u + lane + {4*j}u] = value;
        }
#end
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) {
            let a = maps_tile[k * {PITCH}u + tm];
            let b = maps_tile[k * {PITCH}u + tm + {HALF}u];
            let by = gradients_tile[k * {TN4}u + tn];
            sum0 = fma(vec4<f32>(a.x), by, sum0);
            sum1 = fma(vec4<f32>(a.y), by, sum1);
            sum2 = fma(vec4<f32>(a.z), by, sum2);
            sum3 = fma(vec4<f32>(a.w), by, sum3);
            sum4 = fma(vec4<f32>(b.x), by, sum4);
            sum5 = fma(vec4<f32>(b.y), by, sum5);
            sum6 = fma(vec4<f32>(b.z), by, sum6);
            sum7 = fma(vec4<f32>(b.w), by, sum7);
        }
        position += 16u;
        x += 16u;
        while x >= products.columns {
            x -= products.columns;
            y += 1u;
            if y == products.rows {
                y = 0u;
                slice += 1u;
            }
        }
    }
    let n = first_n + tn;
    if n >= products.n4 {
        return;
    }
    let to = group.z * products.all_m4 + products.first_m4;
    if first_m + tm < products.m4 {
#for i 0 4
        result[(4u * (to + first_m + tm) + {i}u) * products.n4 + n] = sum{i};
#end
    }
    if first_m + tm + {HALF}u < products.m4 {
#for i 0 4
        result[(4u * (to + first_m + tm + {HALF}u) + {i}u) * products.n4 + n] = sum{4+i};
#end
    }
}
