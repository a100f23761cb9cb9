//! `attention-anatomy gauge`: gives weights the unit of their attention, where they were made before there was one or elsewhere.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use attention_anatomy::network::weights;
use attention_anatomy::train::measure_gauge;

use crate::device::DeviceChoice;
use crate::output::{Overwrite, SingleFile};
use crate::results::inputs;
use crate::training::Monitor;
use crate::{data, model, progress};

/// Measures which height of attention means "this slice shows the organ", on the slices that weights were trained on, and writes the
/// weights with it: attention is then 1 where it is as on such a slice, and 0 where the organ is ruled out. What is outlined stays as it is.
/// `train` does this by itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The training file that the weights came from.
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to, or a file that `prepare` made.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Weights file; the bundled weights where not given.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// The weights file to write.
    #[arg(short, long)]
    output: PathBuf,
    /// Where the network runs.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let read = inputs([Some(&args.config), Some(&args.data)]);
    let output = SingleFile::claim(&args.output, read, args.overwrite)?;
    let (_, config) = data::training_file(&args.config)?;
    let model = model::open(args.weights.as_deref())?;
    if !model.info.network.attention {
        bail!("{}: these weights have no attention", model.name);
    }
    if config.input() != model.info.input {
        bail!("{} asks for another input than {} was made for", args.config.display(), model.name);
    }
    let device = args.device.open_with_tensors()?;
    let mut monitor = Monitor::new(&device);
    let data = data::load(&config, &args.data, &mut |event| monitor.on_event(event))?;
    if let Some(case) = data.patients.training.iter().find(|case| model.info.held_out.contains(&case.name)) {
        bail!(
            "{} was held out when these weights were trained and would be looked at; use the training file that they came from",
            case.name
        );
    }
    let (network, mut info) = weights::read(&model.bytes, &device.burn).with_context(|| model.name.clone())?;
    info.gauge = pollster::block_on(measure_gauge(&network, &data.patients.training, &info.input, &device.burn))?;
    let mut lines = vec!["organ                     unit          slices".to_string()];
    for gauge in info.gauge.iter().flat_map(|gauge| &gauge.organs) {
        lines.push(format!("{:24}  {:<12.6e}  {}", gauge.organ.name(), gauge.unit, gauge.slices));
    }
    let bytes = weights::describe(&model.bytes, &info)?;
    output.write(&bytes)?;
    progress::note(&lines.join("\n"));
    progress::print_line(&args.output.display().to_string());
    Ok(ExitCode::SUCCESS)
}
