//! `attention-anatomy bench`: milliseconds per slice of each engine there is, beside the floor that the machine's measured
//! peak sets; and a large synthetic CT for the measurement of memory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use attention_anatomy::anatomy::{CLASS_COUNT, OrganSet};
use attention_anatomy::formats::nifti;
use attention_anatomy::infer::measure::{MATRIX, made_up_tile, with_labels};
use attention_anatomy::infer::prediction::NEGLIGIBLE;
use attention_anatomy::infer::{
    ComputeDevice, ComputeKind, DevicePreference, Engine, Model, SliceRequest, StoragePreference, Tile, Wait,
};
use attention_anatomy::kernels::plan::{Plan, Timing};
use attention_anatomy::kernels::processor::{Processor, Threads};
use attention_anatomy::kernels::wgsl::Stored;
use attention_anatomy::network::Folded;
use attention_anatomy::network::count::multiply_adds;
use attention_anatomy::preprocess::AIR_HU;
use attention_anatomy::volume::{Geometry, Modality, Volume};
use burn::tensor::{Device, Distribution, Tensor};

use super::{bench_gpu, bench_training};
use crate::device::{DeviceChoice, EngineChoice};
use crate::output::{Overwrite, SingleFile};
use crate::{model, number, progress};

/// Measures milliseconds per slice of each engine there is, or a step of a training.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Slices to time in each turn, after one that is not timed.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    slices: u64,
    /// Also a software GPU adapter (seconds per slice).
    #[arg(long)]
    software: bool,
    /// Columns and rows of the body, as 90x70; the rest of the field is air. Without it the whole field is body.
    #[arg(long, value_name = "WxH", value_parser = body, conflicts_with = "training")]
    body: Option<[usize; 2]>,
    /// Instead: what a GPU gives: correctness of all kernels, milliseconds per slice of the presets' networks, of every operation.
    #[arg(long, conflicts_with_all = ["training", "profile", "body"])]
    gpu: bool,
    /// Instead: milliseconds and GFLOP/s of every operation of a slice on the processor; with --training, of every kind of work of
    /// a step.
    #[arg(long)]
    pub(super) profile: bool,
    /// The profile of one thread alone.
    #[arg(long, requires = "profile", conflicts_with = "training")]
    one_thread: bool,
    /// Instead: seconds and memory of an optimiser step of this training file, on made-up slices.
    #[arg(long, value_name = "CONFIG")]
    training: Option<PathBuf>,
    /// Slices in a batch, instead of those of the training file.
    #[arg(long, requires = "training", value_parser = number::batch)]
    pub(super) batch: Option<usize>,
    /// Steps to time, after one that is not timed; with 0 that one is all.
    #[arg(long, default_value_t = 3, requires = "training", value_parser = clap::value_parser!(u64).range(..=100_000))]
    pub(super) steps: u64,
    /// Device of the training.
    #[arg(long, default_value = "cpu", requires = "training")]
    pub(super) device: DeviceChoice,
    /// What computes the layers of the training on a GPU.
    #[arg(long, default_value = "own", requires = "training")]
    pub(super) engine: EngineChoice,
}

/// `90x70`.
fn body(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
    sides.filter(|sides| sides.iter().all(|&n| n > 0)).ok_or_else(|| "two numbers above 0, as 90x70".into())
}

/// Runs `bench`.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    if let Some(config) = &args.training {
        return bench_training::run(config, &args);
    }
    let model = model::open(None)?;
    if args.profile {
        return profile(&model, &args);
    }
    if args.gpu {
        return bench_gpu::run(&model, args.slices as usize);
    }
    let crop = model.info.input.crop;
    let operations = multiply_adds(&model.info.network, crop).total();
    progress::print_line(&format!(
        "{}: {:.2} G multiply-adds a slice, {crop} x {crop} pixels",
        model.name,
        operations as f64 * 1e-9
    ));
    let tile = made_up_tile(&model.info.input, args.body);
    if let Some([width, height]) = args.body {
        progress::print_line(&format!("a body of {width} x {height} pixels in air"));
    }
    let cpu = ComputeDevice::open(DevicePreference::Cpu)?;
    let cpu_peak = Some(peak(&cpu.burn));
    let contender = |device: &ComputeDevice, how: &str, engine, at_once, peak| Contender {
        name: format!("{}, {how}", device.in_words()),
        engine,
        tile: tile.clone(),
        at_once,
        peak,
        ms: Vec::new(),
    };
    let mut contenders = vec![
        contender(&cpu, "one slice at a time", model.engine(&cpu, OrganSet::ALL)?, 1, cpu_peak),
        contender(&cpu, "several at once", model.engine(&cpu, OrganSet::ALL)?, usize::MAX, cpu_peak),
        contender(&cpu, "burn, the reference", model.reference_engine(&cpu, OrganSet::ALL)?, 1, cpu_peak),
    ];
    match ComputeDevice::open_storing(DevicePreference::Gpu, StoragePreference::F32) {
        Ok(gpu) if gpu.kind == ComputeKind::Gpu || args.software => {
            // Its peak is that of the tensor library's products on it.
            let tensors = gpu.clone().with_tensors();
            let peak = tensors.as_ref().ok().map(|device| peak(&device.burn));
            for gpu in std::iter::once(&gpu).chain(&in_f16()) {
                let own = model.engine(gpu, OrganSet::ALL)?;
                contenders.push(contender(gpu, "one slice at a time", own, 1, peak));
                let own = model.engine(gpu, OrganSet::ALL)?;
                contenders.push(contender(gpu, "several at once", own, usize::MAX, peak));
            }
            match tensors {
                Ok(gpu) => {
                    let burn = model.reference_engine(&gpu, OrganSet::ALL)?;
                    contenders.push(contender(&gpu, "burn, the reference", burn, usize::MAX, peak));
                }
                Err(error) => progress::note(&error.to_string()),
            }
        }
        Ok(gpu) => progress::note(&format!("{} is a software adapter; time it with --software", gpu.name)),
        Err(error) => progress::note(&error.to_string()),
    }
    for contender in &mut contenders {
        contender.slices(1)?;
    }
    // In turns, so that whatever else the machine does meets all of them.
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            let clock = Instant::now();
            contender.slices(args.slices as usize)?;
            contender.ms.push(clock.elapsed().as_secs_f64() * 1e3 / args.slices as f64);
        }
    }
    progress::print_line(
        "| engine | ms per slice, median | best | peak, G multiply-adds/s | floor ms | share of peak |",
    );
    progress::print_line("|---|---|---|---|---|---|");
    for Contender { name, peak, mut ms, .. } in contenders {
        ms.sort_by(f64::total_cmp);
        let against = peak.map_or("- | - | -".into(), |peak| {
            let floor = operations as f64 / peak * 1e3;
            format!("{:.1} | {floor:.1} | {:.0} %", peak * 1e-9, 100.0 * floor / ms[0])
        });
        progress::print_line(&format!("| {name} | {:.1} | {:.1} | {against} |", ms[ms.len() / 2], ms[0]));
    }
    Ok(ExitCode::SUCCESS)
}

/// The GPU once more, with weights and maps in f16; nothing where it has none, and it is said why.
pub(super) fn in_f16() -> Option<ComputeDevice> {
    let opened = ComputeDevice::open_storing(DevicePreference::Gpu, StoragePreference::F16);
    let why = match opened {
        Ok(device) if device.gpu.as_ref().is_some_and(|gpu| gpu.stored() == Stored::F16) => return Some(device),
        Ok(device) => device.notes.join("; "),
        Err(error) => error.to_string(),
    };
    progress::note(&format!("f16 is not measured: {why}"));
    None
}

/// How often each engine has its turn.
const ROUNDS: usize = 5;

/// An engine that is timed.
struct Contender {
    name: String,
    engine: Box<dyn Engine>,
    tile: Tile,
    /// Slices under way at most.
    at_once: usize,
    /// Multiply-adds per second of its device, where they are known.
    peak: Option<f64>,
    /// Of each turn.
    ms: Vec<f64>,
}

impl Contender {
    fn slices(&mut self, count: usize) -> Result<()> {
        slices(self.engine.as_mut(), &self.tile, count, self.at_once).map(drop)
    }
}

/// Computes slices, so many at once at most; how long handing them over took on the host.
///
/// # Errors
/// A device that stops.
pub(super) fn slices(engine: &mut dyn Engine, tile: &Tile, count: usize, at_once: usize) -> Result<Duration> {
    let mut host = Duration::ZERO;
    let (mut submitted, mut done) = (0, 0);
    while done < count {
        while submitted < count && submitted - done < engine.depth().min(at_once) {
            // Labels where the engine makes them, on a matrix as a CT's; else probabilities.
            let request = with_labels(submitted, tile.clone(), MATRIX);
            let labels = request.labels.clone().filter(|_| engine.makes_labels());
            let request = SliceRequest { labels, ..request };
            let clock = Instant::now();
            engine.submit(request);
            host += clock.elapsed();
            submitted += 1;
        }
        if let Some(result) = engine.poll(Wait::Yes) {
            result.outcome?;
        }
        done += 1;
    }
    Ok(host)
}

/// Milliseconds and GFLOP/s of every operation of a slice on the processor: of many slices the fastest time of each.
fn profile(model: &Model, args: &Args) -> Result<ExitCode> {
    let (network, info) = Folded::read(&model.bytes)?;
    let plan = Plan::compile(&network.parameters, network.line)?;
    let crop = info.input.crop;
    let processor = Processor::new(if args.one_thread { Threads::One } else { Threads::All });
    let Tile { place, stack } = made_up_tile(&model.info.input, args.body);
    let air = Arc::new(plan.air([crop; 2], info.input.intensity(AIR_HU), processor));
    let mut arena = plan.empty_arena();
    let [[x, y], [columns, rows]] = [place.within.offset, place.within.size];
    plan.set_box(&mut arena, [y, x], [rows, columns], &air);
    let mut best: Vec<Timing> = Vec::new();
    let mut spare = None;
    for _ in 0..args.slices.max(2) {
        let mut timings = processor.enter(|| plan.profile(&mut arena, &stack, processor));
        let features = arena.take_features(&plan, spare.take());
        let clock = Instant::now();
        let all = [true; CLASS_COUNT];
        processor.enter(|| plan.probabilities(&features, &[1.0; CLASS_COUNT], &all, NEGLIGIBLE, processor));
        timings.push(Timing {
            name: "decoder.head, softmax, attention".into(),
            seconds: clock.elapsed().as_secs_f64(),
            multiply_adds: (info.network.base * CLASS_COUNT * rows * columns) as u64,
        });
        spare = Some(features);
        if best.is_empty() {
            best.clone_from(&timings);
        }
        for (best, now) in best.iter_mut().zip(timings) {
            best.seconds = best.seconds.min(now.seconds);
        }
    }
    progress::print_line(&format!("{}: {columns} x {rows} pixels, {} threads", model.name, processor.count()));
    print_operations(&best);
    Ok(ExitCode::SUCCESS)
}

/// A table of operations, and all of them together.
pub(super) fn print_operations(timings: &[Timing]) {
    let seconds: f64 = timings.iter().map(|t| t.seconds).sum();
    let operations: u64 = timings.iter().map(|t| t.multiply_adds).sum();
    progress::print_line("| operation | ms | GFLOP/s | share of the time |");
    progress::print_line("|---|---|---|---|");
    let row = |name: &str, own: f64, operations: u64| {
        let rate = 2e-9 * operations as f64 / own;
        let rate = if operations == 0 || own <= 0.0 { String::new() } else { format!("{rate:.1}") };
        progress::print_line(&format!("| {name} | {:.3} | {rate} | {:.1} % |", own * 1e3, 100.0 * own / seconds));
    };
    timings.iter().for_each(|t| row(&t.name, t.seconds, t.multiply_adds));
    row("all", seconds, operations);
}

/// Multiply-adds per second of the best of several large matrix products on the device: what its library can do.
fn peak(device: &Device) -> f64 {
    const N: usize = 1024;
    // Enough that reading back one number does not count.
    const PRODUCTS: u32 = 16;
    let a = Tensor::<2>::random([N, N], Distribution::Uniform(-1.0, 1.0), device);
    let b = Tensor::<2>::random([N, N], Distribution::Uniform(-1.0, 1.0), device);
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        let clock = Instant::now();
        let mut c = a.clone();
        for _ in 0..PRODUCTS {
            c = c.matmul(b.clone()) * 0.01;
        }
        // Reading one number waits for all.
        let _ = c.slice([0..1, 0..1]).into_data();
        best = best.min(clock.elapsed().as_secs_f64() / f64::from(PRODUCTS));
    }
    (N * N * N) as f64 / best
}

/// Writes a synthetic 512 x 512 x 600 CT: an elliptic body with lungs, for the measurement of memory.
#[derive(Debug, clap::Args)]
pub struct VolumeArgs {
    /// The file to write.
    #[arg(short, long)]
    output: PathBuf,
    /// Slices of the volume that is made up.
    #[arg(long, default_value_t = 600, value_parser = number::slices)]
    slices: usize,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs `bench-volume`.
///
/// # Errors
/// What the user is told.
pub fn volume(args: VolumeArgs) -> Result<ExitCode> {
    let output = SingleFile::claim(&args.output, Vec::new(), args.overwrite)?;
    let n = 512;
    let geometry = Geometry::axial([n, n, args.slices], [0.9, 0.9, 1.0], [-230.0, -230.0, 0.0])?;
    let mut voxels = Vec::with_capacity(geometry.voxel_count());
    for k in 0..args.slices {
        let lung = (k as f64 / args.slices as f64 - 0.6).abs() < 0.2;
        for y in 0..n {
            for x in 0..n {
                let (u, v) = ((x as f64 - 255.5) / 200.0, (y as f64 - 255.5) / 140.0);
                let body = u * u + v * v < 1.0;
                let in_lung = lung && ((u.abs() - 0.45) / 0.3).powi(2) + (v / 0.6).powi(2) < 1.0;
                // A little texture, so that the file does not compress to nothing.
                let noise = ((x * 7919 + y * 104_729 + k * 1_299_709) % 41) as i16 - 20;
                voxels.push(if !body {
                    -1000
                } else if in_lung {
                    -850 + noise
                } else {
                    40 + noise
                });
            }
        }
    }
    let volume = Volume::from_stored(geometry, voxels, Modality::Ct)?;
    output.write(&nifti::write_ct(&volume, "synthetic")?)?;
    Ok(ExitCode::SUCCESS)
}
