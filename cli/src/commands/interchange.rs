//! `attention-anatomy export` and `import`: weights for other programs, and from them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::infer::device::cpu;
use attention_anatomy::network::weights::{self, Precision, TrainedOrgan};
use attention_anatomy::network::{onnx, pytorch};
use pytorch_reader::{DType, PytorchReader};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::output::{Overwrite, SingleFile};
use crate::results::inputs;
use crate::{files, model, progress};

/// Where a checkpoint may keep its weights, if it holds more than them.
const INNER: [&str; 4] = ["state_dict", "model_state_dict", "model", "network"];

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
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs `export`.
///
/// # Errors
/// What the user is told.
pub fn export(args: ExportArgs) -> Result<ExitCode> {
    if args.onnx.is_none() && args.pytorch.is_none() {
        bail!("nothing to write; name a file with --onnx or --pytorch");
    }
    let claim = |path: &PathBuf| SingleFile::claim(path, inputs([args.weights.as_ref()]), args.overwrite);
    let (onnx_file, pytorch_file) =
        (args.onnx.as_ref().map(claim).transpose()?, args.pytorch.as_ref().map(claim).transpose()?);
    let model = model::open(args.weights.as_deref())?;
    let (network, info) = weights::read(&model.bytes, &cpu().burn).with_context(|| model.name.clone())?;
    if let (Some(path), Some(file)) = (&args.onnx, onnx_file) {
        file.write(&onnx::write(&network, &info)?)?;
        progress::print_line(&path.display().to_string());
    }
    if let (Some(path), Some(file)) = (&args.pytorch, pytorch_file) {
        file.write(&pytorch::write(&network, &info)?)?;
        progress::print_line(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a weights file of a PyTorch checkpoint: SafeTensors, .pt or .pth.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// The file.
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
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Runs `import`.
///
/// # Errors
/// What the user is told.
pub fn import(args: ImportArgs) -> Result<ExitCode> {
    let read = inputs([Some(&args.file), args.like.as_ref()]);
    let output = SingleFile::claim(&args.output, read, args.overwrite)?;
    let like = args.like.as_deref().map(|path| model::open(Some(path))).transpose()?;
    let mut bytes = files::read(&args.file)?;
    if pytorch::is_pickle(&bytes) {
        bytes = unpickled(&args.file).with_context(|| args.file.display().to_string())?;
    }
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
    output.write(&weights::write(&network, &info, Precision::Full)?)?;
    progress::print_line(&args.output.display().to_string());
    Ok(ExitCode::SUCCESS)
}

/// The tensors of a `.pt` file as SafeTensors. No code that a pickle may hold is run.
fn unpickled(path: &Path) -> Result<Vec<u8>> {
    let tensors = PytorchReader::new(path).context("not a readable PyTorch file")?.into_tensors();
    let inner = INNER.map(|key| format!("{key}.")).into_iter().find(|key| tensors.keys().any(|n| n.starts_with(key)));
    let prefix = inner.unwrap_or_default();
    let mut read = Vec::new();
    for (name, tensor) in tensors {
        let Some(name) = name.strip_prefix(&prefix) else { continue };
        let dtype = match tensor.dtype() {
            DType::F64 => Dtype::F64,
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::I64 => Dtype::I64,
            other => bail!("tensor `{name}` is of type {other:?}; weights are floating point numbers"),
        };
        let bytes = tensor.read().with_context(|| format!("tensor `{name}`"))?;
        read.push((name.to_string(), dtype, tensor.shape().to_vec(), bytes));
    }
    let views =
        read.iter().map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    safetensors::serialize(views, None).map_err(|e| anyhow!("{e}"))
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
