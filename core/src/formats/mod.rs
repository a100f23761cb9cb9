//! File formats: bytes in, volume out, and back.
//!
//! Every reader takes bytes, so that the browser uses the same code, and trusts none of them: what a file is, is told
//! by its content and not by its name; no header's claim is believed before the bytes back it; how the image lies in
//! the patient is read or refused, never guessed.

pub mod archive;
pub mod dicom;
pub mod nifti;
pub mod nrrd;

mod open;
mod samples;
mod source;

#[cfg(test)]
mod analytic;

pub use open::{Format, FormatError, MAX_UNPACKED, read_ct, read_ct_and_series, read_header, read_labels, sniff};
pub use samples::{ByteOrder, SampleError, SampleType};

use crate::volume::Geometry;

/// How strict a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Take an image that does not say how it lies in the patient, with assumed axes and a warning. Only to look at a
    /// file: left and right may be the other way round.
    pub allow_missing_orientation: bool,
}

/// What a file says about its image before voxels are decoded.
#[derive(Clone, Debug)]
pub struct ImageHeader {
    /// What the file is.
    pub format: Format,
    /// Voxels along the stored axes, the fastest first.
    pub size: [usize; 3],
    /// How each voxel is stored.
    pub sample: SampleType,
    /// Distance of voxels along the stored axes, in mm; NaN where the file gives none.
    pub spacing: [f64; 3],
    /// The stored grid in patient LPS mm, or the sentence why it cannot be used.
    pub geometry: Result<Geometry, String>,
    /// Free text that the file carries; may name the patient.
    pub description: String,
    /// What a user should know about the header. One sentence each.
    pub warnings: Vec<String>,
}

impl ImageHeader {
    /// Number of voxels. No overflow: no more than `u64::MAX` is returned.
    pub fn voxel_count(&self) -> u64 {
        self.size.iter().fold(1u64, |count, &n| count.saturating_mul(n as u64))
    }
}

/// The text in a fixed field: up to its first NUL, without control characters and outer blanks.
pub(crate) fn printable(field: &[u8]) -> String {
    let text = field.split(|&b| b == 0).next().unwrap_or_default();
    let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
    text.trim().to_string()
}
