//! What computes a slice.
//!
//! Object-safe, not async, not necessarily Send: natively a factory builds an engine inside its own thread, in the
//! browser a GPU engine is polled once a frame. Whoever listens (command line, viewer, tests) sees only this trait.

use serde::{Deserialize, Serialize};

use super::{SlicePrediction, Tile};
use crate::anatomy::{ORGAN_COUNT, OrganSet};

/// A slice to be computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SliceRequest {
    /// Slice number in the volume.
    pub slice: usize,
    /// One tile, or several that overlap where the body is wider than the crop.
    pub tiles: Vec<Tile>,
    /// The tile around the body's centre whose attention all tiles share; `None` when there is only one.
    pub centre: Option<Tile>,
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
    /// Probabilities, attention and regions.
    pub outcome: Result<SlicePrediction, EngineError>,
}

/// Something that computes slices: as a rule in the order in which they were submitted.
pub trait Engine {
    /// For people.
    fn name(&self) -> String;

    /// How many submitted slices keep it busy.
    fn depth(&self) -> usize {
        1
    }

    /// Organs that may be labelled from now on; results that are under way follow it, too.
    fn set_enabled(&mut self, enabled: OrganSet);

    /// Takes a slice. A GPU computes it while the caller goes on; the processor computes it when it is asked for.
    fn submit(&mut self, request: SliceRequest) -> Ticket;

    /// The next result, if it is there (or, with [`Wait::Yes`], as soon as it is). `None` when nothing is under way. An engine on
    /// the processor computes here, whatever `wait` says: call it from a worker.
    fn poll(&mut self, wait: Wait) -> Option<SliceResult>;

    /// What-if: the probabilities of a recently computed slice under another attention vector; `None` when the slice is no
    /// longer at hand and has to be submitted again.
    fn reweight(&mut self, slice: usize, attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction>;

    /// What there is to say of how it computes, since it was last asked. One sentence each.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}
