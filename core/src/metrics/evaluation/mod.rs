//! What was measured on a set of cases, and the files that say so.
//!
//! The same result goes into a spreadsheet (CSV), into another program (JSON, which can be read back) and before a
//! reader (Markdown). Organs that a case does not annotate do not appear in it, unless the full truth was kept aside: on
//! phantoms it is, and then those organs are measured too, in tables of their own.

mod tables;

use super::attention::AttentionEffect;
use super::presence::OrganPresence;
use super::regions::RegionConfusion;
use super::truth::CaseTruth;
use super::{MeanStd, MetricsError, OrganMetrics, Summary, compare, compare_organ};
use crate::anatomy::{ORGAN_COUNT, Organ, OrganSet};
use crate::parallel::map;
use crate::volume::LabelVolume;
use serde::{Deserialize, Serialize};

/// One organ of one case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrganResult {
    /// Which organ.
    pub organ: Organ,
    /// Its agreement.
    #[serde(flatten)]
    pub metrics: OrganMetrics,
}

/// What was drawn where it cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Impossible {
    /// Which organ.
    pub organ: Organ,
    /// Volume drawn in slices whose region cannot show the organ, ml.
    pub ml: f64,
}

/// One case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// `set/id`, or the name of a file.
    pub name: String,
    /// Organs that the case annotates.
    pub annotated: Vec<OrganResult>,
    /// The other organs that the patient has, where their truth is known all the same.
    #[serde(default)]
    pub unannotated: Vec<OrganResult>,
    /// Organs that the prediction has and the truth has nowhere, where the whole truth is known or that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<OrganResult>,
    /// Organs drawn in a part of the body that cannot show them.
    #[serde(default)]
    pub impossible: Vec<Impossible>,
}

/// Which organs of a case are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Organs {
    /// Those that the case annotates.
    Annotated,
    /// The others, measured against a truth that no training saw.
    Unannotated,
    /// Those that the prediction alone has: drawn wrongly, or left out of the truth, and only a reader can tell which.
    Absent,
}

impl Organs {
    /// As the tables write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Annotated => "annotated",
            Self::Unannotated => "unannotated",
            Self::Absent => "absent",
        }
    }
}

impl CaseResult {
    /// The organs of one kind.
    pub fn organs(&self, which: Organs) -> &[OrganResult] {
        match which {
            Organs::Annotated => &self.annotated,
            Organs::Unannotated => &self.unannotated,
            Organs::Absent => &self.absent,
        }
    }

    /// Measures the `enabled` organs of a prediction. Of a whole truth, organs that it has are measured, which are the same whatever was
    /// predicted; those that only the prediction has are told apart, as [`CaseResult::absent`], and count in no mean.
    ///
    /// # Errors
    /// [`MetricsError::Grid`] when labels and prediction lie on different grids.
    pub fn measure(
        name: String,
        truth: &CaseTruth<'_>,
        prediction: &LabelVolume,
        enabled: OrganSet,
        tolerance_mm: f64,
    ) -> Result<Self, MetricsError> {
        let annotated = compare(truth.labels, prediction, truth.annotated.intersection(enabled), tolerance_mm)?;
        let others = match truth.whole {
            Some(whole) => compare(whole, prediction, enabled.difference(truth.annotated), tolerance_mm)?,
            None => Vec::new(),
        };
        let mut impossible = [0usize; ORGAN_COUNT];
        if let Some(regions) = truth.regions {
            for k in 0..prediction.geometry.size[2] {
                let mut counts = [0usize; 256];
                prediction.slice(k).iter().for_each(|&label| counts[usize::from(label)] += 1);
                for organ in enabled.iter().filter(|o| !regions.can_occur(k, *o)) {
                    impossible[organ.index()] += counts[usize::from(organ.label())];
                }
            }
        }
        let voxel_ml = prediction.geometry.voxel_ml();
        let impossible = enabled
            .iter()
            .map(|organ| Impossible { organ, ml: impossible[organ.index()] as f64 * voxel_ml })
            .filter(|i| i.ml > 0.0)
            .collect();
        let [annotated, others] = [annotated, others].map(|metrics| Self::named(&metrics));
        let (absent, unannotated) = others.into_iter().partition(|result| result.metrics.is_only_predicted());
        Ok(Self { name, annotated, unannotated, absent, impossible })
    }

    /// Adds those of the `wanted` organs that the prediction has and `truth` has nowhere, unless they count as annotated. The two are on
    /// the same grid, as whatever was measured is.
    pub fn with_absent(
        mut self,
        truth: &LabelVolume,
        prediction: &LabelVolume,
        wanted: OrganSet,
        tolerance_mm: f64,
    ) -> Self {
        let here = OrganSet::of_labels(&prediction.voxels).difference(OrganSet::of_labels(&truth.voxels));
        let measured: OrganSet = self.annotated.iter().map(|result| result.organ).collect();
        let absent: Vec<Organ> = here.intersection(wanted).difference(measured).iter().collect();
        let metrics = map(absent, |organ| Some((organ, compare_organ(truth, prediction, organ, tolerance_mm)?)));
        self.absent = metrics.into_iter().flatten().map(|(organ, metrics)| OrganResult { organ, metrics }).collect();
        self
    }

    /// Names the organs of a result of [`compare`].
    fn named(metrics: &[Option<OrganMetrics>]) -> Vec<OrganResult> {
        Organ::ALL
            .into_iter()
            .zip(metrics)
            .filter_map(|(organ, metrics)| metrics.map(|metrics| OrganResult { organ, metrics }))
            .collect()
    }
}

/// The mean organ: moments over the means of the organs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OverOrgans {
    /// Dice, 0 to 1.
    pub dice: MeanStd,
    /// 95 % Hausdorff distance, mm.
    pub hausdorff_95_mm: MeanStd,
    /// Surface Dice.
    pub surface_dice: MeanStd,
    /// Mean surface distance, mm.
    pub mean_surface_distance_mm: MeanStd,
    /// Added path length, mm.
    pub added_path_mm: MeanStd,
}

/// The measurements of a set of cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was compared with what, in a sentence or two.
    pub subject: String,
    /// Surface within this distance counts as right in the surface Dice.
    pub tolerance_mm: f64,
    /// Case by case.
    pub cases: Vec<CaseResult>,
    /// How well the network knew where it was; `None` where it has no region branch.
    #[serde(default)]
    pub regions: Option<RegionConfusion>,
    /// How well attention tells which organs a slice shows; empty where there is none.
    #[serde(default)]
    pub presence: Vec<OrganPresence>,
    /// What attention changes, where that was asked for.
    #[serde(default)]
    pub attention: Option<AttentionEffect>,
}

impl Evaluation {
    /// The organs that some case measures, in table order.
    pub fn summaries(&self, which: Organs) -> Vec<(Organ, Summary)> {
        Organ::ALL
            .into_iter()
            .map(|organ| (organ, self.summary(which, organ)))
            .filter(|(_, summary)| summary.dice.n > 0)
            .collect()
    }

    /// One organ over all cases.
    pub fn summary(&self, which: Organs, organ: Organ) -> Summary {
        let cases = self.cases.iter().flat_map(|case| case.organs(which));
        Summary::of(cases.filter(|r| r.organ == organ).map(|r| &r.metrics))
    }

    /// The mean organ.
    pub fn over_organs(&self, which: Organs) -> OverOrgans {
        let summaries = self.summaries(which);
        let moments = |value: fn(&Summary) -> MeanStd| MeanStd::of(summaries.iter().filter_map(|s| value(&s.1).mean));
        OverOrgans {
            dice: moments(|s| s.dice),
            hausdorff_95_mm: moments(|s| s.hausdorff_95_mm),
            surface_dice: moments(|s| s.surface_dice),
            mean_surface_distance_mm: moments(|s| s.mean_surface_distance_mm),
            added_path_mm: moments(|s| s.added_path_mm),
        }
    }

    /// Volume drawn where the organ cannot be, ml, over all cases and organs.
    pub fn impossible_ml(&self) -> f64 {
        Organ::ALL.into_iter().map(|organ| self.impossible(organ).0).sum()
    }

    /// Volume of one organ that is drawn where it cannot be, ml, over all cases, and in how many of them.
    pub fn impossible(&self, organ: Organ) -> (f64, usize) {
        let impossible = self.cases.iter().flat_map(|c| &c.impossible).filter(|i| i.organ == organ);
        impossible.fold((0.0, 0), |(ml, cases), i| (ml + i.ml, cases + 1))
    }
}

#[cfg(test)]
mod tests;
