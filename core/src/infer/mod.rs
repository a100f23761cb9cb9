//! From a CT volume to organ labels, slice by slice.
//!
//! A [`VolumeRun`] decides which slice is next (the one on screen first, then outwards), cuts its stack, hands it to an
//! [`Engine`] and turns what comes back into labels on the scan's own grid. The probabilities of a whole volume never
//! exist: a slice is reduced to labels as soon as what it needs is there.
//!
//! | file | what |
//! |---|---|
//! | `device/` | which devices there are, how they store, known-answer check |
//! | `tile.rs` | fields and boxes of a slice |
//! | `engine.rs` | the `Engine` trait and its messages |
//! | `plan_engine.rs` | the network on the processor |
//! | `crew.rs` | several engines of one processor as one: Web Workers |
//! | `wgsl_engine.rs` | the network on a GPU |
//! | `burn_engine.rs` | the network on any burn device: the reference |
//! | `prediction.rs` | attention, trained organs, tiles: from softmax to probabilities |
//! | `reduce.rs` | probabilities to labels on the input matrix |
//! | `volume_run.rs` | streaming over a volume, with progress and cancel |
//! | `session.rs` | a run with its labels, clean-up and record: one path for command line and window |
//! | `record.rs` | what a run says besides labels |
//! | `provenance.rs` | how labels came about, kept while they come |
//! | `model.rs` | a weights file, ready to be put on devices |
//! | `doubt.rs` | how sure the network was of each organ |
//! | `measure.rs` | how long a slice takes |
//! | `router.rs` | a network for each region, for comparison |
//! | `cleanup.rs`, `pieces.rs` | pieces of organs: the largest ones stay |
//! | `plausible.rs` | on which side, how small, above what an organ can be |
//! | `organ_runs.rs` | labels as runs of voxels, while a run lasts |
//! | `words.rs` | a slice in words |

pub mod burn_engine;
mod cleanup;
pub mod crew;
pub mod device;
pub mod doubt;
pub mod engine;
pub mod measure;
pub mod model;
mod organ_runs;
mod pieces;
pub mod plan_engine;
mod plausible;
pub mod prediction;
pub mod provenance;
pub mod record;
pub mod reduce;
pub mod router;
pub mod session;
pub mod tile;
pub mod volume_run;
pub mod wgsl_engine;
mod words;

pub use burn_engine::BurnEngine;
pub use cleanup::{keep_largest_components, removal_warning};
pub use crew::{Crew, Helper, HelperWord, Helpers};
pub use device::{ComputeDevice, ComputeKind, DeviceError, DevicePreference, StoragePreference};
pub use doubt::Doubt;
pub use engine::{
    Engine, EngineError, LabelOutput, LabelRequest, SliceLabels, SliceRequest, SliceResult, Ticket, VolumeSlice, Wait,
};
pub use model::{Model, engine_of_weights, plan_engine_of_weights};
pub use plan_engine::PlanEngine;
pub use prediction::SlicePrediction;
pub use provenance::{Provenance, WeightsUsed};
pub use record::{RunInfo, SliceAnatomy};
pub use router::RegionRouter;
pub use session::{ChoiceError, OrganChoice, SegmentationError, SegmentationRequest, SegmentationSession, Segmented};
pub use tile::{Tile, TilePlace};
pub use volume_run::{Explanation, Message, RunOptions, VolumeRun};
pub use wgsl_engine::WgslEngine;
pub use words::{in_words, place_in_words};
