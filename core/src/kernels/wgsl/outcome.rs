//! Buffers between a tile's last maps and labels on the input matrix, and what of them is bound together.

use std::collections::BTreeMap;

use wgpu::{BindGroup, Buffer};

use super::gpu::Gpu;
use super::weights::{CLASS_PITCH, LANES, pack_head};
use crate::kernels::plan::layout::Layout;

/// Distance of parts of a buffer that are bound apart.
pub(super) const ALIGNMENT: u64 = 256;

/// What is counted of a result, 64 numbers each: of each class what attention takes away, its pixels, and those in which it only just won.
pub(super) const COUNTS: u64 = 3;

/// Where what is counted of a result is among the flags.
pub(super) fn counts_at(result: usize) -> u64 {
    (1 + COUNTS * result as u64) * ALIGNMENT
}

/// What the softmax of each class is weighed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassWeights {
    /// With the attention that the network gave.
    Own,
    /// All alike.
    Ones,
    /// With what was asked for.
    Asked,
}

/// Buffers of the outcome.
#[derive(Debug)]
pub(super) struct Outcome {
    pub head: Buffer,
    /// Channels of the last maps in groups of four.
    pub c4: usize,
    /// Probabilities `[row][column][36]` of two areas, in words.
    pub probabilities: [Buffer; 2],
    pub ones: Buffer,
    pub asked: Buffer,
    /// A word that says that something was not finite; from the next aligned place on what is counted of each result.
    pub flags: Buffer,
    /// Labels and margins of each result.
    pub labels: Buffer,
    /// Labels and margins that are only compared.
    pub compared: Buffer,
    pub bound: BTreeMap<Key, BindGroup>,
}

/// What is bound together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Slot, weights, slot whose answer has them, side.
    Probabilities(usize, ClassWeights, usize, usize),
    /// Sides, result, bytes.
    Labels([usize; 2], Option<usize>, u64),
    /// Result, bytes.
    Removed(usize, u64),
}

/// Bytes of labels or margins.
pub(super) fn plane_bytes(input: [usize; 2]) -> u64 {
    ((input[0] * input[1]) as u64).next_multiple_of(ALIGNMENT)
}

impl Outcome {
    pub fn new(gpu: &Gpu, layout: &Layout, field: usize) -> Self {
        let head = pack_head(&layout.head);
        let c4 = head.len() / CLASS_PITCH / LANES;
        let area = (field * field * CLASS_PITCH * size_of::<u32>()) as u64;
        Self {
            head: gpu.upload("head", &head),
            c4,
            probabilities: [0, 1].map(|_| gpu.storage("probabilities", area)),
            ones: gpu.upload("ones", &[1.0; CLASS_PITCH]),
            asked: gpu.upload("asked", &[1.0; CLASS_PITCH]),
            flags: gpu.storage("flags", counts_at(1)),
            labels: gpu.storage("labels", 2 * ALIGNMENT),
            compared: gpu.storage("compared", 2 * ALIGNMENT),
            bound: BTreeMap::new(),
        }
    }

    pub fn bytes(&self) -> u64 {
        let [a, b] = &self.probabilities;
        [a, b, &self.labels, &self.compared].iter().map(|buffer| buffer.size()).sum()
    }

    /// Makes room, where there was never so much before.
    pub fn reserve(&mut self, gpu: &Gpu, which: impl Fn(&mut Self) -> &mut Buffer, label: &str, bytes: u64) {
        if which(self).size() < bytes {
            *which(self) = gpu.storage(label, bytes);
            self.bound.clear();
        }
    }
}
