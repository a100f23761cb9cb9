// What all kernels of a convolution share: what a layer is told, its buffers, and where a sum goes.

struct Source {
    // Channels in groups of four.
    c4: u32,
    width: u32,
    height: u32,
    // 1 or 3 pixels a side, around the one that is looked at; or 2, from it on.
    kernel: u32,
    // Step of the output in the source.
    stride: u32,
    // Where air's maps of the whole field begin, its columns and rows, and the column and row of it at which the source begins.
    air: u32,
    field_width: u32,
    field_height: u32,
    x: u32,
    y: u32,
    // Vectors from the maps of one slice of a batch to those of the next.
    slice: u32,
    unused0: u32,
}

struct Layer {
    // Columns of the grid that sums are counted on: the output's, of a transposed convolution the input's.
    columns: u32,
    // Pixels of that grid.
    pixels: u32,
    // Sums of a pixel in groups of four; of a transposed convolution four times the output's channels.
    n4: u32,
    // Channels of the output in groups of four.
    out_c4: u32,
    // Steps of sixteen channels under one tap, of all sources together, and how many of them one part adds up.
    chunks: u32,
    chunks_per_part: u32,
    // Parts.
    parts: u32,
    // RELU, RESIDUAL, SCATTER, SAME.
    flags: u32,
    sources: u32,
    // The first row of the weights that holds no weight, but the bias.
    bias_row: u32,
    // The column and row of the field at which the grid begins.
    x: u32,
    y: u32,
    // The fourth is the residual.
    source: array<Source, 4>,
}

const RELU = 1u;
const RESIDUAL = 2u;
const SCATTER = 4u;
// The residual lies as the result does.
const SAME = 8u;

@group(0) @binding(0) var<uniform> layer: Layer;
// Rows of n4: [source][tap][channel], some of zeros, and the bias.
@group(0) @binding(1) var<storage, read> weights: array<Stored>;
// Maps are [row][column][c4], of a part of the field; behind them lie those of a field of air.
@group(0) @binding(2) var<storage, read> source0: array<Stored>;
@group(0) @binding(3) var<storage, read> source1: array<Stored>;
@group(0) @binding(4) var<storage, read> source2: array<Stored>;
@group(0) @binding(5) var<storage, read> residual: array<Stored>;
@group(0) @binding(6) var<storage, read_write> result: array<Stored>;
// Of sums that are split [slice][part][pixel][n4].
@group(0) @binding(7) var<storage, read_write> parts: array<vec4<f32>>;

fn weight(at: u32) -> vec4<f32> {
    return vec4<f32>(weights[at]);
}

fn load(which: u32, at: u32) -> vec4<f32> {
    switch which {
        case 0u: { return vec4<f32>(source0[at]); }
        case 1u: { return vec4<f32>(source1[at]); }
        default: { return vec4<f32>(source2[at]); }
    }
}

fn store(at: u32, value: vec4<f32>) {
    result[at] = narrowed(value);
}

// Where the channels of a pixel of the field begin in a source, which may lie around what was computed: there stands what air gives,
// and around the field zeros, for which this is negative.
fn channels_at(source: Source, field_y: i32, field_x: i32) -> i32 {
    let y = field_y - i32(source.y);
    let x = field_x - i32(source.x);
    // Without branches: a browser's software adapter compiles many times as long for every further one within a loop.
    let computed = (y >= 0) & (x >= 0) & (y < i32(source.height)) & (x < i32(source.width));
    let begin = (y * i32(source.width) + x) * i32(source.c4);
    let rows = (field_y >= 0) & (field_y < i32(source.field_height));
    let columns = (field_x >= 0) & (field_x < i32(source.field_width));
    let air = i32(source.air) + (field_y * i32(source.field_width) + field_x) * i32(source.c4);
    return select(select(-1, air, rows & columns), begin, computed);
}

// Where the result of a slice begins.
fn slice_at(slice: u32) -> u32 {
    return slice * layer.pixels * layer.n4;
}

// Where the sum of a pixel and a group of channels goes, within its slice.
fn place(pixel: u32, n: u32) -> u32 {
    if (layer.flags & SCATTER) == 0u {
        return pixel * layer.out_c4 + n;
    }
    let corner = n / layer.out_c4;
    let y = 2u * (pixel / layer.columns) + corner / 2u;
    let x = 2u * (pixel % layer.columns) + corner % 2u;
    return (y * 2u * layer.columns + x) * layer.out_c4 + n % layer.out_c4;
}

// Bias, residual and ReLU.
fn finished(sum: vec4<f32>, slice: u32, pixel: u32, n: u32) -> vec4<f32> {
    var value = sum + weight(layer.bias_row * layer.n4 + n);
    if (layer.flags & SAME) != 0u {
        value += vec4<f32>(residual[slice_at(slice) + place(pixel, n)]);
    } else if (layer.flags & RESIDUAL) != 0u {
        let y = i32(layer.y + pixel / layer.columns);
        let x = i32(layer.x + pixel % layer.columns);
        value += vec4<f32>(residual[u32(max(channels_at(layer.source[3], y, x), 0)) + n]);
    }
    if (layer.flags & RELU) != 0u {
        // Not `max`, which may make a number of what is none.
        value = select(value, vec4<f32>(), value < vec4<f32>());
    }
    return value;
}
