//! Why a series was refused: one variant for each reason, with the numbers, so that a caller can both show and test it.

use crate::volume::GeometryError;

/// Why a set of files gives no volume.
///
/// Messages hold file names as the caller gave them, attribute names and numbers; never a patient's data.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DicomError {
    /// Nothing among the files is an image.
    #[error("no DICOM image was found among {files} files ({found}); choose the folder that holds the CT slices")]
    NoImages {
        /// Files looked at.
        files: usize,
        /// What they are, counted.
        found: String,
    },
    /// The series that was asked for is not there.
    #[error("there is no series {uid} among the files; the series found are: {available}")]
    UnknownSeries {
        /// Series Instance UID asked for.
        uid: String,
        /// Series Instance UIDs found.
        available: String,
    },
    /// A DICOM file whose header cannot be followed to its end.
    #[error("{file} is a damaged DICOM file ({reason}); copy or export it again")]
    Damaged {
        /// File name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An image header without pixel data.
    #[error("{file} describes an image but holds no pixel data; export the series again with its images")]
    MissingPixelData {
        /// File name.
        file: String,
    },
    /// A needed attribute is absent or is not what the standard says.
    #[error("{file} has no usable {attribute}; export the series again with complete headers")]
    MissingAttribute {
        /// File name.
        file: String,
        /// Keyword and tag.
        attribute: &'static str,
    },
    /// The series has a single slice, and nothing says how thick it is.
    #[error(
        "the series has 1 slice, and its file says neither SliceThickness (0018,0050) nor SpacingBetweenSlices (0018,0088), so it has no \
         extent; choose the folder that holds the whole series"
    )]
    SingleSlice,
    /// Several slices lie in the same place.
    #[error(
        "slices lie in the same place ({count} too many, the first at {axis} = {at_mm:.2} mm: {} and {}); the series mixes several \
         acquisitions or reconstructions: export one of them alone", .files[0], .files[1]
    )]
    DuplicatePositions {
        /// Slices too many.
        count: usize,
        /// Patient axis closest to the slice normal.
        axis: char,
        /// Position of the first pair, mm.
        at_mm: f64,
        /// The first pair.
        files: [String; 2],
    },
    /// Slices are missing: gaps are whole multiples of the usual spacing.
    #[error(
        "slices are missing ({missing} in all, at {spacing:.3} mm between slices): {gaps}{}; export the whole series",
        also_unread(.unread)
    )]
    MissingSlices {
        /// Slices that are not there.
        missing: usize,
        /// Usual distance between slices, mm.
        spacing: f64,
        /// The gaps, each with its number of slices and its place in mm.
        gaps: String,
        /// Files beside the slices that may be them, but are no DICOM; empty where there are none.
        unread: String,
    },
    /// The distance between slices varies.
    #[error(
        "the distance between slices varies from {smallest:.3} to {largest:.3} mm (the usual one is {spacing:.3} mm, the first that \
         differs is at {axis} = {at_mm:.2} mm); export a series with even spacing, or resample it first"
    )]
    UnevenSpacing {
        /// Usual distance, mm.
        spacing: f64,
        /// Smallest distance, mm.
        smallest: f64,
        /// Largest distance, mm.
        largest: f64,
        /// Patient axis closest to the slice normal.
        axis: char,
        /// Where the first differing gap starts, mm.
        at_mm: f64,
    },
    /// The slices are stacked at an angle to their normal.
    #[error(
        "the series was taken with the gantry tilted by {degrees:.1} degrees, so its slices do not form a rectangular volume; \
         export a series that was corrected for the tilt"
    )]
    GantryTilt {
        /// Angle between the slice normal and the line through the slices, degrees.
        degrees: f64,
    },
    /// A slice that is there, but is of another kind than the others.
    #[error("{file}, the slice at {axis} = {at_mm:.2} mm, {problem}; export the series again with slices of one kind")]
    OddSlice {
        /// File name.
        file: String,
        /// Patient axis closest to the slice normal.
        axis: char,
        /// Where, mm.
        at_mm: f64,
        /// What is wrong with it.
        problem: String,
    },
    /// Slices are shifted sideways out of the stack.
    #[error(
        "{file}, the slice at {axis} = {at_mm:.2} mm, is shifted sideways by {shift_mm:.2} mm out of the stack{}; export the series \
         again from one acquisition", others_too(*.count)
    )]
    ShiftedSlice {
        /// File name of the worst one.
        file: String,
        /// Slices out of the stack.
        count: usize,
        /// Patient axis closest to the slice normal.
        axis: char,
        /// Where, mm.
        at_mm: f64,
        /// By how much, mm.
        shift_mm: f64,
    },
    /// Slices of one series have different orientations.
    #[error(
        "{odd} of {slices} slices of the series ({file} first) are turned by up to {degrees:.1} degrees against the others; export \
         slices of one orientation"
    )]
    MixedOrientation {
        /// Slices that differ.
        odd: usize,
        /// Slices in all.
        slices: usize,
        /// Largest angle, degrees.
        degrees: f64,
        /// The first of those that differ.
        file: String,
    },
    /// Slices of one series have different numbers of rows or columns.
    #[error(
        "slices of {a_columns} x {a_rows} and of {b_columns} x {b_rows} pixels ({file} first) are mixed in one series; export slices \
         of one size"
    )]
    MixedMatrix {
        /// Columns of most slices.
        a_columns: usize,
        /// Rows of most slices.
        a_rows: usize,
        /// Columns of another slice.
        b_columns: usize,
        /// Rows of another slice.
        b_rows: usize,
        /// The first of those.
        file: String,
    },
    /// Slices of one series have different pixel spacings.
    #[error(
        "pixel spacings of {} x {} and {} x {} mm (row x column) are mixed in one series; export slices of one field of view",
        .a[0], .a[1], .b[0], .b[1]
    )]
    MixedPixelSpacing {
        /// Row and column spacing of the first slice, mm.
        a: [f64; 2],
        /// Row and column spacing of another slice, mm.
        b: [f64; 2],
    },
    /// Slices of one series have different frames of reference.
    #[error(
        "the slices of the series are of {frames} frames of reference (FrameOfReferenceUID (0020,0052); {file} is the first that differs), \
         so their places cannot be compared; export the series again from one acquisition"
    )]
    MixedFrames {
        /// Frames of reference in all; slices without any count as one.
        frames: usize,
        /// The first slice whose frame of reference is not that of the first slice.
        file: String,
    },
    /// The direction cosines are no pair of perpendicular unit vectors.
    #[error(
        "{file} has an ImageOrientationPatient (0020,0037) that is no pair of perpendicular unit vectors (lengths {row:.4} and \
         {column:.4}, angle {degrees:.2} degrees); export the series again"
    )]
    BadOrientation {
        /// File name.
        file: String,
        /// Length of the row vector.
        row: f64,
        /// Length of the column vector.
        column: f64,
        /// Angle between them, degrees.
        degrees: f64,
    },
    /// A colour image.
    #[error("{file} is a colour image ({samples} samples per pixel, {photometric}); only grey-scale slices are read")]
    Colour {
        /// File name.
        file: String,
        /// Samples per pixel.
        samples: u16,
        /// Photometric interpretation.
        photometric: String,
    },
    /// Compressed in a way that this program cannot decode.
    #[error("{file} is compressed with {name} ({uid}), which this program does not decode; {advice}")]
    UnsupportedSyntax {
        /// File name.
        file: String,
        /// Transfer syntax UID.
        uid: String,
        /// Its name in PS3.6.
        name: String,
        /// What to do.
        advice: &'static str,
    },
    /// Pixels stored in a way that CT and MR slices are not.
    #[error("{file} stores its pixels in a way that is not read ({reason}); export it as 8 or 16 bit slices")]
    UnsupportedPixels {
        /// File name.
        file: String,
        /// What is unusual.
        reason: String,
    },
    /// The pixel data is cut off or cannot be decoded.
    #[error("the pixels of {file} cannot be decoded ({reason}); copy or export it again")]
    Decode {
        /// File name.
        file: String,
        /// What the decoder says.
        reason: String,
    },
    /// The volume does not fit in memory.
    #[error("a volume of {} x {} x {} voxels does not fit in memory; crop or resample the series first", .0[0], .0[1], .0[2])]
    TooLarge([usize; 3]),
    /// The slices form a volume that cannot be used.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

fn also_unread(files: &str) -> String {
    if files.is_empty() { String::new() } else { format!(" (no DICOM, but perhaps meant to be: {files})") }
}

fn others_too(count: usize) -> String {
    if count > 1 { format!(", as are {} others less", count - 1) } else { String::new() }
}
