//! The network on the processor.
//!
//! Whoever waits for one slice gets all threads for it; where several slices are asked for, each thread takes one, which
//! spares the threads waiting for one another. The first slice after a pause always counts as one that somebody waits for. Who asks for
//! more slices than there are threads waits for none of them: then a thread takes several one after the other, because bodies differ, and
//! so does what a slice takes.
//!
//! The stack of a slice is prepared by the thread that computes it: a volume of thin slices takes a fifth of its time for that.
//!
//! What a slice's probabilities are made of is kept for the slices computed last, so that a what-if is answered at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};

use super::engine::{Engine, EngineError, SliceRequest, SliceResult, Ticket, VolumeSlice, Wait};
use super::prediction::{NEGLIGIBLE, RawPrediction, SlicePrediction, TileSoftmax, class_weights};
use super::tile::{Tile, TilePlace};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, OrganSet};
use crate::kernels::plan::{Air, Arena, Features, Plan, RegionAnswer};
use crate::kernels::processor::{Processor, Threads, available, map};
use crate::network::weights::WeightsError;
use crate::network::{AttentionAnatomy, Folded};
use crate::preprocess::{AIR_HU, InputConfig, ModelSlices};

/// Slices kept for what-if questions, those asked about last or computed last: 1.7 MB each with the shipped weights.
const KEPT: usize = 16;
/// Slices that are computed at once at most: each takes 15 MB with the shipped weights. Further threads help within slices.
const AT_ONCE: usize = 8;
/// Slices that each thread has before it where nobody waits for a certain one, and all of them at most: 5 MB each until they are fetched.
const EACH: usize = 4;
const BATCH: usize = 16;

/// An engine on the processor.
pub struct PlanEngine {
    plan: Plan,
    name: String,
    input: InputConfig,
    enabled: OrganSet,
    /// What lies around the box of a slice; nothing after a rest.
    air: Option<Arc<Air>>,
    /// Memory for one slice each, as many as were computed at once.
    arenas: Vec<Arena>,
    waiting: VecDeque<(Ticket, Asked)>,
    ready: VecDeque<FinishedSlice>,
    kept: VecDeque<Computed>,
    /// Memory of slices that are kept no longer.
    spare: Vec<Features>,
    /// Whether the next slice is the first after a pause.
    paused: bool,
    next: u64,
}

impl std::fmt::Debug for PlanEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanEngine").field("name", &self.name).field("waiting", &self.waiting.len()).finish()
    }
}

/// A slice that waits to be computed.
enum Asked {
    /// With its stack.
    Prepared(SliceRequest),
    /// Of a volume, as long as somebody has it.
    Of(Weak<ModelSlices>, VolumeSlice),
}

impl Asked {
    /// With its stack, which may have to be prepared here; `None` of a volume that nobody has any more.
    fn prepared(self) -> Option<SliceRequest> {
        match self {
            Self::Prepared(request) => Some(request),
            Self::Of(slices, wanted) => slices.upgrade().map(|slices| wanted.fitted(&slices)),
        }
    }

    fn tiles(&self) -> usize {
        match self {
            Self::Prepared(request) => request.tiles.len(),
            Self::Of(_, wanted) => wanted.tiles.len(),
        }
    }
}

/// What the network says of a slice, with nothing applied yet.
#[derive(Debug, Serialize, Deserialize)]
struct Computed {
    slice: usize,
    tiles: Vec<(TilePlace, Features)>,
    region: Option<RegionAnswer>,
    /// Its probabilities with all attention at 1, where somebody else has had the time for them; until they are asked for.
    without_attention: Option<SlicePrediction>,
}

/// A slice that waits to be fetched.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FinishedSlice {
    pub(super) ticket: Ticket,
    computed: Computed,
    /// The organs that its outcome was made for.
    enabled: OrganSet,
    outcome: Result<SlicePrediction, EngineError>,
}

/// What is the same for all slices.
#[derive(Clone, Copy)]
struct Context<'a> {
    plan: &'a Plan,
    enabled: OrganSet,
    processor: Processor,
}

impl PlanEngine {
    /// `network` as read from its weights file; `drawn` are the organs that may be labelled.
    ///
    /// # Errors
    /// [`WeightsError::Mismatch`] for a network that is not laid out as this program's are.
    pub fn new(
        network: AttentionAnatomy,
        input: InputConfig,
        enabled: OrganSet,
        name: String,
    ) -> Result<Self, WeightsError> {
        Self::of_folded(&Folded::of(network)?, input, enabled, name)
    }

    /// The same of a network that is folded.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_folded(
        network: &Folded,
        input: InputConfig,
        enabled: OrganSet,
        name: String,
    ) -> Result<Self, WeightsError> {
        let plan = Plan::compile(&network.parameters, network.line);
        let plan = plan.map_err(|e| WeightsError::Mismatch(e.to_string()))?;
        let mut engine = Self {
            plan,
            name,
            input,
            enabled,
            air: None,
            arenas: Vec::new(),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            kept: VecDeque::new(),
            spare: Vec::new(),
            paused: true,
            next: 0,
        };
        // Before somebody waits for a slice.
        engine.air = Some(engine.new_air());
        Ok(engine)
    }

    fn new_air(&self) -> Arc<Air> {
        let (processor, air) = (Processor::new(Threads::All), self.input.intensity(AIR_HU));
        Arc::new(processor.enter(|| self.plan.air([self.input.crop; 2], air, processor)))
    }

    /// What its network takes.
    pub(super) fn input(&self) -> &InputConfig {
        &self.input
    }

    fn context(&self, threads: Threads) -> Context<'_> {
        Context { plan: &self.plan, enabled: self.enabled, processor: Processor::new(threads) }
    }

    /// Computes what waits: the first slice alone after a pause, else as many as make a batch.
    fn compute(&mut self) {
        let at_once = match self.paused && self.waiting.len() <= self.depth() {
            true => 1,
            false if available() > AT_ONCE => AT_ONCE,
            false => self.batch(),
        };
        let count = at_once.min(self.waiting.len());
        self.paused = false;
        let air = self.air.take().unwrap_or_else(|| self.new_air());
        let mut spare = std::mem::take(&mut self.spare);
        let arenas = Mutex::new(std::mem::take(&mut self.arenas));
        let lock = || arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let asked: Vec<_> = self.waiting.drain(..count).collect();
        let jobs = asked.into_iter().enumerate().map(|(n, (ticket, asked))| {
            let spare = spare.split_off(spare.len().saturating_sub(asked.tiles()));
            (n, ticket, asked, spare)
        });
        let mut jobs: Vec<_> = jobs.collect();
        // Threads begin with equal parts of the list. Neighbours in time share slices of their stacks, on one side of the first one or on
        // the other: so each thread has every so many of them and not so many in a row.
        jobs.sort_by_key(|(n, ..)| (n % available(), *n));
        let context = self.context(if count >= available() { Threads::One } else { Threads::All });
        let ready = map(jobs, |(n, ticket, asked, spare)| {
            let request = asked.prepared()?;
            let mut arena = lock().pop().unwrap_or_else(|| context.plan.empty_arena());
            let computed = context.compute(request, &mut arena, &air, spare);
            lock().push(arena);
            let outcome = context.finish(&computed, None);
            Some((n, FinishedSlice { ticket, computed, enabled: context.enabled, outcome }))
        });
        let mut ready: Vec<_> = ready.into_iter().flatten().collect();
        ready.sort_by_key(|(n, _)| *n);
        self.ready.extend(ready.into_iter().map(|(_, finished)| finished));
        self.air = Some(air);
        self.arenas = arenas.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.spare = spare;
    }

    fn take(&mut self, asked: Asked) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.paused |= self.waiting.is_empty() && self.ready.is_empty();
        self.waiting.push_back((ticket, asked));
        ticket
    }

    fn keep(&mut self, computed: Computed) {
        let slice = computed.slice;
        let old = self.kept.iter().position(|k| k.slice == slice).and_then(|at| self.kept.remove(at));
        self.kept.push_back(computed);
        let old = old.or_else(|| if self.kept.len() > KEPT { self.kept.pop_front() } else { None });
        self.spare.extend(old.into_iter().flat_map(|old| old.tiles).map(|(_, features)| features));
        self.spare.truncate(self.batch());
    }
}

/// For several engines with the same weights that work as one.
impl PlanEngine {
    /// Whether nothing waits, to be computed or to be fetched.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_empty()
    }

    /// Whether a slice would be computed if one were asked for.
    pub(super) fn would_compute(&self) -> bool {
        self.ready.is_empty() && !self.waiting.is_empty()
    }

    /// Organs that may be labelled.
    pub(super) fn enabled(&self) -> OrganSet {
        self.enabled
    }

    /// Takes away a slice that waits, the next but so many.
    pub(super) fn hand_out(&mut self, but: usize) -> Option<(Ticket, SliceRequest)> {
        loop {
            let (ticket, asked) = self.waiting.remove(but)?;
            if let Some(request) = asked.prepared() {
                return Some((ticket, request));
            }
        }
    }

    /// A slice that was taken away is the next one again.
    pub(super) fn take_back(&mut self, ticket: Ticket, request: SliceRequest) {
        self.waiting.push_front((ticket, Asked::Prepared(request)));
    }

    /// Takes what another engine made of a slice that was taken away.
    pub(super) fn take_over(&mut self, finished: FinishedSlice) {
        self.ready.push_back(finished);
    }

    /// Computes a slice of another engine.
    pub(super) fn compute_for(
        &mut self,
        ticket: Ticket,
        request: SliceRequest,
        enabled: OrganSet,
    ) -> Option<FinishedSlice> {
        self.enabled = enabled;
        self.paused = true;
        self.waiting.push_front((ticket, Asked::Prepared(request)));
        self.compute();
        let mut finished = self.ready.pop_back()?;
        if finished.computed.region.is_some() {
            let without = self.context(Threads::All).finish(&finished.computed, Some(&[1.0; ORGAN_COUNT]));
            finished.computed.without_attention = without.ok();
        }
        Some(finished)
    }

    /// Memory of what has been passed on.
    pub(super) fn reuse(&mut self, finished: FinishedSlice) {
        self.spare.extend(finished.computed.tiles.into_iter().map(|(_, features)| features));
        self.spare.truncate(self.batch());
    }
}

impl Context<'_> {
    fn compute(&self, request: SliceRequest, arena: &mut Arena, air: &Arc<Air>, mut spare: Vec<Features>) -> Computed {
        let Self { plan, processor, .. } = *self;
        let fit = |arena: &mut Arena, tile: &Tile| {
            let [[x, y], [columns, rows]] = [tile.place.within.offset, tile.place.within.size];
            plan.set_box(arena, [y, x], [rows, columns], air);
        };
        let mut region = request.centre.and_then(|tile| {
            fit(arena, &tile);
            processor.enter(|| plan.run_region(arena, &tile.stack, processor))
        });
        let mut tiles = Vec::with_capacity(request.tiles.len());
        for tile in request.tiles {
            fit(arena, &tile);
            let answer = processor.enter(|| plan.run(arena, &tile.stack, processor));
            region = region.or(answer);
            tiles.push((tile.place, arena.take_features(plan, spare.pop())));
        }
        Computed { slice: request.slice, tiles, region, without_attention: None }
    }

    /// Probabilities under `attention`, the network's own where `None`.
    fn finish(
        &self,
        computed: &Computed,
        attention: Option<&[f32; ORGAN_COUNT]>,
    ) -> Result<SlicePrediction, EngineError> {
        let Self { plan, enabled, processor, .. } = *self;
        let Computed { slice, tiles, region, .. } = computed;
        let bad = || EngineError::BadAnswer { slice: *slice, reason: "it contains numbers that are not finite".into() };
        let (own, regions) = (region.map(|r| r.attention), region.map(|r| r.regions));
        if own.iter().flatten().chain(regions.iter().flatten()).any(|v| !v.is_finite()) {
            return Err(bad());
        }
        if let [(place, features)] = &tiles[..] {
            let attention = attention.copied().or(own);
            let weights = class_weights(attention.as_ref());
            let mut classes = [false; CLASS_COUNT];
            enabled.iter().for_each(|organ| classes[usize::from(organ.label())] = true);
            let found = processor.enter(|| plan.probabilities(features, &weights, &classes, NEGLIGIBLE, processor));
            let found = found.ok_or_else(bad)?;
            return Ok(SlicePrediction {
                slice: *slice,
                origin: place.origin(),
                size: place.within.size,
                classes: found.classes,
                probabilities: found.values,
                attention,
                regions,
            });
        }
        // A body wider than the crop: rare, and left to what joins tiles for every engine.
        let softmax = |(place, features): &(TilePlace, Features)| {
            let values = processor.enter(|| plan.softmax(features, processor))?;
            Some(TileSoftmax { place: *place, values })
        };
        let tiles = tiles.iter().map(softmax).collect::<Option<Vec<_>>>().ok_or_else(bad)?;
        Ok(RawPrediction { slice: *slice, tiles, attention: own, regions }.finish(attention, enabled))
    }
}

impl Engine for PlanEngine {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn depth(&self) -> usize {
        available().min(AT_ONCE)
    }

    fn batch(&self) -> usize {
        match available() {
            // It has nobody to be uneven with.
            1 => 1,
            // They share slices; the next ones are there when these are fetched.
            threads if threads > AT_ONCE => 2 * AT_ONCE,
            threads => (EACH * threads).min(BATCH),
        }
    }

    fn set_enabled(&mut self, enabled: OrganSet) {
        if enabled != self.enabled {
            self.kept.iter_mut().for_each(|kept| kept.without_attention = None);
        }
        self.enabled = enabled;
    }

    fn rest(&mut self) {
        (self.air, self.arenas, self.spare) = (None, Vec::new(), Vec::new());
        self.kept.clear();
    }

    fn submit(&mut self, request: SliceRequest) -> Ticket {
        self.take(Asked::Prepared(request))
    }

    fn prepares(&mut self, _slices: &Arc<ModelSlices>) -> bool {
        true
    }

    fn submit_slices(&mut self, slices: &Arc<ModelSlices>, wanted: Vec<VolumeSlice>) -> Vec<Ticket> {
        wanted.into_iter().map(|wanted| self.take(Asked::Of(Arc::downgrade(slices), wanted))).collect()
    }

    fn has_result(&self) -> bool {
        !self.ready.is_empty()
    }

    fn poll(&mut self, _wait: Wait) -> Option<SliceResult> {
        while self.ready.is_empty() && !self.waiting.is_empty() {
            self.compute();
        }
        let FinishedSlice { ticket, mut computed, enabled, mut outcome } = self.ready.pop_front()?;
        if enabled != self.enabled {
            computed.without_attention = None;
            outcome = outcome.and_then(|_| self.context(Threads::All).finish(&computed, None));
        }
        let slice = computed.slice;
        self.keep(computed);
        Some(SliceResult { ticket, slice, outcome, labels: Vec::new() })
    }

    fn reweight(&mut self, slice: usize, attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
        let at = self.kept.iter().position(|k| k.slice == slice)?;
        let mut computed = self.kept.remove(at)?;
        let without = computed.without_attention.take_if(|_| attention == &[1.0; ORGAN_COUNT]);
        let prediction = without.or_else(|| self.context(Threads::All).finish(&computed, Some(attention)).ok());
        self.kept.push_back(computed);
        prediction
    }
}

#[cfg(test)]
mod tests;
