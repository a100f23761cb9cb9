//! Weights to and from PyTorch, as SafeTensors with PyTorch's names and layout.
//!
//! The names follow the fields of the network, so that modules of the same names (`encoder.levels.0.first.conv`...) take the
//! file as their `state_dict`. Against a weights file of this program: batch normalisation has `weight` and `bias` instead
//! of `gamma` and `beta`, fully connected weights are `[out, in]`. Convolutions (`[out, in, h, w]`), transposed convolutions
//! (`[in, out, h, w]`) and running statistics are the same in both. `tests/data/interchange/reference.py` defines the
//! network in PyTorch.

use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore,
};
use burn::tensor::{DType, Device};

use super::AttentionAnatomy;
use super::weights::{self, METADATA_KEY, ModelInfo, WeightsError};
use crate::kernels::parameters::{Parameter, Parameters};
use crate::parallel::map;

/// PyTorch counts the batches that a normalisation has seen; nothing depends on it.
const NOT_NEEDED: &str = ".num_batches_tracked";

/// Why PyTorch weights cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A pickle.
    #[error("this is a PyTorch pickle (.pt, .pth), not SafeTensors; `attention-anatomy import` takes either")]
    Pickle,
    /// Nothing says what the tensors are for.
    #[error(
        "the file does not describe its network and the preparation of its input; name weights that share both with --like"
    )]
    NoDescription,
    /// The tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The bytes of a file for PyTorch, with the description of the weights in its metadata. `network` in validation state.
///
/// # Errors
/// [`WeightsError::Write`].
pub fn write(network: &AttentionAnatomy, info: &ModelInfo) -> Result<Vec<u8>, WeightsError> {
    let json = serde_json::to_string(info).map_err(|e| WeightsError::Write(e.to_string()))?;
    let store = SafetensorsStore::from_bytes(None).clear_metadata().metadata(METADATA_KEY, json);
    let mut store = store.with_to_adapter(BurnToPyTorchAdapter);
    network.save_into(&mut store).map_err(|e| WeightsError::Write(e.to_string()))?;
    store.get_bytes().map_err(|e| WeightsError::Write(e.to_string()))
}

/// The tensors alone, as numbers. `network` in validation state.
///
/// # Errors
/// [`WeightsError::Write`].
pub fn tensors(network: &AttentionAnatomy) -> Result<Parameters, WeightsError> {
    fn cannot(error: impl std::fmt::Display) -> WeightsError {
        WeightsError::Write(error.to_string())
    }
    let tensors = network.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false);
    let tensors = map(tensors, |tensor| {
        let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(cannot)?;
        if dtype != DType::F32 {
            return Err(cannot(format!("tensor `{name}` holds numbers of type {dtype:?}")));
        }
        let values = bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Ok((name, Parameter { shape: shape.as_slice().to_vec(), values }))
    });
    tensors.into_iter().collect()
}

/// Whether a file looks like what `torch.save` writes: a zip archive since PyTorch 1.6, a bare pickle before.
pub fn is_pickle(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK") || bytes.starts_with(&[0x80]) && bytes.get(1).is_some_and(|&v| (2..=5).contains(&v))
}

/// A network on `device` from a file of PyTorch's names and layout. Its description comes from the file, or from `like`
/// where the file has none; every organ of `like` then counts as not measured, because these are other weights.
///
/// # Errors
/// [`ImportError`].
pub fn read(
    bytes: &[u8],
    like: Option<&ModelInfo>,
    device: &Device,
) -> Result<(AttentionAnatomy, ModelInfo), ImportError> {
    if is_pickle(bytes) {
        return Err(ImportError::Pickle);
    }
    let info = match (weights::read_info(bytes), like) {
        (Ok(info), _) => info,
        (Err(WeightsError::NoMetadata), Some(like)) => {
            let mut info = like.clone();
            info.trained_organs.iter_mut().for_each(|t| t.set_validation(None, 0));
            info.gauge = None;
            info
        }
        (Err(WeightsError::NoMetadata), None) => return Err(ImportError::NoDescription),
        (Err(error), _) => return Err(error.into()),
    };
    weights::check_finite(bytes)?;
    let mut network = info.network.init(device);
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
    weights::load_with(&mut network, bytes, adapter, |name| name.ends_with(NOT_NEEDED))?;
    Ok((network, info))
}
