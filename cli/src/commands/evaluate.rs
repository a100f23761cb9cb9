//! `attention-anatomy evaluate`: weights against the labels of held-out patients, through the same path as `segment`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use attention_anatomy::anatomy::{Organ, Region};
use attention_anatomy::dataset::CaseEntry;
use attention_anatomy::dataset::regions::RegionLabels;
use attention_anatomy::metrics::{Summary, compare};
use attention_anatomy::network::weights::{self, ENABLE_DICE, Precision};

use super::data;
use crate::device::DeviceChoice;
use crate::{files, model, pipeline, progress};

/// Measures Dice, 95 % Hausdorff distance and surface Dice of weights on held-out patients.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The training file that the weights came from: it says which patients were held out.
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Weights file; the bundled weights where not given.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Which patients.
    #[arg(long, value_enum, default_value_t = Split::Validation)]
    split: Split,
    /// Folder for `evaluation.json` and `evaluation.md`.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Write the measured Dice into this copy of the weights, and switch organs below 0.5 off in it.
    #[arg(long)]
    update: Option<PathBuf>,
    /// Device.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
    /// At most this many patients of each set.
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Split {
    Validation,
    Test,
}

/// Surface Dice counts surface within this distance as right.
const TOLERANCE_MM: f64 = 3.0;

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let (_, config) = data::training_file(&args.config)?;
    let mut model = model::open(args.weights.as_deref())?;
    let device = args.device.open()?;
    // Every organ that was learned is measured, whether it is on by default or not.
    let mut engine = pipeline::engine(&model, &device, model.info.organs(true))?;
    let sets = data::manifests(&config, &args.data)?;
    let mut evaluated = Vec::new();
    let mut results = Vec::new();
    let mut sources: Vec<(String, usize)> = Vec::new();
    let mut confusion = [[0usize; 5]; 5];
    for set in &sets {
        let mut cases: Vec<&CaseEntry> = match args.split {
            Split::Validation => set.set.divide(set.validation_patients, config.seed).1,
            Split::Test => set.set.cases.iter().filter(|c| c.split == "test").collect(),
        };
        cases.truncate(args.limit.unwrap_or(usize::MAX));
        if !cases.is_empty() {
            sources.push((set.set.name.clone(), cases.len()));
        }
        let bar = progress::bar(cases.len() as u64, &set.set.name);
        for entry in cases {
            let name = format!("{}/{}", set.set.name, entry.id);
            if args.split == Split::Validation
                && !model.info.held_out.is_empty()
                && !model.info.held_out.contains(&name)
            {
                bail!(
                    "{name} was not held out when these weights were trained; use the training file that they came from"
                );
            }
            evaluated.push(name);
            let (ct, truth, annotated) = data::read_case(&set.folder, entry)?;
            let ct = Arc::new(ct);
            let never = Arc::new(AtomicBool::new(false));
            let outcome = pipeline::segment(&ct, &model, &mut engine, true, &never, |_, _| {})?;
            let regions = RegionLabels::derive(&ct, Some(&truth), annotated, None)?;
            for slice in &outcome.slices {
                if let (Some(truth), Some((guess, _))) = (regions.region(slice.slice), slice.most_likely_region()) {
                    confusion[truth.index()][guess.index()] += 1;
                }
            }
            results.push(compare(
                &truth,
                &outcome.labels,
                annotated.intersection(model.info.organs(true)),
                TOLERANCE_MM,
            )?);
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
    let summaries = Summary::of_cases(&results);
    let split = format!("{:?}", args.split).to_lowercase();
    let table = table(&model.name, &model.sha256, &split, &sources, &summaries, &confusion);
    progress::say(&table);
    if let Some(output) = &args.output {
        files::write(&output.join("evaluation.md"), table.as_bytes())?;
        files::write(&output.join("evaluation.json"), serde_json::to_string_pretty(&summaries)?.as_bytes())?;
    }
    if let Some(path) = &args.update {
        for t in &mut model.info.trained_organs {
            let s = &summaries[t.organ.index()];
            t.set_validation(s.dice.mean, s.dice.n);
        }
        if args.split == Split::Validation {
            model.info.held_out = evaluated;
        }
        model.info.note =
            format!("Dice on whole volumes of {split} patients; organs below {ENABLE_DICE} or not measured are off.");
        let (network, _) = weights::read(&model.bytes, &device.burn)?;
        files::write(path, &weights::write(&network, &model.info, Precision::Half)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(
    name: &str,
    sha256: &str,
    split: &str,
    sources: &[(String, usize)],
    summaries: &[Summary],
    confusion: &[[usize; 5]; 5],
) -> String {
    let from: Vec<String> = sources.iter().map(|(name, n)| format!("{n} of {name}")).collect();
    let mut text = format!(
        "Weights {name} (sha256 {}), {split} patients: {}.\n\n\
         | organ | patients | Dice | HD95 mm | surface Dice at {TOLERANCE_MM} mm | missed |\n|---|---|---|---|---|---|\n",
        &sha256[..12],
        from.join(", ")
    );
    let mut means = Vec::new();
    for organ in Organ::ALL {
        let s = &summaries[organ.index()];
        let Some(dice) = s.dice.mean else { continue };
        means.push(dice);
        text.push_str(&format!(
            "| {} | {} | {dice:.3}{} | {} | {} | {} |\n",
            organ.name(),
            s.dice.n,
            s.dice.std.map_or(String::new(), |std| format!(" ± {std:.3}")),
            s.hausdorff_95_mm.mean.map_or("-".into(), |mm| format!("{mm:.1}")),
            s.surface_dice.mean.map_or("-".into(), |d| format!("{d:.3}")),
            s.misses
        ));
    }
    if !means.is_empty() {
        text.push_str(&format!(
            "\nMean over {} organs: Dice {:.3}.\n",
            means.len(),
            means.iter().sum::<f64>() / means.len() as f64
        ));
    }
    let total: usize = confusion.iter().flatten().sum();
    if total > 0 {
        let right: usize = (0..5).map(|r| confusion[r][r]).sum();
        text.push_str(&format!(
            "\nRegion accuracy {:.3} on {total} slices whose region is known (rows: derived region, columns: network).\n\n| |",
            right as f64 / total as f64
        ));
        for region in Region::ALL {
            text.push_str(&format!(" {} |", region.name()));
        }
        text.push_str("\n|---|---|---|---|---|---|\n");
        for region in Region::ALL {
            let row: Vec<String> = confusion[region.index()].iter().map(ToString::to_string).collect();
            text.push_str(&format!("| {} | {} |\n", region.name(), row.join(" | ")));
        }
    }
    text
}
