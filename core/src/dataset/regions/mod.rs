//! Which region of the body each slice shows, derived from what a case has.
//!
//! Nobody draws region labels, yet the region branch needs them, and so does the loss: an organ that cannot occur in a slice
//! is known to be absent there even if its set does not annotate it. A wrong region therefore does harm twice, and this
//! module would rather say "unknown" than guess. Four landmarks part the five regions. Each comes, in this order, from
//! labels, from the lungs in the CT, or from a typical distance to a landmark that is known, which doubles the band
//! in which the region stays soft; a scan that ends too early leaves an inequality, and beyond that the region is unknown.

mod air;
mod lung_labels;
mod lungs;

use crate::anatomy::{Organ, OrganSet, REGION_COUNT, Region};
use crate::preprocess::Body;
use crate::volume::{CtVolume, Geometry, LabelVolume};
use lungs::Lungs;
use serde::{Deserialize, Serialize};

pub use lung_labels::{LUNGS, label_lungs};

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
const FAR_MM: f64 = 1e6;

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
const BELOW_APEX_MM: [f64; LANDMARK_COUNT] = [0.0, 95.0, 180.0, 317.0];

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
pub enum Source {
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
    /// Nothing.
    None,
}

/// A landmark of one scan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LandmarkEstimate {
    /// The height.
    pub position: Position,
    /// Where it is from.
    pub source: Source,
    /// Half the height of the soft band, or of the band beyond an inequality that stays unknown, in mm.
    pub band_mm: f64,
}

impl LandmarkEstimate {
    const UNKNOWN: Self = Self { position: Position::Unknown, source: Source::None, band_mm: BAND_MM };

    fn new(position: Position, source: Source) -> Self {
        Self { position, source, band_mm: BAND_MM }
    }

    /// The probability that height `z` lies above the landmark; `None` where that is not known.
    fn above(&self, z: f64) -> Option<f64> {
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

/// Why no region labels could be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RegionError {
    /// Two landmarks stand in the wrong order.
    #[error(
        "the {upper} (z = {upper_mm:.0} mm) lies below the {lower} (z = {lower_mm:.0} mm); check the orientation of the image and its labels, or give `region_boundaries_mm` in the manifest"
    )]
    Order {
        /// The landmark that should be higher.
        upper: &'static str,
        /// Its height.
        upper_mm: f64,
        /// The landmark that should be lower.
        lower: &'static str,
        /// Its height.
        lower_mm: f64,
    },
    /// A given boundary is not a number.
    #[error("the height of the {0} is not a number; give it in mm")]
    NotANumber(&'static str),
    /// Labels on another grid than the CT.
    #[error(
        "the labels ({labels:?} voxels) and the CT ({ct:?} voxels) lie on different grids; resample the labels first"
    )]
    Grid {
        /// Size of the CT.
        ct: [usize; 3],
        /// Size of the labels.
        labels: [usize; 3],
    },
}

fn same_grid(ct: &CtVolume, labels: &LabelVolume) -> Result<(), RegionError> {
    match labels.geometry.same_grid(&ct.geometry, 0.5) {
        true => Ok(()),
        false => Err(RegionError::Grid { ct: ct.geometry.size, labels: labels.geometry.size }),
    }
}

/// The region labels of one scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionLabels {
    /// For every slice, from the most inferior one, the probability of each region by region index; `None` where the region is
    /// unknown or the slice is empty.
    pub targets: Vec<Option<[f32; REGION_COUNT]>>,
    /// What is known about each landmark, in the order of [`Landmark::ALL`].
    pub landmarks: [LandmarkEstimate; LANDMARK_COUNT],
}

impl RegionLabels {
    /// The regions of a case: between the boundaries that its manifest gives, else derived.
    ///
    /// # Errors
    /// [`RegionError::Grid`] when labels and CT do not match; else as for [`from_boundaries`](Self::from_boundaries) and
    /// [`derive`](Self::derive).
    pub fn of_case(
        ct: &CtVolume,
        labels: &LabelVolume,
        annotated: OrganSet,
        given_mm: Option<[f64; LANDMARK_COUNT]>,
        body: &Body,
    ) -> Result<Self, RegionError> {
        match given_mm {
            Some(given) => {
                same_grid(ct, labels)?;
                Self::from_boundaries(&ct.geometry, given)
            }
            None => Self::derive(ct, Some(labels), annotated, Some(body)),
        }
    }

    /// Derives the regions of a scan from its labels (on the CT's grid) of the `annotated` organs and from the CT itself. Without a body it is
    /// found here.
    ///
    /// # Errors
    /// [`RegionError::Grid`] when labels and CT do not match, [`RegionError::Order`] when labelled landmarks contradict
    /// each other.
    pub fn derive(
        ct: &CtVolume,
        labels: Option<&LabelVolume>,
        annotated: OrganSet,
        body: Option<&Body>,
    ) -> Result<Self, RegionError> {
        if let Some(labels) = labels {
            same_grid(ct, labels)?;
        }
        let found;
        let body = match body {
            Some(body) => body,
            None => {
                found = Body::find(ct);
                &found
            }
        };
        let heights = heights(&ct.geometry);
        let filled: Vec<bool> = (0..heights.len()).map(|k| body.extent(k).is_some()).collect();
        let (Some(low), Some(high)) = (filled.iter().position(|&f| f), filled.iter().rposition(|&f| f)) else {
            return Ok(Self {
                targets: vec![None; heights.len()],
                landmarks: [LandmarkEstimate::UNKNOWN; LANDMARK_COUNT],
            });
        };
        let scan = Scan { heights: &heights, low, high };
        let extents = Extents::of(labels, annotated, &scan);

        let mut landmarks = extents.landmarks(&scan);
        if !matches!(landmarks[0].position, Position::Exact(_))
            && let Some(apex) = apex_from_lungs(&lungs::find(ct, body, extents.head_ends_at), &scan, &extents)
        {
            landmarks[0] = apex;
        }
        check_order(&landmarks)?;
        extents.bound(&mut landmarks, &scan);
        estimate(&mut landmarks);

        let mut result = Self::at_heights(&heights, landmarks);
        for (target, filled) in result.targets.iter_mut().zip(filled) {
            if !filled {
                *target = None;
            }
        }
        Ok(result)
    }

    /// The regions of a volume whose boundaries are known, in the order of [`Landmark::ALL`], as patient superior mm. A boundary
    /// above or below everything is infinite.
    ///
    /// # Errors
    /// [`RegionError::Order`] when a boundary lies above the one before it, [`RegionError::NotANumber`].
    pub fn from_boundaries(geometry: &Geometry, boundaries_mm: [f64; LANDMARK_COUNT]) -> Result<Self, RegionError> {
        if let Some(n) = boundaries_mm.iter().position(|z| z.is_nan()) {
            return Err(RegionError::NotANumber(Landmark::ALL[n].name()));
        }
        // Beyond any body, yet a number that JSON can hold.
        let landmarks =
            boundaries_mm.map(|z| LandmarkEstimate::new(Position::Exact(z.clamp(-FAR_MM, FAR_MM)), Source::Given));
        check_order(&landmarks)?;
        Ok(Self::at_heights(&heights(geometry), landmarks))
    }

    fn at_heights(heights: &[f64], landmarks: [LandmarkEstimate; LANDMARK_COUNT]) -> Self {
        Self { targets: heights.iter().map(|&z| target(&landmarks, z)).collect(), landmarks }
    }

    /// Whether slice `k` can show the organ: by the organ's regions, widened by one neighbour, in any region that the
    /// slice may belong to. Always true where the region is unknown and outside the scan.
    pub fn can_occur(&self, k: usize, organ: Organ) -> bool {
        let Some(Some(target)) = self.targets.get(k) else { return true };
        let possible = organ.possible_regions_widened();
        target.iter().zip(possible).any(|(&p, possible)| p > 0.0 && possible)
    }

    /// The most probable region of slice `k`; `None` where it is unknown.
    pub fn region(&self, k: usize) -> Option<Region> {
        self.targets.get(k)?.as_ref().map(Region::most_likely)
    }
}

/// The height of every slice's middle, in patient superior mm.
fn heights(geometry: &Geometry) -> Vec<f64> {
    (0..geometry.size[2]).map(|k| geometry.slice_mm(k)).collect()
}

/// The region probabilities at a height.
fn target(landmarks: &[LandmarkEstimate; LANDMARK_COUNT], z: f64) -> Option<[f32; REGION_COUNT]> {
    let mut above = landmarks.map(|landmark| landmark.above(z));
    // Below a landmark is below all higher ones, and above it above all lower ones.
    for n in 0..LANDMARK_COUNT {
        if above[n] == Some(0.0) {
            above[..n].fill(Some(0.0));
        }
        if above[n] == Some(1.0) {
            above[n + 1..].fill(Some(1.0));
        }
    }
    let mut target = [0.0; REGION_COUNT];
    let mut rest = 1.0;
    for n in 0..LANDMARK_COUNT {
        let here = rest * above[n]?;
        target[n] = here as f32;
        rest -= here;
        if rest <= 0.0 {
            return Some(target);
        }
    }
    target[REGION_COUNT - 1] = rest as f32;
    Some(target)
}

fn check_order(landmarks: &[LandmarkEstimate; LANDMARK_COUNT]) -> Result<(), RegionError> {
    let mut last: Option<(usize, f64)> = None;
    for (n, landmark) in landmarks.iter().enumerate() {
        let Position::Exact(z) = landmark.position else { continue };
        if let Some((upper, upper_mm)) = last.filter(|&(_, above)| above < z) {
            let [upper, lower] = [upper, n].map(|n| Landmark::ALL[n].name());
            return Err(RegionError::Order { upper, upper_mm, lower, lower_mm: z });
        }
        last = Some((n, z));
    }
    Ok(())
}

/// Places the landmarks that were not seen at typical distances from those that were: between two of them in proportion,
/// otherwise from the nearest. Each step away widens the band; what is known as an inequality is kept.
fn estimate(landmarks: &mut [LandmarkEstimate; LANDMARK_COUNT]) {
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
            source: Source::Offset,
            band_mm: BAND_MM * (1 + steps) as f64,
        };
    }
}

/// The slices of a scan that show the patient.
struct Scan<'a> {
    heights: &'a [f64],
    low: usize,
    high: usize,
}

impl Scan<'_> {
    fn top(&self) -> f64 {
        self.heights[self.high]
    }
}

/// The lowest and highest slice of every annotated organ that is there.
struct Extents {
    slices: [Option<(usize, usize)>; crate::anatomy::ORGAN_COUNT],
    /// Lowest slice of an organ that only the head has.
    head_ends_at: Option<usize>,
}

/// How far an organ may reach beyond its regions in an unusual patient, in mm.
const STRAY_MM: f64 = 30.0;

impl Extents {
    /// Slices without patient do not count: contours can go on where the CT was cut away.
    fn of(labels: Option<&LabelVolume>, annotated: OrganSet, scan: &Scan) -> Self {
        let mut slices = [None; crate::anatomy::ORGAN_COUNT];
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

    fn get(&self, organ: Organ) -> Option<(usize, usize)> {
        self.slices[organ.index()]
    }

    /// The landmarks that their own organs show.
    fn landmarks(&self, scan: &Scan) -> [LandmarkEstimate; LANDMARK_COUNT] {
        let top = |slice: usize| {
            let position =
                if slice >= scan.high { Position::AtOrAbove(scan.top()) } else { Position::Exact(scan.heights[slice]) };
            LandmarkEstimate::new(position, Source::Label)
        };
        let top_of = |organ| self.get(organ).map_or(LandmarkEstimate::UNKNOWN, |(_, last)| top(last));
        let apex = match (self.get(Organ::LungLeft), self.get(Organ::LungRight)) {
            (Some((_, left)), Some((_, right))) => top(left.max(right)),
            // The other one may reach higher.
            (Some((_, one)), None) | (None, Some((_, one))) => {
                LandmarkEstimate::new(Position::AtOrAbove(scan.heights[one]), Source::Label)
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
        LandmarkEstimate { position, source: Source::Label, band_mm }
    }

    /// Narrows what is not seen by the organs that lie wholly above or below it.
    fn bound(&self, landmarks: &mut [LandmarkEstimate; LANDMARK_COUNT], scan: &Scan) {
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
        *landmark = LandmarkEstimate::new(position, Source::OtherOrgans);
    }
}

/// What the lungs in the CT say about the apex; `None` when they say nothing.
fn apex_from_lungs(lungs: &Lungs, scan: &Scan, extents: &Extents) -> Option<LandmarkEstimate> {
    let position = match *lungs {
        Lungs::From(k) => Position::Exact(scan.heights[k]),
        // The lungs widen by several cm within a few cm of the apex; large ones at the top have it well outside.
        Lungs::AtTop { large } => Position::AtOrAbove(scan.top() + if large { 2.0 * BAND_MM } else { 0.0 }),
        Lungs::Unclear(k) => Position::AtOrBelow(scan.heights[k]),
        // No air below a head: the apex is not in view, and all that is seen is head.
        Lungs::NoneFrom(k) if extents.head_ends_at.is_some() => Position::AtOrBelow(scan.heights[k] - BAND_MM),
        Lungs::NoneFrom(_) | Lungs::Unseen => return None,
    };
    Some(LandmarkEstimate::new(position, Source::Hounsfield))
}

#[cfg(test)]
mod tests;
