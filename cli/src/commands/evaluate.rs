//! `attention-anatomy evaluate`: weights against the labels of held-out patients.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use attention_anatomy::dataset::{CaseEntry, LoadedSet, load};
use attention_anatomy::metrics::{self, DEFAULT_TOLERANCE_MM, MeasureOptions, Organs, Patient, Subject};
use attention_anatomy::network::weights::{self, ENABLE_DICE, Precision};

use crate::data::{self, FolderSource};
use crate::device::DeviceOptions;
use crate::evaluation::{self, Format};
use crate::output::{Overwrite, SingleFile};
use crate::{interrupt, model, number, progress, results};

/// Measures Dice, surface distances and added path length of weights on held-out patients.
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
    /// Folder for `evaluation.md`, `evaluation.json`, `evaluation.csv` and `cases.csv`.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// Segment everything again with attention off, and say what that changes.
    #[arg(long)]
    attention: bool,
    /// Measure the network with attention off.
    #[arg(long, conflicts_with_all = ["attention", "update"])]
    attention_off: bool,
    /// Measure what the network draws, before what lies outside the body, pieces apart from their organ and what no organ is by its side, size or place are removed.
    #[arg(long, conflicts_with = "update")]
    no_cleanup: bool,
    /// Take an organ as unknown on this many slices beyond either end of its contours: contours can end where a plan did not need them any more.
    #[arg(long, value_name = "SLICES", value_parser = number::count, conflicts_with = "update")]
    open_ends: Option<usize>,
    /// Write the Dice of all validation patients into this copy of the weights, and switch organs below 0.5 off in it.
    #[arg(long, conflicts_with = "limit")]
    update: Option<PathBuf>,
    #[command(flatten)]
    on: DeviceOptions,
    /// At most this many patients of each set.
    #[arg(long, value_parser = number::count)]
    limit: Option<usize>,
    #[command(flatten)]
    overwrite: Overwrite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Split {
    /// Who was held out.
    Validation,
    /// The `test` split of the sets.
    Test,
    /// Whom the weights have learned from: how far they fit them, and nothing of how good they are.
    Training,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.split {
        Split::Test if args.update.is_some() => bail!(
            "--update takes the Dice of validation patients; test patients are for a last look that changes nothing"
        ),
        Split::Training if args.update.is_some() => bail!(
            "--update takes the Dice of validation patients; of patients that weights have learned from, Dice says nothing of others"
        ),
        _ => {}
    }
    let (_, config) = data::training_file(&args.config)?;
    let mut read = data::inputs(&args.config, &config, &args.data);
    read.extend(args.weights.clone());
    let claim = |folder: &PathBuf| {
        let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
        results::claim("evaluate", folder, evaluation::FILES.map(String::from), &read, args.overwrite)
    };
    let output = args.output.as_ref().map(claim).transpose()?;
    let updated = args.update.as_ref().map(|path| SingleFile::claim(path, read.clone(), args.overwrite)).transpose()?;
    let mut model = model::open(args.weights.as_deref())?;
    if (args.attention || args.attention_off) && !model.info.network.attention {
        bail!("{}: these weights have no attention to switch off", model.name);
    }
    let source = FolderSource::new(&args.data)?;
    let sets = LoadedSet::all(&config.data, &source)?;
    // Who is held out in one set may be held out in another by that.
    let identities = data::identities(&sets, &source)?;
    let mut patients = Vec::new();
    for (set, (learned, held_out)) in sets.iter().zip(load::divide(&sets, &identities, config.split_spec())) {
        let cases: Vec<&CaseEntry> = match args.split {
            Split::Validation => held_out,
            Split::Training => learned,
            Split::Test => set.set.cases.iter().filter(|c| c.split == "test").collect(),
        };
        let limit = args.limit.unwrap_or(usize::MAX);
        patients.extend(cases.into_iter().take(limit).map(|entry| Patient { set, entry }));
    }
    if args.split != Split::Test && !model.info.held_out.is_empty() {
        let held_out = args.split == Split::Validation;
        for name in patients.iter().map(Patient::name) {
            if model.info.held_out.contains(&name) != held_out {
                let was = if held_out { "was not" } else { "was" };
                bail!(
                    "{name} {was} held out when these weights were trained; use the training file that they came from"
                );
            }
        }
    }
    let split = format!("{:?}", args.split).to_lowercase();
    let mut subject = metrics::subject(&model, &split, &patients);
    if args.split == Split::Training {
        subject.push_str(" The weights have learned from them: this says how far they fit, not how good they are.");
    }
    if args.attention_off {
        subject.push_str(" Attention off.");
    }
    if args.no_cleanup {
        subject.push_str(" Before the clean-up.");
    }
    if let Some(slices) = args.open_ends {
        subject.push_str(&format!(" Organs unknown on {slices} slices beyond their contours."));
    }
    let options = MeasureOptions {
        attention: args.attention,
        attention_off: args.attention_off,
        raw: args.no_cleanup,
        open_ends: args.open_ends.unwrap_or(0),
        ..MeasureOptions::new(args.tolerance_mm)
    };
    let device = args.on.open()?;
    let measured = Subject::of(&model, &device, options)?;
    let bar = progress::bar(patients.len() as u64, "evaluate");
    let mut show = |done: usize, _| bar.set_position(done as u64);
    let stop = interrupt::flag()?;
    let found = metrics::evaluate(measured, &device, &patients, &source, subject, options, &stop, &mut show)?;
    bar.finish_and_clear();
    evaluation::print(&found, args.format)?;
    if let Some(output) = output {
        results::finish(output, evaluation::files(&found)?)?;
    }
    if let Some(file) = updated {
        for t in &mut model.info.trained_organs {
            let dice = found.summary(Organs::Annotated, t.organ).dice;
            t.set_validation(dice.mean, dice.n);
        }
        model.info.held_out = patients.iter().map(Patient::name).collect();
        model.info.note =
            format!("Dice on whole volumes of {split} patients; organs below {ENABLE_DICE} or not measured are off.");
        let (network, _) = weights::read(&model.bytes, &device.burn)?;
        file.write(&weights::write(&network, &model.info, Precision::Half)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
