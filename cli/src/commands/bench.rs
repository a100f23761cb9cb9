//! `attention-anatomy bench`: milliseconds per slice of each engine there is, beside the floor that the machine's measured
//! peak sets; and a large synthetic CT for the measurement of memory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::formats::nifti;
use attention_anatomy::infer::{ComputeKind, DevicePreference, Engine, SliceRequest, Tile, Wait};
use attention_anatomy::network::count::multiply_adds;
use attention_anatomy::volume::{Geometry, Modality, Volume};
use burn::tensor::{Device, Distribution, Tensor};

use crate::device::DeviceChoice;
use crate::{files, model, pipeline, progress};

/// Measures milliseconds per slice of each engine there is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Slices to time, after one that is not timed.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    slices: u64,
    /// Also a software GPU adapter (seconds per slice).
    #[arg(long)]
    software: bool,
}

/// Runs `bench`.
pub fn run(args: Args) -> Result<ExitCode> {
    let model = model::open(None)?;
    let crop = model.info.input.crop;
    let operations = multiply_adds(&model.info.network, crop).total();
    progress::say(&format!(
        "{}: {:.2} G multiply-adds a slice, {crop} x {crop} pixels",
        model.name,
        operations as f64 * 1e-9
    ));
    progress::say("| engine | ms per slice | peak, G multiply-adds/s | floor ms | share of peak |");
    progress::say("|---|---|---|---|---|");
    let mut devices = vec![DeviceChoice::Cpu.open()?];
    match attention_anatomy::infer::ComputeDevice::open(DevicePreference::Gpu) {
        Ok(gpu) if gpu.kind == ComputeKind::Gpu || args.software => devices.push(gpu),
        Ok(gpu) => progress::note(&format!("{} is a software adapter; time it with --software", gpu.name)),
        Err(error) => progress::note(&error.to_string()),
    }
    for device in devices {
        let mut engine = pipeline::engine(&model, &device, OrganSet::ALL)?;
        let stack: Vec<f32> = (0..model.info.input.stack * crop * crop).map(|n| (n % 251) as f32 / 250.0).collect();
        let request =
            |slice| SliceRequest { slice, tiles: vec![Tile { origin: [0, 0], stack: stack.clone() }], centre: None };
        engine.submit(request(0));
        engine.poll(Wait::Yes);
        let clock = Instant::now();
        for slice in 1..=args.slices {
            engine.submit(request(slice as usize));
            while let Some(result) = engine.poll(if slice == args.slices { Wait::Yes } else { Wait::No }) {
                result.outcome?;
            }
        }
        while let Some(result) = engine.poll(Wait::Yes) {
            result.outcome?;
        }
        let ms = clock.elapsed().as_secs_f64() * 1e3 / args.slices as f64;
        let peak = peak(&device.burn);
        let floor = operations as f64 / peak * 1e3;
        progress::say(&format!(
            "| {} | {ms:.1} | {:.1} | {floor:.1} | {:.0} % |",
            device.name,
            peak * 1e-9,
            100.0 * floor / ms
        ));
    }
    Ok(ExitCode::SUCCESS)
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
    /// Slices.
    #[arg(long, default_value_t = 600)]
    slices: usize,
}

/// Runs `bench-volume`.
pub fn volume(args: VolumeArgs) -> Result<ExitCode> {
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
    files::write(&args.output, &nifti::write_ct(&volume, "synthetic")?)?;
    Ok(ExitCode::SUCCESS)
}
