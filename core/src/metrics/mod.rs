//! How well a segmentation agrees with a reference: Dice, Hausdorff 95, surface Dice, mean surface distance, added path
//! length.
//!
//! Published figures differ by percent when two programs define "surface" or "percentile" differently, so the surface
//! metrics follow one widely used definition exactly (see `surface.rs`), and the rules of counting are written here
//! once: an organ that a case does not annotate is skipped, or measured apart where the patient has it and the whole
//! truth is known; a missed organ is Dice 0 and a counted miss, a mean Hausdorff distance is over the finite values, and
//! an organ that goes on beyond its contours is compared only on the slices where it was outlined.

mod attention;
mod evaluation;
mod overlap;
mod path;
mod presence;
mod regions;
mod run;
mod surface;
mod systems;
mod truth;

pub use attention::{AttentionEffect, NEGLIGIBLE_SHARE, OrganChange};
pub use evaluation::{CaseResult, Evaluation, Impossible, OrganResult, Organs, OverOrgans};
pub use overlap::{Overlap, annotated_slices, with_open_ends};
pub use path::added_path_mm;
pub use presence::{OrganPresence, PresenceSamples};
pub use regions::RegionConfusion;
pub use run::{MeasureError, MeasureOptions, Patient, Subject, by_set, evaluate, subject};
pub use surface::SurfaceDistances;
pub use systems::{Comparison, OrganOverRuns, System};
pub use truth::CaseTruth;

use crate::anatomy::{Organ, OrganSet};
use crate::parallel::map;
use crate::volume::LabelVolume;
use serde::{Deserialize, Serialize};

/// Tolerance of the surface Dice when nothing else is asked for, in mm: a voxel of the shipped weights.
pub const DEFAULT_TOLERANCE_MM: f64 = 3.0;

/// Largest distance between corresponding voxels of two grids that count as the same, in mm.
const SAME_GRID_MM: f64 = 0.1;

/// The agreement of one organ in one case. Distances in mm; an infinite distance is stored as `None` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrganMetrics {
    /// 2 |A and B| / (|A| + |B|).
    pub dice: f64,
    /// 95 % Hausdorff distance; infinite when one side is empty.
    #[serde(with = "infinite_as_null")]
    pub hausdorff_95_mm: f64,
    /// Share of both surfaces that lies within the tolerance of the other.
    pub surface_dice: f64,
    /// Mean of the two mean surface distances; infinite when one side is empty.
    #[serde(with = "infinite_as_null")]
    pub mean_surface_distance_mm: f64,
    /// Contour of the reference that would have to be drawn anew, in mm.
    pub added_path_mm: f64,
    /// The reference has the organ, the prediction has not one voxel of it.
    pub missed: bool,
    /// Volume in the reference, ml (within the compared slices).
    pub truth_ml: f64,
    /// Volume in the prediction, ml (within the compared slices).
    pub prediction_ml: f64,
}

impl OrganMetrics {
    /// Whether the prediction has the organ and the truth not one voxel of it.
    pub fn is_only_predicted(&self) -> bool {
        self.truth_ml == 0.0 && self.prediction_ml > 0.0
    }
}

/// Why two volumes cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// The volumes lie on different grids.
    #[error(
        "the prediction ({prediction:?} voxels) and the reference ({truth:?} voxels) lie on different grids; resample one onto the other first"
    )]
    Grid {
        /// Size of the reference.
        truth: [usize; 3],
        /// Size of the prediction.
        prediction: [usize; 3],
    },
}

/// Compares every annotated organ of a case; by organ index, `None` where there is nothing to compare (the organ is not
/// annotated, or neither side has it).
///
/// Organs that go on beyond their contours ([`Organ::extends_beyond_contour`]) are compared on the reference's slices only.
///
/// # Errors
/// [`MetricsError::Grid`] when the two grids differ.
pub fn compare(
    truth: &LabelVolume,
    prediction: &LabelVolume,
    annotated: OrganSet,
    tolerance_mm: f64,
) -> Result<Vec<Option<OrganMetrics>>, MetricsError> {
    if !truth.geometry.same_grid(&prediction.geometry, SAME_GRID_MM) {
        return Err(MetricsError::Grid { truth: truth.geometry.size, prediction: prediction.geometry.size });
    }
    let compare = |organ: Organ| {
        let measured =
            annotated.contains(organ).then(|| compare_organ(truth, prediction, organ, tolerance_mm)).flatten();
        // Of an organ that goes on beyond its contours nothing is known where there are none.
        measured.filter(|metrics| !organ.extends_beyond_contour() || !metrics.is_only_predicted())
    };
    Ok(map(Organ::ALL.to_vec(), compare))
}

/// The agreement of one organ; `None` when neither volume has it. One step of [`compare`], for whoever has to do other
/// things in between. Both volumes must lie on the same grid. An organ that the truth has nowhere is looked for on all slices.
///
/// # Panics
/// When the volumes have different sizes.
pub fn compare_organ(
    truth: &LabelVolume,
    prediction: &LabelVolume,
    organ: Organ,
    tolerance_mm: f64,
) -> Option<OrganMetrics> {
    let label = organ.label();
    let all = 0..truth.geometry.size[2];
    let outlined = organ.extends_beyond_contour().then(|| annotated_slices(truth, organ)).flatten();
    let slices = outlined.unwrap_or(all);
    let plane = truth.geometry.size[0] * truth.geometry.size[1];
    let [a, b] = [truth, prediction].map(|v| &v.voxels[slices.start * plane..slices.end * plane]);
    let overlap = Overlap::of_label(a, b, label);
    let dice = overlap.dice()?;
    let size = [truth.geometry.size[0], truth.geometry.size[1], slices.len()];
    let surfaces = SurfaceDistances::between(size, truth.geometry.spacing(), |n| a[n] == label, |n| b[n] == label);
    let voxel_ml = truth.geometry.voxel_ml();
    Some(OrganMetrics {
        dice,
        hausdorff_95_mm: surfaces.hausdorff(0.95).unwrap_or(f64::INFINITY),
        surface_dice: surfaces.surface_dice(tolerance_mm).unwrap_or(0.0),
        mean_surface_distance_mm: surfaces.mean_distance().unwrap_or(f64::INFINITY),
        added_path_mm: added_path_mm(size, truth.geometry.spacing(), |n| a[n] == label, |n| b[n] == label),
        missed: overlap.truth > 0 && overlap.prediction == 0,
        truth_ml: overlap.truth as f64 * voxel_ml,
        prediction_ml: overlap.prediction as f64 * voxel_ml,
    })
}

/// Mean and sample standard deviation of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanStd {
    /// Mean; `None` without values.
    pub mean: Option<f64>,
    /// Standard deviation with n - 1; `None` with fewer than two values.
    pub std: Option<f64>,
    /// Number of values.
    pub n: usize,
}

impl MeanStd {
    /// The moments of the finite ones of these values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        // Welford: one pass, no cancellation.
        let (mut n, mut mean, mut squares) = (0usize, 0.0, 0.0);
        for value in values.into_iter().filter(|v| v.is_finite()) {
            n += 1;
            let step = value - mean;
            mean += step / n as f64;
            squares += step * (value - mean);
        }
        Self { mean: (n > 0).then_some(mean), std: (n > 1).then(|| (squares / (n - 1) as f64).max(0.0).sqrt()), n }
    }

    /// The moments of all values times `factor`, which is above 0.
    pub fn scaled(&self, factor: f64) -> Self {
        Self { mean: self.mean.map(|m| m * factor), std: self.std.map(|s| s * factor), n: self.n }
    }

    /// The mean for people; a dash without values.
    pub fn mean_text(&self, decimals: usize) -> String {
        self.mean.map_or_else(|| "-".into(), |mean| format!("{mean:.decimals$}"))
    }

    /// As [`text`](Self::text), with the sign of the mean.
    pub fn signed(&self, decimals: usize) -> String {
        let plus = self.mean.is_some_and(|mean| mean > 0.0);
        if plus { format!("+{}", self.text(decimals)) } else { self.text(decimals) }
    }

    /// Mean and, where there is one, standard deviation for people; a dash without values.
    pub fn text(&self, decimals: usize) -> String {
        let spread = self.std.map_or_else(String::new, |std| format!(" ± {std:.decimals$}"));
        self.mean_text(decimals) + &spread
    }
}

/// One organ over many cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Dice over all cases that have the organ; a miss counts as 0.
    pub dice: MeanStd,
    /// 95 % Hausdorff distance in mm over the cases where it is finite.
    pub hausdorff_95_mm: MeanStd,
    /// Surface Dice over all cases that have the organ; a miss counts as 0.
    pub surface_dice: MeanStd,
    /// Mean surface distance in mm over the cases where it is finite.
    pub mean_surface_distance_mm: MeanStd,
    /// Added path length in mm over all cases that have the organ.
    pub added_path_mm: MeanStd,
    /// Cases in which the organ was not found at all.
    pub misses: usize,
}

impl Summary {
    /// Summarises one organ over the cases that have it.
    pub fn of<'a>(cases: impl IntoIterator<Item = &'a OrganMetrics>) -> Self {
        let cases: Vec<&OrganMetrics> = cases.into_iter().collect();
        let moments = |value: fn(&OrganMetrics) -> f64| MeanStd::of(cases.iter().map(|m| value(m)));
        Self {
            dice: moments(|m| m.dice),
            hausdorff_95_mm: moments(|m| m.hausdorff_95_mm),
            surface_dice: moments(|m| m.surface_dice),
            mean_surface_distance_mm: moments(|m| m.mean_surface_distance_mm),
            added_path_mm: moments(|m| m.added_path_mm),
            misses: cases.iter().filter(|m| m.missed).count(),
        }
    }
}

/// JSON has no infinity; serde_json would write null and then fail to read it.
mod infinite_as_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::{Geometry, Modality};

    fn labels(size: [usize; 3], spacing: [f64; 3], label: impl Fn([usize; 3]) -> u8) -> LabelVolume {
        let geometry = Geometry::axial(size, spacing, [0.0; 3]).unwrap();
        let voxels = (0..geometry.voxel_count())
            .map(|n| label([n % size[0], n / size[0] % size[1], n / (size[0] * size[1])]))
            .collect();
        LabelVolume::from_stored(geometry, voxels, Modality::Unknown).unwrap()
    }

    const LIVER: u8 = Organ::Liver as u8;
    const CORD: u8 = Organ::SpinalCord as u8;

    #[test]
    fn organs_that_are_not_annotated_are_skipped_and_missed_ones_count() {
        let truth = labels([8, 8, 8], [1.0; 3], |[x, ..]| if x < 4 { LIVER } else { Organ::Spleen as u8 });
        let prediction = labels([8, 8, 8], [1.0; 3], |[x, ..]| if x < 4 { LIVER } else { Organ::Heart as u8 });
        let annotated: OrganSet = [Organ::Liver, Organ::Spleen, Organ::Pancreas].into_iter().collect();
        let result = compare(&truth, &prediction, annotated, 1.0).unwrap();
        let liver = result[Organ::Liver.index()].unwrap();
        assert_eq!((liver.dice, liver.hausdorff_95_mm, liver.surface_dice, liver.missed), (1.0, 0.0, 1.0, false));
        assert!((liver.truth_ml - 0.256).abs() < 1e-12);
        let spleen = result[Organ::Spleen.index()].unwrap();
        assert_eq!((spleen.dice, spleen.surface_dice, spleen.missed), (0.0, 0.0, true));
        assert!(spleen.surface_dice.is_sign_positive(), "-0 in a table");
        assert!(spleen.hausdorff_95_mm.is_infinite() && spleen.mean_surface_distance_mm.is_infinite());
        // Eight slices of 4 x 8 pixels: the outermost 20 of each are contour.
        assert_eq!((liver.added_path_mm, spleen.added_path_mm), (0.0, 8.0 * 20.0));
        assert_eq!(result[Organ::Heart.index()], None, "heart is unknown in this case, not wrong");
        assert_eq!(result[Organ::Pancreas.index()], None, "nothing on either side");

        let json = serde_json::to_string(&spleen).unwrap();
        assert_eq!(serde_json::from_str::<OrganMetrics>(&json).unwrap(), spleen);
    }

    #[test]
    fn a_cord_is_compared_only_where_it_was_outlined() {
        let cord = |from: usize, to: usize| {
            labels(
                [8, 8, 10],
                [1.0; 3],
                move |[x, y, z]| {
                    if x == 4 && y == 4 && (from..to).contains(&z) { CORD } else { 0 }
                },
            )
        };
        let annotated: OrganSet = [Organ::SpinalCord].into_iter().collect();
        let longer = compare(&cord(3, 7), &cord(0, 10), annotated, 1.0).unwrap();
        assert_eq!(longer[Organ::SpinalCord.index()].unwrap().dice, 1.0);
        assert_eq!(longer[Organ::SpinalCord.index()].unwrap().hausdorff_95_mm, 0.0);
        let shorter = compare(&cord(0, 10), &cord(3, 7), annotated, 1.0).unwrap();
        assert!(shorter[Organ::SpinalCord.index()].unwrap().dice < 0.6);
        // Without any contour it is unknown to whoever judges by annotation, and there to see for whoever looks at two label maps.
        let none = compare(&cord(0, 0), &cord(3, 7), annotated, 1.0).unwrap();
        assert_eq!(none[Organ::SpinalCord.index()], None);
        let seen = compare_organ(&cord(0, 0), &cord(3, 7), Organ::SpinalCord, 1.0).unwrap();
        assert_eq!((seen.dice, seen.surface_dice, seen.missed, seen.is_only_predicted()), (0.0, 0.0, false, true));
        assert_eq!((seen.truth_ml, seen.prediction_ml), (0.0, 0.004));
        assert!(seen.hausdorff_95_mm.is_infinite() && seen.mean_surface_distance_mm.is_infinite());
        assert_eq!(compare_organ(&cord(0, 0), &cord(0, 0), Organ::SpinalCord, 1.0), None);
    }

    #[test]
    fn volumes_on_different_grids_are_refused() {
        let a = labels([8, 8, 8], [1.0; 3], |_| LIVER);
        let b = labels([8, 8, 8], [1.0, 1.0, 1.1], |_| LIVER);
        let c = labels([8, 8, 9], [1.0; 3], |_| LIVER);
        for other in [b, c] {
            assert!(matches!(compare(&a, &other, OrganSet::ALL, 1.0), Err(MetricsError::Grid { .. })));
        }
    }

    #[test]
    fn summaries_skip_the_unlabelled_and_average_finite_distances() {
        let case = |dice: f64, hd: f64, missed: bool| {
            Some(OrganMetrics {
                dice,
                hausdorff_95_mm: hd,
                surface_dice: dice,
                mean_surface_distance_mm: hd,
                added_path_mm: 100.0 * (1.0 - dice),
                missed,
                truth_ml: 1.0,
                prediction_ml: 1.0,
            })
        };
        let cases = [case(0.9, 4.0, false), None, case(0.6, 8.0, false), case(0.0, f64::INFINITY, true)];
        let summary = Summary::of(cases.iter().flatten());
        assert_eq!((summary.dice.n, summary.hausdorff_95_mm.n, summary.misses), (3, 2, 1));
        assert!((summary.dice.mean.unwrap() - 0.5).abs() < 1e-12);
        assert!((summary.dice.std.unwrap() - 0.21f64.sqrt()).abs() < 1e-12);
        assert_eq!(summary.hausdorff_95_mm.mean, Some(6.0));
        assert!((summary.added_path_mm.mean.unwrap() - 50.0).abs() < 1e-12);
        assert_eq!(Summary::of([]), Summary::default());
        assert_eq!(MeanStd::of([5.0]), MeanStd { mean: Some(5.0), std: None, n: 1 });
    }
}
