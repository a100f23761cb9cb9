//! A GPU device that a test may destroy.

use burn::tensor::wgpu::WgpuSetup;

use crate::infer::device::enumerate;

/// A device of the first adapter that nothing else in the program shares, with all that the adapter offers. `None` where there is no adapter.
pub fn separate_gpu() -> Option<WgpuSetup> {
    let (instance, found) = enumerate();
    let adapter = found.into_iter().next()?;
    let unwanted = wgpu::Features::MAPPABLE_PRIMARY_BUFFERS | wgpu::Features::all_experimental_mask();
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: adapter.features() - unwanted,
        required_limits: adapter.limits(),
        ..Default::default()
    }))
    .ok()?;
    let backend = adapter.get_info().backend;
    Some(WgpuSetup { instance, adapter, device, queue, backend })
}
