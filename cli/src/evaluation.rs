//! Weights against the labels of patients, through the same path as `segment`: what every command that measures shares.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::dataset::CaseEntry;
use attention_anatomy::dataset::regions::RegionLabels;
use attention_anatomy::infer::{ComputeDevice, Engine};
use attention_anatomy::metrics::{AttentionEffect, CaseResult, CaseTruth, Evaluation, RegionConfusion};
use attention_anatomy::network::weights::ModelInfo;

use crate::commands::data::{self, LoadedSet};
use crate::model::Model;
use crate::store::FolderStore;
use crate::{pipeline, progress};

/// A patient to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Patient<'a> {
    /// The set.
    pub set: &'a LoadedSet,
    /// The case.
    pub entry: &'a CaseEntry,
}

impl Patient<'_> {
    /// `set/id`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.set.set.name, self.entry.id)
    }
}

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Tolerance of the surface Dice.
    pub tolerance_mm: f64,
    /// Run everything again without attention, and count what changes.
    pub attention: bool,
    /// Measure the network with attention off.
    pub attention_off: bool,
    /// Measure what the network draws before anything is cleaned up.
    pub raw: bool,
}

impl Options {
    /// The network as it is, cleaned up.
    pub fn new(tolerance_mm: f64) -> Self {
        Self { tolerance_mm, attention: false, attention_off: false, raw: false }
    }
}

/// What is measured: engines, and what they know.
pub struct Subject<'a> {
    /// Weights whose input the engines take, and whose organs they draw.
    pub info: &'a ModelInfo,
    /// What computes.
    pub engine: Box<dyn Engine>,
    /// The same with attention off, where that is asked for.
    pub without_attention: Option<Box<dyn Engine>>,
    /// Whether the engine tells regions.
    pub regions: bool,
}

impl<'a> Subject<'a> {
    /// Weights on a device.
    pub fn of(model: &'a Model, device: &ComputeDevice, options: Options) -> Result<Self> {
        let known = model.info.organs(true);
        let attention = model.info.network.attention;
        let engine = match options.attention_off {
            false => pipeline::engine(model, device, known)?,
            true => pipeline::engine_without_attention(model, device, known)?,
        };
        let without_attention: Option<Box<dyn Engine>> = match options.attention && attention {
            true => Some(Box::new(pipeline::engine_without_attention(model, device, known)?)),
            false => None,
        };
        let regions = attention && !options.attention_off;
        Ok(Self { info: &model.info, engine: Box::new(engine), without_attention, regions })
    }
}

/// Segments and measures every patient. Every organ that was learned is measured, whether it is on by default or not.
pub fn evaluate(
    measured: Subject<'_>,
    device: &ComputeDevice,
    patients: &[Patient<'_>],
    subject: String,
    options: Options,
    stop: &Arc<AtomicBool>,
) -> Result<Evaluation> {
    let Subject { info, mut engine, without_attention: mut off, regions: tells_regions } = measured;
    let known = info.organs(true);
    let mut evaluation = Evaluation {
        subject,
        tolerance_mm: options.tolerance_mm,
        cases: Vec::new(),
        regions: tells_regions.then(RegionConfusion::default),
        attention: off.is_some().then(AttentionEffect::default),
    };
    let bar = progress::bar(patients.len() as u64, "evaluate");
    for patient in patients {
        let (ct, labels, annotated) = data::read_case(patient.set, patient.entry)?;
        let whole = data::read_truth(patient.set, patient.entry)?;
        let ct = Arc::new(ct);
        let outcome = pipeline::segment(&ct, info, engine.as_mut(), !options.raw, stop, |_, _| {})?;
        if let (Some(engine), Some(effect)) = (&mut off, &mut evaluation.attention) {
            let without = pipeline::segment(&ct, info, engine.as_mut(), !options.raw, stop, |_, _| {})?;
            effect.add(&outcome.labels.voxels, &without.labels.voxels);
        }
        let given = patient.entry.region_boundaries_mm;
        let regions =
            RegionLabels::of_case(&ct, &labels, annotated, given, &outcome.body).with_context(|| patient.name())?;
        if let Some(confusion) = &mut evaluation.regions {
            for slice in &outcome.slices {
                if let (Some(truth), Some((seen, _))) = (regions.region(slice.slice), slice.most_likely_region()) {
                    confusion.add(truth, seen);
                }
            }
        }
        let truth = CaseTruth { labels: &labels, annotated, whole: whole.as_ref(), regions: Some(&regions) };
        let result = CaseResult::measure(patient.name(), &truth, &outcome.labels, known, options.tolerance_mm);
        evaluation.cases.push(result.with_context(|| patient.name())?);
        device.burn.memory_cleanup();
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(evaluation)
}

/// Whose weights were measured on whom, for the head of the tables.
pub fn subject(model: &Model, split: &str, patients: &[Patient<'_>]) -> String {
    format!("Weights {} (sha256 {}), {split} patients: {}.", model.name, &model.sha256[..12], by_set(patients))
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

/// Names of the files of [`files`].
pub const FILES: [&str; 4] = ["evaluation.md", "evaluation.json", "evaluation.csv", "cases.csv"];

/// An evaluation as files.
pub fn files(evaluation: &Evaluation) -> Result<Vec<(String, Vec<u8>)>> {
    Ok(evaluation.files()?.into_iter().map(|(name, text)| (name.to_string(), text.into_bytes())).collect())
}

/// Writes `evaluation.md`, `evaluation.json`, `evaluation.csv` and `cases.csv`.
pub fn write(evaluation: &Evaluation, folder: &Path) -> Result<()> {
    let store = FolderStore::new(folder);
    for (name, text) in evaluation.files()? {
        store.write(name, text.as_bytes())?;
    }
    Ok(())
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables for people.
    #[default]
    Markdown,
    /// One row an organ.
    Csv,
    /// Everything.
    Json,
}

/// Prints an evaluation.
pub fn say(evaluation: &Evaluation, format: Format) -> Result<()> {
    let text = match format {
        Format::Markdown => evaluation.markdown(),
        Format::Csv => evaluation.organs_csv(),
        Format::Json => evaluation.json()?,
    };
    progress::say(text.trim_end());
    Ok(())
}
