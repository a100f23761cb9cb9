//! Whether attention tells which organs a slice shows: how well z4 ranks slices with an organ above slices without.
//!
//! The area under the ROC curve is the share of pairs (a slice with the organ, one without) in which the one with it has the higher z4,
//! equal ones counted half (Mann and Whitney). Average precision is the mean, over the slices with the organ, of the share of slices with
//! it among all that rank at least as high. Neither depends on the height of z4, which the gauge fixes.
//!
//! Only slices whose truth is known count: those of a case that annotates the organ (within its contours where it goes on beyond
//! them), and those of a part of the body that cannot show it.

use serde::{Deserialize, Serialize};

use super::overlap::annotated_slices;
use super::truth::CaseTruth;
use crate::anatomy::{ORGAN_COUNT, Organ};
use crate::infer::SliceAnatomy;

/// How z4 of one organ tells slices apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrganPresence {
    /// Which organ.
    pub organ: Organ,
    /// Slices that show it.
    pub with: usize,
    /// Slices that do not.
    pub without: usize,
    /// Area under the ROC curve, 0 to 1; 0.5 is chance.
    pub auc: f64,
    /// Average precision, 0 to 1; chance is the share of slices with the organ.
    pub average_precision: f64,
    /// Mean z4 of slices with it.
    pub mean_with: f64,
    /// Mean z4 of slices without.
    pub mean_without: f64,
}

/// z4 of all slices whose truth is known, and whether they show the organ, by organ index.
#[derive(Clone, Debug)]
pub struct PresenceSamples([Vec<(f32, bool)>; ORGAN_COUNT]);

impl Default for PresenceSamples {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }
}

impl PresenceSamples {
    /// Adds a case. Slices without attention add nothing.
    pub fn add<'a>(&mut self, truth: &CaseTruth<'_>, slices: impl IntoIterator<Item = &'a SliceAnatomy> + Clone) {
        for organ in Organ::ALL {
            let annotated = truth.annotated.contains(organ);
            let drawn = if annotated { annotated_slices(truth.labels, organ) } else { None };
            for slice in slices.clone() {
                let Some(attention) = &slice.attention else { continue };
                let inside = drawn.as_ref().is_some_and(|range| range.contains(&slice.slice));
                let known = annotated && (inside || !organ.extends_beyond_contour());
                let impossible = truth.regions.is_some_and(|regions| !regions.can_occur(slice.slice, organ));
                if known || impossible {
                    let shows = inside && truth.labels.slice(slice.slice).contains(&organ.label());
                    self.0[organ.index()].push((attention[organ.index()], shows));
                }
            }
        }
    }

    /// What they say of each organ of which there are slices of both kinds, in table order.
    pub fn measure(&self) -> Vec<OrganPresence> {
        Organ::ALL.into_iter().filter_map(|organ| measure(organ, &self.0[organ.index()])).collect()
    }
}

fn measure(organ: Organ, samples: &[(f32, bool)]) -> Option<OrganPresence> {
    let with = samples.iter().filter(|s| s.1).count();
    let without = samples.len() - with;
    if with == 0 || without == 0 {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut above, mut seen, mut pairs, mut precision) = (0usize, 0usize, 0.0, 0.0);
    // Equal heights share a rank.
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        let positive = group.iter().filter(|s| s.1).count();
        let negative = group.len() - positive;
        pairs += negative as f64 * (above as f64 + positive as f64 / 2.0);
        above += positive;
        seen += group.len();
        precision += positive as f64 * above as f64 / seen as f64;
    }
    let mean =
        |which: bool, n: usize| samples.iter().filter(|s| s.1 == which).map(|s| f64::from(s.0)).sum::<f64>() / n as f64;
    Some(OrganPresence {
        organ,
        with,
        without,
        auc: pairs / (with as f64 * without as f64),
        average_precision: precision / with as f64,
        mean_with: mean(true, with),
        mean_without: mean(false, without),
    })
}

/// The table; empty where nothing was measured.
pub(super) fn markdown(organs: &[OrganPresence]) -> String {
    if organs.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "How well attention ranks slices that show an organ above slices that do not (slices whose truth is known only).\n\n\
         | organ | slices with | without | area under ROC | average precision | mean attention with | without |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for o in organs {
        text.push_str(&format!(
            "| {} | {} | {} | {:.3} | {:.3} | {:.3} | {:.3} |\n",
            o.organ.name(),
            o.with,
            o.without,
            o.auc,
            o.average_precision,
            o.mean_with,
            o.mean_without
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::OrganSet;
    use crate::dataset::regions::RegionLabels;
    use crate::volume::{Geometry, LabelVolume, Modality};

    #[test]
    fn area_and_precision_are_those_of_counting_pairs_by_hand() {
        // From above: yes, no, yes, no and yes at one height. Pairs of (3 yes) x (2 no): first no is below one yes, second no below two and
        // level with one: 1 + 2.5 of 6. Precision: 1/1, 2/3, 3/5.
        let samples = [(0.9, true), (0.8, false), (0.7, true), (0.1, false), (0.1, true)];
        let found = measure(Organ::Liver, &samples).unwrap();
        assert_eq!((found.with, found.without), (3, 2));
        assert!((found.auc - 3.5 / 6.0).abs() < 1e-12, "{}", found.auc);
        assert!((found.average_precision - (1.0 + 2.0 / 3.0 + 0.6) / 3.0).abs() < 1e-12, "{}", found.average_precision);
        assert!((found.mean_with - 1.7 / 3.0).abs() < 1e-6 && (found.mean_without - 0.45).abs() < 1e-6);
        let perfect = measure(Organ::Liver, &[(0.2, true), (0.1, false)]).unwrap();
        assert_eq!((perfect.auc, perfect.average_precision), (1.0, 1.0));
        assert_eq!(measure(Organ::Liver, &[(0.5, false), (0.5, true)]).unwrap().auc, 0.5);
        assert!(measure(Organ::Liver, &[(0.2, true)]).is_none());
    }

    #[test]
    fn only_slices_whose_truth_is_known_count() {
        // Four slices: abdomen (0) to head (3). The cord is annotated on slice 1 alone and goes on beyond it; the liver is annotated on slice
        // 0; the brain stem is not, but cannot be in slices of the abdomen.
        let geometry = Geometry::axial([2, 2, 4], [10.0, 10.0, 100.0], [0.0; 3]).unwrap();
        let (cord, liver, stem) = (Organ::SpinalCord, Organ::Liver, Organ::BrainStem);
        let mut voxels = vec![0; 16];
        (voxels[0], voxels[5]) = (liver.label(), cord.label());
        let labels = LabelVolume::from_stored(geometry.clone(), voxels, Modality::Unknown).unwrap();
        let regions = RegionLabels::from_boundaries(&geometry, [250.0, 150.0, 50.0, 40.0]).unwrap();
        let annotated: OrganSet = [cord, liver].into_iter().collect();
        let truth = CaseTruth { labels: &labels, annotated, whole: None, regions: Some(&regions) };
        let slices: Vec<SliceAnatomy> = (0..4)
            .map(|slice| SliceAnatomy {
                slice,
                position_mm: 100.0 * slice as f64,
                regions: [0.2; 5],
                attention: Some([slice as f32; ORGAN_COUNT]),
            })
            .collect();
        let mut samples = PresenceSamples::default();
        samples.add(&truth, &slices);
        let of = |organ: Organ| samples.0[organ.index()].clone();
        assert_eq!(of(cord), [(1.0, true)]);
        assert_eq!(of(liver), [(0.0, true), (1.0, false), (2.0, false), (3.0, false)]);
        let stem = of(stem);
        assert!(stem.contains(&(0.0, false)) && !stem.iter().any(|s| s.1 || s.0 == 3.0), "{stem:?}");
    }
}
