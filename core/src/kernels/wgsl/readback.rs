//! What travels back of a slice: what the region branch says, labels, margins and counts; or, for who wants them, probabilities.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use wgpu::{Buffer, BufferUsages, MapMode};

use super::gpu::Gpu;
use super::network::{ANSWER_LEN, ATTENTION_AT, Network, Slot};
use super::outcome::{ALIGNMENT, plane_bytes};
use super::weights::CLASS_PITCH;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};

const WAITING: u8 = 0;
const ARRIVED: u8 = 1;
const FAILED: u8 = 2;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Of how many results, and of which input matrix.
    Labels(usize, [usize; 2]),
    /// Of this many pixels.
    Probabilities(usize),
}

impl Content {
    fn bytes(self) -> u64 {
        let head = (ANSWER_LEN * size_of::<f32>()) as u64 + ALIGNMENT;
        match self {
            Self::Labels(results, input) => head + results as u64 * (ALIGNMENT + 2 * plane_bytes(input)),
            Self::Probabilities(pixels) => head + (pixels * CLASS_PITCH * size_of::<u32>()) as u64,
        }
    }
}

/// How far a reading is, and who waits for it.
#[derive(Debug, Default)]
struct State {
    is: AtomicU8,
    waiting: Mutex<Option<Waker>>,
}

impl State {
    fn is(&self) -> u8 {
        self.is.load(Ordering::Acquire)
    }

    fn becomes(&self, state: u8) {
        self.is.store(state, Ordering::Release);
        if let Some(waker) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

/// Something on its way to the host, and the memory that it arrives in, which is used again.
#[derive(Debug)]
pub struct Readback {
    staging: Option<Buffer>,
    content: Content,
    state: Arc<State>,
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
    /// Of each result the labels, the margins, and how many pixels of each class were counted as removed.
    pub results: Vec<(Vec<u8>, Vec<u8>, [u32; CLASS_COUNT])>,
    /// `[34, pixels]`, or nothing.
    pub probabilities: Vec<f32>,
}

impl Default for Readback {
    fn default() -> Self {
        Self { staging: None, content: Content::Probabilities(0), state: Arc::default() }
    }
}

impl Network {
    /// Submits what is recorded and has results read, each with the region branch's answer of `slot`.
    pub fn read_labels(&mut self, readback: Readback, slot: &Slot, results: usize, input: [usize; 2]) -> Readback {
        self.read(readback, slot, Content::Labels(results, input))
    }

    /// Submits what is recorded and has the probabilities of `pixels` of the first of the two areas read.
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
        self.uniforms.flush(&gpu);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.clear_buffer(&self.outcome.flags, 0, None);
        self.pipelines.encode(&mut encoder, &self.dispatches);
        self.dispatches.clear();
        let mut at = 0;
        let mut copy = |from: &Buffer, bytes: u64| {
            encoder.copy_buffer_to_buffer(from, 0, &staging, at, bytes);
            at += bytes;
        };
        copy(&slot.answer, (ANSWER_LEN * size_of::<f32>()) as u64);
        match content {
            Content::Labels(results, input) => {
                copy(&self.outcome.flags, (1 + results as u64) * ALIGNMENT);
                copy(&self.outcome.labels, results as u64 * 2 * plane_bytes(input));
            }
            Content::Probabilities(pixels) => {
                copy(&self.outcome.flags, ALIGNMENT);
                copy(&self.outcome.probabilities[0], (pixels * CLASS_PITCH * size_of::<u32>()) as u64);
            }
        }
        gpu.queue.submit([encoder.finish()]);
        let state = Arc::new(State::default());
        let told = state.clone();
        staging.map_async(MapMode::Read, 0..bytes, move |outcome| {
            told.becomes(if outcome.is_ok() { ARRIVED } else { FAILED });
        });
        Readback { staging: Some(staging), content, state }
    }
}

impl Readback {
    /// Whether it has arrived, or never will. Natively this lets the device work on.
    pub fn is_over(&self, gpu: &Gpu) -> bool {
        if self.state.is() == WAITING {
            // Fails where the device is gone; then the callback has been called, or the device is known to be lost.
            let _ = gpu.device.poll(wgpu::PollType::Poll);
        }
        self.state.is() != WAITING || gpu.is_lost()
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
            *self.state.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
            // In a browser this does nothing, and the event loop goes on.
            let _ = gpu.device.poll(wgpu::PollType::wait_indefinitely());
            if self.is_over(gpu) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// What arrived, and the memory for the next; `None` where the device is gone.
    pub fn take(self) -> Option<(Answer, Self)> {
        let Self { staging, content, state } = self;
        if state.is() != ARRIVED {
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
        Content::Labels(results, _) => (1 + results) * ALIGNMENT as usize,
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
        Content::Labels(results, input) => {
            let (plane, area) = (plane_bytes(input) as usize, input[0] * input[1]);
            for (n, planes) in rest.chunks_exact(2 * plane).take(results).enumerate() {
                let counts = &flags[(1 + n) * ALIGNMENT as usize..];
                let counts = std::array::from_fn(|class| word(counts, class));
                answer.results.push((planes[..area].to_vec(), planes[plane..][..area].to_vec(), counts));
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

/// A word of what arrived, little-endian as every GPU is.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(4 * at..).and_then(|rest| rest.first_chunk::<4>()).map_or(0, |four| u32::from_le_bytes(*four))
}
