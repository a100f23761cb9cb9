//! Nobody: everything is burn's.

use std::time::Duration;

use burn::tensor::{Device, Gradients as BurnGradients};

use super::TrainingDevice;
use crate::kernels::wgsl::GpuError;
use crate::network::region::Outside;
use crate::network::{AttentionAnatomy, NetworkOutput};
use crate::train::adam::Gradients;

/// There are none.
#[derive(Debug)]
pub enum Layers {}

impl Layers {
    /// None for any device.
    pub fn for_device(_: &TrainingDevice, _: &Device) -> Option<Self> {
        None
    }

    /// Takes the weights of a step.
    ///
    /// # Errors
    /// None here.
    pub fn load(&mut self, _: &AttentionAnatomy) -> Result<(), GpuError> {
        match *self {}
    }

    /// What the region branch sees of a field of air.
    ///
    /// # Errors
    /// None here.
    pub fn air(&mut self, _: usize, _: usize, _: f32) -> Result<Option<Outside>, GpuError> {
        match *self {}
    }

    /// What a network says of a batch at inference.
    ///
    /// # Errors
    /// None here.
    pub fn infer(&self, _: &AttentionAnatomy, _: &[f32], _: [usize; 4]) -> Result<Option<NetworkOutput>, GpuError> {
        match *self {}
    }

    /// What the network says of a batch.
    ///
    /// # Errors
    /// None here.
    pub fn forward(
        &mut self,
        _: &AttentionAnatomy,
        _: &[f32],
        _: [usize; 4],
        _: bool,
    ) -> Result<NetworkOutput, GpuError> {
        match *self {}
    }

    /// Goes on from the gradients by what [`forward`](Self::forward) returned.
    ///
    /// # Errors
    /// None here.
    pub fn backward(&mut self, _: &mut BurnGradients) -> Result<(), GpuError> {
        match *self {}
    }

    /// Is told what the update of the weights took.
    pub fn updated(&self, _: Duration) {
        match *self {}
    }

    /// The gradients of all passes since the last time of asking.
    ///
    /// # Errors
    /// None here.
    pub fn gradients(&mut self) -> Result<Gradients, GpuError> {
        match *self {}
    }
}
