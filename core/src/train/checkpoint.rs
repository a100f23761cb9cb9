//! A checkpoint: network, optimiser state and step in one SafeTensors file, so that no kill can leave halves of two.

use std::collections::{BTreeMap, HashMap};

use burn::module::Module;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::TrainingConfig;
use super::adam::{Adam, Moments};
use super::average::Average;
use crate::network::AttentionAnatomy;
use crate::network::weights::{self, ModelInfo, Precision, WeightsError};

const STEP_KEY: &str = "step";
const NETWORK: &str = "network.";
const FIRST: &str = "adam.first.";
const SECOND: &str = "adam.second.";
const UPDATES: &str = "adam.updates.";
const AVERAGE: &str = "average.";
/// How many steps went into the moving average.
const AVERAGED_KEY: &str = "averaged";

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
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

fn unreadable(e: impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Unreadable(e.to_string())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// The bytes of a checkpoint. `network` in validation state.
///
/// # Errors
/// [`CheckpointError::NotFinite`] where weights or moments are no numbers; else what the device or the writer says.
pub fn write(
    network: &AttentionAnatomy,
    adam: &Adam,
    average: Option<&Average>,
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
    let plain = |t: &burn::tensor::Tensor<1>| -> Result<Vec<u8>, CheckpointError> {
        let values: Vec<f32> = t.to_data().try_to_vec::<f32>().map_err(|e| unreadable(format!("{e:?}")))?;
        Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    };
    for (name, m) in &adam.moments {
        numbers.push((format!("{FIRST}{name}"), plain(&m.first)?, Dtype::F32));
        numbers.push((format!("{SECOND}{name}"), plain(&m.second)?, Dtype::F32));
        numbers.push((format!("{UPDATES}{name}"), m.updates.to_le_bytes().to_vec(), Dtype::U32));
    }
    for (name, values) in average.into_iter().flat_map(|average| &average.values) {
        numbers.push((format!("{AVERAGE}{name}"), plain(values)?, Dtype::F32));
    }
    let mut views: Vec<(String, TensorView<'_>)> =
        stored.tensors().into_iter().map(|(name, view)| (format!("{NETWORK}{name}"), view)).collect();
    for (name, data, dtype) in &numbers {
        views.push((name.clone(), TensorView::new(*dtype, vec![data.len() / 4], data).map_err(unreadable)?));
    }
    let mut metadata = HashMap::from([(STEP_KEY.to_string(), step.to_string())]);
    metadata.extend(average.map(|average| (AVERAGED_KEY.to_string(), average.updates.to_string())));
    let written = safetensors::serialize(views, Some(metadata)).map_err(unreadable)?;
    weights::check_finite(&written).map_err(|_| CheckpointError::NotFinite)?;
    Ok(written)
}

/// What a checkpoint holds beside the network.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The optimiser.
    pub adam: Adam,
    /// The moving average of the weights, where one was kept.
    pub average: Option<Average>,
    /// Steps done.
    pub step: u64,
}

/// Puts a checkpoint's numbers into `network` and returns the rest.
///
/// # Errors
/// [`CheckpointError`]: not a checkpoint, a damaged one, or one of another network.
pub fn restore(bytes: &[u8], network: &mut AttentionAnatomy) -> Result<Restored, CheckpointError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let said = |key: &str| metadata.metadata().as_ref()?.get(key)?.parse::<u64>().ok();
    let step = said(STEP_KEY).ok_or_else(|| unreadable("it names no step"))?;
    let mut averaged: Vec<(String, Vec<f32>)> = Vec::new();
    let stored = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let mut own: Vec<(String, TensorView<'_>)> = Vec::new();
    let mut parts: BTreeMap<String, [Option<Vec<u8>>; 3]> = BTreeMap::new();
    for (name, view) in stored.tensors() {
        if let Some(name) = name.strip_prefix(NETWORK) {
            own.push((name.to_string(), view));
            continue;
        }
        if let Some(name) = name.strip_prefix(AVERAGE) {
            averaged.push((name.to_string(), floats(view.data())));
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
    let average = said(AVERAGED_KEY).map(|n| Average {
        updates: n as u32,
        values: averaged.into_iter().map(|(name, values)| (name, Adam::moment(values, &device))).collect(),
    });
    // Its statistics, which no pass has to have settled, are among them.
    let has = |average: &Average, name: &str, size| {
        average.values.get(name).is_some_and(|values| values.shape().num_elements() == size)
    };
    let fits = |average: &Average| elements.iter().all(|(name, &size)| has(average, name, size));
    if !average.as_ref().is_none_or(fits) {
        return Err(unreadable("its moving average does not fit the network"));
    }
    Ok(Restored { adam, average, step })
}
