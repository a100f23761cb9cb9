//! The 33 organs and the 5 regions of the body: one table, used by everything.
//!
//! Labels, names, colours, sides and the regions where an organ can lie are needed by readers, losses, metrics, exports
//! and the viewer. A second copy of any of them would sooner or later swap a left for a right, so this module is the only
//! place that knows them. [`Organ`] is the key, `table.rs` holds the rows, `names.rs` maps what files call an organ to it.

mod colours;
mod names;
mod set;
mod table;

pub use set::{OrganSet, UnknownOrgan};

use serde::{Deserialize, Serialize};
use std::fmt;
use table::{ROWS, Row};

/// Number of organs; label maps use `0..=ORGAN_COUNT`.
pub const ORGAN_COUNT: usize = 33;
/// Number of classes that a network tells apart, and a label map's numbers: background and the organs.
pub const CLASS_COUNT: usize = ORGAN_COUNT + 1;
/// Number of regions of the body.
pub const REGION_COUNT: usize = 5;

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

/// One of the five regions that axial slices are classified into, from the top of the body downwards.
///
/// The boundaries are the lung apex, the top of the heart, the liver dome and the middle of the kidneys.
/// Serialised as its [`id`](Region::id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Region {
    /// Head and neck: above the lung apex.
    Head,
    /// From the lung apex down to the top of the heart.
    UpperChest,
    /// From the top of the heart down to the liver dome.
    Chest,
    /// From the liver dome down to the middle of the kidneys.
    UpperAbdomen,
    /// Below the middle of the kidneys.
    Abdomen,
}

impl Region {
    /// All regions, from the head down; position is [`index`](Region::index).
    pub const ALL: [Self; REGION_COUNT] =
        [Self::Head, Self::UpperChest, Self::Chest, Self::UpperAbdomen, Self::Abdomen];

    /// Position in [`ALL`](Region::ALL) and in the network's region logits, 0..5.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The region at a position of [`ALL`](Region::ALL).
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// The region of the largest of five probabilities, the upper one of two equal ones.
    pub fn most_likely(probabilities: &[f32; REGION_COUNT]) -> Self {
        let larger =
            |best: Self, r: Self| if probabilities[r.index()] > probabilities[best.index()] { r } else { best };
        Self::ALL.into_iter().fold(Self::Head, larger)
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "Head",
            Self::UpperChest => "Upper chest",
            Self::Chest => "Chest",
            Self::UpperAbdomen => "Upper abdomen",
            Self::Abdomen => "Abdomen",
        }
    }

    /// Key in files: `head`, `upper_chest`, `chest`, `upper_abdomen`, `abdomen`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::UpperChest => "upper_chest",
            Self::Chest => "chest",
            Self::UpperAbdomen => "upper_abdomen",
            Self::Abdomen => "abdomen",
        }
    }

    /// The region with this key.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.id() == id)
    }

    /// sRGB colour of the region ribbon along the body.
    pub fn colour(self) -> [u8; 3] {
        colours::REGIONS[self.index()]
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Organ {
    /// All organs in the order of their labels.
    pub const ALL: [Self; ORGAN_COUNT] = table::order();

    fn row(self) -> &'static Row {
        &ROWS[self.index()]
    }

    /// The label in label maps, 1..=33.
    pub fn label(self) -> u8 {
        self as u8
    }

    /// Position in [`ALL`](Organ::ALL) and in attention vectors, 0..33: the label less one.
    pub fn index(self) -> usize {
        self as usize - 1
    }

    /// The organ with this label; `None` for background (0) and beyond 33.
    pub fn from_label(label: u8) -> Option<Self> {
        Self::from_index(usize::from(label).checked_sub(1)?)
    }

    /// The organ at a position of [`ALL`](Organ::ALL).
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Key in files and on the command line: `brain_stem`, `parotid_left`...
    pub fn id(self) -> &'static str {
        self.row().id
    }

    /// The organ with exactly this key. For what foreign files call organs, see [`from_name`](Organ::from_name).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|organ| organ.id() == id)
    }

    /// The organ that a structure or segment name of a foreign file means, or `None` when it is not certain.
    ///
    /// Names are read as whole words, whatever their case, order and separators: `Parotid_L`, `parotid-lt`,
    /// `LeftParotid` and `Glnd_Parotid_L` are the same organ. A paired organ without a side, a part of an organ, a
    /// planning margin (`SpinalCord_PRV`), a target volume, an optimisation structure and every word that the table
    /// does not know give `None`: a structure left unnamed costs a click, one named wrongly costs a patient.
    pub fn from_name(name: &str) -> Option<Self> {
        names::from_name(name)
    }

    /// The paper's name, for people: "Brain stem", "Parotid left"...
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Primary name of AAPM TG-263, for RTSTRUCT: `Brainstem`, `Parotid_L`... (`table.rs` tells the choices made).
    pub fn tg263(self) -> &'static str {
        self.row().tg263
    }

    /// SNOMED CT code of the structure without its side; the side is the modifier [`Side::snomed`], as DICOM segment
    /// descriptions want it (PS3.3 C.8.20.2). `None` where no concept certainly means this organ.
    pub fn snomed(self) -> Option<SnomedCode> {
        self.row().snomed.map(|(value, meaning)| SnomedCode { value, meaning })
    }

    /// Side of the patient.
    pub fn side(self) -> Side {
        self.row().side
    }

    /// The same organ on the other side; `None` for single organs.
    pub fn mirror(self) -> Option<Self> {
        // In the order of the table the right one of each pair follows the left one.
        match self.side() {
            Side::Left => Self::from_index(self.index() + 1),
            Side::Right => Self::from_index(self.index() - 1),
            Side::Midline | Side::Unpaired => None,
        }
    }

    /// sRGB colour, the same in viewer, exports and documents.
    pub fn colour(self) -> [u8; 3] {
        colours::ORGANS[self.index()]
    }

    /// The regions in which this organ is found, from the head down.
    pub fn regions(self) -> &'static [Region] {
        self.row().regions
    }

    /// Whether a slice of this region can show the organ, by the strict table.
    pub fn can_occur_in(self, region: Region) -> bool {
        self.regions().contains(&region)
    }

    /// The strict table widened by one neighbouring region at either end, by region index.
    ///
    /// Derived landmarks and unusual patients shift a boundary; calling a voxel "certainly not this organ" is safe only
    /// a whole region away.
    pub fn possible_regions_widened(self) -> [bool; REGION_COUNT] {
        std::array::from_fn(|r| {
            let near = r.saturating_sub(1)..=(r + 1).min(REGION_COUNT - 1);
            self.regions().iter().any(|region| near.contains(&region.index()))
        })
    }

    /// Whether the organ continues beyond where contours of it usually end (cord, esophagus, trachea, bowel bag).
    ///
    /// Outside the annotated z-extent of a case such an organ is unknown, not absent.
    pub fn extends_beyond_contour(self) -> bool {
        matches!(self, Self::SpinalCord | Self::Esophagus | Self::Trachea | Self::BowelBag)
    }
}

impl fmt::Display for Organ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
