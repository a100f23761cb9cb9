//! Weights in the order in which the kernels read them.

use attention_anatomy_shaders::network::SPARE_ROWS;

use crate::anatomy::CLASS_COUNT;
use crate::kernels::plan::head::Head;
use crate::kernels::plan::layout::Sum;
use crate::kernels::plan::region::RegionLayers;

/// Numbers of a vector.
pub(super) const LANES: usize = 4;
/// Classes, filled up to whole vectors, and room for two words.
pub(super) const CLASS_PITCH: usize = 36;

/// Weights of a convolution: rows of sums, one for each channel under each tap, some of zeros, the bias.
pub(super) struct Packed {
    pub values: Vec<f32>,
    /// Sums of a pixel in groups of four.
    pub n4: usize,
    /// Channels of the output in groups of four.
    pub out_c4: usize,
    /// Steps of sixteen channels under one tap.
    pub chunks: usize,
    /// The bias's row.
    pub bias_row: usize,
}

/// `[source][tap][channel][sum]`, channels and sums filled up to groups of four with zeros.
pub(super) fn pack(sum: &Sum) -> Packed {
    let outputs = sum.bias.len();
    let out_pitch = outputs.next_multiple_of(LANES);
    // A transposed convolution is one of one pixel to four times as many channels, each going to a corner of its own.
    let corners = if sum.transposed { 4 } else { 1 };
    let width = corners * out_pitch;
    let mut values = Vec::new();
    let mut chunks = 0;
    for taps in &sum.taps {
        let channels = taps.channels[0].next_multiple_of(LANES);
        let kernel = if sum.transposed { 1 } else { taps.kernel };
        chunks += kernel * kernel * channels.div_ceil(4 * LANES);
        for tap in 0..kernel * kernel {
            for input in 0..channels {
                let mut row = vec![0.0; width];
                if input < taps.channels[0] {
                    for corner in 0..corners {
                        let [y, x] =
                            if sum.transposed { [corner / 2, corner % 2] } else { [tap / kernel, tap % kernel] };
                        for out in 0..outputs {
                            row[corner * out_pitch + out] = taps.at(out, input, y, x);
                        }
                    }
                }
                values.extend(row);
            }
        }
    }
    values.resize(values.len() + SPARE_ROWS * width, 0.0);
    let bias_row = values.len() / width;
    for _ in 0..corners {
        values.extend_from_slice(&sum.bias);
        values.resize(values.len() + out_pitch - outputs, 0.0);
    }
    // A tile reads whole rows of its own, wider ones than these at the end.
    values.resize(values.len() + 64, 0.0);
    Packed { values, n4: width / LANES, out_c4: out_pitch / LANES, chunks, bias_row }
}

/// The head: `[channel][36]`, channels filled up, and the bias; what is no class has neither.
pub(super) fn pack_head(head: &Head) -> Vec<f32> {
    let (channels, weight, bias) = head.parameters();
    let mut values = vec![0.0; (channels.next_multiple_of(LANES) + 1) * CLASS_PITCH];
    for class in 0..CLASS_COUNT {
        for channel in 0..channels {
            values[channel * CLASS_PITCH + class] = weight[class * channels + channel];
        }
        let last = values.len() - CLASS_PITCH;
        values[last + class] = bias[class];
    }
    values
}

/// The region branch's layers, one behind the other.
pub(super) fn pack_region(region: &RegionLayers) -> Vec<f32> {
    region.parameters().into_iter().flatten().copied().collect()
}
