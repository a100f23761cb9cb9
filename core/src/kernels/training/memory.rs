//! Feature maps of a whole batch, and the memory that they take turns in.

use crate::kernels::plan::blocked::{BLOCK, BORDER, Maps, Part, Shape, surround};

/// Sixteen channels of a pixel.
pub type Pixel = [f32; BLOCK];

/// Feature maps of every slice of a batch, with borders of zeros.
#[derive(Debug)]
pub struct BatchMaps {
    /// Of one slice.
    pub shape: Shape,
    /// `[B, blocks, rows + 2, columns + 2, 16]`.
    values: Vec<f32>,
}

impl BatchMaps {
    /// How many slices the batch has.
    pub fn count(&self) -> usize {
        self.values.len() / self.shape.len()
    }

    /// The maps of a slice.
    pub fn slice(&self, n: usize) -> Maps<'_> {
        let len = self.shape.len();
        Maps::whole(self.shape, &self.values[n * len..][..len])
    }

    /// The maps of every slice, to be written.
    pub fn parts(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.shape.len())
    }
}

/// The pixels of every row, without the borders: block after block.
pub fn rows(shape: Shape, values: &[f32]) -> impl Iterator<Item = &[Pixel]> {
    let [height, width] = shape.size;
    values.chunks_exact(shape.block_len()).flat_map(move |block| {
        let rows = block.chunks_exact(shape.pitch()).skip(BORDER).take(height);
        rows.map(move |row| &row.as_chunks().0[BORDER..][..width])
    })
}

/// The same, to be written.
pub fn rows_mut(shape: Shape, values: &mut [f32]) -> impl Iterator<Item = &mut [Pixel]> {
    let [height, width] = shape.size;
    values.chunks_exact_mut(shape.block_len()).flat_map(move |block| {
        let rows = block.chunks_exact_mut(shape.pitch()).skip(BORDER).take(height);
        rows.map(move |row| &mut row.as_chunks_mut().0[BORDER..][..width])
    })
}

/// Maps that nobody uses at present.
#[derive(Debug, Default)]
pub struct Memory {
    free: Vec<BatchMaps>,
}

impl Memory {
    /// Maps whose borders, and channels past the last, are zero; the rest is to be written.
    pub fn take(&mut self, shape: Shape, count: usize) -> BatchMaps {
        let len = count * shape.len();
        let fits = |maps: &BatchMaps| maps.shape == shape && maps.values.len() == len;
        if let Some(n) = self.free.iter().position(fits) {
            return self.free.swap_remove(n);
        }
        // Of a batch of another size: the smallest that is large enough.
        let capacity = |n: &usize| self.free[*n].values.capacity();
        let large = (0..self.free.len()).filter(|n| capacity(n) >= len).min_by_key(capacity);
        let Some(n) = large else {
            // It would only be kept beside the larger one.
            if let Some(n) = (0..self.free.len()).max_by_key(capacity) {
                self.free.swap_remove(n);
            }
            return BatchMaps { shape, values: vec![0.0; len] };
        };
        let mut maps = self.free.swap_remove(n);
        maps.shape = shape;
        maps.values.resize(len, 0.0);
        maps.values.chunks_exact_mut(shape.len()).for_each(|slice| clear(shape, slice));
        maps
    }

    /// Takes maps back.
    pub fn give(&mut self, maps: BatchMaps) {
        self.free.push(maps);
    }
}

/// Zeros the border, and a block in which channels are missing.
fn clear(shape: Shape, slice: &mut [f32]) {
    surround(shape, Part::whole(shape), slice, None);
    if !shape.channels.is_multiple_of(BLOCK) {
        let last = slice.len() - shape.block_len();
        slice[last..].fill(0.0);
    }
}
