//! A step of training on a GPU of our own: forward and backward over the maps of a whole batch, on the kernels of inference.
//!
//! As on the processor (`kernels/training`), whose results these are: the network is the same list of layers in every step, and no
//! graph is kept. The logits stay on the device: of them sums over voxels are given, and the region features; from the gradients by both
//! the layers go on. Weights come from the host at the beginning of a step and gradients go there at its
//! end, so that the optimiser, checkpoints and everything else are the processor's, too.
//!
//! - Forward: the convolutions of inference over all slices at once. Two maps stand for a concatenation.
//! - The gradient by an input: the same kernels with turned weights; at stride 2 one for each of the four phases of the input, written
//!   in place, as a transposed convolution is.
//! - The gradient by weights: products summed up over positions, shared among workgroups, and added up in their order.
//! - Normalisation by the statistics of the batch, forward and backward, with ReLU and shortcut.
//!
//! The same batch always gives the same numbers on the same device: nothing is added up in an order that chance decides.
//!
//! | file | what |
//! |---|---|
//! | `memory.rs` | maps of a batch, and the memory that they take turns in |
//! | `work.rs` | what is recorded, submitted and read |
//! | `sums.rs` | sums of convolutions, forward and back to an input |
//! | `gradients.rs` | gradients by weights |
//! | `order.rs` | the order of parameters and that of the kernels |
//! | `normalisation.rs` | normalisation, ReLU and shortcut, and their ways back |
//! | `layer.rs` | convolutions with what belongs to them |
//! | `block.rs` | residual blocks |
//! | `losses.rs` | sums over voxels that losses are made of, and the way back |

mod block;
mod gradients;
mod layer;
mod losses;
mod memory;
mod normalisation;
mod order;
mod sums;
#[cfg(test)]
mod tests;
mod work;

use block::{Activated, Block, Kept};
use layer::{Biased, ConvNorm};
use losses::Asked;
use memory::{BatchMaps, Room};
use normalisation::Normalisation;
use order::Tensors;
use sums::Sum;
use work::Work;

use super::gpu::{Gpu, GpuError, MOST_BYTES};
use super::weights::LANES;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};
use crate::kernels::parameters::Parameters;
use crate::kernels::training::{Features, Gradients, Outputs, Statistics};
use crate::kernels::voxels::VoxelSums;

/// The layers with the weights of a step.
#[derive(Debug)]
struct Layers {
    encoder: Vec<Block>,
    region: Option<[(ConvNorm, Sum); 2]>,
    decoder: Vec<(Biased, Block)>,
    head: Biased,
}

impl Layers {
    fn new(tensors: &Tensors, work: &mut Work) -> Self {
        let stack = tensors.shape("encoder.levels.0.first.conv.weight")[1];
        let mut channels = vec![];
        loop {
            let name = format!("encoder.levels.{}.first.conv.weight", channels.len());
            if !tensors.has(&name) {
                break;
            }
            channels.push(tensors.shape(&name)[0]);
        }
        let levels = channels.len();
        let block = |level: usize, work: &mut Work| {
            let inputs = [if level == 0 { stack } else { channels[level - 1] }];
            let stride = if level == 0 { 1 } else { 2 };
            Block::new(&format!("encoder.levels.{level}"), &inputs, stride, tensors, work)
        };
        let encoder = (0..levels).map(|level| block(level, work)).collect();
        let region = tensors.has("region.reduce.conv.weight").then(|| {
            let reduce = ConvNorm::alone("region.reduce", channels[levels - 1], tensors, work);
            let conv = ConvNorm::alone("region.conv", reduce.0.outputs, tensors, work);
            [reduce, conv]
        });
        let step = |(step, level): (usize, usize), work: &mut Work| {
            let (name, here) = (format!("decoder.steps.{step}"), channels[level]);
            let up = Biased::transposed(&format!("{name}.up"), tensors, work);
            (up, Block::new(&format!("{name}.block"), &[here, here], 1, tensors, work))
        };
        let decoder = (0..levels - 1).rev().enumerate().map(|at| step(at, work)).collect();
        Self { encoder, region, decoder, head: Biased::pointwise("decoder.head", tensors, work) }
    }
}

/// What the way back needs.
#[derive(Debug)]
struct Pass {
    input: BatchMaps,
    /// The output of every block of the encoder, and what it keeps.
    encoder: Vec<(BatchMaps, Kept)>,
    region: Option<[Activated; 2]>,
    /// Of every step of the decoder the up-sampled maps, the output, and what the block keeps.
    decoder: Vec<(BatchMaps, BatchMaps, Kept)>,
    /// The head's output, where the decoder was run.
    logits: Option<BatchMaps>,
    /// What sums were asked for last.
    asked: Option<Asked>,
    /// The gradient by the logits, once it is known.
    by_logits: Option<BatchMaps>,
}

/// The layers of the network on a GPU, for steps of training.
#[derive(Debug)]
pub struct GpuTrainingPlan {
    work: Work,
    tensors: Option<Tensors>,
    layers: Option<Layers>,
    pass: Option<Pass>,
}

impl GpuTrainingPlan {
    /// On `gpu`, whose kernels are compiled for it when this is called first.
    ///
    /// # Errors
    /// [`GpuError::Refused`] where the driver refuses one.
    pub fn new(gpu: &Gpu) -> Result<Self, GpuError> {
        Ok(Self { work: Work::new(gpu)?, tensors: None, layers: None, pass: None })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.work.gpu
    }

    /// Bytes that maps, weights and gradients take on the device.
    pub fn bytes(&self) -> u64 {
        self.work.bytes()
    }

    /// The weights of the next step; `epsilon` is added to the variances of the normalisations.
    ///
    /// # Panics
    /// Where a parameter is missing or has another shape than the network gives it.
    pub fn load(&mut self, parameters: &Parameters, epsilon: f64) {
        self.pass = None;
        self.layers = None;
        self.work.epsilon = epsilon as f32;
        let tensors = Tensors::new(parameters, &mut self.work);
        self.layers = Some(Layers::new(&tensors, &mut self.work));
        self.tensors = Some(tensors);
    }

    /// What the layers make of `stacks` `[B, S, rows, columns]`, and with `segments` what the decoder makes of it. Waits: not for a
    /// browser.
    ///
    /// # Errors
    /// [`GpuError::Batch`] for one that is too large, [`GpuError::Slice`] where one slice of it is, [`GpuError::Lost`],
    /// [`GpuError::Refused`].
    ///
    /// # Panics
    /// Where no weights were loaded.
    pub fn forward(
        &mut self,
        stacks: &[f32],
        slices: usize,
        size: [usize; 2],
        segments: bool,
    ) -> Result<Outputs, GpuError> {
        self.pass = None;
        let Self { work, layers, .. } = self;
        let layers = layers.as_ref().expect("weights are loaded first");
        let widest = layers.encoder[0].channels().max(CLASS_COUNT).next_multiple_of(LANES);
        let [rows, columns] = size;
        let of_slice = (widest * rows * columns * size_of::<f32>()) as u64;
        if of_slice > MOST_BYTES {
            return Err(GpuError::Slice { rows, columns, megabytes: of_slice >> 20 });
        }
        let most = of_slice * slices as u64;
        if most > MOST_BYTES {
            return Err(GpuError::Batch { slices, rows, columns, megabytes: most >> 20 });
        }
        let input = work.upload_planes(stacks, size, slices);
        let mut norms: Vec<(&ConvNorm, &Normalisation)> = Vec::new();
        let mut encoder: Vec<(BatchMaps, Kept)> = Vec::new();
        for block in &layers.encoder {
            let x = encoder.last().map_or(&input, |(out, _)| out);
            let level = block.run(&[x], work);
            encoder.push(level);
        }
        let deepest = encoder.last().map_or(&input, |(out, _)| out);
        let region = layers.region.as_ref().map(|[(reduce, _), (conv, _)]| {
            let first = Activated::run(reduce, &[deepest], work);
            let second = Activated::run(conv, &[&first.out], work);
            [first, second]
        });
        let features = region.as_ref().map(|[_, last]| (&last.out, work.planes(&last.out)));
        let mut decoder: Vec<(BatchMaps, BatchMaps, Kept)> = Vec::new();
        let mut logits = None;
        if segments {
            for ((up, block), (skip, _)) in layers.decoder.iter().zip(encoder.iter().rev().skip(1)) {
                let x = decoder.last().map_or(deepest, |(_, out, _)| out);
                let up = up.run(x, work);
                let (out, kept) = block.run(&[&up, skip], work);
                decoder.push((up, out, kept));
            }
            let x = decoder.last().map_or(deepest, |(_, out, _)| out);
            logits = Some(layers.head.run(x, work));
        }
        for (block, (_, kept)) in layers.encoder.iter().zip(&encoder) {
            norms.extend(block.norms(kept));
        }
        for ([(reduce, _), (conv, _)], [first, second]) in layers.region.iter().zip(&region) {
            norms.extend([(reduce, &first.norm), (conv, &second.norm)]);
        }
        for ((_, block), (_, _, kept)) in layers.decoder.iter().zip(&decoder) {
            norms.extend(block.norms(kept));
        }
        let of_maps = features.iter().map(|(_, (room, count))| (room, *count));
        // Mean and variance lie first, one after the other.
        let filled = |layer: &ConvNorm| layer.outputs.next_multiple_of(LANES);
        let of_norms = norms.iter().map(|(layer, norm)| (&norm.0, 2 * filled(layer)));
        let wanted: Vec<(&Room, usize)> = of_maps.chain(of_norms).collect();
        let mut found = work.read(&wanted)?.into_iter();
        let features = features.as_ref().map(|(maps, _)| {
            let [height, width] = maps.size;
            let shape = [slices, maps.channels, height, width];
            Features { shape, values: found.next().unwrap_or_default() }
        });
        let statistics = norms.iter().zip(found).map(|((layer, _), found)| Statistics {
            name: format!("{}.norm", layer.name),
            mean: found[..layer.outputs].to_vec(),
            variance: found[filled(layer)..][..layer.outputs].to_vec(),
        });
        let outputs = Outputs { logits: None, features, statistics: statistics.collect() };
        self.pass = Some(Pass { input, encoder, region, decoder, logits, asked: None, by_logits: None });
        Ok(outputs)
    }

    /// What the layers make of `stacks` `[B, S, rows, columns]` at inference, normalisations by the statistics of many batches: logits
    /// and region features. Waits: not for a browser.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn infer(&mut self, stacks: &[f32], slices: usize, size: [usize; 2]) -> Result<Outputs, GpuError> {
        self.work.settled = true;
        let found = self.forward(stacks, slices, size, true);
        self.work.settled = false;
        let outputs = Outputs { logits: self.logits()?, ..found? };
        self.pass = None;
        Ok(outputs)
    }

    /// The mean over a field of `side` x `side` pixels, all of them `value` in all of `stack` slices, of each of the region branch's
    /// last maps, and their positions, as inference would have it; `None` where there is no such branch. Waits: not for a browser.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Refused`].
    ///
    /// # Panics
    /// Where no weights were loaded.
    pub fn mean_of(&mut self, value: f32, stack: usize, side: usize) -> Result<Option<(Vec<f32>, usize)>, GpuError> {
        let Self { work, layers, .. } = self;
        let layers = layers.as_ref().expect("weights are loaded first");
        let Some([(reduce, _), (conv, _)]) = &layers.region else { return Ok(None) };
        work.settled = true;
        let mut x = work.upload_planes(&vec![value; stack * side * side], [side; 2], 1);
        for block in &layers.encoder {
            (x, _) = block.run(&[&x], work);
        }
        let x = Activated::run(reduce, &[&x], work).out;
        let x = Activated::run(conv, &[&x], work).out;
        work.settled = false;
        let (planes, count) = work.planes(&x);
        let planes = work.read(&[(&planes, count)])?.pop().unwrap_or_default();
        let mean = |plane: &[f32]| (plane.iter().map(|&v| f64::from(v)).sum::<f64>() / plane.len() as f64) as f32;
        Ok(Some((planes.chunks_exact(x.pixels()).map(mean).collect(), x.pixels())))
    }

    /// The logits of the last [`forward`](Self::forward), `[B, 34, rows, columns]`; `None` where the decoder was not run. Waits: not
    /// for a browser.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Refused`].
    pub fn logits(&mut self) -> Result<Option<Vec<f32>>, GpuError> {
        let Some(logits) = self.pass.as_ref().and_then(|pass| pass.logits.as_ref()) else { return Ok(None) };
        let (planes, count) = self.work.planes(logits);
        Ok(self.work.read(&[(&planes, count)])?.pop())
    }

    /// The sums over voxels of the last [`forward`](Self::forward) with `shift` `[B, 34]` added to its logits; `labels` are
    /// `[B, rows, columns]`, `weights` the w of equation (4) of every slice. Waits: not for a browser.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Refused`].
    ///
    /// # Panics
    /// Where there are no logits.
    pub fn loss_sums(
        &mut self,
        shift: &[f32],
        labels: &[u8],
        weights: &[[bool; ORGAN_COUNT]],
    ) -> Result<VoxelSums, GpuError> {
        let Self { work, pass, .. } = self;
        let (logits, asked) = pass.as_mut().map(|pass| (&pass.logits, &mut pass.asked)).expect("forward comes first");
        let logits = logits.as_ref().expect("the decoder was run");
        asked.insert(Asked::new(logits, shift, labels, weights, work)).sums(logits, work)
    }

    /// From the gradients by the sums of the last [`loss_sums`](Self::loss_sums) to those by the logits, which are kept for
    /// [`backward`](Self::backward), and those by the shift, `[B, 34]`. Waits: not for a browser.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Refused`].
    ///
    /// # Panics
    /// Where no sums were asked for.
    pub fn loss_gradients(&mut self, by: &VoxelSums) -> Result<Vec<f32>, GpuError> {
        let Self { work, pass, .. } = self;
        let Pass { logits, asked, by_logits, .. } = pass.as_mut().expect("forward comes first");
        let (logits, asked) = logits.as_ref().zip(asked.as_ref()).expect("sums come first");
        let (found, by_shift) = asked.gradients(by, logits, work)?;
        *by_logits = Some(found);
        Ok(by_shift)
    }

    /// Logits as if the layers had given them, for tests of what comes after them.
    #[cfg(test)]
    pub(crate) fn set_logits(&mut self, planes: &[f32], size: [usize; 2], slices: usize) {
        let logits = Some(self.work.upload_planes(planes, size, slices));
        let input = self.work.maps(1, size, slices);
        let (encoder, decoder) = (Vec::new(), Vec::new());
        self.pass = Some(Pass { input, encoder, region: None, decoder, logits, asked: None, by_logits: None });
    }

    /// What is kept of the gradients by them.
    #[cfg(test)]
    pub(crate) fn by_logits(&mut self) -> Option<Vec<f32>> {
        let (planes, count) = self.work.planes(self.pass.as_ref()?.by_logits.as_ref()?);
        self.work.read(&[(&planes, count)]).ok()?.pop()
    }

    /// Adds the gradients of the parameters, from those by the logits and by the region features of the last
    /// [`forward`](Self::forward); `None` for the former: those of [`loss_gradients`](Self::loss_gradients), if there are any. What was
    /// kept is used up.
    ///
    /// # Panics
    /// Where there was none.
    pub fn backward(&mut self, by_logits: Option<&[f32]>, by_features: Option<&[f32]>) {
        let layers = self.layers.as_ref().expect("weights are loaded first");
        let (work, tensors) = (&mut self.work, self.tensors.as_mut().expect("weights are loaded first"));
        let pass = self.pass.take().expect("forward comes first");
        let Pass { input, mut encoder, region, mut decoder, logits, by_logits: kept, .. } = pass;
        drop(logits);
        let slices = input.slices;
        let levels = encoder.len();

        // By the output of every level of the encoder.
        let mut by_level: Vec<Option<BatchMaps>> = (0..levels).map(|_| None).collect();
        if let (Some(by), Some([(reduce, back_reduce), (conv, back_conv)]), Some([first, second])) =
            (by_features, &layers.region, &region)
        {
            let deepest = &encoder[levels - 1].0;
            let by = work.upload_planes(by, second.out.size, slices);
            let by = second.back(conv, &by, &[&first.out], tensors, work);
            let by_first = back_conv.run(&[&by], None, work);
            let by = first.back(reduce, &by_first, &[deepest], tensors, work);
            by_level[levels - 1] = Some(back_reduce.run(&[&by], None, work));
        }
        drop(region);
        if let Some(by_head) = by_logits.map(|by| work.upload_planes(by, input.size, slices)).or(kept) {
            let x = decoder.last().map_or(&encoder[levels - 1].0, |(_, out, _)| out);
            let mut by = layers.head.gradients(&by_head, x, None, tensors, work);
            drop(by_head);
            for (step, (up, block)) in layers.decoder.iter().enumerate().rev() {
                let Some((upsampled, out, kept)) = decoder.pop() else { break };
                let level = levels - 2 - step;
                let inputs = [&upsampled, &encoder[level].0];
                let mut found = block.back(&by, (&out, &inputs, kept), &[None, None], tensors, work);
                by_level[level] = found.pop();
                drop(out);
                let Some(by_upsampled) = found.pop() else { break };
                let x = decoder.last().map_or(&encoder[levels - 1].0, |(_, out, _)| out);
                let more = if step == 0 { by_level[levels - 1].take() } else { None };
                by = up.gradients(&by_upsampled, x, more.as_ref(), tensors, work);
                work.submit();
            }
            by_level[levels - 1] = Some(by);
        }
        for (level, block) in layers.encoder.iter().enumerate().rev() {
            let (Some((out, kept)), Some(by)) = (encoder.pop(), by_level.pop().flatten()) else { break };
            let x = encoder.last().map_or(&input, |(out, _)| out);
            // Nobody asks for the gradient by the input.
            let more: Vec<_> = level.checked_sub(1).map(|below| by_level[below].take()).into_iter().collect();
            let found = block.back(&by, (&out, &[x], kept), &more, tensors, work);
            for (by_level, by) in by_level.iter_mut().rev().zip(found) {
                *by_level = Some(by);
            }
            work.submit();
        }
        work.submit();
    }

    /// The gradients of all passes since the last time of asking. Waits: not for a browser.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Refused`].
    pub fn gradients(&mut self) -> Result<Gradients, GpuError> {
        self.tensors.as_mut().map_or_else(|| Ok(Gradients::new()), |tensors| tensors.take(&mut self.work))
    }
}
