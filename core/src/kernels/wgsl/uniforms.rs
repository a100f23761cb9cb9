//! What kernels are told, of one submission: a few numbers for each dispatch, all in one buffer that goes up at once.

use super::gpu::Gpu;
use super::pipelines::STRIDE;

/// Dispatches of a submission at most, and what of lists takes as much room.
pub(super) const MOST: usize = 512;

/// The buffer, and what it will hold.
#[derive(Debug)]
pub(super) struct Uniforms {
    pub buffer: wgpu::Buffer,
    bytes: Vec<u8>,
}

impl Uniforms {
    pub fn new(gpu: &Gpu) -> Self {
        // Lists of any length are read as storage.
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        Self { buffer: gpu.buffer("uniforms", MOST as u64 * STRIDE, usage), bytes: Vec::new() }
    }

    /// Whether what one more tile needs may be more than there is room for.
    pub fn is_half_full(&self) -> bool {
        self.bytes.len() as u64 >= MOST as u64 / 2 * STRIDE
    }

    /// Numbers of one dispatch, or a list; where they are, in bytes.
    pub fn push(&mut self, words: &[u32]) -> u32 {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(bytemuck::cast_slice(words));
        self.bytes.resize(self.bytes.len().next_multiple_of(STRIDE as usize), 0);
        at as u32
    }

    /// Brings them to the device, before whatever is submitted next.
    pub fn flush(&mut self, gpu: &Gpu) {
        gpu.queue.write_buffer(&self.buffer, 0, &self.bytes);
        self.bytes.clear();
    }
}
