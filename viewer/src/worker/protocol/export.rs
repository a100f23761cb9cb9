//! Files to be made.

use attention_anatomy::anatomy::OrganSet;
use serde::{Deserialize, Serialize};

use super::codec;
use crate::edit::{ByteSlices, Extra};

/// A file to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Export {
    /// Organs and other structures.
    Structures(Box<StructureExport>),
    /// Volume, HU and extent of every organ.
    StatisticsCsv,
    /// Regions and attention of every slice.
    AttentionCsv,
    /// The same as JSON.
    AttentionJson,
    /// The report of the command line: one HTML file.
    ReportHtml,
}

/// How structures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StructureFormat {
    /// An RT Structure Set on the slices of the DICOM series that the CT is: contours, for planning systems.
    StructureSet,
    /// A DICOM Segmentation on the same: voxels, for archives.
    Segmentation,
    /// A label map on the stored grid of the CT: organs; other structures beside it, a mask each, in one archive.
    #[default]
    Nifti,
    /// The same as NRRD.
    Nrrd,
}

impl StructureFormat {
    /// In the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::StructureSet, Self::Segmentation, Self::Nifti, Self::Nrrd];

    /// Whether it refers to the slices of a DICOM series, and holds other structures than organs in the same file.
    pub fn is_dicom(self) -> bool {
        matches!(self, Self::StructureSet | Self::Segmentation)
    }

    /// What its files are called, after the name of the study.
    pub fn ending(self) -> &'static str {
        match self {
            Self::StructureSet => "structures.dcm",
            Self::Segmentation => "segmentation.dcm",
            Self::Nifti => "labels.nii.gz",
            Self::Nrrd => "labels.nrrd",
        }
    }
}

/// What becomes of identifiers in a file without its patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identifiers {
    /// Others take their place.
    Replaced,
    /// They stay, so that the file still belongs to its CT.
    Kept,
}

/// Which structures are written, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StructureExport {
    /// The format.
    pub format: StructureFormat,
    /// Organs that are written.
    pub organs: OrganSet,
    /// Organs that the user has changed.
    pub edited: OrganSet,
    /// Structures that are none of the 33 organs, and are written.
    #[serde(with = "codec::extras")]
    pub extras: Vec<Extra>,
    /// What lies beneath every edited voxel, [`crate::edit::NOT_EDITED`] elsewhere, where anything was edited: kept with label maps.
    #[serde(with = "codec::maybe_slices")]
    pub beneath: Option<ByteSlices>,
    /// Contours between the voxels instead of along their borders (RT Structure Set).
    pub smooth: bool,
    /// The outline of the body, too, as EXTERNAL.
    pub body: bool,
    /// Without the patient: dates, names and the like removed, identifiers replaced or kept (DICOM).
    pub deidentify: Option<Identifiers>,
    /// StructureSetLabel (3006,0002), at most 16 characters.
    pub label: String,
    /// Name of the file.
    pub file_name: String,
}
