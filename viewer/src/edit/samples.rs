//! Small volumes for the tests of the tools.

use std::sync::Arc;

use attention_anatomy::volume::{CtVolume, Geometry, Modality};

use super::LabelStore;

/// A CT whose HU is 10 i.
pub(crate) fn ct(size: [usize; 3], spacing: [f64; 3]) -> Arc<CtVolume> {
    let geometry = Geometry::axial(size, spacing, [-20.0, 30.0, 100.0]).unwrap();
    let voxels = (0..geometry.voxel_count()).map(|n| (10 * (n % size[0])) as i16).collect();
    Arc::new(CtVolume::from_stored(geometry, voxels, Modality::Ct).unwrap())
}

/// Labels of such a CT, all background.
pub(crate) fn store(size: [usize; 3], spacing: [f64; 3]) -> LabelStore {
    LabelStore::new(ct(size, spacing))
}

/// Where voxel `n` is.
pub(crate) fn place(n: usize, size: [usize; 3]) -> [usize; 3] {
    [n % size[0], n / size[0] % size[1], n / (size[0] * size[1])]
}
