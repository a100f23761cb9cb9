//! A byte for every voxel, which knows what has changed since it was last drawn.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::packed_slice::PackedSlice;
use super::slices::ByteSlices;

/// A volume of bytes by axial slices, `[ny, nx]` each, with a revision for every slice: whoever draws it keeps the
/// revisions that it has drawn and uploads only what differs. The slices are packed, and shared with whoever takes them
/// ([`Self::share`]); those that were worked on last lie open beside them.
#[derive(Debug)]
pub struct ByteLayer {
    id: u64,
    size: [usize; 3],
    slices: Vec<Arc<PackedSlice>>,
    /// Slices that were worked on last, the latest at the end, by number; what is packed of them is out of date.
    open: Vec<(usize, Vec<u8>)>,
    revisions: Vec<u64>,
    last: u64,
    /// Whether it was zero when it was made.
    was_zero: bool,
}

/// Slices that lie open at most: as many as a brush touches.
const OPEN: usize = 32;

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
            open: self.open.clone(),
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
        Self::with(ByteSlices::filled(byte, nx * ny, nz), [nx, ny, nz], byte == 0)
    }

    /// Of these slices; `None` where they are not those of the size.
    pub fn from_slices(size: [usize; 3], slices: &ByteSlices) -> Option<Self> {
        let [nx, ny, nz] = size;
        let all = slices.slices();
        let fits = all.len() == nz && all.iter().all(|slice| slice.len() == nx * ny);
        fits.then(|| Self::with(slices.clone(), size, false))
    }

    fn with(slices: ByteSlices, size: [usize; 3], was_zero: bool) -> Self {
        let (slices, revisions) = (slices.slices().to_vec(), vec![0; size[2]]);
        Self { id: next_id(), size, slices, open: Vec::new(), revisions, last: 0, was_zero }
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
        let mut slices = self.slices.clone();
        self.open.iter().for_each(|(k, open)| slices[*k] = Arc::new(PackedSlice::of(open)));
        ByteSlices::new(slices)
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
    pub fn slice(&self, k: usize) -> Cow<'_, [u8]> {
        match (self.open_slice(k), self.slices.get(k)) {
            (Some(open), _) => Cow::Borrowed(open),
            (None, Some(packed)) => Cow::Owned(packed.to_vec()),
            (None, None) => Cow::default(),
        }
    }

    fn open_slice(&self, k: usize) -> Option<&[u8]> {
        self.open.iter().find(|(open, _)| *open == k).map(|(_, slice)| slice.as_slice())
    }

    /// Slice k is about to be worked on: what is read and changed of it is not unpacked each time.
    pub fn open(&mut self, k: usize) {
        if k >= self.slices.len() || self.open.last().is_some_and(|(last, _)| *last == k) {
            return;
        }
        let slice = match self.open.iter().position(|(open, _)| *open == k) {
            Some(n) => self.open.remove(n).1,
            None => self.slices[k].to_vec(),
        };
        if self.open.len() == OPEN {
            let (oldest, slice) = self.open.remove(0);
            self.slices[oldest] = Arc::new(PackedSlice::of(&slice));
        }
        self.open.push((k, slice));
    }

    /// Slice k to be changed: it counts as changed.
    pub fn slice_mut(&mut self, k: usize) -> &mut [u8] {
        if let Some(revision) = self.revisions.get_mut(k) {
            self.last += 1;
            *revision = self.last;
        }
        self.open(k);
        self.open.last_mut().filter(|(open, _)| *open == k).map(|(_, slice)| slice.as_mut_slice()).unwrap_or_default()
    }

    /// The byte at a voxel; 0 outside.
    pub fn get(&self, [i, j, k]: [usize; 3]) -> u8 {
        let [nx, ny, nz] = self.size;
        if i >= nx || j >= ny || k >= nz {
            return 0;
        }
        self.open_slice(k).map_or_else(|| self.slices[k].get(i + nx * j), |open| open[i + nx * j])
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
    fn however_many_slices_are_worked_on_each_keeps_what_was_done_to_it() {
        let mut layer = ByteLayer::new([4, 5, 3 * OPEN]);
        for round in 1..4u8 {
            for k in (0..3 * OPEN).filter(|k| k % usize::from(round) == 0) {
                layer.slice_mut(k)[k % 20] += round;
            }
        }
        assert_eq!(layer.open.len(), OPEN);
        for k in 0..3 * OPEN {
            let sum = (1..4).filter(|round| k % round == 0).sum::<usize>() as u8;
            let expected: Vec<u8> = (0..20).map(|n| if n == k % 20 { sum } else { 0 }).collect();
            assert_eq!((layer.slice(k).as_ref(), layer.share().slice(k)), (&expected[..], expected.clone()));
            assert_eq!(layer.get([k % 4, k % 20 / 4, k]), expected[k % 20]);
        }
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
        assert_eq!(*layer.slice(1), [9, 5, 5, 5]);
        assert!(ByteLayer::from_slices([2, 2, 2], &shared).is_none());
        assert_ne!(layer.id(), layer.clone().id());
    }
}
