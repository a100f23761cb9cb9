//! The network on the processor.
//!
//! Whoever waits for one slice gets all threads for it; where several slices are asked for, each thread takes one, which
//! spares the threads waiting for one another. The first slice after a pause always counts as one that somebody waits for.
//!
//! What a slice's probabilities are made of is kept for the slices computed last, so that a what-if is answered at once.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::engine::{Engine, EngineError, SliceRequest, SliceResult, Ticket, Wait};
use super::prediction::{NEGLIGIBLE, RawPrediction, SlicePrediction, TileSoftmax, class_weights};
use super::tile::{Tile, TilePlace};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, OrganSet};
use crate::kernels::plan::{Air, Arena, Features, Plan, RegionAnswer};
use crate::kernels::processor::{Processor, Threads, available, map};
use crate::network::weights::WeightsError;
use crate::network::{AttentionAnatomy, pytorch};
use crate::preprocess::{AIR_HU, InputConfig};

/// Slices kept for what-if questions, those asked about last or computed last: 1.7 MB each with the shipped weights.
const KEPT: usize = 16;
/// Slices that are computed at once at most: each takes 15 MB with the shipped weights. Further threads help within slices.
const AT_ONCE: usize = 8;

/// An engine on the processor.
pub struct PlanEngine {
    plan: Plan,
    name: String,
    input: InputConfig,
    enabled: OrganSet,
    /// What lies around the box of a slice; nothing after a rest.
    air: Option<Arc<Air>>,
    /// Memory for one slice each.
    arenas: Vec<Arena>,
    waiting: VecDeque<(Ticket, SliceRequest)>,
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
        let line = network.gauge().map(|gauge| gauge.line());
        let tensors = pytorch::tensors(&network.fold())?;
        let plan = Plan::compile(&tensors, line).map_err(|e| WeightsError::Mismatch(e.to_string()))?;
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

    /// Computes what waits: the first slice alone after a pause, else as many at once as there are threads.
    fn compute(&mut self) {
        let at_once = if self.paused { 1 } else { self.depth() };
        let count = at_once.min(self.waiting.len());
        self.paused = false;
        let air = self.air.take().unwrap_or_else(|| self.new_air());
        while self.arenas.len() < count {
            self.arenas.push(self.plan.empty_arena());
        }
        let mut spare = std::mem::take(&mut self.spare);
        let mut arenas = std::mem::take(&mut self.arenas);
        let requests: Vec<_> = self.waiting.drain(..count).collect();
        let jobs = requests.into_iter().zip(&mut arenas).map(|((ticket, request), arena)| {
            let spare = spare.split_off(spare.len().saturating_sub(request.tiles.len()));
            (ticket, request, arena, spare)
        });
        let jobs: Vec<_> = jobs.collect();
        let context = self.context(if count >= available() { Threads::One } else { Threads::All });
        let ready = map(jobs, |(ticket, request, arena, spare)| {
            let computed = context.compute(request, arena, &air, spare);
            let outcome = context.finish(&computed, None);
            FinishedSlice { ticket, computed, enabled: context.enabled, outcome }
        });
        self.ready.extend(ready);
        self.air = Some(air);
        self.arenas = arenas;
        self.spare = spare;
    }

    fn keep(&mut self, computed: Computed) {
        let slice = computed.slice;
        let old = self.kept.iter().position(|k| k.slice == slice).and_then(|at| self.kept.remove(at));
        self.kept.push_back(computed);
        let old = old.or_else(|| if self.kept.len() > KEPT { self.kept.pop_front() } else { None });
        self.spare.extend(old.into_iter().flat_map(|old| old.tiles).map(|(_, features)| features));
        self.spare.truncate(self.depth());
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
        self.waiting.remove(but)
    }

    /// A slice that was taken away is the next one again.
    pub(super) fn take_back(&mut self, ticket: Ticket, request: SliceRequest) {
        self.waiting.push_front((ticket, request));
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
        self.waiting.push_front((ticket, request));
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
        self.spare.truncate(self.depth());
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
        let ticket = Ticket(self.next);
        self.next += 1;
        self.paused |= self.waiting.is_empty() && self.ready.is_empty();
        self.waiting.push_back((ticket, request));
        ticket
    }

    fn poll(&mut self, _wait: Wait) -> Option<SliceResult> {
        if self.ready.is_empty() && !self.waiting.is_empty() {
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
