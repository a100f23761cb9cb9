//! The label map and all that changes it.

use std::sync::Arc;

use attention_anatomy::volume::CtVolume;

use crate::state::ByteLayer;

/// The labels of a study.
#[derive(Debug)]
pub struct LabelStore {
    layer: ByteLayer,
}

impl LabelStore {
    /// No labels yet.
    pub fn new(ct: Arc<CtVolume>) -> Self {
        Self { layer: ByteLayer::new(ct.geometry.size) }
    }

    /// The labels as they are drawn.
    pub fn layer(&self) -> &ByteLayer {
        &self.layer
    }

    /// Labels of a slice from the network; what was edited by hand stays.
    pub fn apply_run_slice(&mut self, k: usize, labels: &[u8]) {
        let slice = self.layer.slice_mut(k);
        if slice.len() == labels.len() {
            slice.copy_from_slice(labels);
        }
    }

    /// Other labels in place of all; undone in one step.
    pub fn replace_all(&mut self, voxels: &[u8]) {
        let area = self.layer.size()[0] * self.layer.size()[1];
        for (k, labels) in voxels.chunks_exact(area.max(1)).enumerate() {
            self.apply_run_slice(k, labels);
        }
    }
}
