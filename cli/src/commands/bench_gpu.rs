//! `attention-anatomy bench --gpu`: what a GPU gives, as Markdown for docs/performance.md.
//!
//! First whether all kernels answer as the processor does, with weights and maps in f32 and, where there is that, in f16; then
//! milliseconds per slice of this program's engine, with either, and of burn's for the networks of the three presets, then of each
//! operation. Networks of the presets without shipped weights have random ones: they take as long. Whatever cannot be had on a device
//! is said and left out.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::infer::measure::{host_work, made_up_ct, made_up_tile};
use attention_anatomy::infer::{
    BurnEngine, ComputeDevice, ComputeKind, DevicePreference, Engine, Model, PlanEngine, SlicePrediction, SliceRequest,
    StoragePreference, Tile, Wait, WgslEngine,
};
use attention_anatomy::kernels::wgsl::Stored;
use attention_anatomy::network::{AttentionAnatomy, NetworkConfig, weights};
use attention_anatomy::preprocess::{InputConfig, ModelSlices};
use burn::module::Module;
use burn::tensor::Device;

use super::bench;
use crate::progress;

/// How often an operation is carried out for its time.
const TIMES: usize = 20;

/// Millimetres between the slices of the CTs that the host's work is measured on, and how many there are.
const VOLUMES: [(f64, usize); 2] = [(3.0, 24), (1.0, 72)];

/// A preset's network.
struct Preset {
    name: &'static str,
    input: InputConfig,
    network: AttentionAnatomy,
}

fn presets(model: &Model) -> Result<[Preset; 3]> {
    let device = Device::flex();
    let of = |base: usize| NetworkConfig { base, ..NetworkConfig::default() }.init(&device);
    let (light, info) = weights::read_gauged(&model.bytes, &device)?;
    Ok([
        Preset { name: "light", input: info.input, network: light },
        Preset { name: "fine", input: InputConfig::fine(), network: of(16) },
        Preset { name: "paper", input: InputConfig::paper(), network: of(32) },
    ])
}

/// Runs `bench --gpu`.
///
/// # Errors
/// Where there is no GPU, or one that answers wrongly.
pub fn run(model: &Model, slices: usize) -> Result<ExitCode> {
    // The kernels are compiled and each of them checked against the processor here.
    let clock = Instant::now();
    let device = ComputeDevice::open_storing(DevicePreference::Gpu, StoragePreference::F32)?;
    say_opened(&device, clock)?;
    let clock = Instant::now();
    let in_f16 = bench::in_f16();
    if let Some(device) = &in_f16 {
        say_opened(device, clock)?;
    }
    let tensors = device.clone().with_tensors();
    if let Err(error) = &tensors {
        progress::note(&format!("burn's engine is not measured: {error}"));
    }
    progress::print_line(
        "\n| preset | storage | MB on the device | first slice, ms | one at a time | several at once | handing over | burn's engine | off by at most | other labels |",
    );
    progress::print_line("|---|---|---|---|---|---|---|---|---|---|");
    let (mut profiles, mut host) = (Vec::new(), Vec::new());
    for preset in presets(model)? {
        let Preset { name, input, network } = &preset;
        let tile = made_up_tile(input, None);
        for gpu in [Some(&device), in_f16.as_ref()].into_iter().flatten().filter_map(|device| device.gpu.as_ref()) {
            let mut own = WgslEngine::new(network.clone(), input.clone(), OrganSet::ALL, gpu)?;
            let first = milliseconds(&mut own, &tile, 1, 1)?;
            let single = milliseconds(&mut own, &tile, slices, 1)?;
            let several = milliseconds(&mut own, &tile, slices, usize::MAX)?;
            let mut plan = PlanEngine::new(network.clone(), input.clone(), OrganSet::ALL, "processor".into())?;
            let (off, labels) = compared(&prediction(&mut own, &tile)?, &prediction(&mut plan, &tile)?);
            let burn = match (&tensors, gpu.stored()) {
                (Ok(device), Stored::F32) => format!("{:.2}", of_burn(&preset, device, &tile, slices.min(10))?.all),
                _ => "-".into(),
            };
            progress::print_line(&format!(
                "| {name} | {} | {} | {:.1} | {:.2} | {:.2} | {:.3} | {burn} | {off:.1e} | {labels:.4} % |",
                gpu.stored().name(),
                own.device_bytes() >> 20,
                first.all,
                single.all,
                several.all,
                several.submit,
            ));
            // A software adapter computes while it is handed something: its time would be taken for the host's.
            if *name == "light" && device.kind == ComputeKind::Gpu && gpu.stored() == Stored::F32 {
                for (slice_mm, slices) in VOLUMES {
                    let slices = Arc::new(ModelSlices::new(Arc::new(made_up_ct(slices, slice_mm)?), input)?);
                    let [work, prepare] = host_work(&mut own, &slices)?;
                    let together = own.together();
                    host.push(format!("| 512 x 512, {slice_mm} mm | {together} | {work:.2} | {prepare:.2} |"));
                }
            }
            profiles.push((format!("{name}, {}", gpu.stored().name()), own.profile(&tile, TIMES)));
        }
    }
    if !host.is_empty() {
        progress::print_line(
            "\n| CT, `light` | slices a submission | the host's work a slice, ms | preparing its stack there would take, ms |",
        );
        progress::print_line("|---|---|---|---|");
    }
    host.iter().for_each(|line| progress::print_line(line));
    for (name, timings) in profiles {
        progress::print_line(&format!("\n{name}: every operation {TIMES} times\n"));
        bench::print_operations(&timings);
    }
    Ok(ExitCode::SUCCESS)
}

/// What was opened since, and that all of its kernels agree.
fn say_opened(device: &ComputeDevice, clock: Instant) -> Result<()> {
    let Some(gpu) = &device.gpu else { bail!("{} is no GPU", device.name) };
    progress::print_line(&format!(
        "{}, {} storage: {} kernels; all agree with the processor; opened, compiled and checked in {:.2} s",
        device.name,
        gpu.stored().name(),
        gpu.tuning().name,
        clock.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// A preset on the tensor library's device.
fn of_burn(preset: &Preset, device: &ComputeDevice, tile: &Tile, slices: usize) -> Result<Times> {
    let network = preset.network.clone().fork(&device.burn);
    let (burn, name) = (device.burn.clone(), device.name.clone());
    let mut burn = BurnEngine::new(network, preset.input.clone(), OrganSet::ALL, burn, name, true);
    milliseconds(&mut burn, tile, 1, 1)?;
    milliseconds(&mut burn, tile, slices, usize::MAX)
}

/// Milliseconds a slice.
struct Times {
    /// Until its result was there.
    all: f64,
    /// Of it what handing it over took on the host.
    submit: f64,
}

/// Computes slices.
fn milliseconds(engine: &mut dyn Engine, tile: &Tile, slices: usize, at_once: usize) -> Result<Times> {
    let clock = Instant::now();
    let host = bench::slices(engine, tile, slices, at_once)?;
    let a_slice = |time: Duration| time.as_secs_f64() * 1e3 / slices as f64;
    Ok(Times { all: a_slice(clock.elapsed()), submit: a_slice(host) })
}

fn prediction(engine: &mut dyn Engine, tile: &Tile) -> Result<SlicePrediction> {
    engine.submit(SliceRequest { slice: 0, tiles: vec![tile.clone()], centre: None, labels: None });
    match engine.poll(Wait::Yes) {
        Some(result) => Ok(result.outcome?),
        None => bail!("{} gives no answer", engine.name()),
    }
}

/// The largest difference of a probability, and how many pixels in a hundred have another label.
fn compared(a: &SlicePrediction, b: &SlicePrediction) -> (f32, f64) {
    let area = a.size[0] * a.size[1];
    let map = |p: &SlicePrediction, class: u8| {
        let at = p.classes.iter().position(|&c| c == class)?;
        Some(p.probabilities[at * area..][..area].to_vec())
    };
    let winner = |p: &SlicePrediction, n: usize| {
        let of = |slot: &usize| p.probabilities[slot * area + n];
        let best = (0..p.classes.len()).reduce(|best, slot| if of(&slot) > of(&best) { slot } else { best });
        best.map(|slot| p.classes[slot])
    };
    let mut worst = 0.0f32;
    for &class in &a.classes {
        if let (Some(a), Some(b)) = (map(a, class), map(b, class)) {
            worst = a.iter().zip(&b).fold(worst, |worst, (a, b)| worst.max((a - b).abs()));
        }
    }
    let other = (0..area).filter(|&n| winner(a, n) != winner(b, n)).count();
    (worst, 100.0 * other as f64 / area as f64)
}
