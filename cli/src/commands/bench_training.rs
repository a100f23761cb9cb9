//! `attention-anatomy bench --training`: seconds and memory of a step of a training, and where its time goes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet, REGION_COUNT};
use attention_anatomy::dataset::{Batch, Planes, PreparedCase, Sampler, Target};
use attention_anatomy::kernels::processor::available;
use attention_anatomy::kernels::training::{Kind, Spent};
use attention_anatomy::loss::LossWeights;
use attention_anatomy::preprocess::ModelGrid;
use attention_anatomy::train::{Trainer, TrainingConfig};
use attention_anatomy::volume::Geometry;

use super::bench::Args;
use crate::device::EngineChoice;
use crate::{data, progress};

/// Times a step that has all losses.
///
/// # Errors
/// What the user is told.
pub fn run(path: &Path, args: &Args) -> Result<ExitCode> {
    let (_, mut config) = data::training_file(path)?;
    config.batch = args.batch.unwrap_or(config.batch);
    let Some(mut phase) = config.phases.iter().find(|phase| phase.loss.segments()).cloned() else {
        bail!("{}: no phase trains the network to outline anything", path.display());
    };
    // The three losses of equation (2), whichever of them the phase has.
    phase.loss = LossWeights { dice: 1.0, focal: 1.0, region: 1.0, ..LossWeights::default() };
    config.phases = vec![phase];
    let device = args.device.open_for_training(args.engine)?;
    let batch = made_up_batch(&config);
    let mut trainer = Trainer::new(config.clone(), &device);
    let clock = Instant::now();
    trainer.step(&batch)?;
    let mut seconds = vec![clock.elapsed().as_secs_f64()];
    let mut spent: Vec<Vec<(Kind, Spent)>> = Vec::new();
    if args.steps > 0 {
        seconds.clear();
        trainer.spent();
        for _ in 0..args.steps {
            let clock = Instant::now();
            trainer.step(&batch)?;
            seconds.push(clock.elapsed().as_secs_f64());
            spent.extend(trainer.spent());
        }
    }
    progress::print_line(&format!(
        "{}: batch of {} ({} at once), {crop} x {crop} pixels, base {}, on {}{}",
        config.name,
        config.batch,
        config.micro_batch.unwrap_or(config.batch).min(config.batch),
        config.network.base,
        device.name,
        if args.engine == EngineChoice::Burn { " by burn" } else { "" },
        crop = config.input().crop,
    ));
    let step = median(&mut seconds);
    progress::print_line(&format!("seconds per step{}: {step:.3}", if args.steps > 0 { "" } else { " (the first)" }));
    let reserved = trainer.device_bytes().or(device.burn.memory_pool_usage().map(|usage| usage.bytes_reserved));
    match reserved {
        Some(bytes) => progress::print_line(&format!("device memory reserved: {:.2} GB", bytes as f64 * 1e-9)),
        None => match peak_resident_bytes() {
            Some(bytes) => progress::print_line(&format!("peak memory of the process: {:.2} GB", bytes as f64 * 1e-9)),
            None => progress::print_line("memory: not measured (the device does not tell)"),
        },
    }
    if args.profile {
        if spent.is_empty() {
            bail!(
                "a step has a profile on the processor only, and of at least one step: --device cpu, --steps 1 or more"
            );
        }
        table(&spent, step, data_seconds(&config, args.steps));
    }
    Ok(ExitCode::SUCCESS)
}

/// The middle one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What each kind of work took in the median step, a thread's share of it.
fn table(spent: &[Vec<(Kind, Spent)>], step: f64, data: f64) {
    progress::print_line("| work of a step | ms | GFLOP/s | share of the time |");
    progress::print_line("|---|---|---|---|");
    let row = |name: &str, seconds: f64, operations: u64| {
        let rate = 2e-9 * operations as f64 / seconds;
        let rate = if operations == 0 { String::new() } else { format!("{rate:.1}") };
        progress::print_line(&format!("| {name} | {:.1} | {rate} | {:.1} % |", seconds * 1e3, 100.0 * seconds / step));
    };
    let mut of_kind: BTreeMap<usize, (Kind, Vec<f64>, u64)> = BTreeMap::new();
    for (n, (kind, spent)) in spent.iter().flat_map(|step| step.iter().enumerate()) {
        let (_, seconds, operations) = of_kind.entry(n).or_insert((*kind, Vec::new(), 0));
        seconds.push(spent.nanoseconds as f64 * 1e-9 / available() as f64);
        *operations = spent.multiply_adds;
    }
    let mut rest = step;
    let mut all = 0;
    for (kind, mut seconds, operations) in of_kind.into_values() {
        let seconds = median(&mut seconds);
        row(kind.name(), seconds, operations);
        rest -= seconds;
        all += operations;
    }
    row("waiting for the last thread, and the rest", rest.max(0.0), 0);
    row("the step", step, all);
    row("beside it: making the batch", data, 0);
}

/// Seconds that the batch of a step takes to be made, of slices that are made up.
fn data_seconds(config: &TrainingConfig, steps: u64) -> f64 {
    const SLICES: usize = 24;
    let input = config.input();
    let spacing = input.spacing_mm.unwrap_or(3.0);
    let side = input.crop;
    let geometry =
        Geometry::axial([side, side, SLICES], [spacing, spacing, input.slice_distance_mm.unwrap_or(spacing)], [0.0; 3]);
    let Some(grid) = geometry.ok().and_then(|geometry| ModelGrid::new(&geometry, &input).ok()) else { return 0.0 };
    let [width, height] = grid.size;
    let pixels = width * height;
    let organ = Organ::Liver;
    let mut evaluable = [false; ORGAN_COUNT];
    evaluable[organ.index()] = true;
    let mut organ_slices = vec![Vec::new(); ORGAN_COUNT];
    organ_slices[organ.index()] = (0..SLICES).collect();
    let case = PreparedCase {
        name: "made up".into(),
        set: 0,
        patient: None,
        scan: None,
        annotated: [organ].into_iter().collect::<OrganSet>(),
        grid,
        hu: Planes::new(pixels, (0..pixels * SLICES).map(|n| (n * 7919 % 251) as i16 - 120).collect()),
        labels: Planes::new(pixels, (0..pixels * SLICES).map(|n| if n % 3 == 0 { organ.label() } else { 0 }).collect()),
        evaluable: vec![evaluable; SLICES],
        possible: vec![[true; ORGAN_COUNT]; SLICES],
        regions: vec![None; SLICES],
        origins: vec![[0, 0]; SLICES],
        usable: (0..SLICES).collect(),
        organ_slices,
    };
    let cases = [case];
    let sampler = Sampler::new(&cases, &[1.0], false, config.seed);
    let one = |step: u64| {
        let clock = Instant::now();
        Trainer::batch(config, &cases, &sampler, step);
        clock.elapsed().as_secs_f64()
    };
    median(&mut (0..steps.max(3)).map(one).collect::<Vec<_>>())
}

/// Noise under labels in stripes: every class is there, as in a batch of mixed sets.
pub fn made_up_batch(config: &TrainingConfig) -> Batch {
    let crop = config.input().crop;
    let pixels = crop * crop;
    let stacks = (0..config.batch * config.network.stack * pixels).map(|n| (n * 7919 % 251) as f32 / 250.0).collect();
    let labels = (0..config.batch * pixels).map(|n| if n % 3 == 0 { (n / 97 % 34) as u8 } else { 0 }).collect();
    let mut head = [0.0; REGION_COUNT];
    head[0] = 1.0;
    Batch {
        stacks,
        target: Target {
            labels,
            size: [crop, crop],
            outside: 0,
            weights: vec![[true; ORGAN_COUNT]; config.batch],
            regions: vec![Some(head); config.batch],
        },
    }
}

/// `VmHWM` of /proc/self/status (proc(5)); `None` elsewhere than on Linux.
fn peak_resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib: u64 =
        text.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
