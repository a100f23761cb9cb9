//! `attention-anatomy explain`: what the network says of one slice, in words.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use attention_anatomy::infer::{SliceAnatomy, VolumeSlice, Wait, in_words, place_in_words};
use attention_anatomy::preprocess::ModelSlices;
use attention_anatomy::volume::require_ct;

use super::segment::ReadCt;
use crate::device::DeviceOptions;
use crate::{model, number, progress, series};

/// Says in words what the network makes of one slice: its region, and which organs attention lets pass.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A NIfTI or NRRD file, a zip archive, or a folder with a DICOM series.
    input: PathBuf,
    /// The slice, counted from 1 at the most inferior, as on screen, in the report and in the tables; the middle one where not given.
    #[arg(long, value_parser = number::slice)]
    slice: Option<usize>,
    /// Weights file; the bundled weights where not given.
    #[arg(long)]
    weights: Option<PathBuf>,
    #[command(flatten)]
    on: DeviceOptions,
    /// The DICOM series to read, by its number in the list of `info` or by its UID; what suits best where not given.
    #[arg(long, value_name = "NUMBER|UID")]
    series: Option<String>,
    /// Take the values as HU although they do not look like it.
    #[arg(long)]
    assume_hu: bool,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let named = || args.input.display().to_string();
    let model = model::open(args.weights.as_deref())?;
    let mut ct = ReadCt::open(&args.input, &series::named(args.series.as_deref()))?.ct;
    require_ct(&mut ct, args.assume_hu).with_context(named)?;
    let geometry = ct.geometry.clone();
    let depth = geometry.size[2];
    let height = |k: usize| geometry.slice_mm(k);
    let slice = args.slice.map_or(depth / 2, |number| number - 1);
    if slice >= depth {
        bail!("{}: there are the slices 1 to {depth}", named());
    }
    let known = model.info.organs(true);
    let device = args.on.open()?;
    let mut engine = model.engine(&device, known).with_context(|| model.name.clone())?;
    let slices = Arc::new(ModelSlices::new(Arc::new(ct), &model.info.input).with_context(named)?);
    let Some(wanted) = VolumeSlice::of(&slices, slice) else {
        progress::print_line(&format!("{} There is no body on it.", place_in_words(slice, height(slice))));
        return Ok(ExitCode::SUCCESS);
    };
    engine.submit_slices(&slices, vec![wanted]);
    let found = engine.poll(Wait::Yes).context("the device gave no answer")?.outcome?;
    let anatomy = SliceAnatomy {
        slice,
        position_mm: height(slice),
        regions: found.regions.unwrap_or_default(),
        attention: found.attention,
    };
    for line in in_words(&anatomy, known, model.info.gauge.is_some()) {
        progress::print_line(&line);
    }
    Ok(ExitCode::SUCCESS)
}
