//! What opening has to know of the user before it goes on.

use attention_anatomy::formats::dicom::Repair;
use serde::{Deserialize, Serialize};

use super::codec;

/// What opening has to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OpenQuestion {
    /// There are several series: which?
    Series(Vec<SeriesEntry>),
    /// Nothing names the labels of a map: are these numbers those of the anatomy table?
    Names {
        /// The file.
        name: String,
        /// What each number would be called, and what speaks against it.
        organs: Vec<DoubtfulOrgan>,
    },
    /// The slices form no volume unless they are mended: shall they be?
    Repair {
        /// What is wrong with them.
        problem: String,
        /// What would be done.
        repair: Repair,
    },
    /// There are several structure sets or segmentations: which? For each its label and how many structures it has.
    Structures(Vec<String>),
}

/// What the user said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenAnswer {
    /// This series, by its place.
    Series(usize),
    /// The series is mended.
    Repair,
    /// The names are right.
    NamesAreRight,
    /// They are not: the labels are shown by their numbers, as structures that are no organs.
    ByNumber,
    /// These structures, by their place; none of them.
    Structures(Option<usize>),
}

/// A series that can be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesEntry {
    /// SeriesDescription, or what stands for it.
    pub description: String,
    /// CT, MR...
    pub modality: String,
    /// SeriesNumber.
    pub number: Option<i32>,
    /// Slices, and columns and rows of each.
    pub size: [usize; 3],
    /// Distances of voxels in mm, if the slices form a volume.
    pub spacing: Option<[f64; 3]>,
    /// Reconstruction kernel; empty where the file gives none.
    pub kernel: String,
    /// Why it cannot be read.
    pub problem: Option<String>,
    /// Whether it can be mended, and read then.
    pub repairable: bool,
    /// Whether it is the one that is read where nobody chooses, and why.
    pub best: Option<String>,
    /// Columns and rows of the picture.
    pub picture_size: [usize; 2],
    /// Its middle slice in grey values; empty where it cannot be decoded.
    #[serde(with = "codec::bytes")]
    pub picture: Vec<u8>,
}

/// What a number of an unnamed label map would be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DoubtfulOrgan {
    /// The number.
    pub label: u8,
    /// The organ of that number.
    pub organ: String,
    /// How large it is.
    pub volume_ml: f64,
    /// Median HU.
    pub median_hu: f64,
    /// What speaks against it; empty where nothing does.
    pub doubts: Vec<String>,
}

/// A slice in grey values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPicture {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Row by row.
    #[serde(with = "codec::bytes")]
    pub pixels: Vec<u8>,
}
