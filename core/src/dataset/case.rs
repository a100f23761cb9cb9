//! A case on the model grid: what is kept of it in memory while training.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::regions::{LANDMARK_COUNT, RegionError, RegionLabels};
use super::{Planes, ScanKey};
use crate::anatomy::{ORGAN_COUNT, Organ, OrganSet, REGION_COUNT, Region};
use crate::preprocess::{InputConfig, ModelGrid, ModelSlices, PreprocessError, labels_on_grid};
use crate::volume::{CtVolume, LabelVolume};

/// What makes the re-calibration weight w of an organ 1 (equation (4)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hpa {
    /// Always: what is not annotated is taken for background. The vanilla training of the paper's table.
    Off,
    /// The organ is annotated here.
    Source,
    /// The organ is annotated here or cannot occur in this slice's region (the paper's "source and region").
    #[default]
    SourceRegion,
}

/// A case on the model grid. Without its pixels when stored as text ([`CaseArchive`](super::CaseArchive) keeps them apart).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreparedCase {
    /// Set and case, as `set/id`.
    pub name: String,
    /// Index of its set.
    pub set: usize,
    /// Number of its patient among those of the training; each case is a patient where it is not known.
    #[serde(skip)]
    pub patient: Option<usize>,
    /// What tells its scan from others; unknown in files of prepared cases of earlier versions.
    #[serde(default)]
    pub scan: Option<ScanKey>,
    /// Organs annotated in it.
    pub annotated: OrganSet,
    /// The grid of the slices.
    pub grid: ModelGrid,
    /// HU of every slice, `[h, w]`, low-passed and body-masked.
    #[serde(skip)]
    pub hu: Planes<i16>,
    /// Labels of every slice, `[h, w]`.
    #[serde(skip)]
    pub labels: Planes<u8>,
    /// Organs whose labels may be evaluated in a slice: annotated, and inside the annotated extent where that matters.
    #[serde(with = "bits")]
    pub evaluable: Vec<[bool; ORGAN_COUNT]>,
    /// Organs that can occur in a slice, as far as its region tells.
    #[serde(with = "bits")]
    pub possible: Vec<[bool; ORGAN_COUNT]>,
    /// Soft region targets, per slice.
    pub regions: Vec<Option<[f32; REGION_COUNT]>>,
    /// Top left model pixel of the centred crop, per slice.
    pub origins: Vec<[i64; 2]>,
    /// Slices that show a body.
    pub usable: Vec<usize>,
    /// Slices that show each organ.
    pub organ_slices: Vec<Vec<usize>>,
}

/// Organs of each slice as a number, one bit an organ.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::anatomy::ORGAN_COUNT;

    pub fn serialize<S: Serializer>(slices: &[[bool; ORGAN_COUNT]], serializer: S) -> Result<S::Ok, S::Error> {
        let number = |organs: &[bool; ORGAN_COUNT]| organs.iter().rev().fold(0u64, |n, &o| n << 1 | u64::from(o));
        slices.iter().map(number).collect::<Vec<u64>>().serialize(serializer)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<[bool; ORGAN_COUNT]>, D::Error> {
        let numbers = Vec::<u64>::deserialize(deserializer)?;
        Ok(numbers.into_iter().map(|n| std::array::from_fn(|c| n >> c & 1 == 1)).collect())
    }
}

/// Why a case cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The image.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// Labels and CT contradict each other.
    #[error(transparent)]
    Region(#[from] RegionError),
}

/// Fewest voxels of an organ for a slice to count as showing it.
const SHOWN_VOXELS: usize = 4;
/// HU above which a voxel is not air.
const TISSUE_HU: i16 = -300;
/// Least tissue in a slice worth training on, in mm2. An adult's neck has 10,000; some published scans end in slices that
/// keep only the surroundings of a contour.
const TISSUE_MM2: f64 = 6000.0;

impl PreparedCase {
    /// How many patients these cases are of.
    pub fn count_patients<'a>(cases: impl IntoIterator<Item = &'a Self>) -> usize {
        let (mut numbers, mut alone) = (std::collections::BTreeSet::new(), 0);
        for case in cases {
            match case.patient {
                Some(number) => drop(numbers.insert(number)),
                None => alone += 1,
            }
        }
        numbers.len() + alone
    }

    /// Whether all its parts are of one size and name only slices and organs that there are.
    pub fn fits(&self) -> bool {
        let depth = self.grid.slices;
        let pixels = self.grid.size[0] * self.grid.size[1];
        let parts = [self.evaluable.len(), self.possible.len(), self.regions.len(), self.origins.len()];
        let slices = self.organ_slices.iter().chain([&self.usable]).flatten();
        parts.into_iter().all(|n| n == depth)
            && [self.hu.all().len(), self.labels.all().len()] == [depth * pixels; 2]
            && self.organ_slices.len() == ORGAN_COUNT
            && slices.into_iter().all(|&k| k < depth)
            && self.hu.pixels() == pixels
            && self.labels.pixels() == pixels
            && self.labels.all().iter().all(|&label| usize::from(label) <= ORGAN_COUNT)
    }

    /// w of equation (4) of slice `k`.
    pub fn weights(&self, k: usize, hpa: Hpa) -> [bool; ORGAN_COUNT] {
        std::array::from_fn(|c| match hpa {
            Hpa::Off => true,
            Hpa::Source => self.evaluable[k][c],
            Hpa::SourceRegion => self.evaluable[k][c] || !self.possible[k][c],
        })
    }

    /// The most likely region of slice `k`; `None` where it is unknown.
    pub fn region(&self, k: usize) -> Option<Region> {
        self.regions[k].as_ref().map(Region::most_likely)
    }

    /// Whether a mirrored slice `k` is that of a patient who could be: slices above the apex of the lungs, below which organs have
    /// one place.
    pub fn may_be_mirrored(&self, k: usize) -> bool {
        self.regions[k].is_some_and(|regions| regions[Region::Head.index()] == 1.0)
    }

    /// The same case for a training that is to see the slices of one region only: those of which it is the most likely one.
    pub fn of_region(mut self, region: Region) -> Self {
        let likely: Vec<bool> = (0..self.regions.len()).map(|k| self.region(k) == Some(region)).collect();
        for slices in std::iter::once(&mut self.usable).chain(&mut self.organ_slices) {
            slices.retain(|&k| likely[k]);
        }
        self
    }

    /// The same case with nothing known of an organ on the `slices` beyond either end of its contours, if they end within the scan.
    pub fn with_open_ends(mut self, slices: usize) -> Self {
        if slices == 0 {
            return self;
        }
        for organ in self.annotated.iter() {
            let shown = |&k: &usize| self.labels[k].contains(&organ.label());
            let depth = self.grid.slices;
            let Some((first, last)) = (0..depth).find(shown).zip((0..depth).rev().find(shown)) else { continue };
            let beyond = (first.saturating_sub(slices)..first).chain(last + 1..depth.min(last + 1 + slices));
            beyond.for_each(|k| self.evaluable[k][organ.index()] = false);
        }
        self
    }

    /// Organs that some slice of this case shows.
    pub fn shown(&self) -> OrganSet {
        Organ::ALL.into_iter().filter(|o| !self.organ_slices[o.index()].is_empty()).collect()
    }

    /// Brings a case to the model grid. `labels` lie on the grid of `ct`.
    ///
    /// Organs that extend beyond what was drawn (cord, esophagus, trachea, bowel bag) count as annotated only on the
    /// slices between their first and last label. `boundaries_mm`, where a manifest gives them, replace the derived region
    /// boundaries.
    ///
    /// # Errors
    /// [`PrepareError`]: the input settings do not suit the CT, or the labels give no regions.
    pub fn prepare(
        name: String,
        set: usize,
        ct: Arc<CtVolume>,
        labels: &LabelVolume,
        annotated: OrganSet,
        input: &InputConfig,
        boundaries_mm: Option<[f64; LANDMARK_COUNT]>,
    ) -> Result<Self, PrepareError> {
        let slices = ModelSlices::new(ct.clone(), input)?;
        let regions = RegionLabels::of_case(&ct, labels, annotated, boundaries_mm, slices.body())?;
        let grid = slices.grid().clone();
        let depth = grid.slices;
        let pixel_mm2 = grid.spacing_mm[0] * grid.spacing_mm[1];
        let pixels = grid.size[0] * grid.size[1];
        let mut hu: Vec<i16> = Vec::with_capacity(depth * pixels);
        let mut maps: Vec<u8> = Vec::with_capacity(depth * pixels);
        let mut usable = Vec::new();
        let mut organ_slices = vec![Vec::new(); ORGAN_COUNT];
        for k in 0..depth {
            let slice: Vec<i16> = slices.slice_hu(k).iter().map(|v| v.round() as i16).collect();
            // A label of an organ that is not annotated here says nothing, whatever drew it.
            let map: Vec<u8> = labels_on_grid(labels, k, &grid)
                .into_iter()
                .map(|l| if Organ::from_label(l).is_some_and(|o| annotated.contains(o)) { l } else { 0 })
                .collect();
            if slice.iter().filter(|&&v| v > TISSUE_HU).count() as f64 * pixel_mm2 >= TISSUE_MM2 {
                usable.push(k);
                let mut counts = [0usize; 256];
                for &label in &map {
                    counts[usize::from(label)] += 1;
                }
                for organ in annotated.iter() {
                    if counts[usize::from(organ.label())] >= SHOWN_VOXELS {
                        organ_slices[organ.index()].push(k);
                    }
                }
            }
            hu.extend(slice);
            maps.extend(map);
        }
        let (hu, maps) = (Planes::new(pixels, hu), Planes::new(pixels, maps));
        let extent: Vec<Option<(usize, usize)>> = Organ::ALL
            .iter()
            .map(|o| {
                let shown = |&k: &usize| maps[k].contains(&o.label());
                (0..depth).find(shown).zip((0..depth).rev().find(shown))
            })
            .collect();
        let evaluable: Vec<[bool; ORGAN_COUNT]> = (0..depth)
            .map(|k| {
                std::array::from_fn(|c| {
                    let organ = Organ::ALL[c];
                    annotated.contains(organ)
                        && (!organ.extends_beyond_contour() || extent[c].is_some_and(|(a, b)| (a..=b).contains(&k)))
                })
            })
            .collect();
        let possible = (0..depth).map(|k| std::array::from_fn(|c| regions.can_occur(k, Organ::ALL[c]))).collect();
        Ok(Self {
            name,
            set,
            patient: None,
            scan: Some(ScanKey::of(&ct)),
            annotated,
            hu,
            labels: maps,
            evaluable,
            possible,
            regions: regions.targets.clone(),
            origins: (0..depth).map(|k| slices.centre_origin(k)).collect(),
            usable,
            organ_slices,
            grid,
        })
    }
}

#[cfg(test)]
mod tests;
