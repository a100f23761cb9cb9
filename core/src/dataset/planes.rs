//! Pixels of a prepared case: in memory, or in a file that is mapped there.

use std::ops::{Index, Range};
use std::sync::Arc;

use bytemuck::AnyBitPattern;

/// The bytes of a file, whoever holds them.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Slices of equally many pixels, one after the other.
#[derive(Clone)]
pub struct Planes<T> {
    pixels: usize,
    held: Held<T>,
}

#[derive(Clone)]
enum Held<T> {
    Memory(Arc<[T]>),
    /// Checked: the range lies in the bytes, and they are values of T in the order of this processor.
    File(Bytes, Range<usize>),
}

impl<T: AnyBitPattern> Planes<T> {
    /// Slices of `pixels` each.
    pub fn new(pixels: usize, values: Vec<T>) -> Self {
        Self { pixels, held: Held::Memory(values.into()) }
    }

    /// Slices of `pixels` each that stay where they are, in little endian. `None` where they cannot be used there.
    pub fn in_file(pixels: usize, bytes: Bytes, range: Range<usize>) -> Option<Self> {
        let values: &[T] = bytemuck::try_cast_slice((*bytes).as_ref().get(range.clone())?).ok()?;
        let usable = cfg!(target_endian = "little") && values.len().is_multiple_of(pixels.max(1));
        usable.then(|| Self { pixels, held: Held::File(bytes.clone(), range) })
    }

    /// All slices in a row.
    pub fn all(&self) -> &[T] {
        match &self.held {
            Held::Memory(values) => values,
            Held::File(bytes, range) => bytemuck::cast_slice(&(**bytes).as_ref()[range.clone()]),
        }
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.all().len() / self.pixels.max(1)
    }

    /// Whether there is no slice.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Pixels of a slice.
    pub fn pixels(&self) -> usize {
        self.pixels
    }
}

impl<T: AnyBitPattern> Index<usize> for Planes<T> {
    type Output = [T];

    fn index(&self, slice: usize) -> &[T] {
        &self.all()[slice * self.pixels..][..self.pixels]
    }
}

impl<T: AnyBitPattern> Default for Planes<T> {
    fn default() -> Self {
        Self::new(0, Vec::new())
    }
}

impl<T: AnyBitPattern> std::fmt::Debug for Planes<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} slices of {} pixels", self.len(), self.pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_in_a_file_are_those_in_memory() {
        let values: Vec<i16> = (-6..6).collect();
        let memory = Planes::new(4, values.clone());
        // In a vector of i16, so that the bytes begin where such a value may.
        struct Owned(Vec<i16>);
        impl AsRef<[u8]> for Owned {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        let bytes: Bytes = Arc::new(Owned([&[7, 7], &values[..]].concat()));
        let file = Planes::<i16>::in_file(4, bytes.clone(), 4..28).unwrap();
        assert_eq!((file.len(), memory.len(), &file[2], &memory[2]), (3, 3, &values[8..], &values[8..]));
        for range in [4..30, 4..26, 5..29, 3..27] {
            assert!(Planes::<i16>::in_file(4, bytes.clone(), range).is_none());
        }
    }
}
