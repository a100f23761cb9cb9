//! A volume of bytes that is packed and shared, slice by slice: taking it costs a pointer for each slice, however large it is, and
//! whoever changes a slice copies that one alone.

use std::sync::Arc;

use super::packed_slice::PackedSlice;

/// Axial slices of bytes, `[ny, nx]` each, from inferior to superior.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteSlices(Vec<Arc<PackedSlice>>);

impl ByteSlices {
    /// These slices, all of one length.
    pub fn new(slices: Vec<Arc<PackedSlice>>) -> Self {
        Self(slices)
    }

    /// Cuts a volume in canonical order into slices of `area` voxels; none where there are no voxels.
    pub fn cut(voxels: &[u8], area: usize) -> Self {
        Self(voxels.chunks_exact(area.max(1)).map(|slice| Arc::new(PackedSlice::of(slice))).collect())
    }

    /// The same byte in all of `count` slices of `area` voxels.
    pub fn filled(byte: u8, area: usize, count: usize) -> Self {
        let slice = Arc::new(PackedSlice::of(&vec![byte; area]));
        Self(vec![slice; count])
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.0.iter().map(|slice| slice.len()).sum()
    }

    /// What they take in memory, each as if it were not shared.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|slice| slice.bytes()).sum()
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slices.
    pub fn slices(&self) -> &[Arc<PackedSlice>] {
        &self.0
    }

    /// Slice k, unpacked; empty outside the volume.
    pub fn slice(&self, k: usize) -> Vec<u8> {
        self.0.get(k).map_or(Vec::new(), |slice| slice.to_vec())
    }

    /// All voxels in canonical order, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut voxels = Vec::with_capacity(self.len());
        self.0.iter().for_each(|slice| slice.append_to(&mut voxels));
        voxels
    }
}
