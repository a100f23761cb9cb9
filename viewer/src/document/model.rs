//! The weights and the device that they run on.

use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::infer::DevicePreference;
use attention_anatomy::network::weights::TrainedOrgan;

use crate::worker::{DeviceInfo, WeightsInfo};

/// Weights and device, as far as the worker has reported them.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The weights in use.
    pub weights: Option<WeightsInfo>,
    /// The device in use.
    pub device: Option<DeviceInfo>,
    /// The device that was asked for.
    pub preference: DevicePreference,
    /// Organs that are off by default (too weak, or never measured) but drawn because the user asked.
    pub all_organs: bool,
}

impl Model {
    /// What is known of the training of `organ`; `None` where these weights have never learned it.
    pub fn trained(&self, organ: Organ) -> Option<&TrainedOrgan> {
        self.weights.as_ref()?.info.trained_organs.iter().find(|t| t.organ == organ)
    }

    /// Organs that the weights have learned; all while there are no weights to ask.
    pub fn known(&self) -> OrganSet {
        self.weights.as_ref().map_or(OrganSet::ALL, |w| w.info.organs(true))
    }

    /// Organs that a run labels.
    pub fn enabled(&self) -> OrganSet {
        self.weights.as_ref().map_or(OrganSet::EMPTY, |w| w.info.organs(self.all_organs))
    }
}
