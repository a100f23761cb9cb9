//! What every reader tells of an image before its voxels, and what it may be asked.

use super::samples::SampleType;
use crate::volume::Geometry;

/// What a file is, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A NIfTI header and its voxels, gzipped or not.
    Nifti,
    /// A NIfTI header whose voxels are in an `.img` file, gzipped or not.
    NiftiPairHeader,
    /// An NRRD header and its voxels.
    Nrrd,
    /// An NRRD header whose voxels are in another file.
    NrrdHeader,
    /// A DICOM file (PS3.10: `DICM` at byte 128), or what looks like one without that.
    DicomFile,
    /// A zip archive.
    Zip,
}

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
