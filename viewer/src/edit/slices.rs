//! A volume of bytes that is shared, slice by slice: taking it costs a pointer for each slice, however large it is, and
//! whoever changes a slice copies that one alone.

use std::sync::Arc;

/// Axial slices of bytes, `[ny, nx]` each, from inferior to superior.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteSlices(Vec<Arc<[u8]>>);

impl ByteSlices {
    /// These slices, all of one length.
    pub fn new(slices: Vec<Arc<[u8]>>) -> Self {
        Self(slices)
    }

    /// Cuts a volume in canonical order into slices of `area` voxels; none where there are no voxels.
    pub fn cut(voxels: &[u8], area: usize) -> Self {
        Self(voxels.chunks_exact(area.max(1)).map(Arc::from).collect())
    }

    /// Number of voxels.
    pub fn len(&self) -> usize {
        self.0.iter().map(|slice| slice.len()).sum()
    }

    /// Whether there is no voxel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The slices.
    pub fn slices(&self) -> &[Arc<[u8]>] {
        &self.0
    }

    /// Slice k; empty outside the volume.
    pub fn slice(&self, k: usize) -> &[u8] {
        self.0.get(k).map_or(&[], |slice| slice)
    }

    /// All voxels in canonical order, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut voxels = Vec::with_capacity(self.len());
        self.0.iter().for_each(|slice| voxels.extend_from_slice(slice));
        voxels
    }
}
