//! `attention-anatomy sheet`: what a training eats, as a picture.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::anatomy::{Organ, Region};
use attention_anatomy::dataset::{Augmentation, PreparedCase};
use attention_anatomy::report::{sheet_png, sheet_rows};

use crate::output::{Overwrite, SingleFile};
use crate::training::Monitor;
use crate::{data, number, progress};

/// Draws a contact sheet of training slices: a row for each set and body region, as the network sees them, with labels.
/// Look at it before a training: a wrong label, a flipped scan or a wrong region shows at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file (see configs/).
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// The PNG.
    #[arg(short, long, default_value = "sheet.png")]
    output: PathBuf,
    /// Slices in a row.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=50))]
    columns: u16,
    /// Show the slices as the phase of this number (from 1) augments them.
    #[arg(long, value_name = "N", value_parser = number::count)]
    phase: Option<usize>,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let (_, config) = data::training_file(&args.config)?;
    let read = data::inputs(&args.config, &config, &args.data);
    let output = SingleFile::claim(&args.output, read, args.overwrite)?;
    let augmentation = match args.phase {
        None => Augmentation::default(),
        Some(n) => match n.checked_sub(1).and_then(|n| config.phases.get(n)) {
            Some(phase) => phase.augmentation.clone(),
            None => anyhow::bail!("--phase {n}: the training file has the phases 1 to {}", config.phases.len()),
        },
    };
    let mut monitor = Monitor::default();
    let data = data::load(&config, &args.data, &mut |event| monitor.on_event(event))?;
    let (cases, input, mut rows) = (&data.patients.training, config.input(), Vec::new());
    for (set, loaded) in data.sets.iter().enumerate() {
        progress::print_line(&format!("{}: {}", loaded.set.name, annotations(cases, set)));
        for row in sheet_rows(cases, set, usize::from(args.columns), &input, &augmentation) {
            let name = row.region.map_or("region unknown", Region::name);
            progress::print_line(&format!("  row {}: {name}, {} slices", rows.len() + 1, row.slices));
            rows.push(row);
        }
    }
    output.write(&sheet_png(input.crop, &rows)?)?;
    progress::print_line(&args.output.display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// The organs that are annotated in a set, with the number of their patients.
fn annotations(cases: &[PreparedCase], set: usize) -> String {
    let counts = Organ::ALL.into_iter().map(|organ| {
        let shown = cases.iter().filter(|c| c.set == set && c.shown().contains(organ)).count();
        (organ, shown)
    });
    let named: Vec<String> = counts.filter(|c| c.1 > 0).map(|(organ, n)| format!("{} {n}", organ.name())).collect();
    named.join(", ")
}
