//! RT Structure Sets (PS3.3 A.19.3): contours of structures on the slices of a series, as treatment planning systems read and
//! write them.
//!
//! | file | what |
//! |---|---|
//! | `write.rs` | label maps become contours |
//! | `read.rs` | a file becomes a [`StructureSet`]: regions of interest with their contours, in patient mm |
//! | `raster.rs` | contours become a label map on the grid of a CT |
//!
//! Contours are written along the borders of the voxels, so that whoever fills them gets the same voxels back, unless smooth
//! ones are asked for. They lie in the planes of the slices of the original series, whatever way that is turned. A hole is
//! joined to the contour around it by a channel of no width (keyhole), or written as contour of its own with the type
//! CLOSEDPLANAR_XOR. Reading takes what real systems write, and says with the name of the structure what it did not take as
//! it stands.

mod raster;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use raster::structures;
pub use read::{StructureSetError, read};
pub use write::{Holes, WriteOptions, write};

/// A structure set as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StructureSet {
    /// StructureSetLabel (3006,0002).
    pub label: String,
    /// FrameOfReferenceUID of the first referenced frame of reference; empty where the file gives none.
    pub frame_of_reference_uid: String,
    /// SeriesInstanceUID of the series that are referred to.
    pub series_uids: Vec<String>,
    /// The structures, in the order of the file.
    pub rois: Vec<Roi>,
    /// What was not as the standard says, a sentence each.
    pub warnings: Vec<String>,
}

/// A region of interest.
#[derive(Clone, Debug, PartialEq)]
pub struct Roi {
    /// ROINumber (3006,0022).
    pub number: i64,
    /// ROIName (3006,0026).
    pub name: String,
    /// ROIDisplayColor (3006,002A).
    pub colour: Option<[u8; 3]>,
    /// RTROIInterpretedType (3006,00A4); empty where the file gives none.
    pub interpreted_type: String,
    /// Its contours.
    pub contours: Vec<Contour>,
}

/// A contour.
#[derive(Clone, Debug, PartialEq)]
pub struct Contour {
    /// ContourGeometricType (3006,0042).
    pub kind: ContourKind,
    /// Points in patient LPS mm.
    pub points: Vec<[f64; 3]>,
    /// ReferencedSOPInstanceUID of the slice that it was drawn on; empty where the file gives none.
    pub image: String,
}

/// What a contour is (PS3.3 C.8.8.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContourKind {
    /// An area in a plane, which may be a hole in another one.
    Closed,
    /// A line that ends.
    Open,
    /// A point, or anything else that is no area.
    Other,
}
