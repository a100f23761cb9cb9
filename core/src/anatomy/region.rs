//! The regions of the body that axial slices are classified into.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of regions of the body.
pub const REGION_COUNT: usize = 5;

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
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
