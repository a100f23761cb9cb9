//! Which region of the body each slice shows, derived from what a case has.
//!
//! Nobody draws region labels, yet the region branch needs them, and so does the loss: an organ that cannot occur in a slice
//! is known to be absent there even if its set does not annotate it. A wrong region therefore does harm twice, and this
//! module would rather say "unknown" than guess. Four landmarks part the five regions. Each comes, in this order, from
//! labels, from the lungs in the CT, or from a typical distance to a landmark that is known, which doubles the band
//! in which the region stays soft; a scan that ends too early leaves an inequality, and beyond that the region is unknown.
//!
//! | file | what |
//! |---|---|
//! | `landmarks.rs` | the four landmarks, what is known of each, typical distances |
//! | `extents.rs` | from labels and lungs to landmarks |
//! | `lungs.rs`, `air.rs` | where the lungs begin, from the CT alone |
//! | `lung_labels.rs` | lungs labelled by rule |

mod air;
mod extents;
mod landmarks;
mod lung_labels;
mod lungs;

use crate::anatomy::{Organ, OrganSet, REGION_COUNT, Region};
use crate::preprocess::Body;
use crate::volume::{CtVolume, Geometry, LabelVolume};
use extents::{Extents, Scan, apex_from_lungs, heights};
use landmarks::{FAR_MM, estimate};
use serde::{Deserialize, Serialize};

pub use landmarks::{BAND_MM, LANDMARK_COUNT, Landmark, LandmarkEstimate, LandmarkSource, Position};
pub use lung_labels::{LUNGS, label_lungs};

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
        let landmarks = boundaries_mm
            .map(|z| LandmarkEstimate::new(Position::Exact(z.clamp(-FAR_MM, FAR_MM)), LandmarkSource::Given));
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

#[cfg(test)]
mod tests;
