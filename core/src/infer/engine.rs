//! What computes a slice.
//!
//! Object-safe, not async, not necessarily Send: natively a factory builds an engine inside its own thread, in the
//! browser a GPU engine is polled once a frame. Whoever listens (command line, viewer, tests) sees only this trait.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{SlicePrediction, Tile, TilePlace};
use crate::anatomy::{ORGAN_COUNT, OrganSet};
use crate::preprocess::{AIR_HU, Blend, ModelGrid, ModelSlices};

/// A slice to be computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SliceRequest {
    /// Slice number in the volume.
    pub slice: usize,
    /// One tile, or several that overlap where the body is wider than the crop.
    pub tiles: Vec<Tile>,
    /// The tile around the body's centre whose attention all tiles share; `None` when there is only one.
    pub centre: Option<Tile>,
    /// Labels that come with it, from an engine that [makes them](Engine::makes_labels); it hands out probabilities where `None`.
    pub labels: Option<LabelRequest>,
}

/// A slice of a volume to be computed by an engine that [prepares](Engine::prepares) its stack, too.
#[derive(Clone, Debug)]
pub struct VolumeSlice {
    /// Slice number in the volume.
    pub slice: usize,
    /// As in [`SliceRequest`].
    pub tiles: Vec<TilePlace>,
    /// As there.
    pub centre: Option<TilePlace>,
    /// As there.
    pub labels: Option<LabelRequest>,
}

impl VolumeSlice {
    /// Slice `k`; `None` where there is nothing to see.
    ///
    /// # Panics
    /// When the volume has no slice `k`.
    pub fn of(slices: &ModelSlices, k: usize) -> Option<Self> {
        slices.body().bounds(k)?;
        let place = |field: [i64; 2]| TilePlace { field, within: slices.seen_box(k, field) };
        let tiles: Vec<TilePlace> = slices.origins(k).into_iter().map(place).collect();
        let centre = (tiles.len() > 1).then(|| place(slices.centre_origin(k)));
        Some(Self { slice: k, tiles, centre, labels: None })
    }

    /// The same with stacks that are prepared here.
    pub fn prepared(self, slices: &ModelSlices) -> SliceRequest {
        let input = slices.config();
        let tile = |place: TilePlace| {
            let stack = slices.stack(self.slice, place.field);
            Tile::whole(place.field, stack, input.crop).on(place.within, input.intensity(AIR_HU))
        };
        let tiles = self.tiles.into_iter().map(tile).collect();
        SliceRequest { slice: self.slice, tiles, centre: self.centre.map(tile), labels: self.labels }
    }

    /// As [`prepared`](Self::prepared), each on a box as tight as what its stack shows.
    pub fn fitted(self, slices: &ModelSlices) -> SliceRequest {
        let tile = |place: TilePlace| Tile::new(place.field, slices.stack(self.slice, place.field), slices.config());
        let tiles = self.tiles.into_iter().map(tile).collect();
        SliceRequest { slice: self.slice, tiles, centre: self.centre.map(tile), labels: self.labels }
    }
}

/// Labels on the input matrix, made where slices are computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabelRequest {
    /// How the input matrix lies on the model grid.
    pub grid: ModelGrid,
    /// Whose labels.
    pub outputs: Vec<LabelOutput>,
    /// Whether it is also counted what attention takes away.
    pub explain: bool,
}

/// A slice whose labels are wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelOutput {
    /// Its number.
    pub slice: usize,
    /// The slices that its probabilities are blended of, and their parts: itself, or one below and one above. `None` is a slice
    /// without a body.
    pub parts: Vec<(Option<usize>, f32)>,
}

impl LabelOutput {
    /// Of a slice that is blended as `blend` says.
    pub fn of(slices: &ModelSlices, slice: usize, blend: Blend) -> Self {
        let Blend { below, above, weight_above } = blend;
        let parts = [(below, 1.0 - weight_above), (above, weight_above)].into_iter().filter(|part| part.1 > 0.0);
        let with_body = |slice: usize| slices.body().extent(slice).map(|_| slice);
        Self { slice, parts: parts.map(|(slice, part)| (with_body(slice), part)).collect() }
    }
}

/// Labels of a slice.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceLabels {
    /// Its number.
    pub slice: usize,
    /// Labels 0..=33, `[ny, nx]`.
    pub labels: Vec<u8>,
    /// How far ahead of the runner-up the winner is, 0 to 255 for 0 to 1, `[ny, nx]`.
    pub margin: Vec<u8>,
    /// Pixels of each organ that there would be with all attention at 1 and are not, where that was asked for.
    pub removed: Option<[u32; ORGAN_COUNT]>,
}

/// Names a request until its result is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// Whether [`Engine::poll`] may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Return at once, where something else than this thread computes.
    No,
    /// Block until a result is there (not in a browser's main thread).
    Yes,
}

/// Why a slice failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum EngineError {
    /// The device is gone.
    #[error("the device {0} stopped working; what was computed is kept, choose another device and go on")]
    DeviceLost(String),
    /// The answer is not usable.
    #[error("slice {slice}: the network's answer is not usable ({reason})")]
    BadAnswer {
        /// Slice number in the volume.
        slice: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// What comes back for a request.
#[derive(Clone, Debug)]
pub struct SliceResult {
    /// Which request.
    pub ticket: Ticket,
    /// Its slice.
    pub slice: usize,
    /// Probabilities, attention and regions; no probabilities where labels were asked for and the engine makes them.
    pub outcome: Result<SlicePrediction, EngineError>,
    /// The labels that were asked for, without those that are made of a slice that is no longer at hand.
    pub labels: Vec<SliceLabels>,
}

/// Something that computes slices: as a rule in the order in which they were submitted.
pub trait Engine {
    /// For people.
    fn name(&self) -> String;

    /// How many submitted slices keep it busy.
    fn depth(&self) -> usize {
        1
    }

    /// How many submitted slices it is through with soonest, where all of them are wanted and none before the others.
    fn batch(&self) -> usize {
        self.depth()
    }

    /// Whether it brings probabilities to the input matrix by itself. Then what-if questions are asked with
    /// [`relabel`](Self::relabel), else with [`reweight`](Self::reweight).
    fn makes_labels(&self) -> bool {
        false
    }

    /// Organs that may be labelled from now on; results that are under way follow it, too.
    fn set_enabled(&mut self, enabled: OrganSet);

    /// Gives back the memory that slices take, and what is kept of those that were computed: until the next slice is submitted nobody
    /// asks what-if questions.
    fn rest(&mut self) {}

    /// Takes a slice. A GPU computes it while the caller goes on; the processor computes it when it is asked for.
    fn submit(&mut self, request: SliceRequest) -> Ticket;

    /// Whether it makes the stacks of these slices by itself, of the CT; then they are handed to it with
    /// [`submit_slice`](Self::submit_slice).
    fn prepares(&mut self, slices: &Arc<ModelSlices>) -> bool {
        let _ = slices;
        false
    }

    /// Takes a slice of a volume, as [`submit`](Self::submit) does.
    fn submit_slice(&mut self, slices: &Arc<ModelSlices>, wanted: VolumeSlice) -> Ticket {
        self.submit(wanted.prepared(slices))
    }

    /// The next result, if it is there (or, with [`Wait::Yes`], as soon as it is). `None` when nothing is under way. An engine on
    /// the processor computes here, whatever `wait` says: call it from a worker.
    fn poll(&mut self, wait: Wait) -> Option<SliceResult>;

    /// Whether the next result lies ready, so that nothing is computed when it is fetched. Who does not know says no.
    fn has_result(&self) -> bool {
        false
    }

    /// What-if: the probabilities of a recently computed slice under another attention vector; `None` when the slice is no
    /// longer at hand and has to be submitted again.
    fn reweight(&mut self, slice: usize, attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction>;

    /// What there is to say of how it computes, since it was last asked. One sentence each.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// What-if: labels of recently computed slices under another attention vector, as the result of a ticket; `None` when a slice
    /// is no longer at hand and has to be submitted again.
    fn relabel(&mut self, wanted: &LabelRequest, attention: &[f32; ORGAN_COUNT]) -> Option<Ticket> {
        let (_, _) = (wanted, attention);
        None
    }
}
