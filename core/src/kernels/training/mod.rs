//! A step of training on the processor: forward and backward over the maps of a whole batch, without a graph.
//!
//! The network is the same list of layers in every step. Maps lie in blocks of sixteen channels as in the plan for inference, and
//! the convolutions are its own, forward and as the way back to their input; normalisation, ReLU and shortcut go through memory
//! together, and so do their gradients. What comes after the layers (attention, re-calibration, losses) is small, and stays with
//! burn: it is given logits and region features, and gives back the gradients by them.
//!
//! The results do not depend on the number of threads: what is summed up over slices is summed up in their order.
//!
//! | file | what |
//! |---|---|
//! | `memory.rs` | maps of a batch, and the memory that they take turns in |
//! | `normalisation.rs` | normalisation, ReLU and shortcut, and their ways back |
//! | `products.rs` | gradients by weights |
//! | `transformed.rs` | the same of 3x3 convolutions, with fewer multiplications |
//! | `outer.rs` | their innermost loop |
//! | `layer.rs` | convolutions with what belongs to them |
//! | `block.rs` | residual blocks |
//! | `work.rs` | what all layers work with, take and give |
//! | `clock.rs` | where the time goes |

mod block;
mod clock;
mod layer;
mod memory;
mod normalisation;
mod outer;
mod pixels;
mod products;
#[cfg(test)]
mod tests;
mod transformed;
mod work;

use std::time::Duration;

use block::{Activated, Block, Kept, Passed};
use clock::Clock;
pub use clock::{Kind, Spent};
use layer::{Biased, ConvNorm};
use memory::{BatchMaps, Memory};
use web_time::Instant;
use work::Work;
pub use work::{Gradients, Statistics};

use super::parameters::Parameters;
use super::plan::blocked::{Part, Shape, from_planes, write_planes};
use super::plan::convolution::Convolution;
use super::processor::{Processor, Threads, available, map};
use crate::anatomy::CLASS_COUNT;

/// What the layers make of a batch.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// z5 `[B, 34, H, W]`, where the decoder was run.
    pub logits: Option<Vec<f32>>,
    /// The region branch's last maps `[B, C, h, w]`, where there is one.
    pub features: Option<Features>,
    /// Of every normalisation.
    pub statistics: Vec<Statistics>,
}

/// Maps as planes.
#[derive(Debug, Clone)]
pub struct Features {
    /// Slices, channels, rows, columns.
    pub shape: [usize; 4],
    /// The numbers.
    pub values: Vec<f32>,
}

/// The layers with the weights of a step.
#[derive(Debug)]
struct Layers {
    encoder: Vec<Block>,
    region: Option<[(ConvNorm, Convolution); 2]>,
    decoder: Vec<(Biased, Block)>,
    head: Biased,
}

impl Layers {
    fn new(parameters: &Parameters) -> Self {
        let has = |name: &str| parameters.contains_key(name);
        let stack = parameters["encoder.levels.0.first.conv.weight"].shape[1];
        let mut channels = vec![];
        while let Some(weight) = parameters.get(&format!("encoder.levels.{}.first.conv.weight", channels.len())) {
            channels.push(weight.shape[0]);
        }
        let levels = channels.len();
        // What a thread makes at once.
        enum Part {
            Encoder(Block),
            Region([(ConvNorm, Convolution); 2]),
            Decoder(Biased, Block),
            Head(Biased),
        }
        let mut tasks: Vec<Box<dyn Fn() -> Part + Send + Sync + '_>> = Vec::new();
        for level in 0..levels {
            let inputs = [if level == 0 { stack } else { channels[level - 1] }];
            let stride = if level == 0 { 1 } else { 2 };
            tasks.push(Box::new(move || {
                Part::Encoder(Block::new(&format!("encoder.levels.{level}"), &inputs, stride, parameters))
            }));
        }
        if has("region.reduce.conv.weight") {
            let deepest = channels[levels - 1];
            tasks.push(Box::new(move || {
                let reduce = ConvNorm::alone("region.reduce", &[deepest], parameters);
                let conv = ConvNorm::alone("region.conv", &[reduce.0.outputs], parameters);
                Part::Region([reduce, conv])
            }));
        }
        for (step, level) in (0..levels - 1).rev().enumerate() {
            let here = channels[level];
            tasks.push(Box::new(move || {
                let up = Biased::transposed(&format!("decoder.steps.{step}.up"), parameters);
                let block = Block::new(&format!("decoder.steps.{step}.block"), &[here, here], 1, parameters);
                Part::Decoder(up, block)
            }));
        }
        tasks.push(Box::new(|| Part::Head(Biased::pointwise("decoder.head", parameters))));
        let (mut encoder, mut region, mut decoder, mut head) = (vec![], None, vec![], None);
        for part in map(tasks, |task| task()) {
            match part {
                Part::Encoder(block) => encoder.push(block),
                Part::Region(layers) => region = Some(layers),
                Part::Decoder(up, block) => decoder.push((up, block)),
                Part::Head(layer) => head = Some(layer),
            }
        }
        Self { encoder, region, decoder, head: head.unwrap_or_else(|| Biased::pointwise("decoder.head", parameters)) }
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
}

/// The layers of the network, for steps of training.
#[derive(Debug, Default)]
pub struct TrainingPlan {
    epsilon: f64,
    layers: Option<Layers>,
    pass: Option<Pass>,
    memory: Memory,
    clock: Clock,
}

impl TrainingPlan {
    /// The weights of the next step; `epsilon` is added to the variances of the normalisations.
    ///
    /// # Panics
    /// Where a parameter is missing or has another shape than the network gives it.
    pub fn load(&mut self, parameters: &Parameters, epsilon: f64) {
        self.epsilon = epsilon;
        let clock = Instant::now();
        self.layers = Some(everybody().enter(|| Layers::new(parameters)));
        self.note(Kind::Weights, clock.elapsed());
    }

    /// Adds what was done by all threads, or while the others waited.
    pub fn note(&self, kind: Kind, time: Duration) {
        self.clock.add(kind, time.as_nanos() as u64 * available() as u64);
    }

    /// Time and operations of a kind of work since the last time of asking: of all threads together.
    pub fn spent(&self, kind: Kind) -> Spent {
        self.clock.take(kind)
    }

    /// What the layers make of `stacks` `[B, S, rows, columns]`, and with `segments` what the decoder makes of it.
    ///
    /// # Panics
    /// Where no weights were loaded.
    pub fn forward(&mut self, stacks: &[f32], slices: usize, size: [usize; 2], segments: bool) -> Outputs {
        everybody().enter(|| self.forward_here(stacks, slices, size, segments))
    }

    fn forward_here(&mut self, stacks: &[f32], slices: usize, size: [usize; 2], segments: bool) -> Outputs {
        self.forget();
        let layers = self.layers.as_ref().expect("weights are loaded first");
        let mut work = Work { memory: &mut self.memory, clock: &self.clock, epsilon: self.epsilon };
        let work = &mut work;
        let mut statistics = Vec::new();
        let per_slice = stacks.len() / slices;
        let shape = Shape { channels: per_slice / (size[0] * size[1]), size };
        let input = blocks(shape, stacks, slices, work);
        let mut encoder: Vec<(BatchMaps, Kept)> = Vec::new();
        for block in &layers.encoder {
            let x = encoder.last().map_or(&input, |(out, _)| out);
            let level = block.run(&[x], work, &mut statistics);
            encoder.push(level);
        }
        let deepest = encoder.last().map_or(&input, |(out, _)| out);
        let region = layers.region.as_ref().map(|[(reduce, _), (conv, _)]| {
            let first = Activated::run(reduce, &[deepest], work);
            let second = Activated::run(conv, &[&first.out], work);
            statistics.push(first.statistics(reduce));
            statistics.push(second.statistics(conv));
            [first, second]
        });
        let features = region.as_ref().map(|[_, last]| {
            let Shape { channels, size: [height, width] } = last.out.shape;
            Features { shape: [slices, channels, height, width], values: planes(&last.out, work) }
        });
        let mut decoder: Vec<(BatchMaps, BatchMaps, Kept)> = Vec::new();
        let mut logits = None;
        if segments {
            for ((up, block), (skip, _)) in layers.decoder.iter().zip(encoder.iter().rev().skip(1)) {
                let x = decoder.last().map_or(deepest, |(_, out, _)| out);
                let up = up.run(x, work);
                let (out, kept) = block.run(&[&up, skip], work, &mut statistics);
                decoder.push((up, out, kept));
            }
            let x = decoder.last().map_or(deepest, |(_, out, _)| out);
            let maps = layers.head.run(x, work);
            logits = Some(planes(&maps, work));
            work.memory.give(maps);
        }
        self.pass = Some(Pass { input, encoder, region, decoder });
        Outputs { logits, features, statistics }
    }

    /// Adds the gradients of the parameters, from those by the logits and by the region features of the last
    /// [`forward`](Self::forward). What it kept is used up.
    ///
    /// # Panics
    /// Where there was none.
    pub fn backward(&mut self, by_logits: Option<&[f32]>, by_features: Option<&[f32]>, to: &mut Gradients) {
        everybody().enter(|| self.backward_here(by_logits, by_features, to));
    }

    fn backward_here(&mut self, by_logits: Option<&[f32]>, by_features: Option<&[f32]>, to: &mut Gradients) {
        let layers = self.layers.as_ref().expect("weights are loaded first");
        let Pass { input, mut encoder, region, mut decoder } = self.pass.take().expect("forward comes first");
        let mut work = Work { memory: &mut self.memory, clock: &self.clock, epsilon: self.epsilon };
        let work = &mut work;
        let slices = input.count();
        let levels = encoder.len();

        // By the output of every level of the encoder.
        let mut by_level: Vec<Option<BatchMaps>> = (0..levels).map(|_| None).collect();
        if let (Some(by), Some([(reduce, back_reduce), (conv, back_conv)]), Some([first, second])) =
            (by_features, &layers.region, &region)
        {
            let deepest = &encoder[levels - 1].0;
            let by = blocks(second.out.shape, by, slices, work);
            let by = second.back(conv, by, &[&first.out], work, to);
            let spent = (Kind::InputGradient, conv.multiply_adds(by.shape.size));
            let by_first = work.convolve(back_conv, &[&by], None, first.out.shape, spent);
            work.memory.give(by);
            let by = first.back(reduce, by_first, &[deepest], work, to);
            let spent = (Kind::InputGradient, reduce.multiply_adds(by.shape.size));
            by_level[levels - 1] = Some(work.convolve(back_reduce, &[&by], None, deepest.shape, spent));
            work.memory.give(by);
        }
        region.into_iter().flatten().for_each(|part| part.release(work));
        if let Some(by) = by_logits {
            let shape = Shape { channels: CLASS_COUNT, size: input.shape.size };
            let by_head = blocks(shape, by, slices, work);
            let x = decoder.last().map_or(&encoder[levels - 1].0, |(_, out, _)| out);
            let mut by = layers.head.gradients(&by_head, x, None, work, to);
            work.memory.give(by_head);
            for (step, (up, block)) in layers.decoder.iter().enumerate().rev() {
                let Some((upsampled, out, kept)) = decoder.pop() else { break };
                let level = levels - 2 - step;
                let inputs = [&upsampled, &encoder[level].0];
                let passed = Passed { out: &out, inputs: &inputs, kept };
                let mut found = block.back(by, passed, &[None, None], work, to);
                by_level[level] = found.pop();
                work.memory.give(out);
                let Some(by_upsampled) = found.pop() else { return };
                let x = decoder.last().map_or(&encoder[levels - 1].0, |(_, out, _)| out);
                let more = if step == 0 { by_level[levels - 1].take() } else { None };
                by = up.gradients(&by_upsampled, x, more.as_ref(), work, to);
                work.memory.give(by_upsampled);
                work.memory.give(upsampled);
                more.into_iter().for_each(|more| work.memory.give(more));
            }
            by_level[levels - 1] = Some(by);
        }
        for (level, block) in layers.encoder.iter().enumerate().rev() {
            let (Some((out, kept)), Some(by)) = (encoder.pop(), by_level.pop().flatten()) else { break };
            let x = encoder.last().map_or(&input, |(out, _)| out);
            // Nobody asks for the gradient by the input.
            let more: Vec<_> = level.checked_sub(1).map(|below| by_level[below].take()).into_iter().collect();
            let passed = Passed { out: &out, inputs: &[x], kept };
            let found = block.back(by, passed, &more, work, to);
            for (by_level, by) in by_level.iter_mut().rev().zip(found) {
                *by_level = Some(by);
            }
            more.into_iter().flatten().chain([out]).for_each(|maps| work.memory.give(maps));
        }
        // Without what nobody asked for.
        release(input, encoder, decoder, work);
    }

    /// Gives back what the last [`forward`](Self::forward) kept.
    fn forget(&mut self) {
        let Some(Pass { input, encoder, region, decoder }) = self.pass.take() else { return };
        let mut work = Work { memory: &mut self.memory, clock: &self.clock, epsilon: self.epsilon };
        region.into_iter().flatten().for_each(|part| part.release(&mut work));
        release(input, encoder, decoder, &mut work);
    }
}

/// All threads: whoever asks goes over to one of them once, not with every piece of work.
fn everybody() -> Processor {
    Processor::new(Threads::All)
}

/// Gives memory back.
fn release(
    input: BatchMaps,
    encoder: Vec<(BatchMaps, Kept)>,
    decoder: Vec<(BatchMaps, BatchMaps, Kept)>,
    work: &mut Work<'_>,
) {
    work.memory.give(input);
    for (out, kept) in encoder {
        work.memory.give(out);
        kept.release(work);
    }
    for (up, out, kept) in decoder {
        work.memory.give(up);
        work.memory.give(out);
        kept.release(work);
    }
}

/// Planes `[B, C, rows, columns]` in blocks.
fn blocks(shape: Shape, values: &[f32], slices: usize, work: &mut Work<'_>) -> BatchMaps {
    let mut maps = work.memory.take(shape, slices);
    let planes = values.chunks_exact(values.len() / slices);
    map(maps.parts().zip(planes).collect(), |(maps, planes)| {
        work.clock.time(Kind::Layout, 0, || from_planes(Part::whole(shape), planes, maps));
    });
    maps
}

/// The same way back.
fn planes(maps: &BatchMaps, work: &Work<'_>) -> Vec<f32> {
    let slices = maps.count();
    let per_slice = maps.shape.channels * maps.shape.size[0] * maps.shape.size[1];
    let mut values = vec![0.0; slices * per_slice];
    map(values.chunks_exact_mut(per_slice).enumerate().collect(), |(n, to)| {
        work.clock.time(Kind::Layout, 0, || write_planes(maps.slice(n), to));
    });
    values
}
