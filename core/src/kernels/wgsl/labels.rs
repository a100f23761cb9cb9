//! From a tile's last maps to probabilities, and from those of one slice or two to labels on the input matrix.

use attention_anatomy_shaders::network::Kernel;

use super::network::{CLASS_WEIGHTS_AT, Network, Slot, Window};
use super::outcome::{ALIGNMENT, ClassWeights, Key, Outcome, counts_at, plane_bytes};
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

/// The pixels of an input matrix that labels are made of: around them there is background, with certainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Columns and rows of the matrix.
    pub matrix: [usize; 2],
    /// The first column and row that are made, and how many.
    pub first: [usize; 2],
    /// See `first`: at least one of each.
    pub size: [usize; 2],
}

impl Region {
    /// The pixels of a matrix that lie on an area of some columns and rows, where input pixel n lies at scale n + offset.
    pub fn of(matrix: [usize; 2], areas: impl IntoIterator<Item = Grid>) -> Self {
        let mut edges = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
        for Grid { size, scale, offset, .. } in areas {
            for (axis, [low, high]) in edges.iter_mut().enumerate() {
                // As the kernel asks, and a pixel more, whatever is rounded.
                let at = |place: f64| (place - offset[axis]) / scale[axis];
                *low = low.min(at(-0.5).floor() - 1.0);
                *high = high.max(at(size[axis] as f64 - 0.5).ceil() + 2.0);
            }
        }
        let spans = [0, 1].map(|axis| {
            // No area at all becomes a pixel, too.
            let [low, high] = edges[axis].map(|edge| edge.clamp(0.0, matrix[axis] as f64) as usize);
            let first = low.min(matrix[axis].saturating_sub(1));
            [first, high.saturating_sub(first).max(1)]
        });
        Self { matrix, first: spans.map(|span| span[0]), size: spans.map(|span| span[1]) }
    }

    /// Pixels.
    pub fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }
}

/// Labels of a slice of the input.
#[derive(Clone, Copy, Debug)]
pub struct Blend<'a> {
    /// The slices that it is made of, the lower first.
    pub parts: &'a [Grid],
    /// What is made of it.
    pub region: Region,
    /// Whether margins are, too; what is counted of them is in any case.
    pub margins: bool,
    /// With a margin of less than this a label only just won.
    pub sure: u8,
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
        outcome.reserve(&gpu, |o| &mut o.flags, "flags", counts_at(results));
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
        let Region { matrix, first: [x, y], size } = blend.region;
        let pixels = blend.region.pixels();
        let flags = usize::from(blend.margins) | usize::from(blend.output.is_some()) << 1;
        let head = [size[0], pixels, x, y, blend.parts.len(), flags, usize::from(blend.sure), 0];
        let mut words: Vec<u32> = head.map(|n| n as u32).to_vec();
        for part in [below, above] {
            let [[scale_x, scale_y], [offset_x, offset_y]] =
                [part.scale, part.offset].map(|v| v.map(|v| (v as f32).to_bits()));
            let [width, height] = part.size.map(|n| n as u32);
            words.extend([width, height, part.weight.to_bits(), 0, scale_x, scale_y, offset_x, offset_y]);
        }
        let uniform = self.uniforms.push(&words);
        let plane = plane_bytes(matrix);
        let sides = [below.side, above.side];
        let Self { outcome, pipelines, uniforms, gpu, .. } = self;
        let Outcome { probabilities, labels, compared, flags, bound, .. } = outcome;
        let bound = bound.entry(Key::Labels(sides, blend.output, plane)).or_insert_with(|| {
            let [below, above] = sides.map(|side| Bound::from(&probabilities[side]));
            let (buffer, from) = match blend.output {
                Some(n) => (&*labels, n as u64 * 2 * plane),
                None => (&*compared, 0),
            };
            let planes = [0, plane].map(|more| Bound { buffer, from: from + more, bytes: Some(plane) });
            // Of labels that are only compared nothing is counted.
            let from = counts_at(blend.output.unwrap_or(0)) + ALIGNMENT;
            let counts = Bound { buffer: flags, from, bytes: Some(2 * ALIGNMENT) };
            let buffers = [below, above, planes[0], planes[1], counts];
            pipelines.bind(&gpu.device, Kernel::Labels, &uniforms.buffer, &buffers)
        });
        let groups = [(pixels as u32).div_ceil(256), 1, 1];
        let bound = bound.clone();
        self.dispatches.push(Dispatch { kernel: Kernel::Labels, bound, uniform, groups });
    }

    /// Counts of each class the pixels that have its label in what was made last without an output, and not in `output`.
    pub fn count_removed(&mut self, output: usize, region: Region) {
        let pixels = region.pixels();
        let uniform = self.uniforms.push(&[pixels as u32, 0, 0, 0]);
        let plane = plane_bytes(region.matrix);
        let Self { outcome, pipelines, uniforms, gpu, .. } = self;
        let Outcome { labels, compared, flags, bound, .. } = outcome;
        let bound = bound.entry(Key::Removed(output, plane)).or_insert_with(|| {
            let without = Bound { buffer: compared, from: 0, bytes: Some(plane) };
            let with = Bound { buffer: labels, from: output as u64 * 2 * plane, bytes: Some(plane) };
            let counts = Bound { buffer: flags, from: counts_at(output), bytes: Some(ALIGNMENT) };
            pipelines.bind(&gpu.device, Kernel::Removed, &uniforms.buffer, &[without, with, counts])
        });
        let groups = [(pixels as u32).div_ceil(256), 1, 1];
        let bound = bound.clone();
        self.dispatches.push(Dispatch { kernel: Kernel::Removed, bound, uniform, groups });
    }
}
