//! Feature maps of a whole batch on the device, and the memory that they take turns in.
//!
//! The device carries out one dispatch after the other, so memory is free for the next as soon as the last one that uses it is recorded.

use std::sync::{Arc, Mutex, PoisonError};

use wgpu::Buffer;

use crate::kernels::wgsl::gpu::Gpu;
use crate::kernels::wgsl::weights::LANES;

/// How much more than is asked for a piece of memory may have.
const MOST_TIMES: u64 = 4;

type Free = Arc<Mutex<Vec<Buffer>>>;

/// Memory that nobody uses at present.
#[derive(Debug, Default)]
pub struct Memory {
    free: Free,
    bytes: u64,
}

/// A piece of memory, which is given back when it goes out of use.
#[derive(Debug)]
pub struct Room {
    /// At least as large as was asked for.
    pub buffer: Buffer,
    free: Free,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.buffer.clone());
    }
}

impl Memory {
    /// At least `bytes`, which hold anything.
    pub fn take(&mut self, gpu: &Gpu, bytes: u64) -> Room {
        let bytes = bytes.max(16).next_multiple_of(16);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |n: &usize| free[*n].size();
        let fits = (0..free.len()).filter(|n| (bytes..=MOST_TIMES * bytes).contains(&size(n))).min_by_key(size);
        let buffer = match fits {
            Some(n) => free.swap_remove(n),
            None => {
                // Of a smaller batch: it would only be kept beside the larger one.
                let smaller = (0..free.len()).filter(|n| (bytes / MOST_TIMES..bytes).contains(&size(n)));
                if let Some(n) = smaller.max_by_key(size) {
                    self.bytes -= free.swap_remove(n).size();
                }
                self.bytes += bytes;
                gpu.storage("training", bytes)
            }
        };
        Room { buffer, free: self.free.clone() }
    }

    /// Bytes of all of it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Feature maps of every slice of a batch: `[slice][row][column][c4]`, in vectors of four channels, zero past the last.
#[derive(Debug)]
pub struct BatchMaps {
    /// Where they are.
    pub room: Room,
    /// Channels that there are.
    pub channels: usize,
    /// Rows and columns.
    pub size: [usize; 2],
    /// How many slices the batch has.
    pub slices: usize,
}

impl BatchMaps {
    /// Channels in groups of four.
    pub fn c4(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Pixels of a slice.
    pub fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Pixels of all slices.
    pub fn positions(&self) -> usize {
        self.slices * self.pixels()
    }

    /// Vectors of all slices.
    pub fn vectors(&self) -> usize {
        self.positions() * self.c4()
    }
}
