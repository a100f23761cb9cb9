//! What travels back of a slice: what the region branch says, labels, margins and counts; or, for who wants them, probabilities.

use std::sync::Arc;
use std::task::Poll;

use wgpu::{Buffer, BufferUsages};

use super::gpu::Gpu;
use super::labels::Region;
use super::network::{ANSWER_LEN, ATTENTION_AT, Network, Slot};
use super::outcome::{ALIGNMENT, counts_at, plane_bytes};
use super::reading::{Reading, State};
use super::weights::CLASS_PITCH;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Of how many results, of which pixels, and whether with margins.
    Labels(usize, Region, bool),
    /// Of this many pixels.
    Probabilities(usize),
}

impl Content {
    fn bytes(self) -> u64 {
        let answer = (ANSWER_LEN * size_of::<f32>()) as u64;
        match self {
            Self::Labels(results, region, margins) => {
                answer + counts_at(results) + (results * (1 + usize::from(margins)) * packed(region)) as u64
            }
            Self::Probabilities(pixels) => answer + ALIGNMENT + (pixels * CLASS_PITCH * size_of::<u32>()) as u64,
        }
    }
}

/// Bytes of the labels of a region, or of their margins, on their way.
fn packed(region: Region) -> usize {
    region.pixels().next_multiple_of(size_of::<u32>())
}

/// Something on its way to the host, and the memory that it arrives in, which is used again.
#[derive(Debug)]
pub struct Readback {
    staging: Option<Buffer>,
    content: Content,
    state: Arc<State>,
}

/// What came of a slice of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Of the whole matrix.
    pub labels: Vec<u8>,
    /// Likewise, where they were asked for.
    pub margin: Option<Vec<u8>>,
    /// Pixels of each class that attention takes away, if that was counted.
    pub removed: [u32; CLASS_COUNT],
    /// Pixels of each class but the background.
    pub pixels: [u32; CLASS_COUNT],
    /// Those of them in which it only just won.
    pub doubtful: [u32; CLASS_COUNT],
}

/// What came of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Region probabilities.
    pub regions: [f32; REGION_COUNT],
    /// z4.
    pub attention: [f32; ORGAN_COUNT],
    /// Whether a logit was not finite.
    pub broken: bool,
    /// Labels, and what was counted of them.
    pub results: Vec<Labelled>,
    /// `[34, pixels]`, or nothing.
    pub probabilities: Vec<f32>,
}

impl Default for Readback {
    fn default() -> Self {
        Self { staging: None, content: Content::Probabilities(0), state: Arc::default() }
    }
}

impl Network {
    /// Has results read that were recorded, with the region branch's answer of `slot`, once they are [submitted](Self::submit).
    pub fn read_labels(
        &mut self,
        readback: Readback,
        slot: &Slot,
        results: usize,
        region: Region,
        margins: bool,
    ) -> Readback {
        self.read(readback, slot, Content::Labels(results, region, margins))
    }

    /// Likewise the probabilities of `pixels` of the first of the two areas.
    pub fn read_probabilities(&mut self, readback: Readback, slot: &Slot, pixels: usize) -> Readback {
        self.read(readback, slot, Content::Probabilities(pixels))
    }

    fn read(&mut self, mut readback: Readback, slot: &Slot, content: Content) -> Readback {
        let gpu = self.gpu.clone();
        let bytes = content.bytes();
        let staging = readback
            .staging
            .take()
            .filter(|staging| staging.size() >= bytes)
            .unwrap_or_else(|| gpu.buffer("staging", bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST));
        let flags = self.outcome.flags.clone();
        let mut copies = vec![(slot.answer.clone(), 0, (ANSWER_LEN * size_of::<f32>()) as u64)];
        match content {
            Content::Labels(results, region, margins) => {
                copies.push((flags.clone(), 0, counts_at(results)));
                for plane in (0..2 * results).filter(|plane| margins || plane.is_multiple_of(2)) {
                    let from = plane as u64 * plane_bytes(region.matrix);
                    copies.push((self.outcome.labels.clone(), from, packed(region) as u64));
                }
            }
            Content::Probabilities(pixels) => {
                copies.push((flags.clone(), 0, ALIGNMENT));
                let bytes = (pixels * CLASS_PITCH * size_of::<u32>()) as u64;
                copies.push((self.outcome.probabilities[0].clone(), 0, bytes));
            }
        }
        let state = Arc::new(State::default());
        let readback = Readback { staging: Some(staging.clone()), content, state: state.clone() };
        let until = self.dispatches.len();
        self.readings.push(Reading { until, flags, copies, staging, bytes, state });
        readback
    }
}

impl Readback {
    /// Whether it has arrived, or never will. Natively this lets the device work on.
    pub fn is_over(&self, gpu: &Gpu) -> bool {
        if self.state.is_waiting() {
            // Fails where the device is gone; then the callback has been called, or the device is known to be lost.
            let _ = gpu.device.poll(wgpu::PollType::Poll);
        }
        !self.state.is_waiting() || gpu.is_lost()
    }

    /// Waits until it has: not in a browser.
    pub fn wait(&self, gpu: &Gpu) {
        while !self.is_over(gpu) {
            let _ = gpu.device.poll(wgpu::PollType::wait_indefinitely());
        }
    }

    /// Comes to an end when it has, in a browser, too.
    pub async fn arrival(&self, gpu: &Gpu) {
        std::future::poll_fn(|context| {
            self.state.wakes(context);
            // In a browser this does nothing, and the event loop goes on.
            let _ = gpu.device.poll(wgpu::PollType::wait_indefinitely());
            if self.is_over(gpu) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What arrived, and the memory for the next; `None` where the device is gone.
    pub fn take(self) -> Option<(Answer, Self)> {
        let Self { staging, content, state } = self;
        if !state.has_arrived() {
            return None;
        }
        let staging = staging?;
        let answer = {
            let view = staging.get_mapped_range(0..content.bytes()).ok()?;
            parse(&view, content)
        };
        staging.unmap();
        Some((answer, Self { staging: Some(staging), content, state: Arc::default() }))
    }
}

fn parse(bytes: &[u8], content: Content) -> Answer {
    let (head, rest) = bytes.split_at(ANSWER_LEN * size_of::<f32>());
    let (flags, rest) = rest.split_at(match content {
        Content::Labels(results, ..) => counts_at(results) as usize,
        Content::Probabilities(_) => ALIGNMENT as usize,
    });
    let number = |at: usize| f32::from_bits(word(head, at));
    let mut answer = Answer {
        regions: std::array::from_fn(number),
        attention: std::array::from_fn(|n| number(ATTENTION_AT + n)),
        broken: word(flags, 0) != 0,
        results: Vec::new(),
        probabilities: Vec::new(),
    };
    match content {
        Content::Labels(results, region, margins) => {
            let mut planes = rest.chunks_exact(packed(region));
            for n in 0..results {
                let counts = |which: usize| {
                    let from = &flags[counts_at(n) as usize + which * ALIGNMENT as usize..];
                    std::array::from_fn(|class| word(from, class))
                };
                let mut plane = |around: u8| whole(planes.next().unwrap_or_default(), region, around);
                answer.results.push(Labelled {
                    labels: plane(0),
                    margin: margins.then(|| plane(u8::MAX)),
                    removed: counts(0),
                    pixels: counts(1),
                    doubtful: counts(2),
                });
            }
        }
        Content::Probabilities(pixels) => {
            answer.probabilities = vec![0.0; CLASS_COUNT * pixels];
            for class in 0..CLASS_COUNT {
                for (n, to) in answer.probabilities[class * pixels..][..pixels].iter_mut().enumerate() {
                    *to = f32::from_bits(word(rest, n * CLASS_PITCH + class));
                }
            }
        }
    }
    answer
}

/// A whole matrix, of which only a region was made.
fn whole(made: &[u8], region: Region, around: u8) -> Vec<u8> {
    let Region { matrix: [nx, ny], first: [x, y], size: [columns, rows] } = region;
    let mut whole = vec![around; nx * ny];
    for (row, made) in whole.chunks_exact_mut(nx.max(1)).skip(y).take(rows).zip(made.chunks_exact(columns)) {
        row[x..x + columns].copy_from_slice(made);
    }
    whole
}

/// A word of what arrived, little-endian as every GPU is.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(4 * at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |four| u32::from_le_bytes(*four))
}
