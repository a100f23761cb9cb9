//! From a tile's last maps to probabilities, and from those of one slice or two to labels on the input matrix.

use attention_anatomy_shaders::network::Kernel;

use super::network::{CLASS_WEIGHTS_AT, Network, Slot, Window};
use super::outcome::{ALIGNMENT, ClassWeights, Key, Outcome, plane_bytes};
use super::pipelines::{Bound, Dispatch};
use super::weights::CLASS_PITCH;
use crate::anatomy::{CLASS_COUNT, OrganSet};

/// A class that stays below this at all pixels around is not looked at there: it cannot be the largest of 34, and a margin is a step
/// of 1/255 too large at most.
const NEGLIGIBLE: f32 = 1.0 / 512.0;
/// Classes that may be labelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn(pub OrganSet);

impl Drawn {
    fn words(self) -> [u32; 2] {
        let bit = |organ: crate::anatomy::Organ| 1u64 << organ.label();
        let bits = self.0.iter().map(bit).fold(0, |all, bit| all | bit);
        [bits as u32, (bits >> 32) as u32]
    }
}

/// A tile of the area that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct TileMaps<'a> {
    /// What was computed.
    pub slot: &'a Slot,
    /// The box within its field.
    pub window: Window,
    /// Its first column and row in the area.
    pub at: [usize; 2],
}

/// One of the slices that labels are blended of: its area, and how input pixels lie on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Columns and rows of the area.
    pub size: [usize; 2],
    /// The place on the area of input pixel n is scale n + offset.
    pub scale: [f64; 2],
    /// See `scale`.
    pub offset: [f64; 2],
    /// The slice's part.
    pub weight: f32,
    /// In which of the two buffers its probabilities are.
    pub side: usize,
}

/// Labels of a slice of the input.
#[derive(Clone, Copy, Debug)]
pub struct Blend<'a> {
    /// The slices that it is made of, the lower first.
    pub parts: &'a [Grid],
    /// Columns and rows of the input matrix.
    pub input: [usize; 2],
    /// Which of the results it becomes; `None`: those that are compared with a result, to count what is different.
    pub output: Option<usize>,
}

impl Network {
    /// Makes room for `results` of an input matrix, before the first of them.
    pub fn reserve_results(&mut self, results: usize, input: [usize; 2]) {
        let (gpu, plane) = (self.gpu.clone(), plane_bytes(input));
        let outcome = &mut self.outcome;
        outcome.reserve(&gpu, |o| &mut o.labels, "labels", results as u64 * 2 * plane);
        outcome.reserve(&gpu, |o| &mut o.compared, "compared", 2 * plane);
        outcome.reserve(&gpu, |o| &mut o.flags, "flags", (1 + results as u64) * ALIGNMENT);
    }

    /// From now on [`ClassWeights::Asked`] are these.
    pub fn ask(&mut self, weights: &[f32; CLASS_COUNT]) {
        self.submit();
        self.gpu.queue.write_buffer(&self.outcome.asked, 0, bytemuck::cast_slice(weights));
    }

    /// Probabilities of the `area` (columns, rows) that tiles lie in, into one of the two buffers. The first tile's slot has the
    /// answer of the region branch.
    pub fn probabilities(
        &mut self,
        tiles: &[TileMaps<'_>],
        area: [usize; 2],
        weights: ClassWeights,
        drawn: Drawn,
        side: usize,
    ) {
        let gpu = self.gpu.clone();
        let bytes = (area[0] * area[1] * CLASS_PITCH * size_of::<u32>()) as u64;
        self.outcome.reserve(&gpu, |outcome| &mut outcome.probabilities[side], "probabilities", bytes);
        let Some(first) = tiles.first() else { return };
        for (n, tile) in tiles.iter().enumerate() {
            let flags = usize::from(n == 0) | usize::from(n + 1 == tiles.len()) << 1;
            let [drawn0, drawn1] = drawn.words();
            let words = [
                area[0] as u32,
                area[1] as u32,
                tile.window.size[0] as u32,
                tile.window.size[1] as u32,
                tile.at[0] as u32,
                tile.at[1] as u32,
                tile.window.offset[0] as u32,
                tile.window.offset[1] as u32,
                self.field() as u32,
                flags as u32,
                drawn0,
                drawn1,
                self.outcome.c4 as u32,
                NEGLIGIBLE.to_bits(),
            ];
            let uniform = self.uniforms.push(&words);
            let key = Key::Probabilities(tile.slot.number, weights, first.slot.number, side);
            let Self { outcome, pipelines, uniforms, .. } = self;
            let Outcome { head, probabilities, ones, asked, flags, bound, .. } = outcome;
            let bound = bound.entry(key).or_insert_with(|| {
                let answer = Bound { buffer: &first.slot.answer, from: (CLASS_WEIGHTS_AT * 4) as u64, bytes: None };
                let weights = match weights {
                    ClassWeights::Own => answer,
                    ClassWeights::Ones => Bound::from(&*ones),
                    ClassWeights::Asked => Bound::from(&*asked),
                };
                let broken = Bound { buffer: flags, from: 0, bytes: Some(ALIGNMENT) };
                let [head, maps, to] = [head, &tile.slot.maps, &probabilities[side]].map(Bound::from);
                let buffers = [head, maps, weights, to, broken];
                pipelines.bind(&gpu.device, Kernel::Probabilities, &uniforms.buffer, &buffers)
            });
            let groups = [((area[0] * area[1]) as u32).div_ceil(64), 1, 1];
            let (kernel, bound) = (Kernel::Probabilities, bound.clone());
            self.dispatches.push(Dispatch { kernel, bound, uniform, groups });
        }
    }

    /// Labels and margins on the input matrix.
    pub fn labels(&mut self, blend: &Blend<'_>) {
        let Some(below) = blend.parts.first() else { return };
        let above = blend.parts.get(1).unwrap_or(below);
        let pixels = blend.input[0] * blend.input[1];
        let mut words = vec![blend.input[0] as u32, pixels as u32, blend.parts.len() as u32, 0];
        for part in [below, above] {
            let [[scale_x, scale_y], [offset_x, offset_y]] =
                [part.scale, part.offset].map(|v| v.map(|v| (v as f32).to_bits()));
            let [width, height] = part.size.map(|n| n as u32);
            words.extend([width, height, part.weight.to_bits(), 0, scale_x, scale_y, offset_x, offset_y]);
        }
        let uniform = self.uniforms.push(&words);
        let plane = plane_bytes(blend.input);
        let sides = [below.side, above.side];
        let Self { outcome, pipelines, uniforms, gpu, .. } = self;
        let Outcome { probabilities, labels, compared, bound, .. } = outcome;
        let bound = bound.entry(Key::Labels(sides, blend.output, plane)).or_insert_with(|| {
            let [below, above] = sides.map(|side| Bound::from(&probabilities[side]));
            let (buffer, from) = match blend.output {
                Some(n) => (&*labels, n as u64 * 2 * plane),
                None => (&*compared, 0),
            };
            let planes = [0, plane].map(|more| Bound { buffer, from: from + more, bytes: Some(plane) });
            pipelines.bind(&gpu.device, Kernel::Labels, &uniforms.buffer, &[below, above, planes[0], planes[1]])
        });
        let groups = [(pixels as u32).div_ceil(256), 1, 1];
        let bound = bound.clone();
        self.dispatches.push(Dispatch { kernel: Kernel::Labels, bound, uniform, groups });
    }

    /// Counts of each class the pixels that have its label in what was made last without an output, and not in `output`.
    pub fn count_removed(&mut self, output: usize, input: [usize; 2]) {
        let pixels = input[0] * input[1];
        let uniform = self.uniforms.push(&[pixels as u32, 0, 0, 0]);
        let plane = plane_bytes(input);
        let Self { outcome, pipelines, uniforms, gpu, .. } = self;
        let Outcome { labels, compared, flags, bound, .. } = outcome;
        let bound = bound.entry(Key::Removed(output, plane)).or_insert_with(|| {
            let without = Bound { buffer: compared, from: 0, bytes: Some(plane) };
            let with = Bound { buffer: labels, from: output as u64 * 2 * plane, bytes: Some(plane) };
            let counts = Bound { buffer: flags, from: (1 + output as u64) * ALIGNMENT, bytes: Some(ALIGNMENT) };
            pipelines.bind(&gpu.device, Kernel::Removed, &uniforms.buffer, &[without, with, counts])
        });
        let groups = [(pixels as u32).div_ceil(256), 1, 1];
        let bound = bound.clone();
        self.dispatches.push(Dispatch { kernel: Kernel::Removed, bound, uniform, groups });
    }
}
