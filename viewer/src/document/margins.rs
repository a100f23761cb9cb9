//! How sure the network is of every voxel of a study.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker::PackedMargin;

/// Margins by axial slice, `[ny, nx]` each, with a revision for every slice, as [`crate::edit::ByteLayer`] has them.
#[derive(Debug)]
pub struct Margins {
    id: u64,
    size: [usize; 3],
    /// `None` where none was set: all is 255.
    slices: Vec<Option<PackedMargin>>,
    revisions: Vec<u64>,
    last: u64,
}

impl Margins {
    /// 255 everywhere.
    pub fn new(size: [usize; 3]) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        Self { id, size, slices: vec![None; size[2]], revisions: vec![0; size[2]], last: 0 }
    }

    /// Tells these from every other ones.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Revision of every slice; 0 for one that was never set.
    pub fn revisions(&self) -> &[u64] {
        &self.revisions
    }

    /// Sets slice k, unless it is of another size: it counts as changed.
    pub fn set(&mut self, k: usize, margin: PackedMargin) {
        if let (Some(slice), Some(revision)) = (self.slices.get_mut(k), self.revisions.get_mut(k))
            && margin.len() == self.size[0] * self.size[1]
        {
            self.last += 1;
            *revision = self.last;
            *slice = Some(margin);
        }
    }

    /// Slice k, `[ny, nx]`; empty outside the volume.
    pub fn slice(&self, k: usize) -> Vec<u8> {
        let area = self.size[0] * self.size[1];
        match self.slices.get(k) {
            None => Vec::new(),
            Some(None) => vec![u8::MAX; area],
            Some(Some(margin)) => margin.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slices_that_were_set_have_a_revision_and_are_kept() {
        let mut margins = Margins::new([2, 2, 3]);
        assert_eq!((margins.slice(1), margins.slice(3)), (vec![255; 4], Vec::new()));
        margins.set(1, PackedMargin::of(&[255, 0, 3, 4]));
        margins.set(2, PackedMargin::of(&[255; 4]));
        margins.set(0, PackedMargin::of(&[1; 3]));
        margins.set(3, PackedMargin::of(&[1; 4]));
        assert_eq!(margins.revisions(), [0, 1, 2]);
        assert_eq!((margins.slice(1), margins.slice(2)), (vec![255, 0, 3, 4], vec![255; 4]));
        assert_ne!(margins.id(), Margins::new([2, 2, 3]).id());
    }
}
