//! The other side of the viewer: all that takes time.
//!
//! | file | what |
//! |---|---|
//! | `protocol.rs` | what is asked, what is answered |
//! | `error.rs` | what cannot be done, by kind |
//! | `executor/` | the worker itself: a state machine without a thread of its own |
//! | `learn/` | a small training on phantoms, a step at a time |
//! | `platform/` | what it asks of the platform: files, bundled data, devices; and a fake for tests |
//! | `native.rs` | it runs in a thread; messages go through channels |
//! | `wasm.rs` | it runs in a Web Worker, the network's GPU included; messages are posted |
//! | `helpers.rs` | in the browser: further Web Workers that compute slices |
//! | `codec.rs` | messages as they are posted |
//! | `packed_margin.rs` | how sure the network is, in little room |
//!
//! The worker owns the network and its device, apart from the window's: a device that is lost, a shader that takes
//! seconds to compile or a file that takes a minute to unpack leave the window alive.

pub mod codec;
pub mod error;
mod executor;
mod learn;
mod packed_margin;
pub mod platform;
mod protocol;

#[cfg(target_family = "wasm")]
mod helpers;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(test)]
pub(crate) use executor::samples;
pub use executor::{Executor, Step};
#[cfg(target_family = "wasm")]
pub use helpers::helper_main;
#[cfg(not(target_family = "wasm"))]
pub use native::{Options, Repaint, spawn, spawn_worker};
pub use packed_margin::PackedMargin;
pub use protocol::{
    AboutScan, Access, ArchiveAnswer, ArchiveCommand, ArchiveSeries, Ask, Command, DeviceInfo, DoubtfulOrgan, Event,
    Export, Identifiers, Input, LearnAnswer, LearnCommand, LearnEvaluation, LearnEvent, LearnPlan, LearnSettings,
    LearnSlice, LearnUpdate, OpenAnswer, OpenAs, OpenPicture, OpenQuestion, Opened, RunRequest, SentFile, SeriesEntry,
    StructureExport, StructureFormat, WeightsInfo,
};
#[cfg(target_family = "wasm")]
pub use wasm::{spawn_worker, worker_main};

/// The application's end of the worker.
pub trait Worker {
    /// Sends a command; never waits.
    fn send(&mut self, command: Command);

    /// The next event, if there is one; never waits.
    fn try_recv(&mut self) -> Option<Event>;
}
