//! A byte for every voxel, which knows what has changed since it was last drawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::slices::ByteSlices;

/// A volume of bytes by axial slices, `[ny, nx]` each, with a revision for every slice: whoever draws it keeps the
/// revisions that it has drawn and uploads only what differs. The slices are shared with whoever takes them
/// ([`Self::share`]) and copied when they change.
#[derive(Debug)]
pub struct ByteLayer {
    id: u64,
    size: [usize; 3],
    slices: Vec<Arc<[u8]>>,
    revisions: Vec<u64>,
    last: u64,
    /// Whether it was zero when it was made.
    was_zero: bool,
}

/// No two layers have the same.
fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl Clone for ByteLayer {
    fn clone(&self) -> Self {
        Self {
            id: next_id(),
            size: self.size,
            slices: self.slices.clone(),
            revisions: self.revisions.clone(),
            last: self.last,
            was_zero: self.was_zero,
        }
    }
}

impl ByteLayer {
    /// All zero.
    pub fn new(size: [usize; 3]) -> Self {
        Self::filled(size, 0)
    }

    /// The same byte everywhere; one slice in memory, however many there are.
    pub fn filled([nx, ny, nz]: [usize; 3], byte: u8) -> Self {
        let slice: Arc<[u8]> = vec![byte; nx * ny].into();
        let (slices, revisions) = (vec![slice; nz], vec![0; nz]);
        Self { id: next_id(), size: [nx, ny, nz], slices, revisions, last: 0, was_zero: byte == 0 }
    }

    /// Of these slices; `None` where they are not those of the size.
    pub fn from_slices(size: [usize; 3], slices: &ByteSlices) -> Option<Self> {
        let [nx, ny, nz] = size;
        let slices = slices.slices();
        let fits = slices.len() == nz && slices.iter().all(|slice| slice.len() == nx * ny);
        let slices = || slices.to_vec();
        fits.then(|| Self { id: next_id(), size, slices: slices(), revisions: vec![0; nz], last: 0, was_zero: false })
    }

    /// Tells this layer from every other one, copies of it included.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Voxels along i, j, k.
    pub fn size(&self) -> [usize; 3] {
        self.size
    }

    /// Number of voxels.
    pub fn voxel_count(&self) -> usize {
        self.size.iter().product()
    }

    /// All slices as they are now, shared.
    pub fn share(&self) -> ByteSlices {
        ByteSlices::new(self.slices.clone())
    }

    /// All voxels in canonical order, `[i + nx * (j + ny * k)]`, copied.
    pub fn voxels(&self) -> Vec<u8> {
        self.share().to_vec()
    }

    /// Revision of every slice; 0 for one that was never changed.
    pub fn revisions(&self) -> &[u64] {
        &self.revisions
    }

    /// Whether slice k is as the layer was made, which was all zero.
    pub fn is_still_zero(&self, k: usize) -> bool {
        self.was_zero && self.revisions.get(k) == Some(&0)
    }

    /// The number of changes so far: equal numbers, equal contents.
    pub fn revision(&self) -> u64 {
        self.last
    }

    /// Slice k, `[ny, nx]`; empty outside the volume.
    pub fn slice(&self, k: usize) -> &[u8] {
        self.slices.get(k).map_or(&[], |slice| slice)
    }

    /// Slice k to be changed: it counts as changed.
    pub fn slice_mut(&mut self, k: usize) -> &mut [u8] {
        if let Some(revision) = self.revisions.get_mut(k) {
            self.last += 1;
            *revision = self.last;
        }
        self.slices.get_mut(k).map(Arc::make_mut).unwrap_or_default()
    }

    /// The byte at a voxel; 0 outside.
    pub fn get(&self, [i, j, k]: [usize; 3]) -> u8 {
        let [nx, ny, nz] = self.size;
        if i < nx && j < ny && k < nz { self.slices[k][i + nx * j] } else { 0 }
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
        assert!(layer.is_still_zero(0) && !layer.is_still_zero(1) && !layer.is_still_zero(3));
        assert!(!ByteLayer::from_slices([2, 2, 3], &layer.share()).unwrap().is_still_zero(0));
        assert!(!ByteLayer::filled([2, 2, 3], 5).is_still_zero(0));
        assert_eq!(layer.revision(), 2);
    }

    #[test]
    fn what_is_shared_stays_as_it_was_and_only_changed_slices_are_copied() {
        let mut layer = ByteLayer::filled([2, 2, 3], 5);
        let shared = layer.share();
        layer.slice_mut(1)[0] = 9;
        assert_eq!(shared.to_vec(), [5; 12]);
        assert_eq!(layer.voxels()[4..8], [9, 5, 5, 5]);
        let same = |k: usize| Arc::ptr_eq(&shared.slices()[k], &layer.share().slices()[k]);
        assert_eq!([same(0), same(1), same(2)], [true, false, true]);
        assert!(ByteLayer::from_slices([2, 2, 2], &shared).is_none());
        assert_ne!(layer.id(), layer.clone().id());
    }
}
