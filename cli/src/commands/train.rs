//! `attention-anatomy train`: from a training file to a weights file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use attention_anatomy::artifacts::ArtifactStore;
use attention_anatomy::report;
use attention_anatomy::train::persistent::FINAL;
use attention_anatomy::train::{Ended, PersistentSession, StartWeights, TrainingTask};

use crate::output::Overwrite;
use crate::store::FolderStore;
use crate::training::Monitor;
use crate::{data, files, interrupt, progress};

/// Trains a network as a TOML file says. Stop with Ctrl-C; the same command goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Training file (see configs/).
    config: PathBuf,
    /// Folder that the manifests of the training file are relative to, or a file that `prepare` made.
    #[arg(long, default_value = ".")]
    data: PathBuf,
    /// Folder for checkpoints, metrics and weights.
    #[arg(short, long)]
    output: PathBuf,
    /// Start anew even if the output folder holds a checkpoint.
    #[arg(long)]
    restart: bool,
    /// Weights to begin with, instead of random ones. Their training must have held out who is held out now.
    #[arg(long, value_name = "WEIGHTS")]
    from: Option<PathBuf>,
    /// Write `report.html` with the curves of losses and Dice, anew at every validation.
    #[arg(long)]
    report: bool,
    /// Where the network is trained.
    #[arg(long, default_value = "cpu")]
    device: crate::device::DeviceChoice,
    /// What computes the layers on a GPU.
    #[arg(long, default_value = "own")]
    engine: crate::device::EngineChoice,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs the command.
///
/// # Errors
/// What the user is told.
pub fn run(args: Args) -> Result<ExitCode> {
    let (text, config) = data::training_file(&args.config)?;
    let mut read = data::inputs(&args.config, &config, &args.data);
    // A training goes on with the training file that it keeps, too: what is written of it is what was read.
    read.retain(|file| *file != args.config);
    read.extend(args.from.clone());
    let store = FolderStore::guarded(&args.output, "train", read, args.overwrite)?;
    store.claim()?;
    let device = args.device.open_for_training(args.engine)?;
    let mut monitor = Monitor::new(&device);
    let mut events = |event| monitor.on_event(event);
    let data = data::load(&config, &args.data, &mut events)?;
    let from =
        args.from.as_deref().map(|path| Ok::<_, anyhow::Error>((path.display().to_string(), files::read(path)?)));
    let from = from.transpose()?;
    let task = TrainingTask {
        text: &text,
        config: &config,
        sets: &data.sets,
        patients: &data.patients,
        store: &store,
        restart: args.restart,
        from: from.as_ref().map(|(place, bytes)| StartWeights { place, bytes }),
        report: args.report.then_some(report::training_report_html),
    };
    let session = PersistentSession::begin(task, &device, &mut events)?;
    if session.run(&*interrupt::flag()?, &mut events)? == Ended::Finished {
        progress::print_line(&store.place(FINAL));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(interrupt::STOPPED.into())
}
