//! Devices in the browser: the one adapter that WebGPU offers, in a page or in a Web Worker, or the processor.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::wgpu::{WgpuSetup, wgpu};
use burn::tensor::{Device, DeviceKind};

use super::{
    ComputeDevice, ComputeKind, DeviceError, DevicePreference, KNOWN_ANSWER_TOLERANCE, cpu,
    known_answer_difference_async,
};

/// GPU devices opened so far. A selector is initialised once and keeps its device, be it lost or not; the browser
/// ignores the number in it, so that a new number is a new device.
static OPENED: AtomicUsize = AtomicUsize::new(0);

impl ComputeDevice {
    /// Opens the device that `preference` asks for.
    ///
    /// # Errors
    /// Only when a GPU is asked for and none works; [`DevicePreference::Auto`] falls back to the CPU and says why.
    pub async fn open_async(preference: DevicePreference) -> Result<Self, DeviceError> {
        match preference {
            DevicePreference::Cpu => Ok(cpu()),
            DevicePreference::Gpu => open_gpu(true).await,
            DevicePreference::Auto => match open_gpu(false).await {
                Ok(device) => Ok(device),
                Err(error) => Ok(Self { notes: vec![error.to_string()], ..cpu() }),
            },
        }
    }
}

async fn open_gpu(software: bool) -> Result<ComputeDevice, DeviceError> {
    let kind = DeviceKind::DiscreteGpu(OPENED.fetch_add(1, Ordering::Relaxed));
    let opened = Device::wgpu_options().device_kind(kind).init_with_setup_async().await;
    let (burn, WgpuSetup { adapter, .. }) = opened.map_err(|e| DeviceError::NoWebGpu(e.to_string()))?;
    let info = adapter.get_info();
    let kind = match info.device_type {
        wgpu::DeviceType::Cpu => ComputeKind::SoftwareGpu,
        _ => ComputeKind::Gpu,
    };
    if kind == ComputeKind::SoftwareGpu && !software {
        return Err(DeviceError::NoWebGpu("it has only one that runs on the processor, which is slower".into()));
    }
    // Browsers keep the name of the GPU to themselves, as a rule.
    let name = if info.name.is_empty() { "GPU (WebGPU)".into() } else { format!("{} (WebGPU)", info.name) };
    let difference = known_answer_difference_async(&burn).await;
    if difference > KNOWN_ANSWER_TOLERANCE {
        return Err(DeviceError::WrongAnswer { name, difference });
    }
    Ok(ComputeDevice { burn, name, kind, notes: Vec::new() })
}
