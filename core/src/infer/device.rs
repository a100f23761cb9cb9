//! Which device computes: what there is, what is chosen, and whether it answers rightly.
//!
//! A software adapter (Mesa's lavapipe, SwiftShader) is 25 times slower than flex on the same processor, so it is never
//! chosen unless a GPU is asked for by name. And a driver can be wrong without an error: a GPU is used only after a
//! small network of our own layer shapes gave the same answer on it as on the CPU.

use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use serde::Serialize;

use crate::network::{AttentionAnatomy, NetworkConfig};

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeKind {
    /// A GPU through wgpu.
    Gpu,
    /// A graphics adapter that runs on the processor.
    SoftwareGpu,
    /// The processor, through flex.
    Cpu,
}

/// A device that is ready to compute.
#[derive(Clone, Debug)]
pub struct ComputeDevice {
    /// The handle.
    pub burn: Device,
    /// Name and API, for people.
    pub name: String,
    /// Its kind.
    pub kind: ComputeKind,
    /// Why it is not the one that one would expect; empty as a rule.
    pub notes: Vec<String>,
}

/// Why no device can be had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A GPU was asked for and there is none.
    #[error(
        "there is no GPU that this program can use (no Vulkan, Metal or DX12 adapter); install the graphics driver, or use `--device cpu`"
    )]
    NoGpu,
    /// The GPU cannot be opened.
    #[error("the GPU {name} cannot be opened ({reason}); update its driver, or use `--device cpu`")]
    Open {
        /// Name of the adapter.
        name: String,
        /// What the driver said.
        reason: String,
    },
    /// The GPU computes wrongly.
    #[error(
        "the GPU {name} gives wrong results (off by {difference:.2e} on a known answer); update its driver, or use `--device cpu`"
    )]
    WrongAnswer {
        /// Name of the adapter.
        name: String,
        /// Largest difference from the CPU.
        difference: f32,
    },
}

/// A graphics adapter of this machine.
#[derive(Clone, Debug, Serialize)]
pub struct Adapter {
    /// Name as the driver gives it.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12`.
    pub api: String,
    /// Driver and version, as far as known.
    pub driver: String,
    /// Real GPU or software.
    pub kind: ComputeKind,
    #[serde(skip)]
    selector: Selector,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Selector {
    Discrete(usize),
    Integrated(usize),
    Virtual(usize),
    #[default]
    Software,
}

/// The CPU.
pub fn cpu() -> ComputeDevice {
    ComputeDevice { burn: Device::flex(), name: cpu_name(), kind: ComputeKind::Cpu, notes: Vec::new() }
}

fn cpu_name() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("CPU ({threads} threads)")
}

/// Graphics adapters, best first.
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<Adapter> {
    use wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::VULKAN | Backends::METAL | Backends::DX12,
        ..InstanceDescriptor::new_without_display_handle()
    });
    let found = ready(instance.enumerate_adapters(Backends::VULKAN | Backends::METAL | Backends::DX12));
    let mut counts = [0usize; 3];
    let mut list: Vec<Adapter> = found
        .iter()
        .map(|adapter| {
            let info = adapter.get_info();
            let mut number = |n: usize| {
                counts[n] += 1;
                counts[n] - 1
            };
            let (kind, selector) = match info.device_type {
                DeviceType::DiscreteGpu => (ComputeKind::Gpu, Selector::Discrete(number(0))),
                DeviceType::IntegratedGpu => (ComputeKind::Gpu, Selector::Integrated(number(1))),
                DeviceType::VirtualGpu => (ComputeKind::Gpu, Selector::Virtual(number(2))),
                DeviceType::Cpu | DeviceType::Other => (ComputeKind::SoftwareGpu, Selector::Software),
            };
            let driver = format!("{} {}", info.driver, info.driver_info).trim().to_string();
            Adapter { name: info.name, api: format!("{:?}", info.backend), driver, kind, selector }
        })
        .collect();
    list.sort_by_key(|a| a.selector);
    list
}

/// The result of a future that is ready at once, as wgpu's are natively.
#[cfg(not(target_family = "wasm"))]
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}

impl ComputeDevice {
    /// Opens the device that `preference` asks for.
    ///
    /// # Errors
    /// Only when a GPU is asked for and none works; [`DevicePreference::Auto`] falls back to the CPU and says why.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(preference: DevicePreference) -> Result<Self, DeviceError> {
        match preference {
            DevicePreference::Cpu => Ok(cpu()),
            DevicePreference::Gpu => {
                let adapter = adapters().into_iter().next().ok_or(DeviceError::NoGpu)?;
                open_adapter(&adapter)
            }
            DevicePreference::Auto => {
                let mut notes = Vec::new();
                for adapter in adapters().iter().filter(|a| a.kind == ComputeKind::Gpu) {
                    match open_adapter(adapter) {
                        Ok(device) => return Ok(Self { notes, ..device }),
                        Err(error) => notes.push(error.to_string()),
                    }
                }
                Ok(Self { notes, ..cpu() })
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn open_adapter(adapter: &Adapter) -> Result<ComputeDevice, DeviceError> {
    let kind = match adapter.selector {
        Selector::Discrete(n) => DeviceKind::DiscreteGpu(n),
        Selector::Integrated(n) => DeviceKind::IntegratedGpu(n),
        Selector::Virtual(n) => DeviceKind::VirtualGpu(n),
        Selector::Software => DeviceKind::Cpu,
    };
    let name = format!("{} ({})", adapter.name, adapter.api);
    // A runtime can be registered once in a process; the second opening finds it there. The driver may panic, too.
    let opened = std::panic::catch_unwind(|| match Device::wgpu_options().device_kind(kind.clone()).init() {
        Ok(device) => Ok(device),
        Err(error) if error.to_string().contains("already") => Ok(Device::wgpu(kind.clone())),
        Err(error) => Err(error.to_string()),
    });
    let open_error = |reason: String| DeviceError::Open { name: name.clone(), reason };
    let burn = opened.map_err(|_| open_error("the driver crashed".into()))?.map_err(open_error)?;
    let difference = std::panic::catch_unwind(|| known_answer_difference(&burn))
        .map_err(|_| DeviceError::Open { name: name.clone(), reason: "a test computation crashed".into() })?;
    if !(difference <= KNOWN_ANSWER_TOLERANCE) {
        return Err(DeviceError::WrongAnswer { name, difference });
    }
    Ok(ComputeDevice { burn, name, kind: adapter.kind, notes: Vec::new() })
}

/// Largest difference of the check network's outputs that rounding explains.
pub const KNOWN_ANSWER_TOLERANCE: f32 = 2e-3;

/// A network with every kind of layer of ours, its weights a fixed function of their position.
fn check_network(device: &Device) -> AttentionAnatomy {
    struct Fill(u32);
    impl burn::module::ModuleMapper for Fill {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            self.0 += 1;
            let salt = self.0;
            param.map(|t| {
                let shape = t.shape();
                let n = shape.num_elements();
                let values: Vec<f32> = (0..n as u32)
                    .map(|i| {
                        let h = i.wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(40_503)) >> 8;
                        // Batch variances must be positive; one-dimensional numbers are scales, shifts and statistics.
                        let unit = (h & 0xffff) as f32 / 65_535.0;
                        if D == 1 { 0.5 + unit } else { (unit - 0.5) * 0.35 }
                    })
                    .collect();
                Tensor::from_data(TensorData::new(values, shape), &t.device())
            })
        }
    }
    let config = NetworkConfig { base: 8, levels: 3, stack: 5, attention: true };
    burn::module::Module::map(config.init(device), &mut Fill(0)).fold()
}

fn check_output(device: &Device) -> (Tensor<4>, Tensor<2>, Tensor<2>) {
    let input: Vec<f32> = (0..5 * 32 * 32u32).map(|i| ((i.wrapping_mul(97) >> 2) & 255) as f32 / 255.0).collect();
    let input = Tensor::<4>::from_data(TensorData::new(input, [1, 5, 32, 32]), device);
    let output = check_network(device).forward(input);
    match output.region {
        Some(region) => (output.logits, region.attention, region.regions),
        None => (output.logits, Tensor::zeros([1, 1], device), Tensor::zeros([1, 1], device)),
    }
}

fn relative_difference(answer: &[f32], truth: &[f32]) -> f32 {
    if answer.len() != truth.len() {
        return f32::INFINITY;
    }
    let scale = truth.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    answer.iter().zip(truth).fold(0.0f32, |m, (a, t)| {
        let d = (a - t).abs() / scale;
        if d.is_nan() { f32::INFINITY } else { m.max(d) }
    })
}

/// How far the device's answer on a small network is from the CPU's, relative to the largest value. Reads back, so
/// natively only; see [`known_answer_difference_async`] for the browser.
#[cfg(not(target_family = "wasm"))]
pub fn known_answer_difference(device: &Device) -> f32 {
    let read = |device: &Device| -> Vec<f32> {
        let (a, b, c) = check_output(device);
        [a.into_data(), b.into_data(), c.into_data()]
            .into_iter()
            .flat_map(|d| d.try_to_vec::<f32>().unwrap_or_default())
            .collect()
    };
    relative_difference(&read(device), &read(&Device::flex()))
}

/// [`known_answer_difference`] for where a blocking read is not possible.
pub async fn known_answer_difference_async(device: &Device) -> f32 {
    async fn read(device: &Device) -> Vec<f32> {
        let (a, b, c) = check_output(device);
        let mut all = Vec::new();
        for data in [a.into_data_async().await, b.into_data_async().await, c.into_data_async().await] {
            all.extend(data.ok().and_then(|d| d.try_to_vec::<f32>().ok()).unwrap_or_default());
        }
        all
    }
    let answer = read(device).await;
    let truth = read(&Device::flex()).await;
    relative_difference(&answer, &truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself_and_a_wrong_answer_is_seen() {
        assert_eq!(known_answer_difference(&Device::flex()), 0.0);
        assert!(relative_difference(&[1.0, 2.0], &[1.0, 2.1]) > KNOWN_ANSWER_TOLERANCE);
        assert_eq!(relative_difference(&[f32::NAN], &[1.0]), f32::INFINITY);
        assert_eq!(relative_difference(&[], &[1.0]), f32::INFINITY);
    }

    #[test]
    fn auto_never_chooses_a_software_adapter() {
        let device = ComputeDevice::open(DevicePreference::Auto).unwrap();
        assert_ne!(device.kind, ComputeKind::SoftwareGpu);
    }
}
