//! The organs and their sides as types; what is known of each organ stands in `table.rs`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of organs; label maps use `0..=ORGAN_COUNT`.
pub const ORGAN_COUNT: usize = 33;
/// Number of classes that a network tells apart, and a label map's numbers: background and the organs.
pub const CLASS_COUNT: usize = ORGAN_COUNT + 1;

/// One of the 33 organs at risk. The discriminant is the label in label maps (1..=33; 0 is background).
///
/// Left and right are the patient's. Serialised as its [`id`](Organ::id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
#[allow(missing_docs)] // the variants are the names
pub enum Organ {
    BrainStem = 1,
    ConstrictorNaris,
    EarLeft,
    EarRight,
    EyeLeft,
    EyeRight,
    Hypophysis,
    Larynx,
    Mandible,
    OralCavity,
    ParotidLeft,
    ParotidRight,
    SubmandibularGlandLeft,
    SubmandibularGlandRight,
    SpinalCord,
    SublingualGland,
    TemporalLobeLeft,
    TemporalLobeRight,
    TmjLeft,
    TmjRight,
    Trachea,
    Heart,
    LungLeft,
    LungRight,
    Esophagus,
    Gallbladder,
    KidneyLeft,
    KidneyRight,
    BowelBag,
    Liver,
    Pancreas,
    Spleen,
    Stomach,
}

/// On which side of the patient an organ lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The patient's left one of a pair.
    Left,
    /// The patient's right one of a pair.
    Right,
    /// One organ that the midline passes through (or a pair outlined as one, as the sublingual glands are).
    Midline,
    /// One organ, off the midline or without a fixed place (liver, spleen, bowel bag...).
    Unpaired,
}

impl Side {
    /// The SNOMED CT laterality modifier of a paired organ (DICOM PS3.16 CID 244).
    pub fn snomed(self) -> Option<SnomedCode> {
        match self {
            Self::Left => Some(SnomedCode { value: "7771000", meaning: "Left" }),
            Self::Right => Some(SnomedCode { value: "24028007", meaning: "Right" }),
            Self::Midline | Self::Unpaired => None,
        }
    }
}

/// A code of SNOMED CT (DICOM coding scheme designator `SCT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnomedCode {
    /// Concept identifier: the DICOM Code Value.
    pub value: &'static str,
    /// Code Meaning in English.
    pub meaning: &'static str,
}

impl fmt::Display for Organ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
