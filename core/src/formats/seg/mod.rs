//! DICOM Segmentations (PS3.3 A.51): the voxels of structures, frame by frame, as archives and research platforms keep them.
//!
//! | file | what |
//! |---|---|
//! | `write.rs` | label maps become a binary segmentation: one segment a structure, empty frames left out |
//! | `read.rs` | a file (binary, fractional or label map) becomes a [`DicomSegmentation`] |
//! | `place.rs` | a segmentation becomes a label map, on the grid of a CT or on its own |
//! | `colour.rs` | sRGB and the CIELAB numbers of DICOM |

mod colour;
mod place;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use place::structures;
pub use read::{DicomSegmentationError, read};
pub use write::write;

use crate::anatomy::Organ;

/// A segmentation as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct DicomSegmentation {
    /// FrameOfReferenceUID (0020,0052); empty where the file gives none.
    pub frame_of_reference_uid: String,
    /// Columns and rows of every frame.
    pub size: [usize; 2],
    /// Distance of columns and of rows, mm.
    pub spacing: [f64; 2],
    /// Distance of slices where the file gives it, mm.
    pub slice_spacing: Option<f64>,
    /// Direction of a row (towards higher columns), then of a column.
    pub orientation: [f64; 6],
    /// The segments.
    pub segments: Vec<Segment>,
    /// What was not as the standard says, a sentence each.
    pub warnings: Vec<String>,
}

/// A segment with its frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// SegmentNumber (0062,0004).
    pub number: i64,
    /// SegmentLabel (0062,0005).
    pub label: String,
    /// The organ that its name or its code means.
    pub organ: Option<Organ>,
    /// sRGB, where the file gives it.
    pub colour: Option<[u8; 3]>,
    /// Its frames that are not empty.
    pub frames: Vec<SegmentFrame>,
}

/// The pixels of a segment in one plane.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentFrame {
    /// Centre of the first pixel, patient LPS mm.
    pub position: [f64; 3],
    /// Runs of pixels inside, as indices into the frame, row by row.
    pub pixels: Vec<std::ops::Range<usize>>,
}
