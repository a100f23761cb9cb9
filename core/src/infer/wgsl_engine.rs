//! The network on a GPU, with kernels of our own.
//!
//! What a slice's labels are made of stays on the device: submitting slices enqueues the way to the model grid, network, attention and
//! the way back to the input matrix, of all of them in one submission; what goes up is the CT, once, and what comes back is a byte for each
//! pixel around the body, and what was counted. What is kept for the slices computed last answers what-if questions, and labels of slices
//! between two that were computed, without computing either again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::doubt::{Doubt, SURE};
use super::engine::{
    Engine, EngineError, LabelRequest, SliceLabels, SliceRequest, SliceResult, Ticket, VolumeSlice, Wait,
};
use super::prediction::{NEGLIGIBLE, SlicePrediction, class_weights};
use super::tile::{Tile, TilePlace, bounds};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, OrganSet};
use crate::kernels::plan::Timing;
use crate::kernels::wgsl::{
    Answer, Blend, ClassWeights, Drawn, Gpu, Grid, Labelled, Network, Readback, Region, Shown, Slot, TileMaps, Volume,
    Window,
};
use crate::network::weights::WeightsError;
use crate::network::{AttentionAnatomy, Folded};
use crate::preprocess::{AIR_HU, InputConfig, ModelGrid, ModelSlices};

/// Slices kept for what-if questions and neighbours, those asked about last or computed last: 1.7 MB each with the shipped weights.
const KEPT: usize = 16;

/// An engine on a GPU.
#[derive(Debug)]
pub struct WgslEngine {
    network: Network,
    input: InputConfig,
    /// The volume whose slices are computed.
    volume: Option<Volume>,
    enabled: OrganSet,
    has_region: bool,
    kept: VecDeque<Kept>,
    spare: Vec<Slot>,
    under_way: VecDeque<Pending>,
    readbacks: Vec<Readback>,
    next: u64,
}

/// A slice on the device.
#[derive(Debug)]
struct Kept {
    slice: usize,
    tiles: Vec<(TilePlace, Slot)>,
}

/// What was asked of a slice.
#[derive(Clone, Debug)]
enum Asked {
    /// Probabilities of all classes, to be reduced on the processor.
    Probabilities,
    /// Labels, under the network's own attention.
    Labels(LabelRequest),
    /// Labels under another, of organs that were enabled then.
    WhatIf,
}

/// A request under way.
#[derive(Debug)]
struct Pending {
    ticket: Ticket,
    slice: usize,
    asked: Asked,
    /// The slices whose labels come, in the order of the results.
    outputs: Vec<usize>,
    /// The organs that it was made for.
    enabled: OrganSet,
    readback: Readback,
}

impl WgslEngine {
    /// `network` as read from its weights file; `enabled` are the organs that may be labelled.
    ///
    /// # Errors
    /// [`WeightsError::Mismatch`] for a network that is not laid out as this program's are, or that is too large for the device.
    pub fn new(
        network: AttentionAnatomy,
        input: InputConfig,
        enabled: OrganSet,
        gpu: &Gpu,
    ) -> Result<Self, WeightsError> {
        Self::of_folded(&Folded::of(network)?, input, enabled, gpu)
    }

    /// The same of a network that is folded.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_folded(network: &Folded, input: InputConfig, enabled: OrganSet, gpu: &Gpu) -> Result<Self, WeightsError> {
        let Folded { parameters, line } = network;
        let network = Network::compile(gpu, parameters, *line, input.crop, input.intensity(AIR_HU));
        let network = network.map_err(|e| WeightsError::Mismatch(e.to_string()))?;
        Ok(Self {
            has_region: network.has_region(),
            network,
            input,
            volume: None,
            enabled,
            kept: VecDeque::new(),
            spare: Vec::new(),
            under_way: VecDeque::new(),
            readbacks: Vec::new(),
            next: 0,
        })
    }

    /// Submissions so far: for who looks how many slices share one.
    pub fn submissions(&self) -> u64 {
        self.network.submissions()
    }

    /// Bytes that network and volume take on the device.
    pub fn device_bytes(&self) -> u64 {
        self.network.bytes() + self.volume.as_ref().map_or(0, Volume::bytes)
    }

    /// Seconds of each operation of a tile, each carried out `times` times.
    pub fn profile(&mut self, tile: &Tile, times: usize) -> Vec<Timing> {
        let slot = self.spare.pop().unwrap_or_else(|| self.network.slot());
        let timings = self.network.profile(&tile.stack, window(&tile.place), &slot, times);
        self.spare.push(slot);
        timings
    }

    /// Comes to an end when the next result is there, in a browser, too.
    pub(super) async fn arrival(&self) {
        if let Some(next) = self.under_way.front() {
            next.readback.arrival(self.network.gpu()).await;
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next - 1)
    }

    /// Makes the slice the one used last; whether it is at hand.
    fn touch(&mut self, slice: usize) -> bool {
        let Some(at) = self.kept.iter().position(|k| k.slice == slice) else { return false };
        if let Some(kept) = self.kept.remove(at) {
            self.kept.push_back(kept);
        }
        true
    }

    /// Computes a slice's maps into slots of its own. A tile without a stack shows the slice for which the volume was prepared.
    fn compute(
        &mut self,
        slice: usize,
        tiles: &[(TilePlace, Option<&[f32]>)],
        centre: Option<(TilePlace, Option<&[f32]>)>,
    ) {
        let same = self.kept.iter().position(|k| k.slice == slice);
        let mut old: Vec<Kept> = same.and_then(|at| self.kept.remove(at)).into_iter().collect();
        while self.kept.len() >= KEPT {
            old.extend(self.kept.pop_front());
        }
        self.spare.extend(old.into_iter().flat_map(|old| old.tiles).map(|(_, slot)| slot));
        let slot = |_| self.spare.pop().unwrap_or_else(|| self.network.slot());
        let slots: Vec<Slot> = (0..tiles.len()).map(slot).collect();
        let shared = centre.is_some();
        let Self { network, volume, .. } = self;
        let mut tile = |(place, stack): (TilePlace, Option<&[f32]>), slot: &Slot, region: bool, maps: bool| {
            let shown = match (stack, volume.as_ref()) {
                (Some(stack), _) => Shown::Stack(stack),
                (None, Some(volume)) => Shown::Volume(volume, place.field),
                (None, None) => return,
            };
            network.tile(shown, window(&place), slot, region, maps);
        };
        if let (Some(centre), Some(first), true) = (centre, slots.first(), self.has_region) {
            tile(centre, first, true, false);
        }
        let mut kept = Vec::with_capacity(tiles.len());
        for (n, (&shown, slot)) in tiles.iter().zip(slots).enumerate() {
            tile(shown, &slot, n == 0 && !shared, true);
            kept.push((shown.0, slot));
        }
        self.kept.push_back(Kept { slice, tiles: kept });
    }

    fn readback(&mut self) -> Readback {
        self.readbacks.pop().unwrap_or_default()
    }

    /// Has the probabilities of a slice read. To be submitted.
    fn read_probabilities(&mut self, slice: usize) -> Option<Readback> {
        let readback = self.readback();
        let kept = self.kept.iter().find(|k| k.slice == slice)?;
        let (_, size) = kept.bounds();
        let drawn = Drawn(self.enabled);
        self.network.probabilities(&kept.maps(), size, ClassWeights::Own, drawn, 0);
        let slot = &kept.tiles.first()?.1;
        Some(self.network.read_probabilities(readback, slot, size[0] * size[1]))
    }

    /// Has labels read: which slices' they are. Those that are made of a slice that is no longer at hand are left out. To be submitted.
    fn read_labels(
        &mut self,
        slice: usize,
        wanted: &LabelRequest,
        weights: ClassWeights,
    ) -> Option<(Vec<usize>, Readback)> {
        let readback = self.readback();
        let drawn = Drawn(self.enabled);
        let Self { network, kept, has_region, .. } = self;
        let at_hand = |slice: &Option<usize>| slice.is_none_or(|slice| kept.iter().any(|k| k.slice == slice));
        let outputs: Vec<_> =
            wanted.outputs.iter().filter(|output| output.parts.iter().all(|(slice, _)| at_hand(slice))).collect();
        let parts = outputs.iter().flat_map(|output| &output.parts).filter(|(_, weight)| *weight > 0.0);
        let areas = parts.filter_map(|(slice, weight)| {
            let kept = kept.iter().find(|k| Some(k.slice) == *slice)?;
            Some(kept.on(&wanted.grid, *weight, 0))
        });
        let region = Region::of(wanted.grid.input_size, areas);
        network.reserve_results(outputs.len(), region.matrix);
        let mut stage = Stage { network, kept, grid: &wanted.grid, drawn, sides: [None; 2] };
        let explain = wanted.explain && *has_region;
        let passes = if explain { &[weights, ClassWeights::Ones][..] } else { &[weights] };
        for (pass, &weights) in passes.iter().enumerate() {
            for (n, output) in outputs.iter().enumerate() {
                let parts = stage.parts(&output.parts, weights);
                let output = (pass == 0).then_some(n);
                stage.network.labels(&Blend { parts: &parts, region, margins: wanted.explain, sure: SURE, output });
                if pass == 1 {
                    stage.network.count_removed(n, region);
                }
            }
        }
        let slot = &kept.iter().find(|k| k.slice == slice)?.tiles.first()?.1;
        let readback = network.read_labels(readback, slot, outputs.len(), region, wanted.explain);
        Some((outputs.iter().map(|output| output.slice).collect(), readback))
    }

    /// Has the outcome of a slice read, labels or probabilities. To be submitted.
    fn fetch(&mut self, slice: usize, labels: Option<LabelRequest>) -> Ticket {
        let ticket = self.ticket();
        let pending = self.ask(ticket, slice, labels.map_or(Asked::Probabilities, Asked::Labels));
        self.under_way.extend(pending);
        ticket
    }

    /// Asks the device for the outcome of a slice that was computed. To be submitted.
    fn ask(&mut self, ticket: Ticket, slice: usize, asked: Asked) -> Option<Pending> {
        let (outputs, readback) = match &asked {
            Asked::Labels(wanted) => self.read_labels(slice, wanted, ClassWeights::Own)?,
            Asked::Probabilities | Asked::WhatIf => (Vec::new(), self.read_probabilities(slice)?),
        };
        Some(Pending { ticket, slice, asked, outputs, enabled: self.enabled, readback })
    }

    fn result(&self, pending: &Pending, answer: Answer) -> SliceResult {
        let Pending { ticket, slice, asked, outputs, .. } = pending;
        let (ticket, slice) = (*ticket, *slice);
        let bad = |reason: &str| Err(EngineError::BadAnswer { slice, reason: reason.into() });
        let numbers = answer.attention.iter().chain(&answer.regions);
        let finite = !answer.broken && (!self.has_region || numbers.copied().all(f32::is_finite));
        let refused = self.network.gpu().refused();
        let mut result =
            SliceResult { ticket, slice, outcome: bad("it contains numbers that are not finite"), labels: Vec::new() };
        if let Some(refused) = refused {
            result.outcome = bad(&refused.to_string());
            return result;
        }
        if !finite {
            return result;
        }
        let kept = self.kept.iter().find(|k| k.slice == slice);
        let (origin, size) = kept.map_or(([0; 2], [1; 2]), Kept::bounds);
        let mut prediction = SlicePrediction {
            slice,
            origin,
            size,
            classes: Vec::new(),
            probabilities: Vec::new(),
            attention: self.has_region.then_some(answer.attention),
            regions: self.has_region.then_some(answer.regions),
        };
        if matches!(asked, Asked::Probabilities) {
            let area = size[0] * size[1];
            for (class, map) in answer.probabilities.chunks_exact(area).enumerate() {
                if class == 0 || map.iter().any(|&p| p >= NEGLIGIBLE) {
                    prediction.classes.push(class as u8);
                    prediction.probabilities.extend_from_slice(map);
                }
            }
        }
        result.outcome = Ok(prediction);
        let explained = match asked {
            Asked::Labels(wanted) => wanted.explain && self.has_region,
            Asked::Probabilities | Asked::WhatIf => false,
        };
        let labels = outputs.iter().zip(answer.results).map(|(&slice, made)| {
            let Labelled { labels, margin, removed, pixels, doubtful } = made;
            let removed = explained.then(|| std::array::from_fn(|organ| removed[organ + 1]));
            SliceLabels { slice, labels, margin, doubt: Box::new(Doubt::counted(&pixels, &doubtful)), removed }
        });
        result.labels = labels.collect();
        result
    }
}

/// Labels of several slices, and in which buffer whose probabilities are.
struct Stage<'a> {
    network: &'a mut Network,
    kept: &'a VecDeque<Kept>,
    grid: &'a ModelGrid,
    drawn: Drawn,
    sides: [Option<(usize, ClassWeights)>; 2],
}

impl Stage<'_> {
    /// What a slice's labels are blended of.
    fn parts(&mut self, parts: &[(Option<usize>, f32)], weights: ClassWeights) -> Vec<Grid> {
        let mut result: Vec<Grid> = Vec::with_capacity(parts.len());
        for &(slice, weight) in parts.iter().filter(|(_, weight)| *weight > 0.0) {
            let kept = slice.and_then(|slice| self.kept.iter().find(|k| k.slice == slice));
            let Some(kept) = kept else {
                // A slice without a body: background, wherever one looks.
                let nowhere = Grid { size: [1; 2], scale: [0.0; 2], offset: [-10.0; 2], weight, side: 0 };
                result.push(nowhere);
                continue;
            };
            let here = Some((kept.slice, weights));
            let taken = result.first().map(|part: &Grid| part.side);
            let side = self.sides.iter().position(|side| *side == here).unwrap_or_else(|| {
                let side = taken.map_or(0, |side| 1 - side);
                self.network.probabilities(&kept.maps(), kept.bounds().1, weights, self.drawn, side);
                self.sides[side] = here;
                side
            });
            result.push(kept.on(self.grid, weight, side));
        }
        result
    }
}

impl Kept {
    /// Origin and size of the area that the boxes of all tiles lie in.
    fn bounds(&self) -> ([i64; 2], [usize; 2]) {
        bounds(self.tiles.iter().map(|(place, _)| place))
    }

    /// How input pixels lie on that area.
    fn on(&self, grid: &ModelGrid, weight: f32, side: usize) -> Grid {
        let (origin, size) = self.bounds();
        let (zero, one) = (grid.input_to_model(0.0, 0.0), grid.input_to_model(1.0, 1.0));
        let (zero, scale) = ([zero.0, zero.1], [one.0 - zero.0, one.1 - zero.1]);
        let offset = [0, 1].map(|axis| zero[axis] - origin[axis] as f64);
        Grid { size, scale, offset, weight, side }
    }

    fn maps(&self) -> Vec<TileMaps<'_>> {
        let (origin, _) = self.bounds();
        let maps = self.tiles.iter().map(|(place, slot)| {
            let at = [0, 1].map(|a| (place.origin()[a] - origin[a]) as usize);
            TileMaps { slot, window: window(place), at }
        });
        maps.collect()
    }
}

fn window(place: &TilePlace) -> Window {
    Window { offset: place.within.offset, size: place.within.size }
}

impl Engine for WgslEngine {
    fn name(&self) -> String {
        self.network.gpu().name().into()
    }

    fn depth(&self) -> usize {
        self.network.gpu().tuning().depth
    }

    fn batch(&self) -> usize {
        let together = self.together();
        // The next are on their way when these are done.
        if together > 1 { 2 * together } else { self.depth() }
    }

    fn together(&self) -> usize {
        self.network.gpu().tuning().together(self.network.multiply_adds())
    }

    fn makes_labels(&self) -> bool {
        true
    }

    fn set_enabled(&mut self, enabled: OrganSet) {
        self.enabled = enabled;
    }

    fn submit(&mut self, request: SliceRequest) -> Ticket {
        let SliceRequest { slice, tiles, centre, labels } = request;
        let shown: Vec<_> = tiles.iter().map(|tile| (tile.place, Some(&tile.stack[..]))).collect();
        self.compute(slice, &shown, centre.as_ref().map(|tile| (tile.place, Some(&tile.stack[..]))));
        let ticket = self.fetch(slice, labels);
        self.network.submit();
        ticket
    }

    fn prepares(&mut self, slices: &Arc<ModelSlices>) -> bool {
        if slices.config() != &self.input {
            return false;
        }
        if !self.volume.as_ref().is_some_and(|volume| volume.is_of(slices)) {
            // What the last one took comes first.
            self.volume = None;
            self.volume = self.network.volume(slices);
        }
        self.volume.is_some()
    }

    fn submit_slices(&mut self, slices: &Arc<ModelSlices>, wanted: Vec<VolumeSlice>) -> Vec<Ticket> {
        if !self.prepares(slices) {
            return wanted.into_iter().map(|slice| self.submit(slice.fitted(slices))).collect();
        }
        let mut tickets = Vec::with_capacity(wanted.len());
        let together = self.together();
        for VolumeSlice { slice, tiles, centre, labels } in wanted {
            if let Some(volume) = &mut self.volume {
                self.network.prepare(volume, slices, slice);
            }
            let shown: Vec<_> = tiles.into_iter().map(|place| (place, None)).collect();
            self.compute(slice, &shown, centre.map(|place| (place, None)));
            tickets.push(self.fetch(slice, labels));
            if tickets.len().is_multiple_of(together) {
                self.network.submit();
            }
        }
        self.network.submit();
        tickets
    }

    fn rest(&mut self) {
        self.volume = None;
    }

    fn poll(&mut self, wait: Wait) -> Option<SliceResult> {
        loop {
            let gpu = self.network.gpu().clone();
            let front = self.under_way.front()?;
            if wait == Wait::Yes {
                front.readback.wait(&gpu);
            } else if !front.readback.is_over(&gpu) {
                return None;
            }
            let mut pending = self.under_way.pop_front()?;
            let (ticket, slice) = (pending.ticket, pending.slice);
            let Some((answer, readback)) = std::mem::take(&mut pending.readback).take() else {
                let outcome = Err(EngineError::DeviceLost(gpu.name().into()));
                return Some(SliceResult { ticket, slice, outcome, labels: Vec::new() });
            };
            self.readbacks.push(readback);
            // Organs that were switched on or off meanwhile: the last stage once more.
            if pending.enabled != self.enabled
                && !matches!(pending.asked, Asked::WhatIf)
                && let Some(again) = self.ask(ticket, slice, pending.asked.clone())
            {
                self.network.submit();
                self.under_way.push_front(again);
                continue;
            }
            return Some(self.result(&pending, answer));
        }
    }

    /// Labels are asked for with [`relabel`](Engine::relabel).
    fn reweight(&mut self, _slice: usize, _attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
        None
    }

    fn relabel(&mut self, wanted: &LabelRequest, attention: &[f32; ORGAN_COUNT]) -> Option<Ticket> {
        let slices: Vec<usize> = wanted.outputs.iter().flat_map(|o| &o.parts).filter_map(|(slice, _)| *slice).collect();
        let first = *slices.first()?;
        if !slices.iter().all(|&slice| self.touch(slice)) {
            return None;
        }
        let weights: [f32; CLASS_COUNT] = class_weights(Some(attention));
        self.network.ask(&weights);
        let (outputs, readback) = self.read_labels(first, wanted, ClassWeights::Asked)?;
        self.network.submit();
        let ticket = self.ticket();
        let enabled = self.enabled;
        self.under_way.push_back(Pending { ticket, slice: first, asked: Asked::WhatIf, outputs, enabled, readback });
        Some(ticket)
    }
}

#[cfg(test)]
mod tests;
