//! An engine without a network: slow, failing and deterministic by choice.
//!
//! It labels what is bright: a pixel whose centre-slice intensity is above a threshold gets the given organ. So the result
//! of a whole run is known in closed form, and the structure around an engine (order, progress, cancel, errors) can be
//! tested without a network.

use std::collections::VecDeque;
use std::time::Duration;

use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, Organ, OrganSet, REGION_COUNT};
use crate::infer::engine::{Engine, EngineError, SliceRequest, SliceResult, Ticket, Wait};
use crate::infer::prediction::{RawPrediction, SlicePrediction, TileSoftmax};
use crate::preprocess::InputConfig;

/// Probability of the organ where it is found.
const FOUND: f32 = 0.9;
/// And where it only just finds it.
const JUST_FOUND: f32 = 0.6;

/// An engine that labels what is bright.
#[derive(Debug)]
pub struct FakeEngine {
    /// How images are presented to it.
    pub input: InputConfig,
    /// The organ that it finds.
    pub organ: Organ,
    /// Intensity above which it finds it.
    pub threshold: f32,
    /// Polls without waiting that a slice takes.
    pub slow: u32,
    /// Time that a slice takes when waited for.
    pub delay: Duration,
    /// Slices that keep it busy.
    pub depth: usize,
    /// Slices of which the results lie ready together, where so many are asked for.
    pub at_once: usize,
    /// The slice that fails.
    pub fails_at: Option<usize>,
    /// The slice in which it only just finds it.
    pub unsure_at: Option<usize>,
    /// Slices in the order in which they were submitted.
    pub submitted: Vec<usize>,
    /// Attention vector that it gives.
    pub attention: [f32; ORGAN_COUNT],
    enabled: OrganSet,
    queue: VecDeque<(Ticket, RawPrediction, u32)>,
    kept: Option<RawPrediction>,
}

impl FakeEngine {
    /// A prompt engine that never fails.
    pub fn new(input: InputConfig, organ: Organ, threshold: f32) -> Self {
        Self {
            input,
            organ,
            threshold,
            slow: 0,
            delay: Duration::ZERO,
            depth: 1,
            at_once: 1,
            fails_at: None,
            unsure_at: None,
            submitted: Vec::new(),
            attention: [1.0; ORGAN_COUNT],
            enabled: OrganSet::ALL,
            queue: VecDeque::new(),
            kept: None,
        }
    }
}

impl Engine for FakeEngine {
    fn name(&self) -> String {
        "fake".into()
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn batch(&self) -> usize {
        self.depth.max(self.at_once)
    }

    fn has_result(&self) -> bool {
        self.at_once > 1 && !self.queue.is_empty()
    }

    fn set_enabled(&mut self, enabled: OrganSet) {
        self.enabled = enabled;
    }

    fn submit(&mut self, request: SliceRequest) -> Ticket {
        let ticket = Ticket(self.submitted.len() as u64);
        self.submitted.push(request.slice);
        let organ = usize::from(self.organ.label());
        let sure = if self.unsure_at == Some(request.slice) { JUST_FOUND } else { FOUND };
        let tiles = request
            .tiles
            .into_iter()
            .map(|tile| {
                let n = tile.place.within.pixels();
                let middle = self.input.stack / 2 * n;
                let mut values = vec![0.0; CLASS_COUNT * n];
                for (i, v) in tile.stack[middle..middle + n].iter().enumerate() {
                    // A tenth is left to the background: attention below a ninth takes the organ away.
                    let found = if *v > self.threshold { sure } else { 0.0 };
                    (values[i], values[organ * n + i]) = (1.0 - found, found);
                }
                TileSoftmax { place: tile.place, values }
            })
            .collect();
        let mut regions = [0.0; REGION_COUNT];
        regions[0] = 1.0;
        let raw =
            RawPrediction { slice: request.slice, tiles, attention: Some(self.attention), regions: Some(regions) };
        self.queue.push_back((ticket, raw, self.slow));
        ticket
    }

    fn poll(&mut self, wait: Wait) -> Option<SliceResult> {
        let (_, _, left) = self.queue.front_mut()?;
        if wait == Wait::No && *left > 0 {
            *left -= 1;
            return None;
        }
        #[cfg(not(target_family = "wasm"))]
        if wait == Wait::Yes && !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
        let (ticket, raw, _) = self.queue.pop_front()?;
        let slice = raw.slice;
        let outcome = if self.fails_at == Some(slice) {
            Err(EngineError::DeviceLost("fake".into()))
        } else {
            Ok(raw.finish(None, self.enabled))
        };
        self.kept = Some(raw);
        Some(SliceResult { ticket, slice, outcome, labels: Vec::new() })
    }

    fn reweight(&mut self, slice: usize, attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
        let raw = self.kept.as_ref().filter(|k| k.slice == slice)?;
        Some(raw.finish(Some(attention), self.enabled))
    }
}
