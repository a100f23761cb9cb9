//! What all layers work with: dispatches are recorded, submitted in lists, and what is wanted of their results is read.

use std::sync::Arc;

use attention_anatomy_shaders::network::{Kernel, ROW};
use wgpu::BufferUsages;

use super::memory::{BatchMaps, Memory, Room};
use crate::kernels::wgsl::gpu::{Gpu, GpuError};
use crate::kernels::wgsl::pipelines::{Bound, Dispatch, Pipelines};
use crate::kernels::wgsl::uniforms::{MOST, Uniforms};
use crate::kernels::wgsl::weights::LANES;

/// Bytes of a vector.
pub const VECTOR: u64 = (LANES * size_of::<f32>()) as u64;
/// Threads of a workgroup of what goes over all vectors.
const THREADS: usize = 256;

/// The device with what is recorded for it.
#[derive(Debug)]
pub struct Work {
    /// The device.
    pub gpu: Gpu,
    pipelines: Arc<Pipelines>,
    uniforms: Uniforms,
    dispatches: Vec<Dispatch>,
    memory: Memory,
    staging: Option<wgpu::Buffer>,
    /// Added to the variances of normalisations.
    pub epsilon: f32,
    /// Whether normalisations are by the statistics of many batches, not of this one.
    pub settled: bool,
}

impl Work {
    /// For a device, with its kernels compiled.
    ///
    /// # Errors
    /// [`GpuError::Refused`] where the driver refuses a kernel.
    pub fn new(gpu: &Gpu) -> Result<Self, GpuError> {
        let work = Self {
            pipelines: gpu.training_pipelines(),
            uniforms: Uniforms::new(gpu),
            dispatches: Vec::new(),
            memory: Memory::default(),
            staging: None,
            epsilon: 0.0,
            settled: false,
            gpu: gpu.clone(),
        };
        work.gpu.refused().map_or(Ok(work), Err)
    }

    /// Memory of `vectors`, which hold anything.
    pub fn room(&mut self, vectors: usize) -> Room {
        self.memory.take(&self.gpu, vectors as u64 * VECTOR)
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    /// Maps that hold anything.
    pub fn maps(&mut self, channels: usize, size: [usize; 2], slices: usize) -> BatchMaps {
        let room = self.room(slices * size[0] * size[1] * channels.div_ceil(LANES));
        BatchMaps { room, channels, size, slices }
    }

    /// Records a dispatch: what the kernel is told, and the buffers that it reads, then those that it writes.
    pub fn run(&mut self, kernel: Kernel, words: &[usize], buffers: &[&Room], groups: [usize; 3]) {
        if self.dispatches.len() == MOST {
            self.submit();
        }
        let words: Vec<u32> = words.iter().map(|&word| word as u32).collect();
        let uniform = self.uniforms.push(&words);
        let bound: Vec<Bound<'_>> = buffers.iter().map(|room| Bound::from(&room.buffer)).collect();
        let bound = self.pipelines.bind(&self.gpu.device, kernel, &self.uniforms.buffer, &bound);
        self.dispatches.push(Dispatch { kernel, bound, uniform, groups: groups.map(|n| n as u32) });
    }

    /// Submits what is recorded.
    pub fn submit(&mut self) {
        if !self.dispatches.is_empty() {
            let encoder = self.encode();
            self.gpu.queue.submit([encoder.finish()]);
        }
    }

    fn encode(&mut self) -> wgpu::CommandEncoder {
        self.uniforms.flush(&self.gpu);
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.pipelines.encode(&mut encoder, &self.dispatches);
        self.dispatches.clear();
        encoder
    }

    /// Numbers on the device, behind all that is recorded.
    pub fn upload(&mut self, values: &[f32]) -> Room {
        self.upload_bytes(bytemuck::cast_slice(values))
    }

    /// The same, of whole words.
    pub fn upload_bytes(&mut self, bytes: &[u8]) -> Room {
        self.submit();
        let room = self.memory.take(&self.gpu, bytes.len() as u64);
        self.gpu.queue.write_buffer(&room.buffer, 0, bytes);
        room
    }

    /// Planes `[slice][channel][row][column]` as maps.
    pub fn upload_planes(&mut self, planes: &[f32], size: [usize; 2], slices: usize) -> BatchMaps {
        let pixels = size[0] * size[1];
        let channels = planes.len() / (slices * pixels);
        let from = self.upload(planes);
        let maps = self.maps(channels, size, slices);
        let groups = [pixels.div_ceil(64), slices, 1];
        self.run(Kernel::Input, &[pixels, channels, maps.c4(), 0], &[&from, &maps.room], groups);
        maps
    }

    /// Maps as planes; how many numbers they are.
    pub fn planes(&mut self, maps: &BatchMaps) -> (Room, usize) {
        let count = maps.positions() * maps.channels;
        let to = self.room(count.div_ceil(LANES));
        let groups = [maps.pixels().div_ceil(64), maps.slices, 1];
        self.run(Kernel::Planes, &[maps.pixels(), maps.channels, maps.c4(), 0], &[&maps.room, &to], groups);
        (to, count)
    }

    /// Submits what is recorded, waits for it, and reads: of each the first numbers, as many as are asked for.
    ///
    /// # Errors
    /// [`GpuError::Lost`]; [`GpuError::Refused`] where anything was ever refused.
    pub fn read(&mut self, wanted: &[(&Room, usize)]) -> Result<Vec<Vec<f32>>, GpuError> {
        let whole = |count: usize| (count * size_of::<f32>()) as u64;
        let bytes: u64 = wanted.iter().map(|(_, count)| whole(*count)).sum();
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let staging = self.staging.take().filter(|staging| staging.size() >= bytes);
        let staging = staging.unwrap_or_else(|| self.gpu.buffer("staging", bytes, usage));
        let mut encoder = self.encode();
        let mut at = 0;
        for (room, count) in wanted {
            encoder.copy_buffer_to_buffer(&room.buffer, 0, &staging, at, whole(*count));
            at += whole(*count);
        }
        self.gpu.queue.submit([encoder.finish()]);
        let (told, heard) = std::sync::mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, 0..bytes.max(16), move |outcome| {
            // Nobody hears it where the device was found lost before.
            let _ = told.send(outcome.is_ok());
        });
        let lost = || GpuError::Lost(self.gpu.name().to_string());
        // Fails where the device is gone; then the callback has been called, or never will be.
        let _ = self.gpu.device.poll(wgpu::PollType::wait_indefinitely());
        if !heard.try_recv().unwrap_or(false) {
            return Err(lost());
        }
        let mut found = Vec::with_capacity(wanted.len());
        {
            let view = staging.get_mapped_range(0..bytes.max(16)).map_err(|_| lost())?;
            let mut rest: &[u8] = &view;
            for (_, count) in wanted {
                let (these, others) = rest.split_at(whole(*count) as usize);
                found.push(bytemuck::pod_collect_to_vec(these));
                rest = others;
            }
        }
        staging.unmap();
        self.staging = Some(staging);
        self.gpu.refused().map_or(Ok(found), Err)
    }
}

/// Workgroups for every one of `vectors`, as kernels with `ROW` count them.
pub fn for_each(vectors: usize) -> [usize; 3] {
    let groups = vectors.div_ceil(THREADS);
    [groups.min(ROW as usize), groups.div_ceil(ROW as usize), 1]
}
