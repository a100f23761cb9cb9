//! Weights against the labels of patients, through the same path as a segmentation: what everything that measures shares.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::MetricsError;
use super::attention::AttentionEffect;
use super::evaluation::{CaseResult, Evaluation};
use super::overlap::with_open_ends;
use super::presence::PresenceSamples;
use super::regions::RegionConfusion;
use super::truth::CaseTruth;
use crate::dataset::load::{self, CaseSource, LoadError, LoadedSet, SplitSpec};
use crate::dataset::patients::Sides;
use crate::dataset::regions::{RegionError, RegionLabels};
use crate::dataset::{CaseEntry, Patients};
use crate::infer::{
    ComputeDevice, Engine, Model, RunOptions, SegmentationError, SegmentationRequest, SegmentationSession, Segmented,
    WeightsUsed,
};
use crate::network::weights::WeightsError;
use crate::preprocess::PreprocessError;
use crate::volume::CtVolume;

/// A patient to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Patient<'a> {
    /// The set.
    pub set: &'a LoadedSet,
    /// The case.
    pub entry: &'a CaseEntry,
}

impl<'a> Patient<'a> {
    /// All who are held out; `identities` tells who is who in the sets.
    pub fn held_out(sets: &'a [LoadedSet], identities: &Patients, spec: SplitSpec) -> Vec<Self> {
        let of_set =
            |(set, sides): (&'a LoadedSet, Sides<'a>)| sides.1.into_iter().map(move |entry| Self { set, entry });
        sets.iter().zip(load::divide(sets, identities, spec)).flat_map(of_set).collect()
    }

    /// Set and patient, as `set/id`.
    pub fn name(&self) -> String {
        self.set.case_name(self.entry)
    }
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct MeasureOptions {
    /// Tolerance of the surface Dice, mm.
    pub tolerance_mm: f64,
    /// Run everything again without attention, and count what changes.
    pub attention: bool,
    /// Measure the network with attention off.
    pub attention_off: bool,
    /// Measure what the network draws before anything is cleaned up.
    pub raw: bool,
    /// Slices beyond either end of an organ's contours on which it is taken as unknown.
    pub open_ends: usize,
}

impl MeasureOptions {
    /// The network as it is, cleaned up.
    pub fn new(tolerance_mm: f64) -> Self {
        Self { tolerance_mm, attention: false, attention_off: false, raw: false, open_ends: 0 }
    }
}

/// Why patients cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Their files.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// It was asked to stop, or the device does not go on.
    #[error(transparent)]
    Segmentation(#[from] SegmentationError),
    /// Their images.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// Their region labels.
    #[error("{case}: {error}")]
    Regions {
        /// The patient.
        case: String,
        /// What is wrong.
        error: RegionError,
    },
    /// Labels and CT do not belong together.
    #[error("{case}: {error}")]
    Metrics {
        /// The patient.
        case: String,
        /// What is wrong.
        error: MetricsError,
    },
    /// A router without the network of a region.
    #[error("a network of the router is missing; begin it anew")]
    Router,
}

/// What is measured: engines, and what they know.
pub struct Subject {
    /// Weights whose input the engines take, and whose organs they draw.
    pub weights: WeightsUsed,
    /// What computes.
    pub engine: Box<dyn Engine>,
    /// The same with attention off, where that is asked for.
    pub without_attention: Option<Box<dyn Engine>>,
    /// Whether the engine tells regions.
    pub regions: bool,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("weights", &self.weights.name).finish_non_exhaustive()
    }
}

impl Subject {
    /// Weights on a device.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn of(model: &Model, device: &ComputeDevice, options: MeasureOptions) -> Result<Self, WeightsError> {
        let known = model.info.organs(true);
        let attention = model.info.network.attention;
        let engine = match options.attention_off {
            false => model.engine(device, known)?,
            true => model.engine_without_attention(device, known)?,
        };
        let without_attention: Option<Box<dyn Engine>> = match options.attention && attention {
            true => Some(model.engine_without_attention(device, known)?),
            false => None,
        };
        let regions = attention && !options.attention_off;
        Ok(Self { weights: model.used(), engine, without_attention, regions })
    }
}

/// Segments and measures every patient. Every organ that was learned is measured, whether it is on by default or not. `subject` heads the
/// tables; `progress(done, of)` tells how far it is. Waits for the device: not for a browser.
///
/// # Errors
/// [`MeasureError`]; [`SegmentationError::Cancelled`] in it once `stop` is set.
pub fn evaluate(
    measured: Subject,
    device: &ComputeDevice,
    patients: &[Patient<'_>],
    source: &dyn CaseSource,
    subject: String,
    options: MeasureOptions,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, MeasureError> {
    let Subject { weights, mut engine, without_attention: mut off, regions: tells_regions } = measured;
    let known = weights.info.organs(true);
    let mut evaluation = Evaluation {
        subject,
        tolerance_mm: options.tolerance_mm,
        cases: Vec::new(),
        regions: tells_regions.then(RegionConfusion::default),
        presence: Vec::new(),
        attention: off.is_some().then(AttentionEffect::default),
    };
    let segment = |ct: &Arc<CtVolume>, engine: &mut dyn Engine| -> Result<Segmented, MeasureError> {
        let request = SegmentationRequest {
            cleanup: !options.raw,
            run: RunOptions { cancel: stop.clone(), ..RunOptions::default() },
            ..SegmentationRequest::new(weights.clone(), device, known)
        };
        Ok(SegmentationSession::of_ct(ct.clone(), request)?.finish(engine, |_, _| {})?)
    };
    let mut presence = PresenceSamples::default();
    progress(0, patients.len());
    for (n, patient) in patients.iter().enumerate() {
        let (ct, labels, annotated) = patient.set.read_case(patient.entry, source)?;
        let whole = patient.set.read_truth(patient.entry, source)?;
        let ct = Arc::new(ct);
        let found = segment(&ct, engine.as_mut())?;
        if let (Some(engine), Some(effect)) = (&mut off, &mut evaluation.attention) {
            effect.add(&found.labels.voxels, &segment(&ct, engine.as_mut())?.labels.voxels);
        }
        let given = patient.entry.region_boundaries_mm;
        let regions = RegionLabels::of_case(&ct, &labels, annotated, given, &found.body)
            .map_err(|error| MeasureError::Regions { case: patient.name(), error })?;
        if let Some(confusion) = &mut evaluation.regions {
            for slice in found.provenance.anatomy.values() {
                if let (Some(truth), Some((seen, _))) = (regions.region(slice.slice), slice.most_likely_region()) {
                    confusion.add(truth, seen);
                }
            }
        }
        let truth = CaseTruth { labels: &labels, annotated, whole: whole.as_ref(), regions: Some(&regions) };
        presence.add(&truth, found.provenance.anatomy.values());
        let open =
            (options.open_ends > 0).then(|| with_open_ends(&labels, &found.labels, annotated, options.open_ends));
        let drawn = open.as_ref().unwrap_or(&found.labels);
        let result = CaseResult::measure(patient.name(), &truth, drawn, known, options.tolerance_mm);
        evaluation.cases.push(result.map_err(|error| MeasureError::Metrics { case: patient.name(), error })?);
        device.burn.memory_cleanup();
        progress(n + 1, patients.len());
    }
    evaluation.presence = presence.measure();
    Ok(evaluation)
}

/// Whose weights were measured on whom, for the head of the tables.
pub fn subject(model: &Model, split: &str, patients: &[Patient<'_>]) -> String {
    let hash = model.sha256.get(..12).unwrap_or_default();
    format!("Weights {} (sha256 {hash}), {split} patients: {}.", model.name, by_set(patients))
}

/// How many patients of which sets.
pub fn by_set(patients: &[Patient<'_>]) -> String {
    let mut sets: Vec<(&str, usize)> = Vec::new();
    for patient in patients {
        let name = patient.set.set.name.as_str();
        match sets.iter_mut().find(|s| s.0 == name) {
            Some(set) => set.1 += 1,
            None => sets.push((name, 1)),
        }
    }
    let sets: Vec<String> = sets.iter().map(|(name, n)| format!("{n} of {name}")).collect();
    sets.join(", ")
}
