//! Which device computes: what there is, what is chosen, and whether it answers rightly.
//!
//! A software adapter (Mesa's lavapipe, SwiftShader) is far slower than the same processor without it, so it is never
//! chosen unless a GPU is asked for by name. And a driver can be wrong without an error: a GPU is used only after a
//! small network of our own layer shapes gave the same answer on it as on the CPU.

mod check;
#[cfg(not(target_family = "wasm"))]
mod native;
mod storage;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::enumerate;
#[cfg(not(target_family = "wasm"))]
pub use native::{Adapter, adapters};

#[cfg(test)]
pub(super) use check::check_network;
pub use check::{KNOWN_ANSWER_TOLERANCE, kernels_difference};
#[cfg(not(target_family = "wasm"))]
pub use check::{TRAINING_TOLERANCE, known_answer_difference, training_difference};
pub use storage::StoragePreference;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::kernels::wgsl::{Gpu, Stored};

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevicePreference {
    /// A real GPU that passes its check, else the CPU.
    #[default]
    Auto,
    /// A GPU; a software adapter will do where there is no other.
    Gpu,
    /// The CPU.
    Cpu,
}

/// The kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeKind {
    /// A GPU through wgpu.
    Gpu,
    /// A graphics adapter that runs on the processor.
    SoftwareGpu,
    /// The processor.
    Cpu,
}

/// A device that is ready to compute.
#[derive(Clone, Debug)]
pub struct ComputeDevice {
    /// The tensor library's handle: the processor, until [`ComputeDevice::with_tensors`] makes it the GPU.
    pub burn: Device,
    /// Our own, for segmenting; `None` on the processor.
    pub gpu: Option<Gpu>,
    /// Name and API, for people.
    pub name: String,
    /// Its kind.
    pub kind: ComputeKind,
    /// Why it is not the one that one would expect; empty as a rule.
    pub notes: Vec<String>,
}

impl ComputeDevice {
    /// It and how its memory is used, for people: what a record says.
    pub fn in_words(&self) -> String {
        match self.gpu.as_ref().map(Gpu::stored) {
            Some(Stored::F16) => format!("{}, f16 storage", self.name),
            Some(Stored::F32) | None => self.name.clone(),
        }
    }
}

/// Why no device can be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A GPU was asked for and there is none.
    #[error(
        "there is no GPU that this program can use (no Vulkan, Metal or DX12 adapter); install the graphics driver, or compute on the CPU"
    )]
    NoGpu,
    /// A GPU was asked for, and the browser gives none.
    #[error(
        "this browser gives no GPU to a web page ({0}); use a current Chrome, Edge, Firefox or Safari with WebGPU switched on, or compute on the CPU"
    )]
    NoWebGpu(String),
    /// The GPU cannot be opened.
    #[error("the GPU {name} cannot be opened ({reason}); update its driver, or compute on the CPU")]
    Open {
        /// Name of the adapter.
        name: String,
        /// What the driver said.
        reason: String,
    },
    /// The GPU computes wrongly.
    #[error(
        "the GPU {name} gives wrong results (off by {difference:.2e} on a known answer); update its driver, or compute on the CPU"
    )]
    WrongAnswer {
        /// Name of the adapter.
        name: String,
        /// Largest difference from the CPU.
        difference: f32,
    },
}

impl DeviceError {
    /// Without the name and what to do.
    fn reason(&self) -> String {
        match self {
            Self::Open { reason, .. } => reason.clone(),
            Self::WrongAnswer { difference, .. } => format!("off by {difference:.2e} on a known answer"),
            Self::NoGpu | Self::NoWebGpu(_) => self.to_string(),
        }
    }
}

/// The CPU.
pub fn cpu() -> ComputeDevice {
    ComputeDevice { burn: Device::flex(), gpu: None, name: cpu_name(), kind: ComputeKind::Cpu, notes: Vec::new() }
}

fn cpu_name() -> String {
    match crate::kernels::processor::available() {
        1 => "CPU (1 thread)".into(),
        threads => format!("CPU ({threads} threads)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_never_chooses_a_software_adapter() {
        let device = ComputeDevice::open(DevicePreference::Auto).unwrap();
        assert_ne!(device.kind, ComputeKind::SoftwareGpu);
    }
}
