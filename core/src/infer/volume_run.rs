//! Streaming over a volume: which slice is next, what is emitted when, progress and cancel.
//!
//! A state machine without a thread of its own. Whoever has nothing else to do calls [`VolumeRun::advance`] in a loop;
//! whoever asks the engine other things in between calls [`VolumeRun::feed`], polls the engine and hands the results that
//! the run [owns](VolumeRun::owns) to [`VolumeRun::accept`]. The slice on screen comes first, then its neighbours
//! outwards, also when another slice comes on screen later ([`VolumeRun::focus`]). After a cancel no slice starts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{
    Engine, EngineError, LabelOutput, LabelRequest, SliceLabels, SliceRequest, SliceResult, Ticket, VolumeSlice, Wait,
};
use super::prediction::SlicePrediction;
use super::record::SliceAnatomy;
use super::reduce;
use crate::anatomy::{ORGAN_COUNT, Organ, REGION_COUNT};
use crate::kernels::processor::map;
use crate::preprocess::{Centres, ModelSlices};

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The slice to begin with (canonical k); the middle of the volume where `None`.
    pub first: Option<usize>,
    /// Set from anywhere to cancel.
    pub cancel: Arc<AtomicBool>,
    /// Also say of every slice how sure the labels are and what attention took away.
    pub explain: bool,
    /// Also say of every slice how sure its organs are, which costs next to nothing; included in `explain`. Where no organ can be the
    /// margin may be 255, whatever it is.
    pub organ_margin: bool,
}

/// What a run says.
#[derive(Clone, Debug)]
pub enum Message {
    /// The labels of a slice, `[ny, nx]` in canonical order, are final.
    SliceDone {
        /// Canonical slice number.
        slice: usize,
        /// Labels 0..=33.
        labels: Vec<u8>,
        /// What was asked for by [`RunOptions::explain`] or [`RunOptions::organ_margin`].
        explanation: Option<Explanation>,
    },
    /// What the region branch says of a slice that was run.
    Anatomy(SliceAnatomy),
    /// Slices done and slices in all.
    Progress {
        /// Slices whose labels are final.
        done: usize,
        /// All slices.
        total: usize,
    },
    /// All slices are done.
    Finished,
    /// The run was cancelled; what was done stays valid.
    Cancelled,
    /// The run cannot go on; what was done stays valid.
    Failed(EngineError),
}

/// Why a slice has the labels that it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// How far ahead of the runner-up the winner is, 0 to 255 for 0 to 1, `[ny, nx]`.
    pub margin: Vec<u8>,
    /// Voxels of each organ that there would be with all attention at 1 and are not; `None` for a plain U-Net, and where that was not
    /// asked for.
    pub removed: Option<[u32; ORGAN_COUNT]>,
}

/// A prediction that neighbours may still need.
struct Predicted {
    own: SlicePrediction,
    /// With all attention at 1, where an explanation is asked for and the network has attention.
    without_attention: Option<SlicePrediction>,
    /// Whether its probabilities are left on the device.
    on_device: bool,
}

impl Predicted {
    /// A slice without a body.
    fn empty(slice: usize) -> Self {
        Self { own: empty(slice), without_attention: None, on_device: false }
    }
}

/// How often a slice is computed because labels did not come with it.
const TRIES: usize = 3;

/// A run over a volume.
pub struct VolumeRun {
    slices: Arc<ModelSlices>,
    centres: Centres,
    order: VecDeque<usize>,
    /// Own requests under way. An engine may still hold results of a run that was given up; they are not ours.
    in_flight: BTreeMap<Ticket, usize>,
    ready: BTreeMap<usize, Predicted>,
    /// Slices that were computed once more because labels did not come with them, and how often.
    again: BTreeMap<usize, usize>,
    done: Vec<bool>,
    done_count: usize,
    cancel: Arc<AtomicBool>,
    explain: bool,
    organ_margin: bool,
    /// Whether nobody waits for a certain slice.
    as_a_whole: bool,
    over: bool,
}

impl std::fmt::Debug for VolumeRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VolumeRun").field("done", &self.done_count).field("of", &self.done.len()).finish()
    }
}

impl VolumeRun {
    /// A run over all slices.
    pub fn new(slices: impl Into<Arc<ModelSlices>>, options: &RunOptions) -> Self {
        let slices = slices.into();
        let centres = slices.centres();
        let depth = slices.grid().slices;
        let mut run = Self {
            order: centres.run().iter().copied().collect(),
            slices,
            centres,
            in_flight: BTreeMap::new(),
            ready: BTreeMap::new(),
            again: BTreeMap::new(),
            done: vec![false; depth],
            done_count: 0,
            cancel: options.cancel.clone(),
            explain: options.explain,
            organ_margin: options.organ_margin,
            as_a_whole: false,
            over: false,
        };
        run.focus(options.first.unwrap_or(depth / 2));
        run
    }

    /// Whether the last message was said.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The slices and their preprocessing.
    pub fn slices(&self) -> &Arc<ModelSlices> {
        &self.slices
    }

    /// From now on slices come outwards from `slice`; what is under way is not touched.
    pub fn focus(&mut self, slice: usize) {
        let first = slice.min(self.done.len().saturating_sub(1));
        // By distance, the upper of two equally distant first.
        self.order.make_contiguous().sort_by_key(|&k| (k.abs_diff(first), k < first));
    }

    /// From now on nobody waits for a certain slice, only for all of them.
    pub fn want_as_a_whole(&mut self) {
        self.as_a_whole = true;
    }

    /// Slices that are under way come again: for another engine in place of the one that had them.
    pub fn restart_in_flight(&mut self) {
        // What the other one had left on its device is gone with it.
        let left = self.ready.iter().filter(|(_, ready)| ready.on_device).map(|(&slice, _)| slice);
        let lost: Vec<usize> = left.chain(std::mem::take(&mut self.in_flight).into_values()).collect();
        for slice in lost {
            self.ready.remove(&slice);
            self.order.push_front(slice);
        }
    }

    /// Slices that were submitted and are not back.
    pub fn under_way(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether a result is one of this run's.
    pub fn owns(&self, ticket: Ticket) -> bool {
        self.in_flight.contains_key(&ticket)
    }

    /// Submits what the engine has room for and takes a result, or all that lie ready where nobody waits for one. Call until [`VolumeRun::is_over`].
    pub fn advance(&mut self, engine: &mut dyn Engine, wait: Wait) -> Vec<Message> {
        let mut messages = self.feed(engine);
        if !self.in_flight.is_empty()
            && let Some(result) = engine.poll(wait)
        {
            let mut results = vec![result];
            while self.as_a_whole && engine.has_result() {
                results.extend(engine.poll(Wait::No));
            }
            messages.extend(self.accept_all(engine, results));
        }
        messages
    }

    /// Submits what the engine has room for.
    pub fn feed(&mut self, engine: &mut dyn Engine) -> Vec<Message> {
        let mut messages = Vec::new();
        let depth = if self.as_a_whole { engine.batch() } else { engine.depth() };
        while !self.over && !self.cancel.load(Ordering::Relaxed) && self.in_flight.len() < depth {
            let room = depth - self.in_flight.len();
            let next: Vec<usize> = self.order.drain(..room.min(self.order.len())).collect();
            if next.is_empty() {
                break;
            }
            if engine.prepares(&self.slices) {
                for k in next {
                    match VolumeSlice::of(&self.slices, k) {
                        Some(mut wanted) => {
                            wanted.labels = engine.makes_labels().then(|| self.wanted(k));
                            self.in_flight.insert(engine.submit_slice(&self.slices, wanted), k);
                        }
                        None => self.take(vec![Predicted::empty(k)], &mut messages),
                    }
                }
                continue;
            }
            for (k, request) in map(next, |k| (k, request(&self.slices, k))) {
                match request {
                    Some(mut request) => {
                        request.labels = engine.makes_labels().then(|| self.wanted(k));
                        self.in_flight.insert(engine.submit(request), k);
                    }
                    None => self.take(vec![Predicted::empty(k)], &mut messages),
                }
            }
        }
        self.settle(&mut messages);
        messages
    }

    /// Takes a result; one that is not this run's changes nothing.
    pub fn accept(&mut self, engine: &mut dyn Engine, result: SliceResult) -> Vec<Message> {
        self.accept_all(engine, vec![result])
    }

    fn accept_all(&mut self, engine: &mut dyn Engine, results: Vec<SliceResult>) -> Vec<Message> {
        let (mut messages, mut came) = (Vec::new(), Vec::new());
        let under_way = self.in_flight.len();
        for result in results {
            if self.over || self.in_flight.remove(&result.ticket).is_none() {
                continue;
            }
            match result.outcome {
                Ok(own) => {
                    messages.push(Message::Anatomy(self.anatomy(&own)));
                    if engine.makes_labels() {
                        self.take_labels(own, result.labels, &mut messages);
                        continue;
                    }
                    let explain = self.explain && own.attention.is_some();
                    let without_attention =
                        if explain { engine.reweight(own.slice, &[1.0; ORGAN_COUNT]) } else { None };
                    came.push(Predicted { own, without_attention, on_device: false });
                }
                Err(error) => {
                    self.take(std::mem::take(&mut came), &mut messages);
                    self.over = true;
                    messages.push(Message::Failed(error));
                }
            }
        }
        if self.in_flight.len() < under_way {
            self.take(came, &mut messages);
            self.settle(&mut messages);
        }
        messages
    }

    /// Says the last message when there is nothing left to wait for.
    fn settle(&mut self, messages: &mut Vec<Message>) {
        if self.over || !self.in_flight.is_empty() {
            return;
        }
        if self.done_count == self.done.len() {
            self.over = true;
            messages.push(Message::Finished);
        } else if self.cancel.load(Ordering::Relaxed) {
            self.over = true;
            messages.push(Message::Cancelled);
        }
    }

    fn anatomy(&self, prediction: &SlicePrediction) -> SliceAnatomy {
        SliceAnatomy {
            slice: prediction.slice,
            position_mm: self.slices.ct().geometry.slice_mm(prediction.slice),
            regions: prediction.regions.unwrap_or([0.0; REGION_COUNT]),
            attention: prediction.attention,
        }
    }

    /// The labels that can be made as soon as slice k is computed: those of itself and of its neighbours up to slices that were
    /// submitted before.
    fn wanted(&self, k: usize) -> LabelRequest {
        let known = |slice: usize| {
            slice == k || self.ready.contains_key(&slice) || self.in_flight.values().any(|&other| other == slice)
        };
        let left = self.centres.served_by(k).filter(|&slice| !self.done[slice]);
        let output = |slice: usize| {
            let blend = self.centres.blend(slice);
            (known(blend.below) && known(blend.above)).then(|| LabelOutput::of(&self.slices, slice, blend))
        };
        let outputs = left.filter_map(output).collect();
        LabelRequest { grid: self.slices.grid().clone(), outputs, explain: self.explain }
    }

    /// Keeps that slice k is on the device, and emits what came with it. Where something is missing, the neighbour that is no longer on
    /// the device comes again (or the slice itself, whose neighbour turned out to be empty after it was submitted).
    fn take_labels(&mut self, own: SlicePrediction, labels: Vec<SliceLabels>, messages: &mut Vec<Message>) {
        let k = own.slice;
        self.ready.insert(k, Predicted { own, without_attention: None, on_device: true });
        let mut emitted = false;
        for SliceLabels { slice, labels, margin, removed } in labels {
            if !std::mem::replace(&mut self.done[slice], true) {
                self.done_count += 1;
                emitted = true;
                let wanted = self.explain || self.organ_margin;
                let explanation = wanted.then_some(Explanation { margin, removed });
                messages.push(Message::SliceDone { slice, labels, explanation });
            }
        }
        if emitted {
            messages.push(Message::Progress { done: self.done_count, total: self.done.len() });
        }
        for slice in self.centres.served_by(k) {
            let blend = self.centres.blend(slice);
            let other = if blend.below == k { blend.above } else { blend.below };
            let ready = |slice: &usize| self.ready.get(slice);
            let Some((_, other)) = ready(&k).zip(ready(&other)).filter(|_| !self.done[slice]) else { continue };
            let missing = if other.on_device { other.own.slice } else { k };
            let tries = self.again.entry(missing).or_default();
            *tries += 1;
            if *tries > TRIES {
                self.over = true;
                let reason = "labels of its neighbours do not come with it".into();
                messages.push(Message::Failed(EngineError::BadAnswer { slice: missing, reason }));
                return;
            }
            self.ready.remove(&missing);
            self.order.push_front(missing);
        }
        self.forget();
    }

    /// Keeps predictions, emits every slice that they complete, and forgets predictions that nothing waits for.
    fn take(&mut self, came: Vec<Predicted>, messages: &mut Vec<Message>) {
        let mut served: Vec<usize> = Vec::new();
        for ready in came {
            let left = self.centres.served_by(ready.own.slice).filter(|slice| !self.done[*slice]);
            let fresh: Vec<usize> = left.filter(|slice| !served.contains(slice)).collect();
            served.extend(fresh);
            self.ready.insert(ready.own.slice, ready);
        }
        let (mut complete, mut later) = (Vec::new(), Vec::new());
        for slice in served {
            let blend = self.centres.blend(slice);
            let (Some(below), Some(above)) = (self.ready.get(&blend.below), self.ready.get(&blend.above)) else {
                continue;
            };
            if below.on_device || above.on_device {
                // An empty slice beside one that was computed before: that one brings the labels when it comes again.
                later.push(if below.on_device { blend.below } else { blend.above });
                continue;
            }
            complete.push((slice, below, above, blend.weight_above));
        }
        let reduced = map(complete, |(slice, below, above, weight)| (slice, self.reduce(below, above, weight)));
        let emitted = !reduced.is_empty();
        for (slice, (labels, explanation)) in reduced {
            self.done[slice] = true;
            self.done_count += 1;
            messages.push(Message::SliceDone { slice, labels, explanation });
        }
        if emitted {
            messages.push(Message::Progress { done: self.done_count, total: self.done.len() });
        }
        later.dedup();
        for slice in later {
            self.ready.remove(&slice);
            self.order.push_front(slice);
        }
        self.forget();
    }

    /// Forgets predictions that nothing waits for.
    fn forget(&mut self) {
        let (centres, done) = (&self.centres, &self.done);
        self.ready.retain(|&k, _| centres.served_by(k).any(|slice| !done[slice]));
    }

    fn reduce(&self, below: &Predicted, above: &Predicted, weight: f32) -> (Vec<u8>, Option<Explanation>) {
        let grid = self.slices.grid();
        let over = Some((&above.own, weight));
        if !self.explain {
            if !self.organ_margin {
                return (reduce::labels(grid, &below.own, over), None);
            }
            let (labels, margin) = reduce::labels_and_organ_margin(grid, &below.own, over);
            return (labels, Some(Explanation { margin, removed: None }));
        }
        let (labels, margin) = reduce::labels_and_margin(grid, &below.own, over);
        let attention = below.without_attention.is_some() || above.without_attention.is_some();
        let removed = attention.then(|| {
            fn without(ready: &Predicted) -> &SlicePrediction {
                ready.without_attention.as_ref().unwrap_or(&ready.own)
            }
            removed(&reduce::labels(grid, without(below), Some((without(above), weight))), &labels)
        });
        (labels, Some(Explanation { margin, removed }))
    }
}

/// Voxels of each organ that are there without attention and not with it.
fn removed(without: &[u8], with: &[u8]) -> [u32; ORGAN_COUNT] {
    let mut removed = [0; ORGAN_COUNT];
    for (&without, &with) in without.iter().zip(with) {
        if without != with
            && let Some(organ) = Organ::from_label(without)
        {
            removed[organ.index()] += 1;
        }
    }
    removed
}

/// The request for slice `k`; `None` where there is nothing to see: such a slice is background ([`empty`]), and the
/// network is not asked.
///
/// # Panics
/// When the volume has no slice `k`.
pub fn request(slices: &ModelSlices, k: usize) -> Option<SliceRequest> {
    Some(VolumeSlice::of(slices, k)?.fitted(slices))
}

/// The prediction for a slice without a body.
pub fn empty(slice: usize) -> SlicePrediction {
    SlicePrediction {
        slice,
        origin: [0, 0],
        size: [1, 1],
        classes: vec![0],
        probabilities: vec![1.0],
        attention: None,
        regions: None,
    }
}

#[cfg(test)]
mod tests;
