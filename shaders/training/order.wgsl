// Before the two that follow: how a parameter lies among all of them, and how the kernels of convolutions want it.

struct Order {
    // Numbers: rows, of channels under taps, times the width of one, of corners and outputs.
    count: u32,
    width: u32,
    // Channels of a tap that there are, and with those that fill them up; likewise outputs of a corner.
    channels: u32,
    channel_pitch: u32,
    outputs: u32,
    output_pitch: u32,
    corners: u32,
    // Where the rows begin, and where the parameter does.
    rows_at: u32,
    parameter_at: u32,
    // From channel to channel and from output to output in the parameter.
    of_channel: u32,
    of_output: u32,
    unused0: u32,
    // Of every tap and corner where in the parameter it lies, or -1 where there is none.
    taps: array<vec4<i32>, 4>,
}

@group(0) @binding(0) var<uniform> order: Order;

// Where a number of the rows lies among the parameters; negative where there is none.
fn parameter(number: u32) -> i32 {
    let row = number / order.width;
    let column = number % order.width;
    let channel = row % order.channel_pitch;
    let output = column % order.output_pitch;
    if channel >= order.channels || output >= order.outputs {
        return -1;
    }
    let which = row / order.channel_pitch * order.corners + column / order.output_pitch;
    let tap = order.taps[which / 4u][which % 4u];
    if tap < 0 {
        return -1;
    }
    return i32(order.parameter_at + channel * order.of_channel + output * order.of_output) + tap;
}
