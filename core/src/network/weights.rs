//! The weights file: SafeTensors, with everything needed to use the weights in its metadata.
//!
//! Weights without the way their input was prepared, or without the list of organs that they learned, are dangerous:
//! an organ that no case annotated is never pushed down and paints at random. So configuration, trained organs and
//! data travel in the one file, as JSON under the key [`METADATA_KEY`], and a file without it is refused.

use burn::store::{FloatCastAdapter, HalfPrecisionAdapter, ModuleAdapter, ModuleSnapshot, SafetensorsStore, bridge};
use burn::tensor::{DType, Device, TensorData};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::gauge::AttentionGauge;
use super::{AttentionAnatomy, NetworkConfig};
use crate::anatomy::{Organ, OrganSet};
use crate::preprocess::InputConfig;

/// Where the model information lies in the SafeTensors metadata.
pub const METADATA_KEY: &str = "attention_anatomy";
/// Version of the metadata's layout.
pub const FORMAT_VERSION: u32 = 1;

/// What a weights file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Layout of this structure, [`FORMAT_VERSION`].
    pub format: u32,
    /// Name of the model, for people.
    pub name: String,
    /// The network.
    pub network: NetworkConfig,
    /// How its input is prepared.
    pub input: InputConfig,
    /// Organs that were annotated in at least one training case; all others are never drawn.
    pub trained_organs: Vec<TrainedOrgan>,
    /// Training data, one entry a set.
    pub data: Vec<DataSource>,
    /// Patients held out for validation, as `set/id`.
    #[serde(default)]
    pub held_out: Vec<String>,
    /// Units of attention; `None` in files of before there was one: the height of their attention means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gauge: Option<AttentionGauge>,
    /// Optimiser steps.
    pub steps: u64,
    /// One or two sentences: what these weights are, how they were validated, what they are not for.
    pub note: String,
}

/// Validation Dice below which an organ is off by default.
pub const ENABLE_DICE: f64 = 0.5;

/// An organ that the weights have learned, and how well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainedOrgan {
    /// Which organ.
    pub organ: Organ,
    /// Patients whose annotation of this organ was trained on.
    pub patients: usize,
    /// The data sets they came from.
    pub source: Vec<String>,
    /// Mean Dice on patients that were not trained on, 0 to 1.
    pub validation_dice: Option<f64>,
    /// How many such patients annotate the organ.
    pub validation_patients: usize,
    /// Whether it is drawn without being asked for. False where validation Dice is below [`ENABLE_DICE`] or nothing measured
    /// it.
    pub enabled: bool,
}

impl TrainedOrgan {
    /// Notes what was measured on held-out patients, and switches the organ on or off by it.
    pub fn set_validation(&mut self, dice: Option<f64>, patients: usize) {
        self.validation_dice = dice;
        self.validation_patients = patients;
        self.enabled = dice.is_some_and(|d| d >= ENABLE_DICE);
    }
}

/// A training set as the model card names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSource {
    /// Short name.
    pub name: String,
    /// Under which terms its data may be used.
    pub licence: String,
    /// Patients that were trained on.
    pub patients: usize,
}

impl ModelInfo {
    /// Organs that may be drawn: trained, and enabled unless `all` is asked for.
    pub fn organs(&self, all: bool) -> OrganSet {
        self.trained_organs.iter().filter(|t| all || t.enabled).map(|t| t.organ).collect()
    }

    /// The network in words, with its cost.
    pub fn architecture(&self) -> String {
        let NetworkConfig { base, levels, stack, attention } = &self.network;
        let kind = if *attention { "AttentionAnatomy" } else { "residual U-Net" };
        let crop = self.input.crop;
        let cost = super::count::multiply_adds(&self.network, crop).total() as f64 * 1e-9;
        format!(
            "{kind}, {levels} levels from {base} channels, {stack} slices of {crop} x {crop} pixels, \
             {cost:.2} G multiply-adds a slice"
        )
    }
}

/// Why a weights file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not a SafeTensors file, or a damaged one.
    #[error(
        "this is not a readable SafeTensors file ({0}); choose a weights file written by `attention-anatomy train`"
    )]
    NotSafeTensors(String),
    /// SafeTensors, but not ours.
    #[error("the file has no `{METADATA_KEY}` metadata; it holds weights of another network")]
    NoMetadata,
    /// Ours, but unreadable metadata.
    #[error("the model description in the file cannot be read ({0})")]
    Metadata(String),
    /// From a later version of the program.
    #[error("the file has format {0}, this program reads format {FORMAT_VERSION}; update the program")]
    Format(u32),
    /// Tensors do not fit the described network.
    #[error("the weights do not fit the network that they describe: {0}")]
    Mismatch(String),
    /// Cannot be written.
    #[error("the weights cannot be written ({0})")]
    Write(String),
}

/// Precision of stored weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As trained.
    Full,
    /// Convolutions and fully connected layers as f16, batch statistics as f32: half the size. Of the mantissas six bits
    /// are kept: labels do not depend on the others, and the file packs to less than three quarters.
    Half,
}

/// The bytes of a weights file. Call on a network in validation state (`valid()`), whose batch statistics are settled.
///
/// # Errors
/// [`WeightsError::Write`].
pub fn write(network: &AttentionAnatomy, info: &ModelInfo, precision: Precision) -> Result<Vec<u8>, WeightsError> {
    let json = serde_json::to_string(info).map_err(|e| WeightsError::Write(e.to_string()))?;
    let mut store = SafetensorsStore::from_bytes(None).clear_metadata().metadata(METADATA_KEY, json);
    if precision == Precision::Half {
        store = store.with_to_adapter(HalfPrecisionAdapter::new());
    }
    network.save_into(&mut store).map_err(|e| WeightsError::Write(e.to_string()))?;
    let mut bytes = store.get_bytes().map_err(|e| WeightsError::Write(e.to_string()))?;
    if precision == Precision::Half {
        round_halves(&mut bytes)?;
    }
    Ok(bytes)
}

/// The same tensors, to the byte, with another description.
///
/// # Errors
/// [`WeightsError`].
pub fn describe(bytes: &[u8], info: &ModelInfo) -> Result<Vec<u8>, WeightsError> {
    let tensors =
        safetensors::SafeTensors::deserialize(bytes).map_err(|e| WeightsError::NotSafeTensors(e.to_string()))?;
    let json = serde_json::to_string(info).map_err(|e| WeightsError::Write(e.to_string()))?;
    let metadata = std::collections::HashMap::from([(METADATA_KEY.to_string(), json)]);
    safetensors::serialize(tensors.tensors(), Some(metadata)).map_err(|e| WeightsError::Write(e.to_string()))
}

/// Rounds the mantissas of all f16 tensors to six bits, to the nearest even number.
fn round_halves(bytes: &mut [u8]) -> Result<(), WeightsError> {
    const DROPPED: u16 = 4;
    let (header, metadata) =
        safetensors::SafeTensors::read_metadata(bytes).map_err(|e| WeightsError::Write(e.to_string()))?;
    let tensors = metadata.tensors();
    // The header's length comes first, in eight bytes.
    let data = bytes.get_mut(8 + header..).unwrap_or_default();
    for tensor in tensors.values().filter(|tensor| tensor.dtype == safetensors::Dtype::F16) {
        let (start, end) = tensor.data_offsets;
        for value in data.get_mut(start..end).unwrap_or_default().as_chunks_mut::<2>().0 {
            let bits = u16::from_le_bytes(*value);
            let even = bits >> DROPPED & 1;
            // Near the largest f16 the carry would make it infinite.
            let rounded = bits.saturating_add((1 << (DROPPED - 1)) - 1 + even) >> DROPPED << DROPPED;
            if half::f16::from_bits(rounded).is_finite() {
                *value = rounded.to_le_bytes();
            }
        }
    }
    Ok(())
}

/// The description of a weights file, without its tensors.
///
/// # Errors
/// [`WeightsError`]: not a SafeTensors file, no description, one of another format, or one that contradicts itself.
pub fn read_info(bytes: &[u8]) -> Result<ModelInfo, WeightsError> {
    let (_, metadata) =
        safetensors::SafeTensors::read_metadata(bytes).map_err(|e| WeightsError::NotSafeTensors(e.to_string()))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(METADATA_KEY)).ok_or(WeightsError::NoMetadata)?;
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_str(json).map_err(|e| WeightsError::Metadata(e.to_string()))?;
    if version.format != FORMAT_VERSION {
        return Err(WeightsError::Format(version.format));
    }
    let info: ModelInfo = serde_json::from_str(json).map_err(|e| WeightsError::Metadata(e.to_string()))?;
    info.network.validate().map_err(WeightsError::Metadata)?;
    info.input.validate().map_err(|e| WeightsError::Metadata(e.to_string()))?;
    info.gauge.iter().try_for_each(AttentionGauge::validate).map_err(WeightsError::Metadata)?;
    if info.input.stack != info.network.stack || !info.input.crop.is_multiple_of(info.network.granularity()) {
        return Err(WeightsError::Metadata("input and network do not fit each other".into()));
    }
    Ok(info)
}

/// A network in f32 on `device` as it was trained, without the gauge of its attention, and its description. Every tensor must be there,
/// with its shape, and finite.
///
/// # Errors
/// As [`read_info`]; [`WeightsError::Mismatch`] where a tensor is missing, has another shape or no place, and an error where
/// a value is not finite.
pub fn read(bytes: &[u8], device: &Device) -> Result<(AttentionAnatomy, ModelInfo), WeightsError> {
    let info = read_info(bytes)?;
    check_finite(bytes)?;
    let mut network = info.network.init(device);
    load(&mut network, bytes)?;
    Ok((network, info))
}

/// [`read`], with attention in the units of the file's gauge: what inference runs.
///
/// # Errors
/// As [`read`].
pub fn read_gauged(bytes: &[u8], device: &Device) -> Result<(AttentionAnatomy, ModelInfo), WeightsError> {
    let (network, info) = read(bytes, device)?;
    let network = match &info.gauge {
        Some(gauge) => network.with_gauge(gauge),
        None => network,
    };
    Ok((network, info))
}

/// Overwrites the tensors of `network` with those of a weights file of the same shape.
///
/// # Errors
/// [`WeightsError::Mismatch`].
pub fn load(network: &mut AttentionAnatomy, bytes: &[u8]) -> Result<(), WeightsError> {
    load_with(network, bytes, FloatCastAdapter::to(DType::F32), |_| false)
}

/// As [`load`], through an adapter; `ignored` names tensors of the file that need no place in the network.
pub(super) fn load_with(
    network: &mut AttentionAnatomy,
    bytes: &[u8],
    adapter: impl ModuleAdapter + 'static,
    ignored: fn(&str) -> bool,
) -> Result<(), WeightsError> {
    // Not by the store, which reads the header once more for each tensor.
    let file = safetensors::SafeTensors::deserialize(bytes).map_err(|e| WeightsError::NotSafeTensors(e.to_string()))?;
    let tensors = file.tensors().into_iter().map(|(name, view)| {
        let dtype = match view.dtype() {
            safetensors::Dtype::F64 => DType::F64,
            safetensors::Dtype::F32 => DType::F32,
            safetensors::Dtype::F16 => DType::F16,
            safetensors::Dtype::BF16 => DType::BF16,
            safetensors::Dtype::I64 => DType::I64,
            safetensors::Dtype::I32 => DType::I32,
            other => return Err(WeightsError::Mismatch(format!("tensor `{name}` holds numbers of type {other:?}"))),
        };
        let data = TensorData::try_from_bytes_vec(view.data().to_vec(), view.shape(), dtype);
        let data = data.map_err(|e| WeightsError::Mismatch(format!("tensor `{name}`: {e}")))?;
        Ok(bridge::from_data(data, name, None))
    });
    let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
    let result = network.apply(tensors, None, Some(Box::new(adapter)), false);
    if let Some(error) = result.errors.first() {
        return Err(WeightsError::Mismatch(error.to_string()));
    }
    if let Some((path, _)) = result.missing.first() {
        return Err(WeightsError::Mismatch(format!(
            "tensor `{path}` and {} more are missing",
            result.missing.len() - 1
        )));
    }
    if let Some(path) = result.unused.iter().find(|path| !ignored(path)) {
        return Err(WeightsError::Mismatch(format!("tensor `{path}` has no place in the network")));
    }
    Ok(())
}

pub(crate) fn check_finite(bytes: &[u8]) -> Result<(), WeightsError> {
    fn all<const N: usize>(data: &[u8], finite: fn([u8; N]) -> bool) -> bool {
        data.as_chunks::<N>().0.iter().all(|&bytes| finite(bytes))
    }
    let tensors =
        safetensors::SafeTensors::deserialize(bytes).map_err(|e| WeightsError::NotSafeTensors(e.to_string()))?;
    for (name, view) in tensors.tensors() {
        let data = view.data();
        let finite = match view.dtype() {
            safetensors::Dtype::F64 => all(data, |b| f64::from_le_bytes(b).is_finite()),
            safetensors::Dtype::F32 => all(data, |b| f32::from_le_bytes(b).is_finite()),
            safetensors::Dtype::F16 => all(data, |b| half::f16::from_le_bytes(b).is_finite()),
            safetensors::Dtype::BF16 => all(data, |b| half::bf16::from_le_bytes(b).is_finite()),
            _ => true,
        };
        if !finite {
            return Err(WeightsError::Mismatch(format!("tensor `{name}` contains numbers that are not finite")));
        }
    }
    Ok(())
}

/// SHA-256 of a weights file, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::{Distribution, Tensor};

    fn info() -> ModelInfo {
        let network = NetworkConfig { base: 4, levels: 3, stack: 5, attention: true };
        ModelInfo {
            format: FORMAT_VERSION,
            name: "test".into(),
            network,
            input: InputConfig::light(),
            trained_organs: Vec::new(),
            data: Vec::new(),
            held_out: Vec::new(),
            gauge: None,
            steps: 7,
            note: String::new(),
        }
    }

    #[test]
    fn weights_survive_the_file_in_both_precisions() {
        let training = Device::flex().autodiff();
        let network = info().network.init(&training);
        network.forward(Tensor::random([2, 5, 16, 16], Distribution::Normal(0.4, 0.3), &training));
        let network = network.valid();
        let device = Device::flex();
        let x = Tensor::random([1, 5, 16, 16], Distribution::Uniform(0.0, 1.0), &device);
        let expected = network.forward(x.clone()).logits;
        let spread = (expected.clone().max() - expected.clone().min()).into_scalar::<f32>();
        // Six bits are at most 0.8 % off in each weight.
        for (precision, tolerance) in [(Precision::Full, 0.0), (Precision::Half, 0.016 * spread)] {
            let bytes = write(&network, &info(), precision).unwrap();
            let (read, read_info) = read(&bytes, &device).unwrap();
            assert_eq!(read_info, info());
            let got = read.forward(x.clone()).logits;
            let difference = (got - expected.clone()).abs().max().into_scalar::<f32>();
            assert!(difference <= tolerance, "{precision:?}: {difference}");
        }
        let full = write(&network, &info(), Precision::Full).unwrap().len();
        let half = write(&network, &info(), Precision::Half).unwrap().len();
        assert!((half as f64) < 0.75 * full as f64, "{half} of {full}");
    }

    #[test]
    fn damaged_or_foreign_weights_are_refused_and_never_panic() {
        let network = info().network.init(&Device::flex());
        let bytes = write(&network, &info(), Precision::Half).unwrap();
        assert!(matches!(read(b"not weights", &Device::flex()), Err(WeightsError::NotSafeTensors(_))));
        assert!(read(&bytes[..bytes.len() - 9], &Device::flex()).is_err());
        let mut other = info();
        other.network.base = 8;
        let mixed = write(&network, &other, Precision::Full).unwrap();
        assert!(matches!(read(&mixed, &Device::flex()), Err(WeightsError::Mismatch(_))));
        let mut later = info();
        later.format = 99;
        let later = write(&network, &later, Precision::Full).unwrap();
        assert!(matches!(read_info(&later), Err(WeightsError::Format(99))));
        let mut broken = write(&network, &info(), Precision::Full).unwrap();
        let end = broken.len();
        broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(matches!(read(&broken, &Device::flex()), Err(WeightsError::Mismatch(_))));
    }

    #[test]
    fn a_gauge_travels_with_the_file_and_the_tensors_stay_as_trained() {
        use crate::network::gauge::{AttentionGauge, OrganGauge};
        let device = Device::flex();
        let network = info().network.init(&device);
        let bytes = write(&network, &info(), Precision::Half).unwrap();
        let gauge = AttentionGauge { organs: vec![OrganGauge { organ: Organ::Liver, unit: 2e-4, slices: 30 }] };
        let gauged = describe(&bytes, &ModelInfo { gauge: Some(gauge.clone()), ..info() }).unwrap();
        let (trained, found) = read(&gauged, &device).unwrap();
        assert_eq!(found.gauge, Some(gauge.clone()));
        assert_eq!(describe(&gauged, &info()).unwrap(), describe(&bytes, &info()).unwrap());
        let x = Tensor::<4>::random([1, 5, 16, 16], Distribution::Uniform(0.0, 1.0), &device);
        let attention = |network: &AttentionAnatomy| {
            network.forward(x.clone()).region.unwrap().attention.into_data().try_to_vec::<f32>().unwrap()
        };
        let liver = Organ::Liver.index();
        let (z4, in_units) = (attention(&trained)[liver], attention(&read_gauged(&gauged, &device).unwrap().0)[liver]);
        assert!((in_units * 2e-4 / z4 - 1.0).abs() < 1e-2, "{z4} {in_units}");
        assert_eq!(attention(&read_gauged(&bytes, &device).unwrap().0), attention(&read(&bytes, &device).unwrap().0));

        let wrong = AttentionGauge { organs: vec![OrganGauge { unit: -1.0, ..gauge.organs[0] }] };
        let wrong = describe(&bytes, &ModelInfo { gauge: Some(wrong), ..info() }).unwrap();
        assert!(matches!(read_info(&wrong), Err(WeightsError::Metadata(why)) if why.contains("Liver")));
    }

    #[test]
    fn halves_are_rounded_to_six_bits_of_mantissa() {
        let network = info().network.init(&Device::flex());
        let values = |bytes: &[u8]| {
            let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
            let mut all: Vec<(String, Vec<f32>)> = Vec::new();
            for (name, view) in tensors.tensors() {
                let data = view.data();
                all.push((
                    name,
                    match view.dtype() {
                        safetensors::Dtype::F16 => {
                            let halves = data.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b));
                            halves.inspect(|h| assert_eq!(h.to_bits() & 15, 0)).map(half::f16::to_f32).collect()
                        }
                        _ => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
                    },
                ));
            }
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        let full = values(&write(&network, &info(), Precision::Full).unwrap());
        let half = values(&write(&network, &info(), Precision::Half).unwrap());
        for ((name, full), (_, half)) in full.iter().zip(&half) {
            for (a, b) in full.iter().zip(half) {
                // Half a unit of the sixth bit, and what f16 itself loses.
                assert!((a - b).abs() <= a.abs() / 120.0 + 2e-6, "{name}: {a} {b}");
            }
        }
    }
}
