//! A device of our own: the handles, what kind it is, and whether it still works.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use attention_anatomy_shaders::network::{Kernel, Stored};
use half::f16;

use super::pipelines::Pipelines;
#[cfg(not(target_family = "wasm"))]
use super::pipelines::Sources;
use super::tuning::Tuning;

/// WebGPU's default: what a buffer may have that is bound.
pub(super) const MOST_BYTES: u64 = 128 << 20;

/// Why a network cannot be put on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// The adapter refuses a device.
    #[error("the GPU {name} gives no device ({reason})")]
    NoDevice {
        /// Of the adapter.
        name: String,
        /// What the driver said.
        reason: String,
    },
    /// The network does not fit what every device offers.
    #[error("this network cannot be computed on a GPU: {0}; compute on the CPU")]
    Network(String),
    /// The driver refused something.
    #[error("the GPU {name} refuses a computation ({reason})")]
    Refused {
        /// Of the adapter.
        name: String,
        /// What the driver said.
        reason: String,
    },
    /// It is gone.
    #[error("the GPU {0} gave no answer: its driver was restarted, or it was taken away")]
    Lost(String),
    /// A batch of a training does not fit what every device offers.
    #[error(
        "a batch of {slices} slices of {rows} x {columns} pixels needs {megabytes} MB in one piece, more than every GPU gives; set a smaller `micro_batch` in the training file"
    )]
    Batch {
        /// Slices at once.
        slices: usize,
        /// Rows of one.
        rows: usize,
        /// Columns of one.
        columns: usize,
        /// What the largest of its buffers needs.
        megabytes: u64,
    },
    /// One slice of a training does not.
    #[error(
        "a slice of {rows} x {columns} pixels needs {megabytes} MB in one piece, more than every GPU gives, however small the batch; train a smaller network (`base`) or on a smaller field (`crop`), or on the CPU (`--device cpu`)"
    )]
    Slice {
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// What the largest of its buffers needs.
        megabytes: u64,
    },
}

/// What has happened to a device.
#[derive(Debug, Default)]
struct State {
    lost: AtomicBool,
    /// The first thing that was refused.
    refused: Mutex<Option<String>>,
}

/// A GPU device with its queue. Clones are the same device.
#[derive(Clone, Debug)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    name: String,
    tuning: Tuning,
    stored: Stored,
    state: Arc<State>,
    /// Compiled once for all networks.
    pub(super) pipelines: Arc<Pipelines>,
    /// Those, and what a training needs beside them, once one was asked for.
    #[cfg(not(target_family = "wasm"))]
    training: Arc<std::sync::OnceLock<Arc<Pipelines>>>,
    #[cfg(not(target_family = "wasm"))]
    source: Sources,
}

impl Gpu {
    /// A device of `adapter` whose weights and maps are `stored` so, and the kernels compiled. Nothing is asked of it but WebGPU's default
    /// limits, and `shader-f16` for f16.
    ///
    /// # Errors
    /// [`GpuError::NoDevice`]; [`GpuError::Refused`] where the driver refuses a kernel.
    pub async fn open(adapter: &wgpu::Adapter, name: &str, stored: Stored) -> Result<Self, GpuError> {
        Self::open_with(adapter, name, Tuning::of(&adapter.get_info()), stored, Kernel::source).await
    }

    /// [`Gpu::open`] as on another kind of device, or with other kernels: for tests, which have one kind, and break one.
    ///
    /// # Errors
    /// As there.
    pub async fn open_with(
        adapter: &wgpu::Adapter,
        name: &str,
        tuning: Tuning,
        stored: Stored,
        source: fn(Kernel, Stored) -> String,
    ) -> Result<Self, GpuError> {
        let required_features = match stored {
            Stored::F32 => wgpu::Features::empty(),
            Stored::F16 => wgpu::Features::SHADER_F16,
        };
        let asked = wgpu::DeviceDescriptor { label: Some("network"), required_features, ..Default::default() };
        let opened = adapter.request_device(&asked).await;
        let (device, queue) = opened.map_err(|e| GpuError::NoDevice { name: name.into(), reason: e.to_string() })?;
        let state = Arc::new(State::default());
        let lost = state.clone();
        device.set_device_lost_callback(move |_, _| lost.lost.store(true, Ordering::Relaxed));
        let refused = state.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let mut first = refused.refused.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.to_string());
        }));
        let pipelines = Arc::new(Pipelines::new(&device, &tuning.kernels(), stored, source));
        let gpu = Self {
            device,
            queue,
            name: name.into(),
            tuning,
            stored,
            state,
            pipelines,
            #[cfg(not(target_family = "wasm"))]
            training: Arc::default(),
            #[cfg(not(target_family = "wasm"))]
            source,
        };
        gpu.refused().map_or(Ok(gpu), Err)
    }

    /// For people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What fits it.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// How weights and maps of a network lie in its memory.
    pub fn stored(&self) -> Stored {
        self.stored
    }

    /// The same device, the same kernels, chosen as if it had another number of cores.
    pub fn with_tuning(&self, tuning: Tuning) -> Self {
        Self { tuning, ..self.clone() }
    }

    /// All kernels of a training, whose weights and maps are f32 whatever those of inference are.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn training_pipelines(&self) -> Arc<Pipelines> {
        let compile = || {
            let of_inference = match self.stored {
                Stored::F32 => Pipelines::clone(&self.pipelines),
                Stored::F16 => Pipelines::new(&self.device, &self.tuning.kernels(), Stored::F32, self.source),
            };
            Arc::new(of_inference.and(&self.device, &Kernel::training(), Stored::F32, self.source))
        };
        self.training.get_or_init(compile).clone()
    }

    /// Whether it is gone.
    pub fn is_lost(&self) -> bool {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// What was refused first, if anything was: then no answer of this device counts.
    pub fn refused(&self) -> Option<GpuError> {
        let first = self.state.refused.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone().map(|reason| GpuError::Refused { name: self.name.clone(), reason })
    }

    /// Ends the device, as a driver would that fails: for tests.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// A buffer of `bytes` (at least one vector), zeroed.
    pub(super) fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = bytes.max(16).next_multiple_of(16);
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    /// A storage buffer of `bytes`, which can be copied from and to.
    pub(super) fn storage(&self, label: &str, bytes: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.buffer(label, bytes, usage)
    }

    /// A storage buffer with numbers in it, whole vectors, as weights and maps are stored.
    pub(super) fn upload_stored(&self, label: &str, values: &[f32]) -> wgpu::Buffer {
        match self.stored {
            Stored::F32 => self.upload(label, values),
            Stored::F16 => {
                // As the kernels do it: what is larger becomes the largest.
                let [least, most] = [f16::MIN, f16::MAX].map(f32::from);
                let bits: Vec<u16> =
                    values.iter().map(|value| f16::from_f32(value.clamp(least, most)).to_bits()).collect();
                let buffer = self.storage(label, size_of_val(&bits[..]) as u64);
                self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&bits));
                buffer
            }
        }
    }

    /// A storage buffer with numbers in it.
    pub(super) fn upload(&self, label: &str, values: &[f32]) -> wgpu::Buffer {
        let buffer = self.storage(label, size_of_val(values) as u64);
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(values));
        buffer
    }
}
