//! `attention-anatomy figure`: what the systems of an ablation draw on one slice of a partially annotated scan.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::dataset::LoadedSet;
use attention_anatomy::infer::{RunOptions, SegmentationRequest, SegmentationSession};
use attention_anatomy::metrics::Patient;
use attention_anatomy::report::{Panel, SideBySide};
use attention_anatomy::train::PAPER_ROWS;
use attention_anatomy::volume::LabelVolume;

use super::ablation::full_system;
use crate::data::FolderSource;
use crate::device::DeviceOptions;
use crate::output::Overwrite;
use crate::store::FolderStore;
use crate::{data, interrupt, number, progress, results};

/// Draws one slice of a held-out patient: its labels, the truth, and what each system of an ablation makes of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file that the ablation was made with.
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Output folder of the ablation.
    #[arg(long)]
    ablation: PathBuf,
    /// Folder for `figure.png` and `figure.html`.
    #[arg(short, long)]
    output: PathBuf,
    /// The patient, as set/id; the held-out one with the most telling slice where not given.
    #[arg(long)]
    case: Option<String>,
    /// The slice, from 1 at the patient's feet, as on screen; the one that shows most organs on either side of the annotation where not
    /// given.
    #[arg(long, value_parser = number::slice)]
    slice: Option<usize>,
    #[command(flatten)]
    on: DeviceOptions,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let names = ["figure.png", "figure.html"].map(String::from);
    let config = full_system(&args.config)?;
    let mut read = data::inputs(&args.config, &config, &args.data);
    read.push(args.ablation.clone());
    let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
    let output = results::claim("figure", &args.output, names, &read, args.overwrite)?;
    let source = FolderSource::new(&args.data)?;
    let sets = LoadedSet::all(&config.data, &source)?;
    let identities = data::identities(&sets, &source)?;
    let patients = Patient::held_out(&sets, &identities, config.split_spec());
    let mut best: Option<(usize, Patient<'_>, usize)> = None;
    for patient in patients.into_iter().filter(|p| args.case.as_ref().is_none_or(|c| *c == p.name())) {
        let truth = match patient.set.read_truth(patient.entry, &source)? {
            Some(truth) => truth,
            None => patient.set.read_drawn(patient.entry, &source)?,
        };
        let (told, slice) = telling_slice(&truth, patient.entry.organs()?, args.slice.map(|number| number - 1))
            .ok_or_else(|| anyhow!("{}: the scan has only {} slices", patient.name(), truth.geometry.size[2]))?;
        if best.as_ref().is_none_or(|b| told > b.0) {
            best = Some((told, patient, slice));
        }
    }
    let Some((_, patient, k)) = best else {
        bail!("{} is not a held-out patient of this training", args.case.unwrap_or_else(|| "nobody".into()));
    };
    let (ct, labels, _) = patient.set.read_case(patient.entry, &source)?;
    let (ct, stop) = (Arc::new(ct), interrupt::flag()?);
    let mut panels = vec![Panel { title: "What the set annotates".into(), labels: labels.slice(k).to_vec() }];
    if let Some(truth) = patient.set.read_truth(patient.entry, &source)? {
        panels.push(Panel { title: "Truth".into(), labels: truth.slice(k).to_vec() });
    }
    let device = args.on.open()?;
    let store = FolderStore::to_read(&args.ablation);
    for system in PAPER_ROWS {
        let run = system.variant().run(&config, config.seed);
        let model = run.model(&store).with_context(|| run.name.clone())?;
        let known = model.info.organs(true);
        let run = RunOptions { cancel: stop.clone(), ..RunOptions::default() };
        let request = SegmentationRequest { run, ..SegmentationRequest::new(model.used(), &device, known) };
        let bar = progress::bar(ct.geometry.size[2] as u64, system.name);
        let mut engine = model.engine(&device, known)?;
        let session = SegmentationSession::of_ct(ct.clone(), request)?;
        let found = session.finish(engine.as_mut(), |done, _| bar.set_position(done as u64))?;
        bar.finish_and_clear();
        panels.push(Panel { title: system.name.into(), labels: found.labels.slice(k).to_vec() });
    }
    let [sx, sy, _] = ct.geometry.spacing();
    let [nx, ny, _] = ct.geometry.size;
    let figure = SideBySide { size: [nx, ny], spacing: [sx, sy], hu: ct.slice(k).to_vec(), panels };
    let page = figure.html(&format!("{}, slice {}", patient.name(), k + 1))?;
    results::finish(
        output,
        [("figure.png".to_string(), figure.png()?), ("figure.html".to_string(), page.into_bytes())],
    )?;
    progress::print_line(&args.output.join("figure.png").display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// The slice that shows the most organs, those that the set annotates and those that it does not counted alike and the lesser of
/// both first. `None` when `given` is beyond the scan.
fn telling_slice(truth: &LabelVolume, annotated: OrganSet, given: Option<usize>) -> Option<(usize, usize)> {
    let told = |k: usize| {
        let shown = OrganSet::of_labels(truth.slice(k));
        let (yes, no) = (shown.intersection(annotated).len(), shown.difference(annotated).len());
        100 * yes.min(no) + yes + no
    };
    let slices = 0..truth.geometry.size[2];
    match given {
        Some(k) => slices.contains(&k).then(|| (told(k), k)),
        None => slices.map(|k| (told(k), k)).max_by_key(|&(told, k)| (told, std::cmp::Reverse(k))),
    }
}
