//! A network on a GPU: weights, the buffers of its maps, and the dispatches that compute a tile.
//!
//! Maps share buffers by liveness, as on the processor. Behind the maps that a buffer holds for the present box lie, for each map
//! that is ever in it and that a 3x3 kernel or the region branch reads, air's maps of the whole field: computed once, before the
//! first box that is not the whole field.

use std::sync::Arc;

use attention_anatomy_shaders::network::{Kernel, Tiles};
use wgpu::{BindGroup, Buffer};

use super::gpu::{Gpu, GpuError, MOST_BYTES};
use super::outcome::Outcome;
use super::pipelines::{Bound, Dispatch, Pipelines};
use super::reading::Reading;
use super::steps::{Airs, Build, GpuStep, PackedShape, Source, Work, vectors};
use super::tuning::Choice;
use super::uniforms::Uniforms;
use super::volume::Volume;
use super::weights::{LANES, pack, pack_region};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};
use crate::kernels::parameters::Parameters;
use crate::kernels::plan::layout::{Flow, Layout, Operation, Place};
use crate::kernels::plan::region::AttentionLine;
use crate::kernels::plan::window::{Span, Windows};

/// Room for parts of sums, and for what is moved within a buffer.
const LEAST_SCRATCH: u64 = 1 << 20;
/// Numbers of `Layer` before its sources, and of a `Source`, in `layer.wgsl`.
pub(super) const LAYER_WORDS: usize = 12;
pub(super) const SOURCE_WORDS: usize = 12;
/// Numbers of an [`Answer`](super::Answer) on the device: regions, attention from 8 on, weights of the classes from 64 on.
pub(super) const ANSWER_LEN: usize = 128;
pub(super) const ATTENTION_AT: usize = 8;
pub(super) const CLASS_WEIGHTS_AT: usize = 64;

/// A box within the field: columns and rows, and where they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First column and row.
    pub offset: [usize; 2],
    /// Columns and rows.
    pub size: [usize; 2],
}

impl Window {
    /// The whole field.
    pub fn whole(field: usize) -> Self {
        Self { offset: [0; 2], size: [field; 2] }
    }
}

/// What a tile shows.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// `[S, rows, columns]` of a box.
    Stack(&'a [f32]),
    /// The slice for which a volume was [prepared](Network::prepare), in the field that begins at this model pixel.
    Volume(&'a Volume, [i64; 2]),
}

/// Memory for what a tile leaves: the decoder's last maps, and what the region branch says.
#[derive(Debug)]
pub struct Slot {
    pub(super) maps: Buffer,
    pub(super) answer: Buffer,
    last: BindGroup,
    region: Option<BindGroup>,
    /// Tells slots apart.
    pub(super) number: usize,
}

/// A folded network on a GPU.
#[derive(Debug)]
pub struct Network {
    pub(super) gpu: Gpu,
    pub(super) pipelines: Arc<Pipelines>,
    pub(super) uniforms: Uniforms,
    pub(super) dispatches: Vec<Dispatch>,
    /// What is read after some of them.
    pub(super) readings: Vec<Reading>,
    /// Submissions so far.
    pub(super) submissions: u64,
    pub(super) outcome: Outcome,
    pub(super) steps: Vec<GpuStep>,
    pub(super) places: Vec<Place>,
    buffers: Vec<Buffer>,
    /// Where the input goes, and where air's input is.
    pub(super) input: (usize, Option<u64>),
    /// What the steps read and write of all maps that there are, and the first and the last of these.
    flows: Vec<Flow>,
    maps: Vec<Place>,
    ends: [usize; 2],
    pub(super) input_bound: BindGroup,
    pub(super) planes: Buffer,
    scratch: Buffer,
    field: usize,
    /// Bytes of four numbers of a map.
    vector: u64,
    /// Of each map what is computed of it.
    pub(super) windows: Vec<Window>,
    air: f32,
    air_is_known: bool,
    slots: usize,
    bytes: u64,
}

impl Network {
    /// A network for fields of `field` pixels a side, in which air has the intensity `air`. `parameters` are the
    /// tensors of the folded network in PyTorch's names and layout; `line` gives scale z4 + offset in place of the attention z4 of each organ.
    ///
    /// # Errors
    /// [`GpuError::Network`] for one that is not laid out as this program's are, or where a buffer would be larger than devices
    /// promise; [`GpuError::Refused`] where the driver refuses something.
    pub fn compile(
        gpu: &Gpu,
        parameters: &Parameters,
        line: Option<AttentionLine>,
        field: usize,
        air: f32,
    ) -> Result<Self, GpuError> {
        let layout = Layout::new(parameters, line).map_err(|e| GpuError::Network(e.to_string()))?;
        Self::new(gpu, &layout, field, air)
    }

    fn new(gpu: &Gpu, layout: &Layout, field: usize, air: f32) -> Result<Self, GpuError> {
        let vector = LANES as u64 * gpu.stored().bytes();
        let airs = Airs::of(layout, field, vector);
        let tile_bytes = u64::from(Tiles::SQUARE.pixels * Tiles::SQUARE.outputs) * 4;
        let scratch_bytes = LEAST_SCRATCH.max(u64::from(gpu.tuning().busy()) * tile_bytes);
        if let Some(bytes) = airs.bytes.iter().copied().find(|&bytes| bytes > MOST_BYTES) {
            return Err(GpuError::Network(format!("one of its buffers would have {} MB", bytes >> 20)));
        }
        let pipelines = gpu.pipelines.clone();
        let uniforms = Uniforms::new(gpu);
        let buffers: Vec<Buffer> = airs.bytes.iter().map(|&bytes| gpu.storage("maps", bytes)).collect();
        let scratch = gpu.storage("parts", scratch_bytes);
        let stack = layout.places[layout.input].channels;
        let planes_bytes = (stack * field * field * size_of::<f32>()) as u64;
        let planes = gpu.storage("input", planes_bytes);
        let [from, to] = [&planes, &buffers[layout.input]].map(Bound::from);
        let input_bound = pipelines.bind(&gpu.device, Kernel::Input, &uniforms.buffer, &[from, to]);
        let mut bytes = airs.bytes.iter().sum::<u64>() + scratch_bytes + planes_bytes;
        let build = Build { gpu, pipelines: &pipelines, uniforms: &uniforms, buffers: &buffers, scratch: &scratch };
        let last = layout.steps.iter().rposition(|step| step.output == layout.output).unwrap_or(0);
        let steps = layout.steps.iter().enumerate().map(|(n, step)| {
            let work = match &step.work {
                Operation::Sum(sum) => {
                    let packed = pack(sum);
                    bytes += packed.values.len() as u64 * gpu.stored().bytes();
                    build.sum(step, sum, packed, &airs, n == last)
                }
                Operation::Region(region) => Work::Region {
                    weights: gpu.upload("region", &pack_region(region)),
                    width: region.width(),
                    air: airs.at[step.flow.output].unwrap_or(0),
                },
            };
            let residual = step.residual.zip(step.flow.residual).map(|(place, map)| Source {
                place,
                map,
                kernel: 1,
                stride: 1,
                air: airs.at[map].unwrap_or(0),
            });
            let air = airs.at[step.flow.output];
            GpuStep { name: step.name.clone(), work, residual, output: step.output, map: step.flow.output, air }
        });
        let steps = steps.collect();
        let outcome = Outcome::new(gpu, layout, field);
        let network = Self {
            gpu: gpu.clone(),
            pipelines,
            uniforms,
            dispatches: Vec::new(),
            readings: Vec::new(),
            submissions: 0,
            outcome,
            steps,
            places: layout.places.clone(),
            buffers,
            input: (layout.input, airs.at[layout.ends[0]]),
            flows: layout.steps.iter().map(|step| step.flow.clone()).collect(),
            maps: layout.maps.clone(),
            ends: layout.ends,
            input_bound,
            planes,
            scratch,
            field,
            vector,
            windows: Vec::new(),
            air,
            air_is_known: false,
            slots: 0,
            bytes,
        };
        network.gpu.refused().map_or(Ok(network), Err)
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Side of the field.
    pub fn field(&self) -> usize {
        self.field
    }

    /// Bytes on the device, slots included.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.outcome.bytes()
    }

    /// Whether the network has a region branch.
    pub fn has_region(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.work, Work::Region { .. }))
    }

    /// Memory for one more tile.
    pub fn slot(&mut self) -> Slot {
        let last = self.steps.iter().rev().find_map(|step| match &step.work {
            Work::Sum { bound: None, weights, sources, .. } => Some((step, weights, sources)),
            _ => None,
        });
        let c4 = last.map_or(1, |(step, ..)| self.places[step.output].channels.div_ceil(LANES));
        let size = (self.field * self.field * c4) as u64 * self.vector;
        let maps = self.gpu.storage("last maps", size);
        // Until a region branch says more, all classes weigh the same.
        let mut blank = [0.0; ANSWER_LEN];
        blank[CLASS_WEIGHTS_AT..][..CLASS_COUNT].fill(1.0);
        let answer = self.gpu.upload("answer", &blank);
        let build = Build {
            gpu: &self.gpu,
            pipelines: &self.pipelines,
            uniforms: &self.uniforms,
            buffers: &self.buffers,
            scratch: &self.scratch,
        };
        let last = match last {
            Some((step, weights, sources)) => {
                build.bind(weights, sources, step.residual.as_ref().map(|residual| residual.place), &maps)
            }
            None => build.bind(&maps, &[], None, &answer),
        };
        let region = self.steps.iter().find_map(|step| match &step.work {
            Work::Region { weights, .. } => {
                let bound = [weights, &self.buffers[step.output], &answer].map(Bound::from);
                Some(self.pipelines.bind(&self.gpu.device, Kernel::Region, &self.uniforms.buffer, &bound))
            }
            Work::Sum { .. } => None,
        });
        self.slots += 1;
        self.bytes += size;
        Slot { maps, answer, last, region, number: self.slots }
    }

    /// Where the input goes.
    pub(super) fn input_buffer(&self) -> &Buffer {
        &self.buffers[self.input.0]
    }

    /// Computes a tile, a box of what is `shown`, into `slot`: all of it, or the region branch alone. `region` says whether the slot's
    /// answer is this tile's.
    ///
    /// # Panics
    /// When the stack does not have the box's size.
    pub fn tile(&mut self, shown: Shown<'_>, window: Window, slot: &Slot, region: bool, maps: bool) {
        if window != Window::whole(self.field) && !self.air_is_known {
            self.find_air(slot);
        }
        self.windows = self.windows_of(window);
        match shown {
            Shown::Stack(stack) => {
                // It is brought to the device before all that is submitted with it.
                self.submit();
                self.record_input(stack, window);
            }
            Shown::Volume(volume, origin) => {
                if self.uniforms.is_half_full() {
                    self.submit();
                }
                self.record_stack(volume, origin, window);
            }
        }
        let until = self.steps.iter().position(|step| matches!(step.work, Work::Region { .. }));
        let end = if maps { self.steps.len() } else { until.map_or(0, |n| n + 1) };
        for n in 0..end {
            if region || !matches!(self.steps[n].work, Work::Region { .. }) {
                self.record(n, slot);
            }
        }
    }

    /// Of each map what is computed when all but a window of the field is air.
    pub(super) fn windows_of(&self, window: Window) -> Vec<Window> {
        let [[x, y], [width, height]] = [window.offset, window.size];
        let within = Span { first: [y, x], end: [y + height, x + width] };
        let windows = Windows::new(self.flows.iter(), &self.maps, self.ends, [self.field; 2], within);
        let of = |map: usize| {
            let span = windows.computed(map);
            let turned = |[rows, columns]: [usize; 2]| [columns, rows];
            Window { offset: turned(span.first), size: turned(span.size()) }
        };
        (0..self.maps.len()).map(of).collect()
    }

    /// Air's maps of the whole field, each behind the maps that stand in its buffer.
    fn find_air(&mut self, slot: &Slot) {
        self.submit();
        let stack = self.places[self.input.0].channels;
        let window = Window::whole(self.field);
        self.windows = self.windows_of(window);
        self.record_input(&vec![self.air; stack * self.field * self.field], window);
        let mut copies = vec![(self.dispatches.len(), self.input.0, self.input.1)];
        let end = self.steps.iter().rposition(|step| step.air.is_some()).map_or(0, |n| n + 1);
        for n in 0..end {
            if matches!(self.steps[n].work, Work::Sum { .. }) {
                self.record(n, slot);
                copies.push((self.dispatches.len(), self.steps[n].output, self.steps[n].air));
            }
        }
        self.uniforms.flush(&self.gpu);
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut from = 0;
        for (until, place, air) in copies {
            self.pipelines.encode(&mut encoder, &self.dispatches[from..until]);
            from = until;
            if let Some(at) = air {
                let bytes = vectors(self.places[place], self.field) * self.vector;
                // Within one buffer a copy needs another one between: the scratch of split sums, or several times it.
                let step = self.scratch.size().min(bytes);
                let mut done = 0;
                while done < bytes {
                    let count = step.min(bytes - done);
                    encoder.copy_buffer_to_buffer(&self.buffers[place], done, &self.scratch, 0, count);
                    encoder.copy_buffer_to_buffer(
                        &self.scratch,
                        0,
                        &self.buffers[place],
                        at * self.vector + done,
                        count,
                    );
                    done += count;
                }
            }
        }
        self.dispatches.clear();
        self.gpu.queue.submit([encoder.finish()]);
        self.air_is_known = true;
    }

    /// What a kernel is told of a map that it reads.
    fn source_words(&self, source: &Source) -> [usize; SOURCE_WORDS] {
        let Place { level, channels } = self.places[source.place];
        let Window { offset, size } = self.windows[source.map];
        let field = self.field >> level;
        [
            channels.div_ceil(LANES),
            size[0],
            size[1],
            source.kernel,
            source.stride,
            source.air as usize,
            field,
            field,
            offset[0],
            offset[1],
            0,
            0,
        ]
    }

    /// The dispatches of a step.
    pub(super) fn record(&mut self, n: usize, slot: &Slot) {
        let GpuStep { work, residual, output, map, .. } = &self.steps[n];
        match work {
            Work::Region { width, air, .. } => {
                let Place { level, channels } = self.places[*output];
                let here = self.windows[*map];
                let field = self.field >> level;
                let words = [
                    here.size[0],
                    here.size[1],
                    here.offset[0],
                    here.offset[1],
                    field,
                    field,
                    *air as usize * LANES,
                    channels,
                    *width,
                    REGION_COUNT,
                    ORGAN_COUNT,
                    0,
                ];
                let uniform = self.uniforms.push(&words.map(|n| n as u32));
                let Some(bound) = slot.region.clone() else { return };
                self.dispatches.push(Dispatch { kernel: Kernel::Region, bound, uniform, groups: [1, 1, 1] });
            }
            Work::Sum { packed, sources, relu, transposed, bound, .. } => {
                let PackedShape { n4, out_c4, chunks, bias_row } = *packed;
                // Sums are counted on the output's grid, of a transposed convolution on the input's.
                let corners = if *transposed { 2 } else { 1 };
                let [offset, grid] =
                    [self.windows[*map].offset, self.windows[*map].size].map(|v| v.map(|n| n / corners));
                let pixels = grid[0] * grid[1];
                let simple = !transposed && sources.iter().all(|source| source.stride == 1);
                let choice = self.gpu.tuning().choose(pixels as u32, (n4 * LANES) as u32, chunks as u32, simple);
                let Choice { kernel, parts: count } = choice;
                let flags = usize::from(*relu) | usize::from(residual.is_some()) << 1 | usize::from(*transposed) << 2;
                let per_part = chunks.div_ceil(count as usize);
                let mut words = [0; LAYER_WORDS + 4 * SOURCE_WORDS];
                let head = [
                    grid[0],
                    pixels,
                    n4,
                    out_c4,
                    chunks,
                    per_part,
                    count as usize,
                    flags,
                    sources.len(),
                    bias_row,
                    offset[0],
                    offset[1],
                ];
                words[..LAYER_WORDS].copy_from_slice(&head);
                let places = sources.iter().enumerate().chain(residual.iter().map(|residual| (3, residual)));
                for (place, source) in places {
                    let to = &mut words[LAYER_WORDS + place * SOURCE_WORDS..][..SOURCE_WORDS];
                    to.copy_from_slice(&self.source_words(source));
                }
                let uniform = self.uniforms.push(&words.map(|n| n as u32));
                let bound = bound.as_ref().unwrap_or(&slot.last).clone();
                let groups = choice.groups(grid, n4, 1).map(|n| n as u32);
                self.dispatches.push(Dispatch { kernel, bound: bound.clone(), uniform, groups });
                if count > 1 {
                    let groups = [((pixels * n4) as u32).div_ceil(64), 1, 1];
                    self.dispatches.push(Dispatch { kernel: Kernel::AddParts, bound, uniform, groups });
                }
            }
        }
    }
}
