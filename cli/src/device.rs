//! Which device computes.

use anyhow::{Result, bail};
use attention_anatomy::infer::device::{ComputeDevice, DevicePreference, StoragePreference};

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

/// How weights and maps of a network lie on a GPU, as `--gpu-storage` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum StorageChoice {
    /// f16 where the GPU has it, gains by it and answers rightly with it, else f32.
    #[default]
    Auto,
    /// f16 where the GPU has it and answers rightly with it, be it a software adapter.
    F16,
    /// f32.
    F32,
}

/// Where a network runs that segments, and how.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct DeviceOptions {
    /// Where the network runs.
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceChoice,
    /// How weights and maps lie on a GPU; what is added up is f32 always.
    #[arg(long, value_enum, default_value_t)]
    pub gpu_storage: StorageChoice,
}

impl DeviceOptions {
    /// The device.
    ///
    /// # Errors
    /// A device that there is not, or that calculates wrongly.
    pub fn open(self) -> Result<ComputeDevice> {
        Ok(ComputeDevice::open_storing(self.device.into(), self.gpu_storage.into())?)
    }
}

impl DeviceChoice {
    /// The device for whatever keeps to f32 there.
    fn open(self) -> Result<ComputeDevice> {
        Ok(ComputeDevice::open_storing(self.into(), StoragePreference::F32)?)
    }

    /// The device, ready to train: with the kernels of this program, or with the tensor library's. Where a GPU is only one of two
    /// choices and trains wrongly, the processor does, and it is said why.
    ///
    /// # Errors
    /// As [`DeviceOptions::open`]; also where the tensor library is asked for on the processor, on which it does not compute the layers.
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
    /// As [`DeviceOptions::open`].
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

impl From<StorageChoice> for StoragePreference {
    fn from(choice: StorageChoice) -> Self {
        match choice {
            StorageChoice::Auto => Self::Auto,
            StorageChoice::F16 => Self::F16,
            StorageChoice::F32 => Self::F32,
        }
    }
}
