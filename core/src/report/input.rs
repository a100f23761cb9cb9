//! What a report is written from.
//!
//! The struct borrows everything: a whole-body CT is hundreds of megabytes, and whoever segmented it still shows it.

use super::region_order::region_order_warnings;
use super::sides::sides_warning;
use crate::anatomy::{ORGAN_COUNT, Organ};
use crate::infer::{RunInfo, SliceAnatomy};
use crate::network::weights::TrainedOrgan;
use crate::volume::{CtVolume, LabelVolume};

/// A finished segmentation.
#[derive(Clone, Copy, Debug)]
pub struct ReportInput<'a> {
    /// The CT that was segmented, in HU.
    pub ct: &'a CtVolume,
    /// Label numbers on the CT's grid; 0 is background.
    pub labels: &'a LabelVolume,
    /// What the network says about its slices; may skip slices of a finely sliced scan.
    pub slices: &'a [SliceAnatomy],
    /// The organs that the weights know.
    pub trained: &'a [TrainedOrgan],
    /// How the run came about.
    pub run: &'a RunInfo,
}

/// Why no report can be written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReportError {
    /// CT and label map do not belong together.
    #[error(
        "the label map ({labels:?} voxels) does not lie on the grid of the CT ({ct:?} voxels); write the report with the CT that was segmented"
    )]
    Grid {
        /// Voxels of the CT along i, j, k.
        ct: [usize; 3],
        /// Voxels of the label map along i, j, k.
        labels: [usize; 3],
    },
    /// A number in the label map stands for no organ.
    #[error(
        "the label map contains the number {0}, but organs are numbered 1 to {ORGAN_COUNT}; convert its numbers to the anatomy table first"
    )]
    Label(u8),
    /// A slice of the network's output lies outside the scan.
    #[error("the network's output names slice {slice}, but the scan has {slices} slices; it belongs to another scan")]
    Slice {
        /// The slice named.
        slice: usize,
        /// Slices of the scan.
        slices: usize,
    },
    /// A picture could not be encoded.
    #[error("a picture of {width} x {height} pixels could not be encoded as PNG ({reason})")]
    Picture {
        /// Pixels across.
        width: usize,
        /// Pixels down.
        height: usize,
        /// What the encoder says.
        reason: String,
    },
}

impl ReportInput<'_> {
    /// Checks that CT, labels and slices belong together.
    ///
    /// # Errors
    /// [`ReportError::Grid`] and [`ReportError::Slice`].
    pub fn check(&self) -> Result<(), ReportError> {
        let (ct, labels) = (&self.ct.geometry, &self.labels.geometry);
        // Half of a hundredth of a millimetre is what single-precision headers lose on a large grid.
        let whole = self.ct.voxels.len() == ct.voxel_count() && self.labels.voxels.len() == labels.voxel_count();
        if !whole || !ct.same_grid(labels, 0.05) {
            return Err(ReportError::Grid { ct: ct.size, labels: labels.size });
        }
        let slices = ct.size[2];
        match self.slices.iter().find(|s| s.slice >= slices) {
            Some(s) => Err(ReportError::Slice { slice: s.slice, slices }),
            None => Ok(()),
        }
    }

    /// What is known of the training of `organ`; `None` when the weights do not know it.
    pub fn trained(&self, organ: Organ) -> Option<&TrainedOrgan> {
        self.trained.iter().find(|t| t.organ == organ)
    }

    /// Whether the weights know `organ` and it was switched on.
    pub fn is_enabled(&self, organ: Organ) -> bool {
        self.trained(organ).is_some_and(|t| t.enabled)
    }

    /// All warnings, each once: those about the regions along the body and the sides of its organs, then those of the run and of the CT's reader.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = region_order_warnings(self.slices);
        if self.is_enabled(Organ::Liver) {
            warnings.extend(sides_warning(self.labels));
        }
        for warning in self.run.warnings.iter().chain(&self.ct.warnings) {
            if !warnings.contains(warning) {
                warnings.push(warning.clone());
            }
        }
        warnings
    }

    /// The network's slices from inferior to superior, each slice once.
    pub fn ordered_slices(&self) -> Vec<&SliceAnatomy> {
        let mut slices: Vec<_> = self.slices.iter().collect();
        slices.sort_by_key(|s| s.slice);
        slices.dedup_by_key(|s| s.slice);
        slices
    }
}
