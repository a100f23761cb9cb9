//! Streaming over a volume: which slice is next, what is emitted when, progress and cancel.
//!
//! A state machine without a thread of its own. Whoever has nothing else to do calls [`VolumeRun::advance`] in a loop;
//! whoever asks the engine other things in between calls [`VolumeRun::feed`], polls the engine and hands the results that
//! the run [owns](VolumeRun::owns) to [`VolumeRun::accept`]. The slice on screen comes first, then its neighbours
//! outwards, also when another slice comes on screen later ([`VolumeRun::focus`]). After a cancel no slice starts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::doubt::Doubt;
use super::engine::{
    Engine, EngineError, LabelOutput, LabelRequest, SliceLabels, SliceResult, Ticket, VolumeSlice, Wait,
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
    /// The slice to begin with (canonical k), for which somebody waits; the middle of the volume where `None`, and nobody waits for one.
    pub first: Option<usize>,
    /// Set from anywhere to cancel.
    pub cancel: Arc<AtomicBool>,
    /// Also say of every slice how sure the labels are and what attention took away.
    pub explain: bool,
    /// Also say of every slice how sure its organs are, which costs next to nothing; included in `explain`.
    pub doubt: bool,
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
        /// What was asked for by [`RunOptions::explain`].
        explanation: Option<Explanation>,
        /// What was asked for by [`RunOptions::doubt`] or [`RunOptions::explain`].
        doubt: Option<Box<Doubt>>,
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
    doubt: bool,
    /// Whether nobody waits for a certain slice.
    as_a_whole: bool,
    /// The slice that somebody waits for, until it is done: it gets a GPU alone.
    awaited: Option<usize>,
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
            doubt: options.doubt,
            as_a_whole: false,
            awaited: None,
            over: false,
        };
        run.begin_at(options.first.unwrap_or(depth / 2));
        run.awaited = options.first;
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

    /// From now on slices come outwards from `slice`, for which somebody waits; what is under way is not touched.
    pub fn focus(&mut self, slice: usize) {
        self.begin_at(slice);
        self.awaited = Some(slice);
    }

    fn begin_at(&mut self, slice: usize) {
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

    /// Submits what the engine has room for: slices one by one while one of them is waited for, else as many at once as suits it.
    pub fn feed(&mut self, engine: &mut dyn Engine) -> Vec<Message> {
        let mut messages = Vec::new();
        while !self.over && !self.cancel.load(Ordering::Relaxed) {
            let waits = !self.as_a_whole && self.awaited.is_some_and(|slice| self.done.get(slice) == Some(&false));
            let together = engine.together();
            let depth = match self.as_a_whole || (together > 1 && !waits) {
                true => engine.batch(),
                false => engine.depth(),
            };
            let room = depth.saturating_sub(self.in_flight.len()).min(self.order.len());
            let count = match (together, waits) {
                (..=1, _) => room,
                (_, true) => room.min(1),
                (_, false) if room < together.min(self.order.len()) => 0,
                (_, false) => together.min(room),
            };
            if count == 0 {
                break;
            }
            let next: Vec<usize> = self.order.drain(..count).collect();
            let (seen, empty): (Vec<_>, Vec<_>) =
                next.into_iter().map(|k| (k, VolumeSlice::of(&self.slices, k))).partition(|(_, seen)| seen.is_some());
            if !empty.is_empty() {
                self.take(empty.into_iter().map(|(k, _)| Predicted::empty(k)).collect(), &mut messages);
            }
            let mut wanted: Vec<VolumeSlice> = Vec::with_capacity(seen.len());
            for mut slice in seen.into_iter().filter_map(|(_, slice)| slice) {
                let before: Vec<usize> = wanted.iter().map(|before| before.slice).collect();
                slice.labels = engine.makes_labels().then(|| self.wanted(slice.slice, &before));
                wanted.push(slice);
            }
            let slices: Vec<usize> = wanted.iter().map(|slice| slice.slice).collect();
            self.in_flight.extend(engine.submit_slices(&self.slices, wanted).into_iter().zip(slices));
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
    /// submitted before, or are to be `before` it.
    fn wanted(&self, k: usize, before: &[usize]) -> LabelRequest {
        let known = |slice: usize| {
            let submitted = || self.in_flight.values().chain(before).any(|&other| other == slice);
            slice == k || self.ready.contains_key(&slice) || submitted()
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
        for SliceLabels { slice, labels, margin, doubt, removed } in labels {
            if !std::mem::replace(&mut self.done[slice], true) {
                self.done_count += 1;
                emitted = true;
                let explanation = margin.filter(|_| self.explain).map(|margin| Explanation { margin, removed });
                let doubt = (self.explain || self.doubt).then_some(doubt);
                messages.push(Message::SliceDone { slice, labels, explanation, doubt });
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
        let reduced = map(complete, |(slice, below, above, weight)| (slice, self.reduce(slice, below, above, weight)));
        let emitted = !reduced.is_empty();
        for (slice, message) in reduced {
            self.done[slice] = true;
            self.done_count += 1;
            messages.push(message);
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

    fn reduce(&self, slice: usize, below: &Predicted, above: &Predicted, weight: f32) -> Message {
        let grid = self.slices.grid();
        let over = Some((&above.own, weight));
        if !self.explain && !self.doubt {
            let labels = reduce::labels(grid, &below.own, over);
            return Message::SliceDone { slice, labels, explanation: None, doubt: None };
        }
        let (labels, margin) = match self.explain {
            true => reduce::labels_and_margin(grid, &below.own, over),
            false => reduce::labels_and_organ_margin(grid, &below.own, over),
        };
        let doubt = Some(Box::new(Doubt::of(&labels, &margin)));
        let explanation = self.explain.then(|| {
            fn without(ready: &Predicted) -> &SlicePrediction {
                ready.without_attention.as_ref().unwrap_or(&ready.own)
            }
            let attention = below.without_attention.is_some() || above.without_attention.is_some();
            let removed = attention
                .then(|| removed(&reduce::labels(grid, without(below), Some((without(above), weight))), &labels));
            Explanation { margin, removed }
        });
        Message::SliceDone { slice, labels, explanation, doubt }
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
