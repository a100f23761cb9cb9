//! What computes a slice.
//!
//! Object-safe, not async, not necessarily Send: natively a factory builds an engine inside its own thread, in the
//! browser a GPU engine is polled once a frame. Whoever listens (command line, viewer, tests) sees only this trait.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Doubt, SlicePrediction, Tile, TilePlace};
use crate::anatomy::{ORGAN_COUNT, OrganSet};
use crate::kernels::processor::map;
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

/// A slice of a volume to be computed; its stack is [prepared](Self::fitted) here, or by an engine that [does](Engine::prepares).
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
    /// Slice `k`; `None` where there is nothing to see: such a slice is background, and no network is asked.
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

    /// The same with stacks that are prepared here, each on a box as tight as what it shows: that of its place, or less.
    pub fn fitted(self, slices: &ModelSlices) -> SliceRequest {
        let tile = |place: TilePlace| Tile::new(place.field, slices.stack(self.slice, place.field), slices.config());
        let tiles = self.tiles.into_iter().map(tile).collect();
        SliceRequest { slice: self.slice, tiles, centre: self.centre.map(tile), labels: self.labels }
    }

    /// As [`fitted`](Self::fitted), on the very boxes of its places: what an engine that prepares stacks is compared with.
    pub fn prepared(self, slices: &ModelSlices) -> SliceRequest {
        let (places, centre) = (self.tiles.clone(), self.centre);
        let air = slices.config().intensity(AIR_HU);
        let mut request = self.fitted(slices);
        let tiles = request.tiles.into_iter().zip(places);
        request.tiles = tiles.map(|(tile, place)| tile.on(place.within, air)).collect();
        request.centre = request.centre.zip(centre).map(|(tile, place)| tile.on(place.within, air));
        request
    }
}

/// Labels on the input matrix, made where slices are computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabelRequest {
    /// How the input matrix lies on the model grid.
    pub grid: ModelGrid,
    /// Whose labels.
    pub outputs: Vec<LabelOutput>,
    /// Whether margins come with them, and what attention takes away.
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
    /// How far ahead of the runner-up the winner is, 0 to 255 for 0 to 1, `[ny, nx]`, where that was asked for.
    pub margin: Option<Vec<u8>>,
    /// How sure each organ is.
    pub doubt: Box<Doubt>,
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

    /// How many slices it takes best [at once](Self::submit_slices) where nobody waits for one of them; then as many as
    /// [make a batch](Self::batch) keep it busy.
    fn together(&self) -> usize {
        1
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

    /// Whether it makes the stacks of these slices by itself, of the CT, where they are handed to it with
    /// [`submit_slices`](Self::submit_slices).
    fn prepares(&mut self, slices: &Arc<ModelSlices>) -> bool {
        let _ = slices;
        false
    }

    /// Takes slices of a volume, each as [`submit`](Self::submit) does; the first is there no sooner than all of them are on their way.
    fn submit_slices(&mut self, slices: &Arc<ModelSlices>, wanted: Vec<VolumeSlice>) -> Vec<Ticket> {
        map(wanted, |slice| slice.fitted(slices)).into_iter().map(|request| self.submit(request)).collect()
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
