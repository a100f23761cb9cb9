//! A byte for every voxel, which knows what has changed since it was last drawn.

/// A volume of bytes in canonical order, `voxels[i + nx * (j + ny * k)]`, with a revision for every slice: whoever draws
/// it keeps the revisions that it has drawn and uploads only what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteLayer {
    size: [usize; 3],
    voxels: Vec<u8>,
    revisions: Vec<u64>,
    last: u64,
}

impl ByteLayer {
    /// All zero.
    pub fn new(size: [usize; 3]) -> Self {
        Self { size, voxels: vec![0; size.iter().product()], revisions: vec![0; size[2]], last: 0 }
    }

    /// Of these voxels; `None` where their number is not that of the size.
    pub fn from_voxels(size: [usize; 3], voxels: Vec<u8>) -> Option<Self> {
        (voxels.len() == size.iter().product::<usize>()).then(|| Self {
            size,
            voxels,
            revisions: vec![0; size[2]],
            last: 0,
        })
    }

    /// Voxels along i, j, k.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// All voxels.
    pub fn voxels(&self) -> &[u8] {
        &self.voxels
    }

    /// Revision of every slice; 0 for one that was never changed.
    pub fn revisions(&self) -> &[u64] {
        &self.revisions
    }

    /// The number of changes so far: equal numbers, equal contents.
    pub fn revision(&self) -> u64 {
        self.last
    }

    /// Slice k, `[ny, nx]`; empty outside the volume.
    pub fn slice(&self, k: usize) -> &[u8] {
        let area = self.size[0] * self.size[1];
        self.voxels.get(k * area..(k + 1) * area).unwrap_or_default()
    }

    /// Slice k to be changed: it counts as changed.
    pub fn slice_mut(&mut self, k: usize) -> &mut [u8] {
        let area = self.size[0] * self.size[1];
        if let Some(revision) = self.revisions.get_mut(k) {
            self.last += 1;
            *revision = self.last;
        }
        self.voxels.get_mut(k * area..(k + 1) * area).unwrap_or_default()
    }

    /// The byte at a voxel; 0 outside.
    pub fn get(&self, [i, j, k]: [usize; 3]) -> u8 {
        let [nx, ny, nz] = self.size;
        if i < nx && j < ny && k < nz { self.voxels[i + nx * (j + ny * k)] } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slices_that_were_touched_have_a_new_revision() {
        let mut layer = ByteLayer::new([2, 2, 3]);
        layer.slice_mut(1)[3] = 7;
        layer.slice_mut(2)[0] = 8;
        assert_eq!(layer.revisions(), [0, 1, 2]);
        assert_eq!((layer.get([1, 1, 1]), layer.get([0, 0, 2]), layer.get([2, 0, 0])), (7, 8, 0));
        assert!(layer.slice(3).is_empty() && layer.slice_mut(3).is_empty());
        assert_eq!(layer.revision(), 2);
    }
}
