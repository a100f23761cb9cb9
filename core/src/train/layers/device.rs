//! What a training computes on.

use burn::tensor::Device;

use crate::infer::ComputeDevice;
use crate::kernels::wgsl::Gpu;

/// What a training computes on: the tensor library's device, and perhaps a GPU that computes the layers in its place.
#[derive(Clone, Debug)]
pub struct TrainingDevice {
    /// The tensor library's, a plain one.
    pub tensors: Device,
    /// Our own, for the layers, where the tensor library's is the processor.
    pub gpu: Option<Gpu>,
}

impl From<&Device> for TrainingDevice {
    fn from(tensors: &Device) -> Self {
        Self { tensors: tensors.clone(), gpu: None }
    }
}

impl From<&ComputeDevice> for TrainingDevice {
    /// The kernels of this program, unless the device is [one with tensors](ComputeDevice::with_tensors): then the tensor library's.
    fn from(device: &ComputeDevice) -> Self {
        Self { tensors: device.burn.clone(), gpu: device.gpu.clone().filter(|_| device.burn == Device::flex()) }
    }
}
