//! Which device computes: what there is, what is chosen, and whether it answers rightly.
//!
//! A software adapter (Mesa's lavapipe, SwiftShader) is far slower than the same processor without it, so it is never
//! chosen unless a GPU is asked for by name. And a driver can be wrong without an error: a GPU is used only after a
//! small network of our own layer shapes gave the same answer on it as on the CPU.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::enumerate;
#[cfg(not(target_family = "wasm"))]
pub use native::{Adapter, adapters};

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::network::{AttentionAnatomy, NetworkConfig};

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

/// The CPU.
pub fn cpu() -> ComputeDevice {
    ComputeDevice { burn: Device::flex(), name: cpu_name(), kind: ComputeKind::Cpu, notes: Vec::new() }
}

fn cpu_name() -> String {
    match crate::kernels::processor::available() {
        1 => "CPU (1 thread)".into(),
        threads => format!("CPU ({threads} threads)"),
    }
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
