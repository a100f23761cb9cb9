//! What the labels of a scan, and the lungs in its CT, say of the landmarks.

use super::landmarks::{BAND_MM, LANDMARK_COUNT, LandmarkEstimate, LandmarkSource, Position};
use super::lungs::Lungs;
use crate::anatomy::{ORGAN_COUNT, Organ, OrganSet, Region};
use crate::volume::{Geometry, LabelVolume};

/// The height of every slice's middle, in patient superior mm.
pub(super) fn heights(geometry: &Geometry) -> Vec<f64> {
    (0..geometry.size[2]).map(|k| geometry.slice_mm(k)).collect()
}

/// The slices of a scan that show the patient.
pub(super) struct Scan<'a> {
    pub heights: &'a [f64],
    pub low: usize,
    pub high: usize,
}

impl Scan<'_> {
    fn top(&self) -> f64 {
        self.heights[self.high]
    }
}

/// The lowest and highest slice of every annotated organ that is there.
pub(super) struct Extents {
    slices: [Option<(usize, usize)>; ORGAN_COUNT],
    /// Lowest slice of an organ that only the head has.
    pub head_ends_at: Option<usize>,
}

/// How far an organ may reach beyond its regions in an unusual patient, in mm.
const STRAY_MM: f64 = 30.0;

impl Extents {
    /// Slices without patient do not count: contours can go on where the CT was cut away.
    pub fn of(labels: Option<&LabelVolume>, annotated: OrganSet, scan: &Scan) -> Self {
        let mut slices = [None; ORGAN_COUNT];
        for k in scan.low..=scan.high {
            let Some(labels) = labels else { break };
            let mut seen = [false; 256];
            for &label in labels.slice(k) {
                seen[usize::from(label)] = true;
            }
            for organ in annotated.iter().filter(|organ| seen[usize::from(organ.label())]) {
                let entry = &mut slices[organ.index()];
                *entry = Some((entry.map_or(k, |(first, _)| first), k));
            }
        }
        let head_ends_at = Organ::ALL
            .into_iter()
            .filter(|organ| organ.regions() == [Region::Head])
            .filter_map(|organ| slices[organ.index()].map(|(first, _)| first))
            .min();
        Self { slices, head_ends_at }
    }

    pub fn get(&self, organ: Organ) -> Option<(usize, usize)> {
        self.slices[organ.index()]
    }

    /// The landmarks that their own organs show.
    pub fn landmarks(&self, scan: &Scan) -> [LandmarkEstimate; LANDMARK_COUNT] {
        let top = |slice: usize| {
            let position =
                if slice >= scan.high { Position::AtOrAbove(scan.top()) } else { Position::Exact(scan.heights[slice]) };
            LandmarkEstimate::new(position, LandmarkSource::Label)
        };
        let top_of = |organ| self.get(organ).map_or(LandmarkEstimate::UNKNOWN, |(_, last)| top(last));
        let apex = match (self.get(Organ::LungLeft), self.get(Organ::LungRight)) {
            (Some((_, left)), Some((_, right))) => top(left.max(right)),
            // The other one may reach higher.
            (Some((_, one)), None) | (None, Some((_, one))) => {
                LandmarkEstimate::new(Position::AtOrAbove(scan.heights[one]), LandmarkSource::Label)
            }
            (None, None) => LandmarkEstimate::UNKNOWN,
        };
        [apex, top_of(Organ::Heart), top_of(Organ::Liver), self.kidneys(scan)]
    }

    fn kidneys(&self, scan: &Scan) -> LandmarkEstimate {
        let middles: Vec<(f64, bool, bool)> = [Organ::KidneyLeft, Organ::KidneyRight]
            .into_iter()
            .filter_map(|organ| self.get(organ))
            .map(|(first, last)| {
                ((scan.heights[first] + scan.heights[last]) / 2.0, first <= scan.low, last >= scan.high)
            })
            .collect();
        if middles.is_empty() {
            return LandmarkEstimate::UNKNOWN;
        }
        let z = middles.iter().map(|m| m.0).sum::<f64>() / middles.len() as f64;
        // A kidney that the scan cuts off below has its middle further down than what is seen of it.
        let position = match (middles.iter().any(|m| m.1), middles.iter().any(|m| m.2)) {
            (false, false) => Position::Exact(z),
            (true, false) => Position::AtOrBelow(z),
            (false, true) => Position::AtOrAbove(z),
            (true, true) => Position::Unknown,
        };
        let band_mm = if middles.len() == 2 { BAND_MM } else { 2.0 * BAND_MM };
        LandmarkEstimate { position, source: LandmarkSource::Label, band_mm }
    }

    /// Narrows what is not seen by the organs that lie wholly above or below it.
    pub fn bound(&self, landmarks: &mut [LandmarkEstimate; LANDMARK_COUNT], scan: &Scan) {
        for organ in Organ::ALL.into_iter().filter(|organ| !organ.extends_beyond_contour()) {
            let Some((first, last)) = self.get(organ) else { continue };
            let (Some(upper), Some(lower)) = (organ.regions().first(), organ.regions().last()) else { continue };
            if let Some(landmark) = upper.index().checked_sub(1).map(|n| &mut landmarks[n]) {
                tighten(landmark, Position::AtOrAbove(scan.heights[last] - STRAY_MM));
            }
            if let Some(landmark) = landmarks.get_mut(lower.index()) {
                tighten(landmark, Position::AtOrBelow(scan.heights[first] + STRAY_MM));
            }
        }
    }
}

/// Adds an inequality to a landmark of which nothing, or a weaker inequality of the same kind, is known.
fn tighten(landmark: &mut LandmarkEstimate, position: Position) {
    let stronger = match (landmark.position, position) {
        (Position::Unknown, _) => true,
        (Position::AtOrAbove(known), Position::AtOrAbove(new)) => new > known,
        (Position::AtOrBelow(known), Position::AtOrBelow(new)) => new < known,
        _ => false,
    };
    if stronger {
        *landmark = LandmarkEstimate::new(position, LandmarkSource::OtherOrgans);
    }
}

/// What the lungs in the CT say about the apex; `None` when they say nothing.
pub(super) fn apex_from_lungs(lungs: &Lungs, scan: &Scan, extents: &Extents) -> Option<LandmarkEstimate> {
    let position = match *lungs {
        Lungs::From(k) => Position::Exact(scan.heights[k]),
        // The lungs widen by several cm within a few cm of the apex; large ones at the top have it well outside.
        Lungs::AtTop { large } => Position::AtOrAbove(scan.top() + if large { 2.0 * BAND_MM } else { 0.0 }),
        Lungs::Unclear(k) => Position::AtOrBelow(scan.heights[k]),
        // No air below a head: the apex is not in view, and all that is seen is head.
        Lungs::NoneFrom(k) if extents.head_ends_at.is_some() => Position::AtOrBelow(scan.heights[k] - BAND_MM),
        Lungs::NoneFrom(_) | Lungs::Unseen => return None,
    };
    Some(LandmarkEstimate::new(position, LandmarkSource::Hounsfield))
}
