//! NRRD (`.nrrd`, and `.nhdr` with its data in another file): bytes to volume and back.
//!
//! Here because 3D Slicer and many research tools keep their volumes and segmentations in it. It is our own, since the
//! part of the format that a medical volume uses is small. Source: the format definition of the Teem library
//! (teem.sourceforge.net/nrrd/format.html), sections named where they matter.

mod header;
mod read;
mod segments;
mod write;

#[cfg(test)]
mod tests;

pub use read::{read, read_ct, read_detached_ct, read_detached_labels, read_header, read_labels, read_segmentation};
pub use segments::{Segment, SlicerSegmentation};
pub use write::{write_ct, write_labels, write_organs};

pub(super) use header::{data_file, is_detached, is_nrrd, key_value};
pub(super) use read::read_undecided;

use super::samples::SampleError;
use crate::volume::GeometryError;

/// Why an NRRD file was not read or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NrrdError {
    /// The magic is missing.
    #[error("this is not an NRRD file: its first line is not `NRRD000` and a digit")]
    NotNrrd,
    /// A line that is no field, key or comment.
    #[error("line {line} of the NRRD header (`{text}`) is {problem}; export the file again")]
    Line {
        /// From 1.
        line: usize,
        /// What stands there, shortened.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A field that must be there.
    #[error("the NRRD header has no `{0}`; export the file again")]
    Missing(&'static str),
    /// A field whose value is not understood.
    #[error("the NRRD header says `{field}: {value}`; {expected}")]
    Field {
        /// Its name.
        field: &'static str,
        /// Its value, shortened.
        value: String,
        /// What is read.
        expected: &'static str,
    },
    /// Not a volume.
    #[error("the image has the sizes {0}; one 3-D volume is needed (further axes may have size 1)")]
    Dimensions(String),
    /// A segmentation of shares.
    #[error(
        "the segmentation is fractional: its voxels are shares of a segment and not labels; in 3D Slicer make a binary labelmap of it and save that"
    )]
    Fractional,
    /// No `space`, `space directions` or `space origin`.
    #[error(
        "the file does not say how the image lies in the patient (`{0}` is missing), so left and right cannot be told; export it again with its orientation"
    )]
    NoOrientation(&'static str),
    /// A detached header alone.
    #[error("this is only a header; open it together with its data file `{0}`")]
    DataMissing(String),
    /// Two files, though the header brings its data.
    #[error("the header needs no data file; open it alone")]
    NotDetached,
    /// The grid cannot be used.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The voxels cannot be used.
    #[error(transparent)]
    Samples(#[from] SampleError),
}
