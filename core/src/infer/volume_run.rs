//! Streaming over a volume: which slice is next, what is emitted when, progress and cancel.
//!
//! A state machine without a thread of its own. Whoever has nothing else to do calls [`VolumeRun::advance`] in a loop;
//! whoever asks the engine other things in between calls [`VolumeRun::feed`], polls the engine and hands the results that
//! the run [owns](VolumeRun::owns) to [`VolumeRun::accept`]. The slice on screen comes first, then its neighbours
//! outwards, also when another slice comes on screen later ([`VolumeRun::focus`]). After a cancel no slice starts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{Engine, EngineError, SliceRequest, SliceResult, Ticket, Tile, Wait};
use super::prediction::SlicePrediction;
use super::record::SliceAnatomy;
use super::reduce;
use crate::anatomy::{ORGAN_COUNT, Organ, REGION_COUNT};
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
    /// Voxels of each organ that there would be with all attention at 1 and are not; `None` for a plain U-Net.
    pub removed: Option<[u32; ORGAN_COUNT]>,
}

/// A prediction that neighbours may still need.
struct Ready {
    own: SlicePrediction,
    /// With all attention at 1, where an explanation is asked for and the network has attention.
    without_attention: Option<SlicePrediction>,
}

/// A run over a volume.
pub struct VolumeRun {
    slices: Arc<ModelSlices>,
    centres: Centres,
    order: VecDeque<usize>,
    /// Own requests under way. An engine may still hold results of a run that was given up; they are not ours.
    in_flight: BTreeMap<Ticket, usize>,
    ready: BTreeMap<usize, Ready>,
    done: Vec<bool>,
    done_count: usize,
    cancel: Arc<AtomicBool>,
    explain: bool,
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
            done: vec![false; depth],
            done_count: 0,
            cancel: options.cancel.clone(),
            explain: options.explain,
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

    /// Slices that are under way come again: for another engine in place of the one that had them.
    pub fn restart_in_flight(&mut self) {
        for slice in std::mem::take(&mut self.in_flight).into_values() {
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

    /// Submits what the engine has room for and takes at most one result. Call until [`VolumeRun::is_over`].
    pub fn advance(&mut self, engine: &mut dyn Engine, wait: Wait) -> Vec<Message> {
        let mut messages = self.feed(engine);
        if !self.in_flight.is_empty()
            && let Some(result) = engine.poll(wait)
        {
            messages.extend(self.accept(engine, result));
        }
        messages
    }

    /// Submits what the engine has room for.
    pub fn feed(&mut self, engine: &mut dyn Engine) -> Vec<Message> {
        let mut messages = Vec::new();
        while !self.over && !self.cancel.load(Ordering::Relaxed) && self.in_flight.len() < engine.depth() {
            let Some(k) = self.order.pop_front() else { break };
            match request(&self.slices, k) {
                Some(request) => {
                    self.in_flight.insert(engine.submit(request), k);
                }
                None => self.take(Ready { own: empty(k), without_attention: None }, &mut messages),
            }
        }
        self.settle(&mut messages);
        messages
    }

    /// Takes a result; one that is not this run's changes nothing.
    pub fn accept(&mut self, engine: &mut dyn Engine, result: SliceResult) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.over || self.in_flight.remove(&result.ticket).is_none() {
            return messages;
        }
        match result.outcome {
            Ok(own) => {
                messages.push(Message::Anatomy(self.anatomy(&own)));
                let explain = self.explain && own.attention.is_some();
                let without_attention = if explain { engine.reweight(own.slice, &[1.0; ORGAN_COUNT]) } else { None };
                self.take(Ready { own, without_attention }, &mut messages);
                self.settle(&mut messages);
            }
            Err(error) => {
                self.over = true;
                messages.push(Message::Failed(error));
            }
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

    /// Keeps a prediction, emits every slice that it completes, and forgets predictions that nothing waits for.
    fn take(&mut self, ready: Ready, messages: &mut Vec<Message>) {
        let k = ready.own.slice;
        self.ready.insert(k, ready);
        let mut emitted = false;
        for slice in self.centres.served_by(k) {
            if self.done[slice] {
                continue;
            }
            let blend = self.centres.blend(slice);
            let (Some(below), Some(above)) = (self.ready.get(&blend.below), self.ready.get(&blend.above)) else {
                continue;
            };
            let (labels, explanation) = self.reduce(below, above, blend.weight_above);
            self.done[slice] = true;
            self.done_count += 1;
            emitted = true;
            messages.push(Message::SliceDone { slice, labels, explanation });
        }
        if emitted {
            messages.push(Message::Progress { done: self.done_count, total: self.done.len() });
        }
        let (centres, done) = (&self.centres, &self.done);
        self.ready.retain(|&k, _| centres.served_by(k).any(|slice| !done[slice]));
    }

    fn reduce(&self, below: &Ready, above: &Ready, weight: f32) -> (Vec<u8>, Option<Explanation>) {
        let grid = self.slices.grid();
        let over = Some((&above.own, weight));
        if !self.explain {
            return (reduce::labels(grid, &below.own, over), None);
        }
        let (labels, margin) = reduce::labels_and_margin(grid, &below.own, over);
        let attention = below.without_attention.is_some() || above.without_attention.is_some();
        let removed = attention.then(|| {
            fn without(ready: &Ready) -> &SlicePrediction {
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
    slices.body().extent(k)?;
    let tile = |origin: [i64; 2]| Tile { origin, stack: slices.stack(k, origin) };
    let tiles: Vec<Tile> = slices.origins(k).into_iter().map(tile).collect();
    let centre = (tiles.len() > 1).then(|| tile(slices.centre_origin(k)));
    Some(SliceRequest { slice: k, tiles, centre })
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
mod tests {
    use super::*;
    use crate::anatomy::Organ;
    use crate::infer::FakeEngine;
    use crate::preprocess::InputConfig;
    use crate::volume::{CtVolume, Geometry, Modality, Volume};

    fn input() -> InputConfig {
        InputConfig { crop: 64, ..InputConfig::light() }
    }

    /// A body with a bright rod on the patient's left, running through all slices but the lowest `empty`.
    fn ct(slices: usize, spacing: [f64; 3], empty: usize) -> Arc<CtVolume> {
        let n = (180.0 / spacing[0]) as usize;
        let geometry = Geometry::axial([n, n, slices], spacing, [-90.0, -90.0, 0.0]).unwrap();
        let mut voxels = Vec::new();
        for k in 0..slices {
            for y in 0..n {
                for x in 0..n {
                    let mm = |v: usize| v as f64 * spacing[0] - 90.0;
                    let body = mm(x).hypot(mm(y)) < 70.0 && k >= empty;
                    let rod = (mm(x) - 30.0).abs() < 15.0 && (mm(y) + 20.0).abs() < 9.0;
                    voxels.push(if !body {
                        -1000
                    } else if rod {
                        600
                    } else {
                        0
                    });
                }
            }
        }
        Arc::new(Volume::from_stored(geometry, voxels, Modality::Ct).unwrap())
    }

    fn engine() -> FakeEngine {
        // Between the intensities of 0 and of 600 HU.
        let middle = (input().intensity(0.0) + input().intensity(600.0)) / 2.0;
        FakeEngine::new(input(), Organ::Liver, middle)
    }

    fn run(ct: &Arc<CtVolume>, engine: &mut FakeEngine, options: &RunOptions, wait: Wait) -> Vec<Message> {
        let mut run = VolumeRun::new(ModelSlices::new(ct.clone(), &input()).unwrap(), options);
        let mut messages = Vec::new();
        for _ in 0..100_000 {
            if run.is_over() {
                return messages;
            }
            messages.extend(run.advance(engine, wait));
        }
        panic!("the run does not end");
    }

    #[test]
    fn the_asked_slice_comes_first_then_outwards_and_all_come_once() {
        let ct = ct(9, [3.0, 3.0, 3.0], 0);
        let mut engine = engine();
        let messages = run(&ct, &mut engine, &RunOptions { first: Some(6), ..Default::default() }, Wait::Yes);
        assert_eq!(engine.submitted, [6, 7, 5, 8, 4, 3, 2, 1, 0]);
        let mut seen: Vec<usize> = messages
            .iter()
            .filter_map(|m| if let Message::SliceDone { slice, .. } = m { Some(*slice) } else { None })
            .collect();
        assert_eq!(seen[0], 6);
        seen.sort_unstable();
        assert_eq!(seen, (0..9).collect::<Vec<_>>());
        assert!(matches!(messages.last(), Some(Message::Finished)));
        assert!(messages.iter().any(|m| matches!(m, Message::Progress { done: 9, total: 9 })));
    }

    #[test]
    fn labels_lie_where_the_rod_is_left_on_the_left_on_thick_and_thin_slices() {
        for spacing in [[3.0, 3.0, 3.0], [1.0, 1.0, 1.0], [0.9, 0.9, 0.7], [4.0, 4.0, 5.0]] {
            let ct = ct(14, spacing, 0);
            let (mut count, mut sum) = (0.0, [0.0; 2]);
            for message in run(&ct, &mut engine(), &RunOptions::default(), Wait::Yes) {
                if let Message::SliceDone { slice, labels, .. } = message {
                    let nx = ct.geometry.size[0];
                    for (n, _) in labels.iter().enumerate().filter(|(_, l)| **l == Organ::Liver.label()) {
                        let p = ct.geometry.to_patient([(n % nx) as f64, (n / nx) as f64, slice as f64]);
                        count += spacing[0] * spacing[1];
                        sum[0] += p[0] * spacing[0] * spacing[1];
                        sum[1] += p[1] * spacing[0] * spacing[1];
                    }
                }
            }
            let (x, y, area) = (sum[0] / count, sum[1] / count, count / 14.0);
            assert!((x - 30.0).abs() < 1.6 && (y + 20.0).abs() < 1.6, "{spacing:?}: centroid {x:.1} {y:.1} mm");
            assert!((area / 540.0 - 1.0).abs() < 0.25, "{spacing:?}: {area:.0} of 540 mm2");
        }
    }

    #[test]
    fn thin_slices_are_run_every_third_and_still_all_labelled() {
        let ct = ct(10, [3.0, 3.0, 1.0], 0);
        let mut engine = engine();
        let messages = run(&ct, &mut engine, &RunOptions::default(), Wait::Yes);
        let mut run = engine.submitted.clone();
        run.sort_unstable();
        assert_eq!(run, [0, 3, 6, 9]);
        assert_eq!(messages.iter().filter(|m| matches!(m, Message::SliceDone { .. })).count(), 10);
        assert_eq!(messages.iter().filter(|m| matches!(m, Message::Anatomy(_))).count(), 4);
    }

    #[test]
    fn after_a_cancel_no_slice_starts() {
        let ct = ct(20, [3.0, 3.0, 3.0], 0);
        let options = RunOptions::default();
        let mut engine = engine();
        let mut run = VolumeRun::new(ModelSlices::new(ct, &input()).unwrap(), &options);
        for _ in 0..5 {
            run.advance(&mut engine, Wait::Yes);
        }
        options.cancel.store(true, Ordering::Relaxed);
        let started = engine.submitted.len();
        let mut last = Vec::new();
        while !run.is_over() {
            last = run.advance(&mut engine, Wait::Yes);
        }
        assert_eq!(engine.submitted.len(), started);
        assert!(matches!(last.last(), Some(Message::Cancelled)));
    }

    #[test]
    fn a_slow_engine_never_blocks_a_caller_that_does_not_wait() {
        let ct = ct(4, [3.0, 3.0, 3.0], 0);
        let mut engine = engine();
        engine.slow = 50;
        let mut run = VolumeRun::new(ModelSlices::new(ct, &input()).unwrap(), &RunOptions::default());
        let empty = (0..40).filter(|_| run.advance(&mut engine, Wait::No).is_empty()).count();
        assert_eq!(empty, 40, "forty frames pass while the first slice is computed");
        let mut messages = Vec::new();
        while !run.is_over() {
            messages.extend(run.advance(&mut engine, Wait::No));
        }
        assert!(matches!(messages.last(), Some(Message::Finished)));
    }

    #[test]
    fn a_failing_device_ends_the_run_with_what_was_done() {
        let ct = ct(8, [3.0, 3.0, 3.0], 0);
        let mut engine = engine();
        engine.fails_at = Some(2);
        let messages = run(&ct, &mut engine, &RunOptions { first: Some(4), ..Default::default() }, Wait::Yes);
        assert!(matches!(messages.last(), Some(Message::Failed(EngineError::DeviceLost(_)))));
        assert!(messages.iter().filter(|m| matches!(m, Message::SliceDone { .. })).count() >= 3);
    }

    #[test]
    fn results_of_a_run_that_was_given_up_never_reach_the_next_patient() {
        let mut engine = engine();
        engine.depth = 2;
        let bright = ct(8, [3.0, 3.0, 3.0], 0);
        let mut given_up = VolumeRun::new(ModelSlices::new(bright, &input()).unwrap(), &RunOptions::default());
        given_up.advance(&mut engine, Wait::Yes);
        drop(given_up);
        // The next patient has no rod at all.
        let mut plain = Volume::clone(&ct(8, [3.0, 3.0, 3.0], 0));
        plain.voxels.iter_mut().for_each(|v| *v = (*v).min(0));
        let messages = run(&Arc::new(plain), &mut engine, &RunOptions::default(), Wait::Yes);
        assert!(matches!(messages.last(), Some(Message::Finished)));
        for message in messages {
            if let Message::SliceDone { labels, .. } = message {
                assert!(labels.iter().all(|&l| l == 0));
            }
        }
    }

    #[test]
    fn slices_without_a_body_are_background_and_never_computed() {
        let ct = ct(12, [3.0, 3.0, 3.0], 5);
        let mut engine = engine();
        let messages = run(&ct, &mut engine, &RunOptions::default(), Wait::Yes);
        assert!(engine.submitted.iter().all(|&k| k >= 5) && engine.submitted.len() == 7);
        for message in messages {
            if let Message::SliceDone { slice, labels, .. } = message {
                assert_eq!(labels.contains(&30), slice >= 5);
            }
        }
    }

    #[test]
    fn a_slice_that_comes_on_screen_comes_next_and_then_outwards_from_it() {
        let ct = ct(12, [3.0, 3.0, 3.0], 0);
        let mut engine = engine();
        let slices = ModelSlices::new(ct, &input()).unwrap();
        let mut run = VolumeRun::new(slices, &RunOptions { first: Some(2), ..Default::default() });
        for _ in 0..3 {
            run.advance(&mut engine, Wait::Yes);
        }
        run.focus(10);
        while !run.is_over() {
            run.advance(&mut engine, Wait::Yes);
        }
        assert_eq!(engine.submitted, [2, 3, 1, 10, 11, 9, 8, 7, 6, 5, 4, 0]);
    }

    #[test]
    fn an_explanation_gives_the_margin_and_what_attention_took_away() {
        for spacing in [[3.0, 3.0, 3.0], [3.0, 3.0, 1.0]] {
            let ct = ct(7, spacing, 0);
            let liver = Organ::Liver.index();
            let explained = |attention: f32| {
                let mut engine = engine();
                engine.attention[liver] = attention;
                let options = RunOptions { explain: true, ..Default::default() };
                let messages = run(&ct, &mut engine, &options, Wait::Yes);
                let of = |m| match m {
                    Message::SliceDone { slice, labels, explanation } => Some((slice, (labels, explanation.unwrap()))),
                    _ => None,
                };
                messages.into_iter().filter_map(of).collect::<BTreeMap<_, _>>()
            };
            let (open, shut) = (explained(1.0), explained(0.01));
            assert_eq!((open.len(), shut.len()), (7, 7));
            for (k, (labels, explanation)) in &open {
                let area = labels.iter().filter(|&&l| l == Organ::Liver.label()).count() as u32;
                assert!(area > 20);
                assert_eq!(explanation.removed, Some([0; ORGAN_COUNT]));
                // In the rod 0.9 against 0.1, far from it 1 against 0.
                let middle = labels.iter().zip(&explanation.margin).filter(|(l, _)| **l != 0).map(|(_, m)| *m).max();
                assert_eq!((middle, explanation.margin[0]), (Some(204), 255));
                let (without, explanation) = &shut[k];
                assert!(without.iter().all(|&l| l == 0));
                assert_eq!(explanation.removed.unwrap()[liver], area);
                assert_eq!(explanation.removed.unwrap().iter().sum::<u32>(), area);
            }
        }
    }

    #[test]
    fn another_engine_takes_over_what_the_first_had_under_way() {
        let ct = ct(6, [3.0, 3.0, 3.0], 0);
        let (mut first, mut second) = (engine(), engine());
        first.depth = 2;
        let mut run = VolumeRun::new(
            ModelSlices::new(ct, &input()).unwrap(),
            &RunOptions { first: Some(0), ..Default::default() },
        );
        run.advance(&mut first, Wait::Yes);
        run.advance(&mut first, Wait::Yes);
        assert_eq!(first.submitted, [0, 1, 2]);
        run.restart_in_flight();
        run.focus(0);
        while !run.is_over() {
            run.advance(&mut second, Wait::Yes);
        }
        assert_eq!(second.submitted, [2, 3, 4, 5]);
    }
}
