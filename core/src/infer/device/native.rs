//! Adapters and devices outside the browser: through wgpu's list of them.

use attention_anatomy_shaders::network::Kernel;
use burn::tensor::{Device, DeviceKind};
use serde::Serialize;
use wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};

use super::storage::open_storing;
use super::{
    ComputeDevice, ComputeKind, DeviceError, DevicePreference, KNOWN_ANSWER_TOLERANCE, StoragePreference,
    TRAINING_TOLERANCE, cpu, kernels_difference, known_answer_difference, training_difference,
};
use crate::kernels::wgsl::{Gpu, Stored, Tuning};

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
    /// Whether weights and maps of a network can be f16 there.
    pub f16: bool,
    #[serde(skip)]
    selector: Selector,
    #[serde(skip)]
    handle: wgpu::Adapter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Selector {
    Discrete(usize),
    Integrated(usize),
    Virtual(usize),
    #[default]
    Software,
}

/// All adapters, as wgpu lists them.
pub(crate) fn enumerate() -> (Instance, Vec<wgpu::Adapter>) {
    let backends = Backends::VULKAN | Backends::METAL | Backends::DX12;
    let ordinary =
        || Instance::new(InstanceDescriptor { backends, ..InstanceDescriptor::new_without_display_handle() });
    let instance = without_wayland().unwrap_or_else(ordinary);
    let found = pollster::block_on(instance.enumerate_adapters(backends));
    (instance, found)
}

/// On a server without Wayland, Vulkan that does not look for one. wgpu asks for Wayland's surfaces wherever a driver has them, also to
/// compute, and Mesa then connects to find out which GPU the screen hangs on: on a server that is a complaint of `XDG_RUNTIME_DIR` among
/// what the program says.
#[cfg(target_os = "linux")]
fn without_wayland() -> Option<Instance> {
    use wgpu::hal::{self, vulkan};

    fn leave_out(asked: vulkan::CreateInstanceCallbackArgs<'_, '_, '_>) {
        asked.extensions.retain(|name| *name != c"VK_KHR_wayland_surface");
    }
    if ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY"].into_iter().any(|name| std::env::var_os(name).is_some()) {
        return None;
    }
    let descriptor = hal::InstanceDescriptor {
        name: "attention-anatomy",
        flags: wgpu::InstanceFlags::default(),
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds::default(),
        backend_options: wgpu::BackendOptions::default(),
        telemetry: None,
        display: None,
    };
    // SAFETY: what is left out is an extension that wgpu itself does without where the driver lacks it, and refuses surfaces of.
    let instance = unsafe { vulkan::Instance::init_with_callback(&descriptor, Some(Box::new(leave_out))) }.ok()?;
    // SAFETY: it has just been made, and nobody else has it.
    Some(unsafe { Instance::from_hal::<hal::api::Vulkan>(instance) })
}

#[cfg(not(target_os = "linux"))]
fn without_wayland() -> Option<Instance> {
    None
}

/// Graphics adapters, best first.
pub fn adapters() -> Vec<Adapter> {
    let (_, found) = enumerate();
    // One API, as the tensor library counts adapters within one: the same GPU through a second API is no second GPU.
    let api = [wgpu::Backend::Metal, wgpu::Backend::Vulkan, wgpu::Backend::Dx12]
        .into_iter()
        .find(|api| found.iter().any(|a| a.get_info().backend == *api));
    let mut counts = [0usize; 3];
    let mut list: Vec<Adapter> = found
        .iter()
        .filter(|a| Some(a.get_info().backend) == api)
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
            Adapter {
                name: info.name,
                api: format!("{:?}", info.backend),
                driver,
                kind,
                f16: adapter.features().contains(wgpu::Features::SHADER_F16),
                selector,
                handle: adapter.clone(),
            }
        })
        .collect();
    list.sort_by_key(|a| a.selector);
    list
}

impl ComputeDevice {
    /// Opens the device that `preference` asks for.
    ///
    /// # Errors
    /// Only when a GPU is asked for and none works; [`DevicePreference::Auto`] falls back to the CPU and says why.
    pub fn open(preference: DevicePreference) -> Result<Self, DeviceError> {
        Self::open_storing(preference, StoragePreference::Auto)
    }

    /// The same, with weights and maps of a GPU stored as the user asks.
    ///
    /// # Errors
    /// As there: what cannot be stored so is stored otherwise, and the notes say it.
    pub fn open_storing(preference: DevicePreference, storage: StoragePreference) -> Result<Self, DeviceError> {
        match preference {
            DevicePreference::Cpu => Ok(cpu()),
            DevicePreference::Gpu => {
                let mut first = DeviceError::NoGpu;
                for (n, adapter) in adapters().iter().enumerate() {
                    match open_adapter(adapter, storage) {
                        Ok(device) => return Ok(device),
                        Err(error) if n == 0 => first = error,
                        Err(_) => {}
                    }
                }
                Err(first)
            }
            DevicePreference::Auto => {
                let mut notes = Vec::new();
                for adapter in adapters().iter().filter(|a| a.kind == ComputeKind::Gpu) {
                    match open_adapter(adapter, storage) {
                        Ok(mut device) => {
                            notes.append(&mut device.notes);
                            return Ok(Self { notes, ..device });
                        }
                        Err(error) => notes.push(error.to_string()),
                    }
                }
                Ok(Self { notes, ..cpu() })
            }
        }
    }

    /// [`ComputeDevice::open`] under the name that it has where opening takes a browser's promises.
    ///
    /// # Errors
    /// As there.
    pub async fn open_async(preference: DevicePreference) -> Result<Self, DeviceError> {
        Self::open(preference)
    }
}

fn tensor_device(selector: Selector) -> DeviceKind {
    match selector {
        Selector::Discrete(n) => DeviceKind::DiscreteGpu(n),
        Selector::Integrated(n) => DeviceKind::IntegratedGpu(n),
        Selector::Virtual(n) => DeviceKind::VirtualGpu(n),
        Selector::Software => DeviceKind::Cpu,
    }
}

/// Opens our own device, compiles the kernels and checks all of them.
fn open_adapter(adapter: &Adapter, storage: StoragePreference) -> Result<ComputeDevice, DeviceError> {
    let name = format!("{} ({})", adapter.name, adapter.api);
    let open = async |stored| open_checked(&adapter.handle, &name, stored, Kernel::source);
    let (gpu, notes) = pollster::block_on(open_storing(&adapter.handle, &name, storage, open))?;
    Ok(ComputeDevice { burn: Device::flex(), gpu: Some(gpu), name, kind: adapter.kind, notes })
}

/// A device whose kernels answer rightly with weights and maps that are `stored` so.
pub(super) fn open_checked(
    adapter: &wgpu::Adapter,
    name: &str,
    stored: Stored,
    source: fn(Kernel, Stored) -> String,
) -> Result<Gpu, DeviceError> {
    let open_error = |reason: String| DeviceError::Open { name: name.into(), reason };
    // The driver may panic, too.
    let tuning = Tuning::of(&adapter.get_info());
    let open =
        std::panic::AssertUnwindSafe(|| pollster::block_on(Gpu::open_with(adapter, name, tuning, stored, source)));
    let opened = std::panic::catch_unwind(open);
    let gpu = opened.map_err(|_| open_error("the driver crashed".into()))?.map_err(|e| open_error(e.to_string()))?;
    let checked = std::panic::AssertUnwindSafe(|| pollster::block_on(kernels_difference(&gpu)));
    let difference = std::panic::catch_unwind(checked).map_err(|_| open_error("a test computation crashed".into()))?;
    if let Some(refused) = gpu.refused() {
        return Err(open_error(refused.to_string()));
    }
    if difference > KNOWN_ANSWER_TOLERANCE {
        return Err(DeviceError::WrongAnswer { name: name.into(), difference });
    }
    Ok(gpu)
}

impl ComputeDevice {
    /// Compiles the kernels of a training, if the device is a GPU, and checks a step of one.
    ///
    /// # Errors
    /// [`DeviceError::Open`] where the driver refuses a kernel, [`DeviceError::WrongAnswer`] where gradients are wrong.
    pub fn for_training(self) -> Result<Self, DeviceError> {
        let Some(gpu) = &self.gpu else { return Ok(self) };
        let name = self.name.clone();
        let open_error = |reason: String| DeviceError::Open { name: name.clone(), reason };
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| training_difference(gpu)));
        let difference = checked
            .map_err(|_| open_error("a test computation crashed".into()))?
            .map_err(|error| open_error(error.to_string()))?;
        if difference > TRAINING_TOLERANCE {
            return Err(DeviceError::WrongAnswer { name, difference });
        }
        Ok(self)
    }

    /// Opens the tensor library's device of the same GPU and checks it, for what runs on that: the reference engine, and training by it.
    /// Without a GPU nothing is left to do.
    ///
    /// # Errors
    /// As [`ComputeDevice::open`] for a GPU.
    pub fn with_tensors(self) -> Result<Self, DeviceError> {
        if self.gpu.is_none() {
            return Ok(self);
        }
        let name = self.name.clone();
        let selected = adapters().into_iter().find(|adapter| name == format!("{} ({})", adapter.name, adapter.api));
        let kind = tensor_device(selected.map(|adapter| adapter.selector).unwrap_or_default());
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
        if difference > KNOWN_ANSWER_TOLERANCE {
            return Err(DeviceError::WrongAnswer { name, difference });
        }
        Ok(Self { burn, ..self })
    }
}
