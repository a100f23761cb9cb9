//! Scan ranges, and what a set of such scans would have outlined.
//!
//! | set | range | annotated |
//! |---|---|---|
//! | `head_neck` | top of the head to the arch of the aorta | the 20 organs of head and neck, with the spinal cord |
//! | `thorax` | larynx to the upper poles of the kidneys | trachea, heart, lungs, esophagus, spinal cord |
//! | `abdomen` | middle of the heart to the hips | gallbladder, kidneys, bowel bag, liver, pancreas, spleen, stomach |
//! | `whole_body` | all of it | all 33 |
//!
//! The ranges overlap: a head-and-neck scan shows the tips of the lungs and a chest scan most of the liver, unlabelled. That is
//! what makes a set partial in the way that training must cope with.

use crate::anatomy::Organ::*;
use crate::anatomy::{Organ, OrganSet};
use serde::{Deserialize, Serialize};

/// A range of the body with the organs that are outlined in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanSet {
    /// Top of the head to the arch of the aorta.
    HeadNeck,
    /// Larynx to the upper poles of the kidneys.
    Thorax,
    /// Middle of the heart to the hips.
    Abdomen,
    /// Head to hips, everything annotated.
    WholeBody,
}

impl ScanSet {
    /// The three partially annotated sets of the paper, which together annotate all organs.
    pub const PARTIAL: [Self; 3] = [Self::HeadNeck, Self::Thorax, Self::Abdomen];

    /// Key in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::HeadNeck => "head_neck",
            Self::Thorax => "thorax",
            Self::Abdomen => "abdomen",
            Self::WholeBody => "whole_body",
        }
    }

    /// The organs that are outlined in a scan of this range.
    pub fn annotated(self) -> OrganSet {
        match self {
            // The table goes down the body.
            Self::HeadNeck => Organ::ALL.into_iter().filter(|&organ| organ <= TmjRight).collect(),
            Self::Thorax => [SpinalCord, Trachea, Heart, LungLeft, LungRight, Esophagus].into_iter().collect(),
            Self::Abdomen => {
                [Gallbladder, KidneyLeft, KidneyRight, BowelBag, Liver, Pancreas, Spleen, Stomach].into_iter().collect()
            }
            Self::WholeBody => OrganSet::ALL,
        }
    }

    /// Lower and upper end in the body at rest, in mm above the tips of the lungs.
    pub(super) fn range(self) -> [f32; 2] {
        match self {
            Self::HeadNeck => [-62.0, 282.0],
            Self::Thorax => [-292.0, 42.0],
            Self::Abdomen => [-430.0, -136.0],
            Self::WholeBody => [-430.0, 282.0],
        }
    }
}

/// Labels without the organs that are not annotated: what a set's readers would have drawn.
pub fn partial(labels: &[u8], annotated: OrganSet) -> Vec<u8> {
    let kept = |label: u8| Organ::from_label(label).is_some_and(|organ| annotated.contains(organ));
    labels.iter().map(|&label| if kept(label) { label } else { 0 }).collect()
}

/// The organs that some label shows.
pub fn shown(labels: &[u8]) -> OrganSet {
    let mut seen = [false; 256];
    labels.iter().for_each(|&label| seen[usize::from(label)] = true);
    Organ::ALL.into_iter().filter(|organ| seen[usize::from(organ.label())]).collect()
}
