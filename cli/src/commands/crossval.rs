//! `attention-anatomy crossval`: every patient is held out once.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use attention_anatomy::dataset::Fold;
use attention_anatomy::metrics::{Comparison, DEFAULT_TOLERANCE_MM, System};
use attention_anatomy::network::count::multiply_adds;
use attention_anatomy::train::TrainingConfig;

use super::data;
use crate::device::DeviceChoice;
use crate::evaluation::Options;
use crate::experiment::{self, Experiment, Part, Run};
use crate::{interrupt, number};

/// Cross-validates a training by patient. Stop with Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file; its `validation_patients` do not count here.
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for the folds and the results.
    #[arg(short, long)]
    output: PathBuf,
    /// Number of folds.
    #[arg(long, default_value_t = 7, value_parser = number::folds)]
    folds: usize,
    /// Do only fold k of n, as one task of an array job: 1/7 to 7/7.
    #[arg(long, value_name = "K/N", conflicts_with_all = ["folds", "merge"])]
    fold: Option<Part>,
    /// Do nothing but make the results of folds that are done.
    #[arg(long)]
    merge: bool,
    /// Surface within this distance in mm counts as right in the surface Dice.
    #[arg(long, default_value_t = DEFAULT_TOLERANCE_MM, value_parser = number::tolerance_mm)]
    tolerance_mm: f64,
    /// Device.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode> {
    let (_, config) = data::training_file(&args.config)?;
    let of = args.fold.map_or(args.folds, |part| part.0.of);
    if of < 2 {
        bail!("{of} folds leave nothing to train on; at least 2 are needed");
    }
    let all: Vec<Run> = (1..=of).map(|index| fold(&config, Fold { index, of }, &args.output)).collect();
    if !args.merge {
        let chosen = match args.fold {
            Some(part) => &all[part.0.index - 1..part.0.index],
            None => &all[..],
        };
        let device = args.device.open()?;
        let options = Options::new(args.tolerance_mm);
        let mut experiment = Experiment::new(&args.data, &device, options, interrupt::flag()?);
        if !experiment.all(chosen)? || args.fold.is_some() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let comparison = Comparison {
        subject: format!("Cross-validation of {} by patient.", config.name),
        over: "folds".into(),
        systems: vec![System {
            name: config.name.clone(),
            multiply_adds: multiply_adds(&config.network, config.input().crop).total(),
            runs: experiment::results(&all)?,
            against: Vec::new(),
        }],
        chosen: None,
    };
    experiment::publish(&comparison, &args.output)?;
    Ok(ExitCode::SUCCESS)
}

fn fold(config: &TrainingConfig, fold: Fold, output: &std::path::Path) -> Run {
    Run {
        name: format!("fold {fold}"),
        config: TrainingConfig { fold: Some(fold), ..config.clone() },
        folder: output.join(format!("fold-{}-of-{}", fold.index, fold.of)),
    }
}
