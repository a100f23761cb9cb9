//! `attention-anatomy info` and `devices`: what is in a file, what these weights know, what can compute.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use attention_anatomy::anatomy::{Organ, Region, Side};
use attention_anatomy::formats::dicom::{self, SeriesChoice, SeriesInfo};
use attention_anatomy::formats::{self, ReadOptions};
use attention_anatomy::infer::ComputeKind;
use attention_anatomy::infer::device::{adapters, cpu};
use attention_anatomy::network::weights;

use crate::{files, progress};

/// Says what an image, a weights file or the anatomy table contains.
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// Images, DICOM folders, zips or weights files.
    inputs: Vec<PathBuf>,
    /// The 33 organs: label, id, names, regions.
    #[arg(long)]
    organs: bool,
    /// The bundled weights.
    #[arg(long)]
    weights: bool,
    /// Only this DICOM series, by its number in the list or by its UID.
    #[arg(long, value_name = "NUMBER|UID")]
    series: Option<String>,
}

/// Runs `info`.
///
/// # Errors
/// What the user is told.
pub fn info(args: InfoArgs) -> Result<ExitCode> {
    if args.organs {
        organs();
    }
    if args.weights || (args.inputs.is_empty() && !args.organs) {
        let model = crate::model::open(None)?;
        describe_weights(&model.name, &model.bytes)?;
    }
    let mut code = ExitCode::SUCCESS;
    for input in &args.inputs {
        if let Err(error) = describe(input, args.series.as_deref()) {
            progress::error(&format!("{error:#}"));
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn organs() {
    progress::print_line(
        "label  id                         name                        TG-263              side   regions",
    );
    for organ in Organ::ALL {
        let side = match organ.side() {
            Side::Left => "left",
            Side::Right => "right",
            Side::Midline | Side::Unpaired => "",
        };
        let regions: Vec<&str> = organ.regions().iter().map(|r: &Region| r.name()).collect();
        progress::print_line(&format!(
            "{:>5}  {:<25}  {:<26}  {:<18}  {side:<5}  {}",
            organ.label(),
            organ.id(),
            organ.name(),
            organ.tg263(),
            regions.join(", ")
        ));
    }
}

fn describe(input: &Path, chosen: Option<&str>) -> Result<()> {
    let named = || input.display().to_string();
    if input.extension().is_some_and(|e| e == "safetensors") {
        return describe_weights(&named(), &files::read(input)?);
    }
    let mut contents = files::collect(input)?;
    let header = match contents.as_slice() {
        [(_, bytes)] => formats::read_header(bytes, &ReadOptions::default()).with_context(named)?,
        // A header and its data, in either order.
        [(_, a), (_, b)] => {
            [a, b].into_iter().find_map(|f| formats::read_header(f, &ReadOptions::default()).ok().flatten())
        }
        _ => None,
    };
    if let Some(header) = header {
        let [x, y, z] = header.size;
        let [a, b, c] = header.spacing;
        progress::print_line(&format!(
            "{}: {:?}, {x} x {y} x {z} voxels of {a:.3} x {b:.3} x {c:.3} mm, {:?}",
            named(),
            header.format,
            header.sample
        ));
        match &header.geometry {
            Ok(geometry) => progress::print_line(&format!("  affine to patient LPS mm: {:?}", geometry.affine)),
            Err(reason) => progress::print_line(&format!("  no usable geometry: {reason}")),
        }
        for warning in &header.warnings {
            progress::print_line(&format!("  {warning}"));
        }
        return Ok(());
    }
    if let [(_, bytes)] = contents.as_slice()
        && formats::archive::is_zip(bytes)
    {
        contents = formats::archive::unzip(bytes, 2 << 30).with_context(named)?;
    }
    let series = dicom::list_series(&contents).with_context(named)?;
    let is_wanted = |number: usize, uid: &str| match chosen.map(SeriesChoice::from_text) {
        None | Some(SeriesChoice::Best) => true,
        Some(SeriesChoice::Uid(wanted)) => wanted == uid,
        Some(SeriesChoice::Listed(wanted)) => wanted == number,
    };
    let wanted: Vec<(usize, &SeriesInfo)> =
        series.iter().enumerate().map(|(n, s)| (n + 1, s)).filter(|(n, s)| is_wanted(*n, &s.uid)).collect();
    if wanted.is_empty() {
        bail!("{}: there is no such series among the {}; `info` without --series lists them", named(), series.len());
    }
    progress::print_line(&format!("{}: {} series", named(), series.len()));
    for (number, s) in wanted {
        let [x, y] = s.size;
        let step = s.spacing.map_or(String::new(), |[_, _, step]| format!(", {step:.2} mm apart"));
        let kernel = if s.kernel.is_empty() { String::new() } else { format!(", kernel {}", s.kernel) };
        progress::print_line(&format!(
            "  {number}: {} series {}, {} slices of {x} x {y}{step}{kernel}",
            s.modality, s.uid, s.slices
        ));
        let described: Vec<&str> = [s.description.as_str()]
            .into_iter()
            .chain(s.image_type.iter().map(String::as_str))
            .filter(|t| !t.is_empty())
            .collect();
        if !described.is_empty() {
            progress::print_line(&format!("     {}", described.join(", ")));
        }
        if let Some(problem) = &s.problem {
            progress::print_line(&format!("     not usable as a volume: {problem}"));
        }
    }
    Ok(())
}

fn describe_weights(name: &str, bytes: &[u8]) -> Result<()> {
    let info = weights::read_info(bytes).with_context(|| name.to_string())?;
    progress::print_line(&format!("{name}: {}, {} steps, sha256 {}", info.name, info.steps, weights::sha256(bytes)));
    if !info.note.is_empty() {
        progress::print_line(&format!("  {}", info.note));
    }
    for set in &info.data {
        progress::print_line(&format!("  trained on {} patients of {}", set.patients, set.name));
    }
    for t in &info.trained_organs {
        let dice = t.validation_dice.map_or("not measured".into(), |d| format!("validation Dice {d:.2}"));
        let off = if t.enabled { "" } else { ", off by default" };
        progress::print_line(&format!("  {:<26} {:>4} patients, {dice}{off}", t.organ.name(), t.patients));
    }
    if info.network.attention {
        progress::print_line(match &info.gauge {
            Some(_) => "  attention: 1 is as on training slices that show the organ, 0 rules it out",
            None => {
                "  attention has no unit in this file, so that its height means nothing; `attention-anatomy gauge` gives it one"
            }
        });
    }
    progress::print_line("  every other organ of the table is unknown to these weights and never drawn");
    Ok(())
}

/// Lists what can compute.
#[derive(Debug, clap::Args)]
pub struct DevicesArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `devices`.
///
/// # Errors
/// What the user is told.
pub fn devices(args: DevicesArgs) -> Result<ExitCode> {
    let adapters = adapters();
    if args.json {
        progress::print_line(&serde_json::to_string_pretty(&adapters)?);
        return Ok(ExitCode::SUCCESS);
    }
    for adapter in &adapters {
        let kind = match adapter.kind {
            ComputeKind::SoftwareGpu => " (software: slower than the CPU itself, used only with --device gpu)",
            ComputeKind::Gpu | ComputeKind::Cpu => "",
        };
        let half = if adapter.f16 { ", f16" } else { "" };
        progress::print_line(&format!(
            "gpu  {} through {}, driver {}{half}{kind}",
            adapter.name, adapter.api, adapter.driver
        ));
    }
    progress::print_line(&format!("cpu  {}", cpu().name));
    Ok(ExitCode::SUCCESS)
}
