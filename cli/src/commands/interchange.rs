//! `attention-anatomy export` and `import`: weights for other programs, and from them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::infer::device::cpu;
use attention_anatomy::network::weights::{self, Precision, TrainedOrgan};
use attention_anatomy::network::{onnx, pytorch};

use crate::{files, model, progress};

/// Writes weights as an ONNX file that any runtime runs, or with PyTorch's names and layout.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// Weights file; the bundled weights where not given.
    weights: Option<PathBuf>,
    /// The folded network as ONNX: input `image`, outputs `probabilities`, `regions`, `attention`.
    #[arg(long)]
    onnx: Option<PathBuf>,
    /// SafeTensors for PyTorch's `load_state_dict`.
    #[arg(long)]
    pytorch: Option<PathBuf>,
}

/// Runs `export`.
pub fn export(args: ExportArgs) -> Result<ExitCode> {
    if args.onnx.is_none() && args.pytorch.is_none() {
        bail!("nothing to write; name a file with --onnx or --pytorch");
    }
    let model = model::open(args.weights.as_deref())?;
    let (network, info) = weights::read(&model.bytes, &cpu().burn).with_context(|| model.name.clone())?;
    if let Some(path) = &args.onnx {
        files::write(path, &onnx::write(&network, &info)?)?;
        progress::say(&path.display().to_string());
    }
    if let Some(path) = &args.pytorch {
        files::write(path, &pytorch::write(&network, &info)?)?;
        progress::say(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a weights file of SafeTensors with PyTorch's names and layout.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file; docs/training.md says how to make one of a `.pt` file.
    file: PathBuf,
    /// The weights file to write.
    #[arg(short, long)]
    output: PathBuf,
    /// Weights of the same network, input and organs; needed where the file does not describe itself.
    #[arg(long)]
    like: Option<PathBuf>,
    /// Organs that the weights have learned, by id, where they are not those of `--like`.
    #[arg(long, value_delimiter = ',')]
    organs: Vec<String>,
}

/// Runs `import`.
pub fn import(args: ImportArgs) -> Result<ExitCode> {
    let like = args.like.as_deref().map(|path| model::open(Some(path))).transpose()?;
    let bytes = files::read(&args.file)?;
    let (network, mut info) = pytorch::read(&bytes, like.as_ref().map(|m| &m.info), &cpu().burn)
        .with_context(|| args.file.display().to_string())?;
    if !args.organs.is_empty() {
        let organs = OrganSet::from_ids(&args.organs)?;
        info.trained_organs.retain(|t| organs.contains(t.organ));
        let known = info.organs(true);
        info.trained_organs.extend(organs.difference(known).iter().map(unmeasured));
        info.trained_organs.sort_by_key(|t| t.organ);
    }
    if info.trained_organs.is_empty() {
        progress::note("note: no organ is named as learned, so none will be drawn; name them with --organs");
    }
    files::write(&args.output, &weights::write(&network, &info, Precision::Full)?)?;
    progress::say(&args.output.display().to_string());
    Ok(ExitCode::SUCCESS)
}

fn unmeasured(organ: Organ) -> TrainedOrgan {
    TrainedOrgan {
        organ,
        patients: 0,
        source: Vec::new(),
        validation_dice: None,
        validation_patients: 0,
        enabled: false,
    }
}
