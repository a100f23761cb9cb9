//! A weights file that has been read, ready to be put on devices.

use std::borrow::Cow;

use super::burn_engine::BurnEngine;
use super::device::ComputeDevice;
use super::engine::Engine;
use super::plan_engine::PlanEngine;
use super::provenance::WeightsUsed;
use super::wgsl_engine::WgslEngine;
use crate::anatomy::OrganSet;
use crate::network::Folded;
use crate::network::weights::{self, ModelInfo, WeightsError};
use crate::parallel::both;

/// A weights file.
#[derive(Clone, Debug)]
pub struct Model {
    /// The file.
    pub bytes: Cow<'static, [u8]>,
    /// Its description.
    pub info: ModelInfo,
    /// Name for people.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

impl Model {
    /// Reads the description of a weights file.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn read(name: impl Into<String>, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, WeightsError> {
        let bytes = bytes.into();
        let (info, sha256) = both(|| weights::read_info(&bytes), || weights::sha256(&bytes));
        Ok(Self { info: info?, bytes, name: name.into(), sha256 })
    }

    /// As a record names it.
    pub fn used(&self) -> WeightsUsed {
        WeightsUsed { name: self.name.clone(), sha256: self.sha256.clone(), info: self.info.clone() }
    }

    /// An engine for these weights on a device that labels `drawn`.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn engine(&self, device: &ComputeDevice, enabled: OrganSet) -> Result<Box<dyn Engine>, WeightsError> {
        engine(&self.bytes, device, |_| enabled, |network| network)
    }

    /// The tensor library's engine, as a reference, on a device [with tensors](ComputeDevice::with_tensors).
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn reference_engine(&self, device: &ComputeDevice, enabled: OrganSet) -> Result<Box<dyn Engine>, WeightsError> {
        let (network, info) = weights::read_gauged(&self.bytes, &device.burn)?;
        let (burn, gpu) = (device.burn.clone(), device.gpu.is_some());
        Ok(Box::new(BurnEngine::new(network, info.input, enabled, burn, device.name.clone(), gpu)))
    }

    /// [`Model::engine`] with attention off.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn engine_without_attention(
        &self,
        device: &ComputeDevice,
        enabled: OrganSet,
    ) -> Result<Box<dyn Engine>, WeightsError> {
        engine(&self.bytes, device, |_| enabled, Folded::without_attention)
    }
}

/// An engine for a weights file on a device that labels all that the weights have learned.
///
/// # Errors
/// [`WeightsError`].
pub fn engine_of_weights(bytes: &[u8], device: &ComputeDevice) -> Result<Box<dyn Engine>, WeightsError> {
    engine(bytes, device, |info| info.organs(true), |network| network)
}

/// The same on the processor, as what it is.
///
/// # Errors
/// [`WeightsError`].
pub fn plan_engine_of_weights(bytes: &[u8], device: &ComputeDevice) -> Result<PlanEngine, WeightsError> {
    let (network, info) = Folded::read(bytes)?;
    let enabled = info.organs(true);
    PlanEngine::of_folded(&network, info.input, enabled, device.name.clone())
}

fn engine(
    bytes: &[u8],
    device: &ComputeDevice,
    enabled: impl FnOnce(&ModelInfo) -> OrganSet,
    change: impl FnOnce(Folded) -> Folded,
) -> Result<Box<dyn Engine>, WeightsError> {
    let (network, info) = Folded::read(bytes)?;
    let (network, enabled, name) = (change(network), enabled(&info), device.name.clone());
    Ok(match &device.gpu {
        Some(gpu) => Box::new(WgslEngine::of_folded(&network, info.input, enabled, gpu)?),
        None => Box::new(PlanEngine::of_folded(&network, info.input, enabled, name)?),
    })
}
