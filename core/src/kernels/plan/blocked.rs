//! How feature maps lie in memory: blocks of sixteen channels, pixel after pixel, with a border of zeros.
//!
//! Sixteen numbers are the longest vector that any processor has, and a whole number of every shorter one, so that one layout
//! serves all of them. The distance of two neighbours is the same in every layer, which makes constants of the offsets in the
//! innermost loop, and the border of one pixel makes it free of special cases.

/// Channels of a block.
pub const BLOCK: usize = 16;
/// Pixels around a map: what a 3x3 kernel takes from beyond the edge.
pub const BORDER: usize = 1;

/// Channels and size of feature maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Channels that mean something; the last block is filled up.
    pub channels: usize,
    /// Rows and columns, without the border.
    pub size: [usize; 2],
}

impl Shape {
    /// Blocks of channels.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    /// Numbers in a row of a block, with the border.
    pub fn pitch(&self) -> usize {
        (self.size[1] + 2 * BORDER) * BLOCK
    }

    /// Numbers in a block, with the border.
    pub fn block_len(&self) -> usize {
        (self.size[0] + 2 * BORDER) * self.pitch()
    }

    /// Numbers in all.
    pub fn len(&self) -> usize {
        self.blocks() * self.block_len()
    }
}

/// A part of some maps: where in memory its rows are.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Channels, and rows and columns of the part.
    pub shape: Shape,
    /// Numbers from a row to the next.
    pub pitch: usize,
    /// Numbers from a block to the next.
    pub block_len: usize,
    /// Numbers before the corner of the part's border.
    pub start: usize,
}

impl Part {
    /// All of some maps.
    pub fn whole(shape: Shape) -> Self {
        Self { shape, pitch: shape.pitch(), block_len: shape.block_len(), start: 0 }
    }

    /// `size` rows and columns of some maps, from row and column `first`.
    pub fn of(maps: Shape, first: [usize; 2], size: [usize; 2]) -> Self {
        let whole = Self::whole(maps);
        let start = first[0] * whole.pitch + first[1] * BLOCK;
        Self { shape: Shape { size, ..maps }, start, ..whole }
    }

    /// Numbers of a block that hold the inner rows, counted from the block's beginning: each row begins with its left border.
    pub fn inner_rows(&self) -> std::ops::Range<usize> {
        let first = self.start + BORDER * self.pitch;
        first..(self.start / self.pitch + BORDER + self.shape.size[0]) * self.pitch
    }
}

/// Feature maps, or a part of some, that are read.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    /// What is read of them.
    pub part: Part,
    /// All of the memory: `[blocks, rows + 2, columns + 2, 16]`.
    pub values: &'a [f32],
}

impl<'a> Maps<'a> {
    /// All of some maps.
    pub fn whole(shape: Shape, values: &'a [f32]) -> Self {
        Self { part: Part::whole(shape), values }
    }

    /// No maps.
    pub const fn nothing() -> Self {
        let shape = Shape { channels: 0, size: [0; 2] };
        Self { part: Part { shape, pitch: 0, block_len: 0, start: 0 }, values: &[] }
    }

    /// A row of a block, counted from the upper border, with its borders.
    pub fn row(&self, block: usize, row: usize) -> &'a [f32] {
        let Part { shape, pitch, block_len, start } = self.part;
        &self.values[start + block * block_len + row * pitch..][..shape.pitch()]
    }
}

/// Planes `[channels, rows, columns]` into blocks; what lies in the border and in channels past the last is not touched.
pub fn from_planes(part: Part, planes: &[f32], to: &mut [f32]) {
    let [rows, columns] = part.shape.size;
    for (channel, plane) in planes.chunks_exact(rows * columns).enumerate() {
        let block = &mut to[channel / BLOCK * part.block_len..][..part.block_len][part.inner_rows()];
        for (row, values) in plane.chunks_exact(columns).enumerate() {
            let pixels = block[row * part.pitch..][..(columns + BORDER) * BLOCK].as_chunks_mut::<BLOCK>().0;
            for (pixel, value) in pixels[BORDER..].iter_mut().zip(values) {
                pixel[channel % BLOCK] = *value;
            }
        }
    }
}

/// Writes what lies around a part, in all the memory that it lies in: what `around` has there (other maps of the same row length, from
/// a row and a column of theirs on), or zeros.
pub fn surround(maps: Shape, part: Part, to: &mut [f32], around: Option<(Maps<'_>, [usize; 2])>) {
    let pitch = maps.pitch();
    let inner = part.inner_rows();
    let (first, left) = (inner.start / pitch, inner.start % pitch + BORDER * BLOCK);
    let right = left + part.shape.size[1] * BLOCK;
    for (block, to) in to.chunks_exact_mut(maps.block_len()).enumerate() {
        for (row, to) in to.chunks_exact_mut(pitch).enumerate() {
            let from = around.map(|(maps, [y, x])| &maps.row(block, y + row)[x * BLOCK..][..pitch]);
            let within = (first..first + part.shape.size[0]).contains(&row);
            for part in if within { [0..left, right..pitch] } else { [0..pitch, 0..0] } {
                match from {
                    Some(from) => to[part.clone()].copy_from_slice(&from[part]),
                    None => to[part].fill(0.0),
                }
            }
        }
    }
}

/// The same way back.
#[cfg(test)]
pub fn to_planes(maps: Maps<'_>) -> Vec<f32> {
    let mut planes = vec![0.0; maps.part.shape.channels * maps.part.shape.size[0] * maps.part.shape.size[1]];
    write_planes(maps, &mut planes);
    planes
}

/// The same way back, into `[channels, rows, columns]`.
#[cfg(not(target_family = "wasm"))]
pub fn write_planes(maps: Maps<'_>, planes: &mut [f32]) {
    let [rows, columns] = maps.part.shape.size;
    for (channel, plane) in planes.chunks_exact_mut(rows * columns).enumerate() {
        for (row, values) in plane.chunks_exact_mut(columns).enumerate() {
            let pixels = maps.row(channel / BLOCK, row + BORDER).as_chunks::<BLOCK>().0;
            for (value, pixel) in values.iter_mut().zip(&pixels[BORDER..]) {
                *value = pixel[channel % BLOCK];
            }
        }
    }
}
