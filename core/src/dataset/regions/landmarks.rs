//! The landmarks between the regions, and what is known of their heights.

use serde::{Deserialize, Serialize};

use crate::anatomy::REGION_COUNT;

/// Half the height, in mm, over which the targets change from one region to the next at a known landmark.
pub const BAND_MM: f64 = 15.0;

/// The height of a boundary between two regions, from the top of the body downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Landmark {
    /// Top of the higher lung: head | upper chest.
    LungApex,
    /// Top of the heart: upper chest | chest.
    HeartTop,
    /// Top of the liver: chest | upper abdomen.
    LiverDome,
    /// Mean of the middles of both kidneys: upper abdomen | abdomen.
    KidneyMiddle,
}

/// Stands for a boundary at an infinite height.
pub(super) const FAR_MM: f64 = 1e6;

/// Number of landmarks.
pub const LANDMARK_COUNT: usize = REGION_COUNT - 1;

impl Landmark {
    /// All landmarks, from the top of the body downwards.
    pub const ALL: [Self; LANDMARK_COUNT] = [Self::LungApex, Self::HeartTop, Self::LiverDome, Self::KidneyMiddle];

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::LungApex => "lung apex",
            Self::HeartTop => "top of the heart",
            Self::LiverDome => "liver dome",
            Self::KidneyMiddle => "middle of the kidneys",
        }
    }
}

/// Typical height of each landmark below the lung apex in an adult lying on the back, in mm.
///
/// Liver dome to middle of the kidneys: 137 (standard deviation 27) in the 14 labelled abdomens of btcv_synapse, most of whose
/// slice distances are estimates. Lung apex to liver dome: about 175 in LIDC-IDRI-0314, 180 to 200 in anatomy books for
/// quiet breathing. The top of the heart lies about halfway: 95 below the apex, 85 above the dome.
pub(super) const BELOW_APEX_MM: [f64; LANDMARK_COUNT] = [0.0, 95.0, 180.0, 317.0];

/// What is known about the height of a landmark, in patient superior mm (z of LPS).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Seen, or given.
    Exact(f64),
    /// From another landmark.
    Estimated(f64),
    /// The landmark is here or further up.
    AtOrAbove(f64),
    /// The landmark is here or further down.
    AtOrBelow(f64),
    /// Nothing is known.
    Unknown,
}

/// Where the knowledge about a landmark comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LandmarkSource {
    /// The labels of the landmark's organ.
    Label,
    /// The lungs in the CT.
    Hounsfield,
    /// A typical distance from known landmarks.
    Offset,
    /// Labels of organs that lie wholly on one side of the landmark.
    OtherOrgans,
    /// Given: by a manifest, or exact because the volume is synthetic.
    Given,
    /// Nothing tells where it is.
    None,
}

/// A landmark of one scan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LandmarkEstimate {
    /// The height.
    pub position: Position,
    /// Where the knowledge comes from.
    pub source: LandmarkSource,
    /// Half the height of the soft band, or of the band beyond an inequality that stays unknown, in mm.
    pub band_mm: f64,
}

impl LandmarkEstimate {
    pub(super) const UNKNOWN: Self =
        Self { position: Position::Unknown, source: LandmarkSource::None, band_mm: BAND_MM };

    pub(super) fn new(position: Position, source: LandmarkSource) -> Self {
        Self { position, source, band_mm: BAND_MM }
    }

    /// The probability that height `z` lies above the landmark; `None` where that is not known.
    pub(super) fn above(&self, z: f64) -> Option<f64> {
        match self.position {
            Position::Exact(at) | Position::Estimated(at) => {
                Some(((z - at) / self.band_mm / 2.0 + 0.5).clamp(0.0, 1.0))
            }
            Position::AtOrAbove(bound) => (z <= bound - self.band_mm).then_some(0.0),
            Position::AtOrBelow(bound) => (z >= bound + self.band_mm).then_some(1.0),
            Position::Unknown => None,
        }
    }
}

/// Places the landmarks that were not seen at typical distances from those that were: between two of them in proportion,
/// otherwise from the nearest. Each step away widens the band; what is known as an inequality is kept.
pub(super) fn estimate(landmarks: &mut [LandmarkEstimate; LANDMARK_COUNT]) {
    let exact = landmarks.map(|landmark| match landmark.position {
        Position::Exact(z) => Some(z),
        _ => None,
    });
    let known = |n: usize| exact[n].map(|z| (n, z));
    for n in 0..LANDMARK_COUNT {
        if exact[n].is_some() {
            continue;
        }
        let upper = (0..n).rev().find_map(known);
        let lower = (n + 1..LANDMARK_COUNT).find_map(known);
        let offset = |from: usize| BELOW_APEX_MM[n] - BELOW_APEX_MM[from];
        let (z, steps) = match (upper, lower) {
            (Some((u, above)), Some((l, below))) => {
                let share = offset(u) / (BELOW_APEX_MM[l] - BELOW_APEX_MM[u]);
                (above + share * (below - above), (n - u).min(l - n))
            }
            (Some((u, above)), None) => (above - offset(u), n - u),
            (None, Some((l, below))) => (below - offset(l), l - n),
            (None, None) => continue,
        };
        let z = match landmarks[n].position {
            Position::AtOrAbove(bound) => z.max(bound),
            Position::AtOrBelow(bound) => z.min(bound),
            _ => z,
        };
        landmarks[n] = LandmarkEstimate {
            position: Position::Estimated(z),
            source: LandmarkSource::Offset,
            band_mm: BAND_MM * (1 + steps) as f64,
        };
    }
}
