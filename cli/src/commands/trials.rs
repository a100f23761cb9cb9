//! `attention-anatomy trials`: variants of one training, alike but for what is to be judged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::metrics::{Comparison, DEFAULT_TOLERANCE_MM};
use attention_anatomy::train::TrainingConfig;
use serde::Deserialize;

use super::data;
use crate::device::DeviceChoice;
use crate::evaluation::Options;
use crate::experiment::{self, Experiment, Part, Run};
use crate::variant::{self, Variant};
use crate::{files, interrupt, number};

/// Trains variants of one training alike, with several seeds, and puts them side by side on the held-out patients. Stop with
/// Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File of the trials: a training file, seeds, variants (see configs/trials/).
    trials: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for the trainings and the results.
    #[arg(short, long)]
    output: PathBuf,
    /// Do only part k of n of the trainings, as one task of an array job.
    #[arg(long, value_name = "K/N", conflicts_with = "merge")]
    part: Option<Part>,
    /// Do nothing but make the results of trainings that are done.
    #[arg(long)]
    merge: bool,
    /// Organs whose mean Dice decides, by id, instead of those of the file.
    #[arg(long, value_delimiter = ',')]
    organs: Vec<String>,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// Device.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
}

/// What is tried.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trials {
    /// The training file that the variants come from, relative to this one.
    training: PathBuf,
    /// Trainings of each variant.
    seeds: u64,
    /// The first seed, where it is not that of the training file.
    first_seed: Option<u64>,
    /// Organs whose mean Dice decides; all that are measured where none is named.
    #[serde(default)]
    organs: Vec<String>,
    /// The variants.
    variant: Vec<Variant>,
}

impl Trials {
    fn read(path: &Path) -> Result<(Self, TrainingConfig)> {
        let named = || path.display().to_string();
        let text = String::from_utf8(files::read(path)?).map_err(|_| anyhow!("{}: not a text file", named()))?;
        let trials: Self = toml::from_str(&text).with_context(|| format!("{}: not a file of trials", named()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (_, base) = data::training_file(&folder.join(&trials.training))?;
        let ids: BTreeSet<String> = trials.variant.iter().map(Variant::id).collect();
        if trials.seeds == 0 || trials.variant.is_empty() || ids.len() < trials.variant.len() || ids.contains("") {
            bail!("{}: at least one seed and one [[variant]] are needed, each with a name of its own", named());
        }
        for variant in &trials.variant {
            if let Some(other) = variant.against.iter().find(|name| trials.variant.iter().all(|v| v.name != **name)) {
                bail!("{}: variant `{}` is judged against `{other}`, and none has that name", named(), variant.name);
            }
            if variant.weights.as_ref().is_some_and(|weights| weights.len() != base.data.len()) {
                let sets = base.data.len();
                bail!("{}: variant `{}`: weights must be one number for each of {sets} sets", named(), variant.name);
            }
            let text = toml::to_string(&variant.training(&base, base.seed)).with_context(named)?;
            TrainingConfig::parse(&text).with_context(|| format!("{}: variant `{}`", named(), variant.name))?;
        }
        Ok((trials, base))
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let (trials, base) = Trials::read(&args.trials)?;
    let organs = if args.organs.is_empty() { &trials.organs } else { &args.organs };
    let chosen = (!organs.is_empty()).then(|| OrganSet::from_ids(organs)).transpose()?;
    let first = trials.first_seed.unwrap_or(base.seed);
    let seeds: Vec<u64> = (0..trials.seeds).map(|n| first.wrapping_add(n)).collect();
    if !args.merge {
        // Variants that share a seed share the patients.
        let of_seed = |&seed: &u64| trials.variant.iter().map(move |v| (v, seed));
        let all: Vec<Run> = seeds.iter().flat_map(of_seed).map(|(v, seed)| v.run(&base, seed, &args.output)).collect();
        let is_mine = |n: usize| args.part.is_none_or(|Part(part)| n % part.of + 1 == part.index);
        let mine: Vec<Run> = all.into_iter().enumerate().filter(|(n, _)| is_mine(*n)).map(|(_, run)| run).collect();
        let device = args.device.open()?;
        let options = Options::new(args.tolerance_mm);
        let mut experiment = Experiment::new(&args.data, &device, options, interrupt::flag()?);
        if !experiment.all(&mine)? || args.part.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let mut subject = format!(
        "Variants of {}, trained alike: {} segmentation steps of {} slices each",
        base.name,
        base.segmentation_steps(),
        base.batch
    );
    for variant in &trials.variant {
        let own = variant.training(&base, base.seed).segmentation_steps();
        if own != base.segmentation_steps() {
            subject.push_str(&format!(", {}: {own}", variant.name));
        }
    }
    let comparison = Comparison {
        subject: subject + ".",
        over: "seeds".into(),
        systems: variant::systems(&trials.variant, &base, &seeds, &args.output)?,
        chosen,
    };
    experiment::publish(&comparison, &args.output)?;
    Ok(ExitCode::SUCCESS)
}
