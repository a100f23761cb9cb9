//! A checkpoint: network, optimiser state and step in one SafeTensors file, so that no kill can leave halves of two.

use std::collections::{BTreeMap, HashMap};

use burn::module::Module;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::TrainingConfig;
use super::adam::{Adam, Moments};
use crate::network::AttentionAnatomy;
use crate::network::weights::{self, ModelInfo, Precision, WeightsError};

const STEP_KEY: &str = "step";
const NETWORK: &str = "network.";
const FIRST: &str = "adam.first.";
const SECOND: &str = "adam.second.";
const UPDATES: &str = "adam.updates.";

/// Why a checkpoint cannot be written or resumed from.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a checkpoint, or a damaged one.
    #[error("this is not a readable checkpoint ({0}); resume from another one or start anew")]
    Unreadable(String),
    /// Weights or moments that are not numbers.
    #[error(
        "the training has come to weights that are no numbers, so that the checkpoint before is kept: lower `learning_rate` in the training file, or look at the data, and go on with the same command"
    )]
    NotFinite,
    /// The network part.
    #[error("checkpoint: {0}")]
    Weights(#[from] WeightsError),
}

fn unreadable(e: impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Unreadable(e.to_string())
}

/// The bytes of a checkpoint. `network` in validation state.
///
/// # Errors
/// [`CheckpointError::NotFinite`] where weights or moments are no numbers; else what the device or the writer says.
pub fn write(
    network: &AttentionAnatomy,
    adam: &Adam,
    step: u64,
    config: &TrainingConfig,
) -> Result<Vec<u8>, CheckpointError> {
    let info = ModelInfo {
        format: weights::FORMAT_VERSION,
        name: config.name.clone(),
        network: config.network.clone(),
        input: config.input(),
        trained_organs: Vec::new(),
        data: Vec::new(),
        held_out: Vec::new(),
        gauge: None,
        steps: step,
        note: "checkpoint of a training in progress".into(),
    };
    let bytes = weights::write(network, &info, Precision::Full)?;
    let stored = SafeTensors::deserialize(&bytes).map_err(unreadable)?;
    let mut numbers: Vec<(String, Vec<u8>, Dtype)> = Vec::new();
    for (name, m) in &adam.moments {
        let plain = |t: &burn::tensor::Tensor<1>| -> Result<Vec<u8>, CheckpointError> {
            let values: Vec<f32> = t.to_data().try_to_vec::<f32>().map_err(|e| unreadable(format!("{e:?}")))?;
            Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect())
        };
        numbers.push((format!("{FIRST}{name}"), plain(&m.first)?, Dtype::F32));
        numbers.push((format!("{SECOND}{name}"), plain(&m.second)?, Dtype::F32));
        numbers.push((format!("{UPDATES}{name}"), m.updates.to_le_bytes().to_vec(), Dtype::U32));
    }
    let mut views: Vec<(String, TensorView<'_>)> =
        stored.tensors().into_iter().map(|(name, view)| (format!("{NETWORK}{name}"), view)).collect();
    for (name, data, dtype) in &numbers {
        views.push((name.clone(), TensorView::new(*dtype, vec![data.len() / 4], data).map_err(unreadable)?));
    }
    let metadata = HashMap::from([(STEP_KEY.to_string(), step.to_string())]);
    let written = safetensors::serialize(views, Some(metadata)).map_err(unreadable)?;
    weights::check_finite(&written).map_err(|_| CheckpointError::NotFinite)?;
    Ok(written)
}

/// Puts a checkpoint's numbers into `network` and returns the optimiser and the step.
///
/// # Errors
/// [`CheckpointError`]: not a checkpoint, a damaged one, or one of another network.
pub fn restore(bytes: &[u8], network: &mut AttentionAnatomy) -> Result<(Adam, u64), CheckpointError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let step = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(STEP_KEY)?.parse().ok())
        .ok_or_else(|| unreadable("it names no step"))?;
    let stored = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let mut own: Vec<(String, TensorView<'_>)> = Vec::new();
    let mut parts: BTreeMap<String, [Option<Vec<u8>>; 3]> = BTreeMap::new();
    for (name, view) in stored.tensors() {
        if let Some(name) = name.strip_prefix(NETWORK) {
            own.push((name.to_string(), view));
            continue;
        }
        for (n, prefix) in [FIRST, SECOND, UPDATES].into_iter().enumerate() {
            if let Some(name) = name.strip_prefix(prefix) {
                parts.entry(name.to_string()).or_default()[n] = Some(view.data().to_vec());
            }
        }
    }
    let plain = safetensors::serialize(own, None).map_err(unreadable)?;
    weights::load(network, &plain)?;
    let device = network.devices().into_iter().next().ok_or_else(|| unreadable("the network is empty"))?;
    let elements: BTreeMap<String, usize> = stored
        .tensors()
        .iter()
        .filter_map(|(n, v)| Some((n.strip_prefix(NETWORK)?.to_string(), v.shape().iter().product())))
        .collect();
    let mut adam = Adam::default();
    for (name, part) in parts {
        let [Some(first), Some(second), Some(updates)] = part else {
            return Err(unreadable(format!("optimiser state of `{name}` is incomplete")));
        };
        let floats =
            |b: &[u8]| b.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect::<Vec<_>>();
        let expected = elements.get(&name).map(|n| 4 * n);
        if Some(first.len()) != expected || Some(second.len()) != expected {
            return Err(unreadable(format!("optimiser state of `{name}` does not fit the network")));
        }
        let updates =
            updates.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)).ok_or_else(|| unreadable("updates"))?;
        let moments = Moments {
            first: Adam::moment(floats(&first), &device),
            second: Adam::moment(floats(&second), &device),
            updates,
        };
        adam.moments.insert(name, moments);
    }
    Ok((adam, step))
}
