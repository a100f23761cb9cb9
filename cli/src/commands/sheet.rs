//! `attention-anatomy sheet`: what a training eats, as a picture.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::anatomy::{Organ, REGION_COUNT, Region};
use attention_anatomy::dataset::{Augmentation, PreparedCase, SliceRef, make_batch};
use attention_anatomy::report::{SheetRow, SheetTile, sheet_png};
use attention_anatomy::train::TrainingConfig;

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

/// Colour of slices whose region is unknown.
const UNKNOWN: [u8; 3] = [128; 3];

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
    let mut rows = Vec::new();
    for (set, loaded) in data.sets.iter().enumerate() {
        progress::print_line(&format!("{}: {}", loaded.set.name, annotations(&data.patients.training, set)));
        for region in (0..=REGION_COUNT).map(|n| Region::ALL.get(n).copied()) {
            let slices = slices(&data.patients.training, set, region);
            if slices.is_empty() {
                continue;
            }
            let name = region.map_or("region unknown", Region::name);
            progress::print_line(&format!("  row {}: {name}, {} slices", rows.len() + 1, slices.len()));
            let shown = spread(&slices, usize::from(args.columns));
            rows.push(SheetRow {
                colour: region.map_or(UNKNOWN, Region::colour),
                tiles: tiles(&data.patients.training, &shown, &config, &augmentation),
            });
        }
    }
    output.write(&sheet_png(config.input().crop, &rows)?)?;
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

/// All slices of a set whose most likely region this is; `None` for those whose region is unknown.
fn slices(cases: &[PreparedCase], set: usize, region: Option<Region>) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (c, case) in cases.iter().enumerate().filter(|(_, case)| case.set == set) {
        found.extend(case.usable.iter().filter(|&&k| case.region(k) == region).map(|&k| (c, k)));
    }
    found
}

/// At most `count` of them, evenly spread.
fn spread(slices: &[(usize, usize)], count: usize) -> Vec<SliceRef> {
    let count = count.min(slices.len());
    (0..count)
        .map(|n| {
            let (case, slice) = slices[(2 * n + 1) * slices.len() / (2 * count)];
            SliceRef { case, slice, seed: n as u64 }
        })
        .collect()
}

fn tiles(cases: &[PreparedCase], shown: &[SliceRef], config: &TrainingConfig, change: &Augmentation) -> Vec<SheetTile> {
    let input = config.input();
    let batch = make_batch(cases, shown, &input, config.hpa, change);
    let pixels = input.crop * input.crop;
    let middle = input.stack / 2 * pixels;
    let stacks = batch.stacks.chunks_exact(input.stack * pixels);
    stacks
        .zip(batch.target.labels.chunks_exact(pixels))
        .map(|(stack, labels)| SheetTile { intensities: stack[middle..][..pixels].to_vec(), labels: labels.to_vec() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_spread_over_all_slices_and_repeats_none() {
        let slices: Vec<(usize, usize)> = (0..7).map(|k| (0, k)).collect();
        let shown = |count| spread(&slices, count).iter().map(|s| s.slice).collect::<Vec<_>>();
        assert_eq!((shown(2), shown(7), shown(9)), (vec![1, 5], (0..7).collect(), (0..7).collect()));
        assert!(spread(&[], 3).is_empty());
    }
}
