//! A CT on a GPU: each of its slices goes up once, as i16, is brought to the model grid there, and stays for the stacks that it is in.
//!
//! Not the CT itself is kept (512 x 512 x 600 voxels are more than WebGPU's default lets a buffer have), but slices of the model grid, as
//! many as there is room for: of that CT all of them at 3 mm. Where a device's promises do not suffice for one stack, there is no
//! [`Room`], and the host prepares what the network sees.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Weak};

use attention_anatomy_shaders::network::{Kernel, MOST_RESAMPLED};
use wgpu::{BindGroup, Buffer};

use super::gpu::{Gpu, MOST_BYTES};
use super::pipelines::{Bound, Pipelines, STRIDE};
use super::uniforms::{MOST, Uniforms};
use crate::preprocess::{AIR_HU, InPlaneFilter, InputConfig, ModelGrid, ModelSlices};

/// What is kept of the model grid, unless a stack needs more.
const KEPT_BYTES: u64 = 64 << 20;
/// What slices that go up together take on their way.
const BATCH_BYTES: u64 = 8 << 20;

/// Sizes of what a volume takes on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Slices of the model grid that are kept.
    places: usize,
    /// Slices that go up together.
    batch: usize,
    /// Bytes of the slices that are kept, of those on their way, and of these half way.
    buffers: [u64; 3],
}

impl Room {
    /// For volumes on a grid; `None` where it is more than every device promises, or where air is not at an end of what the curve tells
    /// apart.
    pub fn of(grid: &ModelGrid, config: &InputConfig) -> Option<Self> {
        let [low, high] = config.hu_range();
        let distance = config.slice_distance_mm.map_or(1.0, |mm| (mm / grid.slice_mm).max(1.0));
        // A slab has a part of a slice at either end.
        let of_a_stack = config.stack * (distance.ceil() as usize + 2);
        let slice = (grid.pixels() * size_of::<f32>()) as u64;
        let row = grid.input_size[0].div_ceil(2);
        let [up, half_way] = [row * grid.input_size[1] * size_of::<u32>(), row * grid.size[1] * 2 * size_of::<f32>()];
        let [up, half_way] = [up, half_way].map(|bytes| bytes as u64);
        let places = ((KEPT_BYTES / slice) as usize).max(of_a_stack).min(grid.slices);
        let batch = ((BATCH_BYTES / up.max(half_way)) as usize).clamp(1, MOST_RESAMPLED as usize).min(places.max(1));
        let buffers = [places as u64 * slice, batch as u64 * up, batch as u64 * half_way];
        // Words of the parts of a stack, which are told with each of up to four tiles.
        let parts = (config.stack + 1 + 2 * of_a_stack) * size_of::<u32>();
        let fits = low <= AIR_HU && AIR_HU < high && buffers.iter().all(|&bytes| bytes <= MOST_BYTES);
        (fits && 16 * parts as u64 <= MOST as u64 * STRIDE).then_some(Self { places, batch, buffers })
    }

    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().sum()
    }
}

/// A volume's slices on a device.
#[derive(Debug)]
pub struct Volume {
    of: Weak<ModelSlices>,
    room: Room,
    config: InputConfig,
    grid: ModelGrid,
    /// Input pixels that a model pixel is made of at most, across and down.
    taps: [usize; 2],
    /// What goes up.
    up: Buffer,
    /// The words of it that a submission has taken so far, and which one.
    taken: (u64, usize),
    /// Of each channel of the stack that is prepared where its parts begin, and these.
    parts: Vec<u32>,
    /// Slices that are there and their places, those used last at the back.
    held: VecDeque<(usize, usize)>,
    pub(super) down: BindGroup,
    pub(super) across: BindGroup,
    pub(super) stack: BindGroup,
}

impl Volume {
    /// Of slices of which nothing is on the device yet; the stacks go `to` a buffer of maps. `None` where there is no [`Room`].
    pub(super) fn new(
        gpu: &Gpu,
        pipelines: &Pipelines,
        uniforms: &Uniforms,
        to: &Buffer,
        slices: &Arc<ModelSlices>,
    ) -> Option<Self> {
        let (grid, config) = (slices.grid().clone(), slices.config().clone());
        let room = Room::of(&grid, &config)?;
        let [kept, up, half_way] = room.buffers;
        let [kept, up, half_way] =
            [("slices", kept), ("CT", up), ("half way", half_way)].map(|(l, b)| gpu.storage(l, b));
        let curve: Vec<f32> = config.hu_knots.iter().flatten().map(|&number| number as f32).collect();
        let curve = gpu.upload("intensity curve", &curve);
        let [(across, most_across), (down, most_down)] = [0, 1].map(|axis| table(gpu, slices.filter(), axis));
        let bind = |kernel, buffers: &[&Buffer]| {
            let buffers: Vec<Bound<'_>> = buffers.iter().map(|&buffer| buffer.into()).collect();
            pipelines.bind(&gpu.device, kernel, &uniforms.buffer, &buffers)
        };
        Some(Self {
            of: Arc::downgrade(slices),
            taps: [most_across, most_down],
            taken: (0, 0),
            parts: Vec::new(),
            held: VecDeque::new(),
            down: bind(Kernel::ResampleDown, &[&down, &up, &half_way]),
            across: bind(Kernel::ResampleAcross, &[&across, &half_way, &kept]),
            stack: bind(Kernel::Stack, &[&kept, &uniforms.buffer, &curve, to]),
            room,
            config,
            grid,
            up,
        })
    }

    /// Whether it is of these slices.
    pub fn is_of(&self, slices: &Arc<ModelSlices>) -> bool {
        self.of.ptr_eq(&Arc::downgrade(slices))
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        self.room.bytes()
    }

    /// Model pixels in columns and rows.
    pub(super) fn size(&self) -> [usize; 2] {
        self.grid.size
    }

    /// Knots of the intensity curve.
    pub(super) fn knots(&self) -> usize {
        self.config.hu_knots.len()
    }

    /// What `stack.wgsl` is told of the stack that was claimed last.
    pub(super) fn parts(&self) -> &[u32] {
        &self.parts
    }

    /// Slices that go up together.
    pub(super) fn batch(&self) -> usize {
        self.room.batch
    }

    /// Which slices make the stack around slice `k`; those that are not there yet, each with the place that it has to come to before.
    pub(super) fn claim(&mut self, slices: &ModelSlices, k: usize) -> Vec<(usize, usize)> {
        let half = (self.config.stack / 2) as isize;
        // What is counted from air need not be there where it is nothing else.
        let channels: Vec<Vec<(usize, f32)>> = (-half..=half)
            .map(|offset| slices.stack_weights(k, offset))
            .map(|weights| weights.into_iter().filter(|(slice, _)| slices.body().bounds(*slice).is_some()).collect())
            .collect();
        let mut needed: Vec<usize> = channels.iter().flatten().map(|(slice, _)| *slice).collect();
        needed.sort_unstable();
        needed.dedup();
        // First those that stay, so that none of them has to go.
        let (there, missing): (Vec<usize>, Vec<usize>) =
            needed.into_iter().partition(|&slice| self.place(slice).is_some());
        for slice in there {
            if let Some(at) = self.held.iter().position(|(held, _)| *held == slice) {
                let held = self.held.remove(at);
                self.held.extend(held);
            }
        }
        let mut claimed = Vec::with_capacity(missing.len());
        for slice in missing {
            let free = if self.held.len() < self.room.places { None } else { self.held.pop_front() };
            let place = free.map_or(self.held.len(), |(_, place)| place);
            self.held.push_back((slice, place));
            claimed.push((slice, place));
        }
        let mut words = std::mem::take(&mut self.parts);
        words.clear();
        let mut begin = channels.len() + 1;
        for channel in &channels {
            words.push(begin as u32);
            begin += 2 * channel.len();
        }
        words.push(begin as u32);
        for &(slice, weight) in channels.iter().flatten() {
            words.extend([self.place(slice).unwrap_or(0) as u32, weight.to_bits()]);
        }
        self.parts = words;
        claimed
    }

    fn place(&self, slice: usize) -> Option<usize> {
        self.held.iter().find(|(held, _)| *held == slice).map(|(_, place)| *place)
    }

    /// The part of some slices that goes up: `None` where there is nothing of a body in them.
    pub(super) fn sending(&self, slices: &ModelSlices, claimed: &[(usize, usize)]) -> Option<Sending> {
        let bounds = claimed.iter().filter_map(|(slice, _)| slices.body().bounds(*slice));
        let hull = |a: [Range<usize>; 2], b: [Range<usize>; 2]| {
            [0, 1].map(|n| a[n].start.min(b[n].start)..a[n].end.max(b[n].end))
        };
        let region = bounds.reduce(hull)?;
        let pitch = region[0].len().div_ceil(2);
        let words = pitch * region[1].len() * claimed.len();
        Some(Sending { region, pitch, words })
    }

    /// Whether it can go up with what went up for a submission before.
    pub(super) fn has_room(&self, sending: &Sending, submission: u64) -> bool {
        self.taken(submission) + sending.words <= self.up.size() as usize / size_of::<u32>()
    }

    fn taken(&self, submission: u64) -> usize {
        if self.taken.0 == submission { self.taken.1 } else { 0 }
    }

    /// Has slices go up with the next submission: what `resample.wgsl` is told of them, and the columns of words that they have.
    pub(super) fn send(
        &mut self,
        gpu: &Gpu,
        slices: &ModelSlices,
        claimed: &[(usize, usize)],
        Sending { region, pitch, words: count }: &Sending,
        submission: u64,
    ) -> ([u32; 12 + MOST_RESAMPLED as usize], usize) {
        let begin = self.taken(submission);
        self.taken = (submission, begin + count);
        let word = size_of::<u32>();
        let size = wgpu::BufferSize::new((count * word) as u64);
        // Where there is no memory for it the device says so, and no answer of it counts.
        if let Some(mut view) = size.and_then(|size| gpu.queue.write_buffer_with(&self.up, (begin * word) as u64, size))
        {
            let area = count * word / claimed.len();
            for (n, (slice, _)) in claimed.iter().enumerate() {
                let mut to = view.slice(n * area..(n + 1) * area);
                slices.masked(*slice, region, 2 * pitch, |at, hu| {
                    let hu: &[u8] = bytemuck::cast_slice(hu);
                    let at = at * size_of::<i16>();
                    to.slice(at..at + hu.len()).copy_from_slice(hu);
                });
            }
        }
        let [low, high] = self.config.hu_range().map(f32::to_bits);
        let [width, height] = self.grid.size;
        let [across, down] = self.taps;
        let [columns, rows] = [0, 1].map(|axis| region[axis].len());
        let sizes = [columns, rows, region[0].start, region[1].start, *pitch, width, height, across, down, begin];
        let mut words = [0; 12 + MOST_RESAMPLED as usize];
        words[..10].copy_from_slice(&sizes.map(|n| n as u32));
        words[10..12].copy_from_slice(&[low, high]);
        for (word, (_, place)) in words[12..].iter_mut().zip(claimed) {
            *word = *place as u32;
        }
        (words, *pitch)
    }
}

/// The part of some slices that goes up: columns and rows of the input, the words of a row, and of all of it.
#[derive(Debug)]
pub(super) struct Sending {
    region: [Range<usize>; 2],
    pitch: usize,
    words: usize,
}

/// The weights along an axis for `resample.wgsl`, and how many a model pixel has.
fn table(gpu: &Gpu, filter: &InPlaneFilter, axis: usize) -> (Buffer, usize) {
    let most = filter.weights(axis).map(|(_, weights)| weights.len()).max().unwrap_or(0);
    let mut words: Vec<u32> = filter.weights(axis).map(|(first, _)| first as u32).collect();
    for (_, weights) in filter.weights(axis) {
        words.extend(weights.iter().map(|weight| weight.to_bits()));
        words.resize(words.len() + most - weights.len(), 0);
    }
    let buffer = gpu.storage("weights of the filter", size_of_val(&words[..]) as u64);
    gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
    (buffer, most)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::Device;

    use super::super::tests::gpu;
    use super::super::{Network, Tuning};
    use super::*;
    use crate::network::{NetworkConfig, pytorch};
    use crate::volume::{Geometry, Modality, Volume as Voxels};

    fn room(matrix: usize, spacing: f64, slices: usize, slice_mm: f64, config: &InputConfig) -> Option<Room> {
        let geometry = Geometry::axial([matrix, matrix, slices], [spacing, spacing, slice_mm], [0.0; 3]).unwrap();
        Room::of(&ModelGrid::new(&geometry, config).unwrap(), config)
    }

    #[test]
    fn large_scans_fit_and_what_no_device_promises_is_refused() {
        let light = InputConfig::light();
        let usual = room(512, 0.977, 600, 1.0, &light).unwrap();
        assert!(usual.places == 600 && usual.bytes() < 100 << 20, "{usual:?}");
        // As many as a stack needs, however thin they are, and no more than there are.
        let thin = room(512, 0.977, 4000, 0.1, &light).unwrap();
        assert!(thin.places >= 5 * 31 && thin.buffers[0] <= MOST_BYTES, "{thin:?}");
        assert_eq!(room(512, 0.977, 3, 1.0, &light).unwrap().places, 3);
        for config in [InputConfig::fine(), InputConfig::paper()] {
            let room = room(512, 0.977, 600, 0.6, &config).unwrap();
            assert!(room.places >= 5 && room.bytes() < 200 << 20, "{room:?}");
        }
        assert_eq!(room(512, 0.977, 4000, 0.01, &light), None);
        assert_eq!(room(4096, 0.2, 100, 1.0, &InputConfig::paper()), None);
        // What is left out of a box is air, which the curve must not lift.
        let lifted = InputConfig { hu_knots: vec![[-500.0, 0.0], [500.0, 1.0]], ..light };
        assert_eq!(room(512, 0.977, 600, 1.0, &lifted), None);
    }
    #[test]
    fn slices_have_places_of_their_own_while_a_stack_needs_them_and_stay_as_long_as_there_is_room() {
        let Some(gpu) = gpu(Tuning::SOFTWARE, Kernel::source) else { return };
        let config = NetworkConfig { base: 4, levels: 3, stack: 5, attention: false };
        let bytes = pytorch::tensors(&config.init(&Device::flex()).fold()).unwrap();
        let network = Network::compile(&gpu, &bytes, None, 32, 0.0).unwrap();
        // The lowest five slices are empty.
        let geometry = Geometry::axial([24, 24, 60], [4.0, 4.0, 1.0], [0.0; 3]).unwrap();
        let voxel = |n: usize| {
            let [x, y] = [n % 24, n / 24 % 24].map(|v| v as f32 - 11.5);
            if n >= 5 * 24 * 24 && x.hypot(y) < 9.0 { 40 } else { -1000 }
        };
        let voxels = (0..60 * 24 * 24).map(voxel).collect();
        let ct = Arc::new(Voxels::from_stored(geometry, voxels, Modality::Ct).unwrap());
        let slices = Arc::new(ModelSlices::new(ct, &InputConfig { crop: 32, ..InputConfig::light() }).unwrap());
        let mut volume = network.volume(&slices).unwrap();
        assert!(volume.is_of(&slices));
        volume.room.places = 16;
        let mut there = BTreeMap::new();
        let mut sent = Vec::new();
        for k in [30, 33, 27, 36, 24, 59, 30, 0, 4] {
            for (slice, place) in volume.claim(&slices, k) {
                assert!((5..60).contains(&slice) && place < 16);
                there.insert(place, slice);
                sent.push(slice);
            }
            let needed = (-2..=2).flat_map(|n| slices.stack_weights(k, n)).filter(|(slice, _)| *slice >= 5);
            for (slice, _) in needed {
                assert_eq!(volume.place(slice).and_then(|place| there.get(&place)), Some(&slice));
            }
        }
        // Of the second stack only what the first did not have; slices that had to go come again.
        assert_eq!(sent[..15], (23..38).collect::<Vec<_>>());
        assert_eq!(sent[15..18], [38, 39, 40]);
        sent.sort_unstable();
        assert!(sent.windows(2).any(|pair| pair[0] == pair[1]));
    }
}
