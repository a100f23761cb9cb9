//! NIfTI-1 (`.nii`, `.nii.gz`, `.hdr` + `.img`): bytes to volume and back; NIfTI-2: bytes to volume.
//!
//! Sources: nifti1.h of the NIfTI Data Format Working Group, whose sections are named where they matter. The header's
//! fields come from the `nifti` crate, those of NIfTI-2 from `fields`; geometry and voxels are ours, because a wrong side of the patient must not be
//! possible: the standard's RAS frame becomes patient LPS here and nowhere else, and an image that does not say how it
//! lies is refused.

mod fields;
mod header;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{read, read_ct, read_header, read_label_names, read_labels, read_pair_ct, read_pair_labels};
pub use write::{write_ct, write_labels, write_mask, write_organs};

pub(super) use fields::{is_pair_header, is_single_file};
pub(super) use read::{read_note, read_pair_undecided, read_undecided, read_undecided_from};

use super::samples::SampleError;
use crate::volume::GeometryError;

/// Why a NIfTI file was not read or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NiftiError {
    /// The magic is missing.
    #[error("this is not a NIfTI file: {0}")]
    NotNifti(String),
    /// A header without its image.
    #[error("this is only the header of a pair; open the .img file together with the .hdr file")]
    ImageMissing,
    /// A pair whose header is none.
    #[error("the file given as a header is a complete NIfTI file; open it alone")]
    NotAPair,
    /// Not a volume.
    #[error("the image has dimensions {0}; one 3-D volume is needed: extract it from the series first")]
    Dimensions(String),
    /// Numbers that are no CT and no labels.
    #[error(
        "the voxels are of type {0}, which holds no CT and no labels; convert the image to an integer or float type"
    )]
    DataType(String),
    /// The data does not start where it can.
    #[error("the header says that the voxels start at byte {0}, which cannot be; export the file again")]
    Offset(f32),
    /// An intercept that is not finite.
    #[error("the header scales the voxels by {0} and adds {1}, which cannot be; export the file again")]
    Scaling(f32, f32),
    /// Neither sform nor qform.
    #[error(
        "the file does not say how the image lies in the patient (sform and qform codes are 0), so left and right cannot be told; export it again with its orientation"
    )]
    NoOrientation,
    /// Voxel sizes that are none.
    #[error("the header gives a voxel size of {0} x {1} x {2}; export the file again with its voxel size")]
    VoxelSize(f32, f32, f32),
    /// A grid too large for NIfTI-1.
    #[error("NIfTI-1 holds at most 32767 voxels along an axis, and the image has {0} x {1} x {2}; write NRRD instead")]
    TooLarge(usize, usize, usize),
    /// The grid cannot be used.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The voxels cannot be used.
    #[error(transparent)]
    Samples(#[from] SampleError),
}
