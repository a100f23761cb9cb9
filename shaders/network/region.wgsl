// The end of the region branch: mean over the field, three fully connected layers, softmax and sigmoid; and what each class is
// weighed with.

struct Region {
    // Columns and rows of the box, where it lies in the field, and the field's columns and rows.
    width: u32,
    height: u32,
    field_x: u32,
    field_y: u32,
    field_width: u32,
    field_height: u32,
    // Where air's maps begin.
    air: u32,
    channels: u32,
    // Outputs of the shared layer.
    shared_outputs: u32,
    regions: u32,
    organs: u32,
    unused0: u32,
}

const MOST = 256u;

@group(0) @binding(0) var<uniform> region: Region;
// Of each layer [output][input] and the bias; then of each organ scale and offset of its attention.
@group(0) @binding(1) var<storage, read> weights: array<f32>;
// [row][column][channel], channels filled up to a multiple of four.
@group(0) @binding(2) var<storage, read> maps: array<Number>;
// Region probabilities, from 8 on attention, from 64 on the weights of the classes.
@group(0) @binding(3) var<storage, read_write> answer: array<f32>;

var<workgroup> parts: array<f32, 256>;
var<workgroup> pooled: array<f32, 256>;
var<workgroup> hidden: array<f32, 256>;
var<workgroup> logits: array<f32, 8>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    let pitch = (region.channels + 3u) / 4u * 4u;
    // As many threads to a channel as there are, each with every so-manieth pixel of the field.
    let threads = MOST / region.channels;
    let channel = local % region.channels;
    let thread = local / region.channels;
    var sum = 0.0;
    if thread < threads {
        for (var pixel = thread; pixel < region.field_width * region.field_height; pixel += threads) {
            let y = pixel / region.field_width;
            let x = pixel % region.field_width;
            // Left of the box, or above it, this wraps to something large.
            let box_y = y - region.field_y;
            let box_x = x - region.field_x;
            var at = region.air + pixel * pitch;
            if box_y < region.height && box_x < region.width {
                at = (box_y * region.width + box_x) * pitch;
            }
            sum += f32(maps[at + channel]);
        }
    }
    parts[local] = sum;
    workgroupBarrier();
    if local < region.channels {
        sum = 0.0;
        for (var n = 0u; n < threads; n++) {
            sum += parts[n * region.channels + local];
        }
        pooled[local] = sum / f32(region.field_width * region.field_height);
    }
    workgroupBarrier();
    var at = 0u;
    if local < region.shared_outputs {
        sum = weights[region.shared_outputs * region.channels + local];
        for (var n = 0u; n < region.channels; n++) {
            sum += weights[local * region.channels + n] * pooled[n];
        }
        hidden[local] = select(sum, 0.0, sum < 0.0);
    }
    workgroupBarrier();
    at = region.shared_outputs * (region.channels + 1u);
    if local < region.regions {
        sum = weights[at + region.regions * region.shared_outputs + local];
        for (var n = 0u; n < region.shared_outputs; n++) {
            sum += weights[at + local * region.shared_outputs + n] * hidden[n];
        }
        logits[local] = sum;
    }
    at += region.regions * (region.shared_outputs + 1u);
    if local < region.organs {
        let line = at + region.organs * (region.shared_outputs + 1u);
        sum = weights[at + region.organs * region.shared_outputs + local];
        for (var n = 0u; n < region.shared_outputs; n++) {
            sum += weights[at + local * region.shared_outputs + n] * hidden[n];
        }
        let attention = weights[line + local] / (1.0 + exp(-sum)) + weights[line + region.organs + local];
        answer[8u + local] = attention;
        answer[65u + local] = attention + 1e-6;
    }
    if local == 0u {
        answer[64] = 1.0;
    }
    workgroupBarrier();
    if local < region.regions {
        var largest = logits[0];
        for (var n = 1u; n < region.regions; n++) {
            largest = max(largest, logits[n]);
        }
        sum = 0.0;
        for (var n = 0u; n < region.regions; n++) {
            sum += exp(logits[n] - largest);
        }
        answer[local] = exp(logits[local] - largest) / sum;
    }
}
