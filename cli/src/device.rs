//! Which device computes.

use anyhow::Result;
use attention_anatomy::infer::device::{ComputeDevice, DevicePreference};

/// Where a network runs, as `--device` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceChoice {
    /// A GPU where there is one that answers rightly, else the CPU.
    #[default]
    Auto,
    /// A GPU; a software adapter is good enough.
    Gpu,
    /// The CPU.
    Cpu,
}

impl DeviceChoice {
    /// The device.
    ///
    /// # Errors
    /// A device that there is not, or that calculates wrongly.
    pub fn open(self) -> Result<ComputeDevice> {
        Ok(ComputeDevice::open(self.into())?)
    }

    /// The device, ready for what runs on the tensor library: training, and the reference engine.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_tensors(self) -> Result<ComputeDevice> {
        Ok(self.open()?.with_tensors()?)
    }
}

/// `--engine`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineChoice {
    /// The kernels of this program: in WGSL on a GPU, in vectors on the CPU.
    #[default]
    Own,
    /// The tensor library's, as a reference.
    Burn,
}

impl From<DeviceChoice> for DevicePreference {
    fn from(choice: DeviceChoice) -> Self {
        match choice {
            DeviceChoice::Auto => Self::Auto,
            DeviceChoice::Gpu => Self::Gpu,
            DeviceChoice::Cpu => Self::Cpu,
        }
    }
}
