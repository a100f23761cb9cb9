//! Gradients by weights.

use attention_anatomy_shaders::network::{Kernel, ProductTiles};

use super::memory::{BatchMaps, Room};
use super::work::{VECTOR, Work};
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
/// [`Term`](super::order::Term).
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
