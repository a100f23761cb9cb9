//! The sums over voxels that losses are made of, and the way back to the logits, which never leave the device.

use attention_anatomy_shaders::network::Kernel;

use super::memory::{BatchMaps, Room};
use super::work::Work;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};
use crate::kernels::voxels::VoxelSums;
use crate::kernels::wgsl::gpu::GpuError;
use crate::kernels::wgsl::weights::{CLASS_PITCH, LANES};

/// Pixels that a workgroup takes at a time, and how many times it does at least.
const PIXELS: usize = 64;
const LEAST_TIMES: usize = 8;
/// Workgroups that the pixels of a slice are shared among at most.
const MOST_PARTS: usize = 64;

/// What was asked for last: what is known of the batch, on the device.
#[derive(Debug)]
pub struct Asked {
    labels: Room,
    slices: Room,
    parts: usize,
}

impl Asked {
    /// `shift` is `[B, 34]`, `labels` `[B, H, W]`.
    pub fn new(
        logits: &BatchMaps,
        shift: &[f32],
        labels: &[u8],
        weights: &[[bool; ORGAN_COUNT]],
        work: &mut Work,
    ) -> Self {
        let mut of_slices: Vec<u32> = Vec::new();
        for (shift, weights) in shift.chunks_exact(CLASS_COUNT).zip(weights) {
            let mut words = [0; CLASS_PITCH + 2];
            words.iter_mut().zip(shift).for_each(|(word, shift)| *word = shift.to_bits());
            let classes = weights.iter().enumerate().filter(|(_, counts)| **counts).map(|(organ, _)| organ + 1);
            classes.for_each(|class| words[CLASS_PITCH + class / 32] |= 1 << (class % 32));
            of_slices.extend(words);
        }
        let mut labels = labels.to_vec();
        labels.resize(labels.len().next_multiple_of(LANES * size_of::<f32>()), 0);
        let parts = logits.pixels().div_ceil(PIXELS * LEAST_TIMES).min(MOST_PARTS);
        let labels = work.upload_bytes(&labels);
        Self { labels, slices: work.upload_bytes(bytemuck::cast_slice(&of_slices)), parts }
    }

    fn words(&self, logits: &BatchMaps) -> [usize; 4] {
        [logits.pixels(), self.parts, logits.slices, 0]
    }

    /// The sums.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub fn sums(&self, logits: &BatchMaps, work: &mut Work) -> Result<VoxelSums, GpuError> {
        const VECTORS: usize = CLASS_PITCH;
        let parts = logits.slices * self.parts;
        let found = work.room(parts * VECTORS);
        let buffers = [&logits.room, &self.labels, &self.slices, &found];
        work.run(Kernel::LossSums, &self.words(logits), &buffers, [self.parts, logits.slices, 1]);
        let result = work.room(VECTORS);
        work.run(Kernel::AddGradients, &[VECTORS, parts, 0, 0], &[&found, &result], [1, 1, 1]);
        let found = work.read(&[(&result, 4 * CLASS_PITCH)])?;
        let at = |sum: usize, class: usize| found[0][sum * CLASS_PITCH + class];
        Ok(std::array::from_fn(|sum| std::array::from_fn(|class| at(sum, class))))
    }

    /// From the gradients by the sums to those by the logits, and to those by the shift, `[B, 34]`.
    ///
    /// # Errors
    /// As [`Work::read`].
    pub fn gradients(
        &self,
        by: &VoxelSums,
        logits: &BatchMaps,
        work: &mut Work,
    ) -> Result<(BatchMaps, Vec<f32>), GpuError> {
        let mut filled = [0.0; 4 * CLASS_PITCH];
        filled.chunks_exact_mut(CLASS_PITCH).zip(by).for_each(|(to, by)| to[..CLASS_COUNT].copy_from_slice(by));
        let by = work.upload(&filled);
        let by_logits = work.maps(CLASS_COUNT, logits.size, logits.slices);
        let vectors = logits.slices * CLASS_PITCH / LANES;
        let found = work.room(self.parts * vectors);
        let buffers = [&logits.room, &self.labels, &self.slices, &by, &by_logits.room, &found];
        work.run(Kernel::LossGradients, &self.words(logits), &buffers, [self.parts, logits.slices, 1]);
        let by_shift = work.room(vectors);
        let groups = [vectors.div_ceil(64), 1, 1];
        work.run(Kernel::AddGradients, &[vectors, self.parts, 0, 0], &[&found, &by_shift], groups);
        let by_shift = work.read(&[(&by_shift, vectors * LANES)])?;
        let by_shift = by_shift[0].chunks_exact(CLASS_PITCH).flat_map(|slice| slice[..CLASS_COUNT].to_vec()).collect();
        Ok((by_logits, by_shift))
    }
}
