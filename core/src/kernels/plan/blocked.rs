//! How feature maps lie in memory: blocks of sixteen channels, pixel after pixel, with a border of zeros.
//!
//! Sixteen numbers are the longest vector that any processor has, and a whole number of every shorter one, so that one layout
//! serves all of them. The distance of two neighbours is the same in every layer, which makes constants of the offsets in the
//! innermost loop, and the border of one pixel makes it free of special cases.

/// Channels of a block.
pub const BLOCK: usize = 16;
/// Pixels of zeros around a map: what a 3x3 kernel takes from beyond the edge.
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

/// Feature maps that are read.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    /// Their shape.
    pub shape: Shape,
    /// `[blocks, rows + 2, columns + 2, 16]`.
    pub values: &'a [f32],
}

impl<'a> Maps<'a> {
    /// A row of a block, counted from the upper border, with its borders.
    pub fn row(&self, block: usize, row: usize) -> &'a [f32] {
        let pitch = self.shape.pitch();
        &self.values[block * self.shape.block_len() + row * pitch..][..pitch]
    }
}

/// Planes `[channels, rows, columns]` into blocks; what lies in the border and in channels past the last is not touched.
pub fn from_planes(shape: Shape, planes: &[f32], to: &mut [f32]) {
    let [rows, columns] = shape.size;
    for (channel, plane) in planes.chunks_exact(rows * columns).enumerate() {
        let block = &mut to[channel / BLOCK * shape.block_len()..][..shape.block_len()];
        for (row, values) in plane.chunks_exact(columns).enumerate() {
            let pixels = block[(row + BORDER) * shape.pitch()..][..shape.pitch()].as_chunks_mut::<BLOCK>().0;
            for (pixel, value) in pixels[BORDER..].iter_mut().zip(values) {
                pixel[channel % BLOCK] = *value;
            }
        }
    }
}

/// The same way back.
#[cfg(test)]
pub fn to_planes(maps: Maps<'_>) -> Vec<f32> {
    let Shape { channels, size: [rows, columns] } = maps.shape;
    let mut planes = Vec::with_capacity(channels * rows * columns);
    for channel in 0..channels {
        for row in 0..rows {
            let pixels = maps.row(channel / BLOCK, row + BORDER).as_chunks::<BLOCK>().0;
            planes.extend(pixels[BORDER..][..columns].iter().map(|pixel| pixel[channel % BLOCK]));
        }
    }
    planes
}
