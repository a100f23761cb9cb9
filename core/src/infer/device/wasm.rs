//! Devices in the browser: the one adapter that WebGPU offers, in a page or in a Web Worker, or the processor.

use burn::tensor::Device;

use super::storage::open_storing;
use super::{
    ComputeDevice, ComputeKind, DeviceError, DevicePreference, KNOWN_ANSWER_TOLERANCE, StoragePreference, cpu,
    kernels_difference,
};
use crate::kernels::wgsl::{Gpu, Stored};

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

impl ComputeDevice {
    /// For a training: in a page that is the processor's.
    ///
    /// # Errors
    /// None here.
    pub fn for_training(self) -> Result<Self, DeviceError> {
        self.with_tensors()
    }

    /// For what runs on the tensor library: in a page that is the processor.
    ///
    /// # Errors
    /// None here.
    pub fn with_tensors(self) -> Result<Self, DeviceError> {
        Ok(if self.gpu.is_some() { cpu() } else { self })
    }
}

async fn open_gpu(software: bool) -> Result<ComputeDevice, DeviceError> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::BROWSER_WEBGPU,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let wanted =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    let ask = async || instance.request_adapter(&wanted).await.map_err(|e| DeviceError::NoWebGpu(e.to_string()));
    let adapter = ask().await?;
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
    // A browser's adapter gives one device and no second.
    let open = async |stored| open_checked(&ask().await?, &name, stored).await;
    let (gpu, notes) = open_storing(&adapter, &name, StoragePreference::Auto, open).await?;
    Ok(ComputeDevice { burn: Device::flex(), gpu: Some(gpu), name, kind, notes })
}

/// A device whose kernels answer rightly with weights and maps that are `stored` so.
async fn open_checked(adapter: &wgpu::Adapter, name: &str, stored: Stored) -> Result<Gpu, DeviceError> {
    let gpu = Gpu::open(adapter, name, stored).await;
    let gpu = gpu.map_err(|e| DeviceError::Open { name: name.into(), reason: e.to_string() })?;
    let difference = kernels_difference(&gpu).await;
    if let Some(refused) = gpu.refused() {
        return Err(DeviceError::Open { name: name.into(), reason: refused.to_string() });
    }
    if difference > KNOWN_ANSWER_TOLERANCE {
        return Err(DeviceError::WrongAnswer { name: name.into(), difference });
    }
    Ok(gpu)
}
