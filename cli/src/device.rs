//! Which device computes.

use anyhow::{Result, bail};
use attention_anatomy::infer::device::{ComputeDevice, DevicePreference};

use crate::progress;

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

    /// The device, ready to train: with the kernels of this program, or with the tensor library's. Where a GPU is only one of two
    /// choices and trains wrongly, the processor does, and it is said why.
    ///
    /// # Errors
    /// As [`open`](Self::open); also where the tensor library is asked for on the processor, on which it does not compute the layers.
    pub fn open_for_training(self, engine: EngineChoice) -> Result<ComputeDevice> {
        let device = self.open()?;
        match engine {
            EngineChoice::Burn if device.gpu.is_none() => {
                bail!(
                    "--engine burn trains on a GPU only, and this is {}: leave it out, or add --device gpu",
                    device.name
                )
            }
            EngineChoice::Burn => Ok(device.with_tensors()?),
            EngineChoice::Own => match device.for_training() {
                Err(error) if self == Self::Auto => {
                    progress::note(&format!("note: {error}; the CPU trains"));
                    Self::Cpu.open()
                }
                opened => Ok(opened?),
            },
        }
    }

    /// The device, ready for what runs on the tensor library: the reference engine, and measuring the unit of attention.
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
