//! What kind of object a file is, told by two of its attributes.

use dicom_dictionary_std::{tags, uids};

use super::dataset::DataSet;
use super::element::{integer, text};

/// The kinds of objects that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// An RT Structure Set.
    StructureSet,
    /// A Segmentation, or a Label Map Segmentation.
    Segmentation,
    /// An image.
    Image,
    /// Anything else.
    Other,
}

/// The kind of a file; `None` for what is not DICOM, or damaged.
pub fn stored(bytes: &[u8]) -> Option<Stored> {
    let set = DataSet::open(bytes).ok()?;
    let (object, _) = set.read(&[tags::SOP_CLASS_UID, tags::MODALITY, tags::ROWS]).ok()?;
    Some(match text(&object, tags::SOP_CLASS_UID).as_str() {
        uids::RT_STRUCTURE_SET_STORAGE => Stored::StructureSet,
        uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE => Stored::Segmentation,
        _ if text(&object, tags::MODALITY) == "RTSTRUCT" => Stored::StructureSet,
        _ if integer(&object, tags::ROWS).is_some() => Stored::Image,
        _ => Stored::Other,
    })
}
