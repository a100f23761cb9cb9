//! Volumes on a regular grid in the patient, always held in canonical axial order.
//!
//! A reader hands its voxels over in the order of the file; [`Volume::from_stored`] reorders them once so that i runs
//! to the patient's left, j to the posterior, k to the superior. The stored grid is remembered, and
//! [`AxisMap::stored_slice`] gives results back on exactly the grid that came in.

pub mod geometry;
mod hounsfield;
mod neighbours;

pub use geometry::{Affine, AxisMap, Geometry, GeometryError};
pub use hounsfield::{NotCt, NotHu, check_is_ct, check_values, empty_slices, require_ct};

use serde::{Deserialize, Serialize};

/// What kind of image a volume is, as far as the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Modality {
    /// Computed tomography; voxels are HU.
    Ct,
    /// Another DICOM modality, by its code (`MR`, `PT`...).
    Other(String),
    /// The format carries no modality (NIfTI, NRRD).
    Unknown,
}

impl std::fmt::Display for Modality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ct => "CT",
            Self::Other(code) => code,
            Self::Unknown => "of unknown modality",
        })
    }
}

/// A voxel type that readers can produce. Numbers are rounded to the nearest value of the type.
pub trait Voxel: Copy + Default + Send + Sync + 'static {
    /// The nearest value of this type, or `None` if `value` is not a number or out of range.
    fn from_f64(value: f64) -> Option<Self>;
    /// Exactly this value as a number.
    fn to_f64(self) -> f64;
}

macro_rules! integer_voxel {
    ($($t:ty),*) => {$(
        impl Voxel for $t {
            fn from_f64(value: f64) -> Option<Self> {
                let rounded = value.round();
                (rounded >= Self::MIN as f64 && rounded <= Self::MAX as f64).then_some(rounded as Self)
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
integer_voxel!(u8, u16, i16, i32);

macro_rules! float_voxel {
    ($($t:ty),*) => {$(
        impl Voxel for $t {
            fn from_f64(value: f64) -> Option<Self> {
                Some(value as Self)
            }
            fn to_f64(self) -> f64 {
                self.into()
            }
        }
    )*};
}
float_voxel!(f32, f64);

/// A volume in canonical axial order: i to the patient's left, j to the posterior, k to the superior, i fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume<T> {
    /// The canonical grid.
    pub geometry: Geometry,
    /// `voxels[i + nx * (j + ny * k)]`; HU for CT, label numbers for label maps.
    pub voxels: Vec<T>,
    /// The grid as the file stores it.
    pub stored: Geometry,
    /// How to get from stored to canonical order.
    pub axes: AxisMap,
    /// CT or not.
    pub modality: Modality,
    /// What a user should know about how the file was read (oblique slices, clipped values...). One sentence each.
    pub warnings: Vec<String>,
}

/// A CT volume in HU.
pub type CtVolume = Volume<i16>;
/// A label map; 0 is background.
pub type LabelVolume = Volume<u8>;

impl<T: Copy> Volume<T> {
    /// Takes voxels in the order of the file (`stored`, i fastest) and brings them to canonical order.
    ///
    /// # Errors
    /// [`GeometryError::Oblique`] when the grid is tilted too far.
    pub fn from_stored(stored: Geometry, voxels: Vec<T>, modality: Modality) -> Result<Self, GeometryError> {
        let (axes, tilt) = stored.canonical_axes()?;
        let mut warnings = Vec::new();
        if tilt > 0.5 {
            warnings.push(format!("the slices are oblique by {tilt:.1} degrees; they are treated as axial"));
        }
        let geometry = stored.permuted(&axes);
        let voxels = axes.apply(voxels, stored.size);
        Ok(Self { geometry, voxels, stored, axes, modality, warnings })
    }

    /// A volume on the same canonical and stored grids with other voxels.
    pub fn with_voxels<U>(&self, voxels: Vec<U>) -> Volume<U> {
        assert_eq!(voxels.len(), self.geometry.voxel_count(), "one value for each voxel of the grid");
        Volume {
            geometry: self.geometry.clone(),
            voxels,
            stored: self.stored.clone(),
            axes: self.axes,
            modality: self.modality.clone(),
            warnings: Vec::new(),
        }
    }

    /// The axial slice `k` (0 is the most inferior), row-major `[ny, nx]`.
    pub fn slice(&self, k: usize) -> &[T] {
        let n = self.geometry.size[0] * self.geometry.size[1];
        &self.voxels[k * n..(k + 1) * n]
    }
}
