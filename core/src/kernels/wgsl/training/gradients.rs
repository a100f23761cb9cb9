//! Gradients by weights, and all gradients on their way to the host.

use attention_anatomy_shaders::network::{Kernel, ProductTiles};

use super::memory::{BatchMaps, Room};
use super::work::{VECTOR, Work};
use crate::kernels::training::Gradients;
use crate::kernels::wgsl::gpu::GpuError;
use crate::kernels::wgsl::weights::LANES;

/// Positions that a part adds up at most: single precision counts so far with an error that nobody sees.
const MOST_EACH: usize = 4096;
/// Positions that a part has at least: less would be all reading and writing.
const LEAST_EACH: usize = 256;
/// Memory that parts may take at most.
const MOST_BYTES: u64 = 64 << 20;
/// Parts at most: what a dimension of workgroups takes.
const MOST_PARTS: usize = 65_535;

/// The gradient by the weights of a convolution of `maps` (in place of their concatenation) whose output has the gradient `by`:
/// `[maps][tap][channel][output]`, channels and outputs filled up to groups of four. `kernel` and `stride` are those of a
/// [`Term`](super::sums::Term).
pub fn by_weights(maps: &[&BatchMaps], by: &BatchMaps, [kernel, stride]: [usize; 2], work: &mut Work) -> Room {
    let taps = kernel * kernel;
    let all_m4: usize = maps.iter().map(|maps| taps * maps.c4()).sum();
    let vectors = LANES * all_m4 * by.c4();
    let tiles = if by.c4() <= ProductTiles::TALL.outputs4 as usize { ProductTiles::TALL } else { ProductTiles::BROAD };
    let [rows4, outputs4] = [tiles.rows4, tiles.outputs4].map(|n| n as usize);
    let in_tiles = |m4: usize| [m4.div_ceil(rows4), by.c4().div_ceil(outputs4)];
    let [across, down] = in_tiles(all_m4);
    let positions = by.positions();
    let most = (MOST_BYTES / (vectors as u64 * VECTOR)).max(1) as usize;
    let busy = (work.gpu.tuning().busy() as usize).div_ceil(across * down).min(positions / LEAST_EACH).min(most);
    let parts = busy.max(positions.div_ceil(MOST_EACH)).clamp(1, MOST_PARTS);
    let each = positions.div_ceil(parts);
    let parts = positions.div_ceil(each);
    let found = work.room(parts * vectors);
    let [rows, columns] = by.size;
    let mut first = 0;
    for maps in maps {
        let m4 = taps * maps.c4();
        let [height, width] = maps.size;
        let words = [
            columns,
            rows,
            positions,
            each,
            by.c4(),
            m4,
            first,
            all_m4,
            maps.c4(),
            width,
            height,
            kernel,
            stride,
            0,
            0,
            0,
        ];
        let [across, down] = in_tiles(m4);
        let buffers = [&maps.room, &by.room, &found];
        work.run(Kernel::WeightGradient(tiles), &words, &buffers, [across, down, parts]);
        first += m4;
    }
    if parts == 1 {
        return found;
    }
    let result = work.room(vectors);
    work.run(Kernel::AddGradients, &[vectors, parts, 0, 0], &[&found, &result], [vectors.div_ceil(64), 1, 1]);
    result
}

/// How the numbers of a gradient lie on the device.
#[derive(Debug)]
enum Form {
    /// One after the other, from one on.
    Plain(usize),
    /// Weights of a convolution, to become `[outputs, inputs, taps]` or, turned, `[inputs, outputs, taps]`.
    Weights { inputs: Vec<usize>, outputs: usize, taps: usize, turned: bool },
}

/// A gradient that was found.
#[derive(Debug)]
struct Found {
    name: String,
    room: std::sync::Arc<Room>,
    count: usize,
    form: Form,
}

/// Gradients that were found in a pass.
#[derive(Debug, Default)]
pub struct OnDevice(Vec<Found>);

impl OnDevice {
    /// Numbers of `room` from one on.
    pub fn plain(&mut self, name: String, room: &std::sync::Arc<Room>, from: usize, count: usize) {
        self.0.push(Found { name, room: room.clone(), count: from + count, form: Form::Plain(from) });
    }

    /// What [`by_weights`] gave. `turned`: the parameter's first axis is what was the maps' channels.
    pub fn weights(&mut self, name: String, room: Room, inputs: &[usize], outputs: usize, taps: usize, turned: bool) {
        let rows: usize = inputs.iter().map(|n| taps * n.next_multiple_of(LANES)).sum();
        let count = rows * outputs.next_multiple_of(LANES);
        let form = Form::Weights { inputs: inputs.to_vec(), outputs, taps, turned };
        self.0.push(Found { name, room: room.into(), count, form });
    }

    /// Adds all of them to what is there.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub fn read(self, work: &mut Work, to: &mut Gradients) -> Result<(), GpuError> {
        let wanted: Vec<(&Room, usize)> = self.0.iter().map(|found| (&*found.room, found.count)).collect();
        let values = work.read(&wanted)?;
        for (Found { name, form, .. }, values) in self.0.into_iter().zip(values) {
            let values = match form {
                Form::Plain(from) => values[from..].to_vec(),
                Form::Weights { inputs, outputs, taps, turned } => unpacked(&values, &inputs, outputs, taps, turned),
            };
            match to.entry(name) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(values);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    entry.get_mut().iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
            }
        }
        Ok(())
    }
}

/// From `[maps][tap][channel][output]` to the order of the parameters.
fn unpacked(values: &[f32], inputs: &[usize], outputs: usize, taps: usize, turned: bool) -> Vec<f32> {
    let all: usize = inputs.iter().sum();
    let mut result = vec![0.0; all * outputs * taps];
    let mut rows = values.chunks_exact(outputs.next_multiple_of(LANES));
    let mut first = 0;
    for &count in inputs {
        for tap in 0..taps {
            for channel in 0..count.next_multiple_of(LANES) {
                let Some(row) = rows.next().filter(|_| channel < count) else { continue };
                for (output, value) in row[..outputs].iter().enumerate() {
                    let at = match turned {
                        false => output * all + first + channel,
                        true => (first + channel) * outputs + output,
                    };
                    result[at * taps + tap] = *value;
                }
            }
        }
        first += count;
    }
    result
}
