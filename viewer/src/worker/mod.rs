//! The other side of the viewer: all that takes time.
//!
//! | file | what |
//! |---|---|
//! | `protocol.rs` | what is asked, what is answered |
//! | `job/` | the worker itself: a state machine without a thread of its own |
//! | `learn/` | a small training on phantoms, a step at a time |
//! | `native.rs` | it runs in a thread; messages go through channels |
//! | `wasm.rs` | it runs in a Web Worker, the network's GPU included; messages are posted |
//!
//! The worker owns the network and its device, apart from the window's: a device that is lost, a shader that takes
//! seconds to compile or a file that takes a minute to unpack leave the window alive.

pub mod learn;
mod protocol;

pub use protocol::{
    Ask, Command, DeviceReady, Event, Export, Input, LearnAnswer, LearnCommand, LearnEvent, LearnLook, LearnNews,
    LearnPlan, LearnSettings, LearnSlice, OpenAs, Opened, RunRequest, WeightsReady,
};

/// The application's end of the worker.
pub trait Worker {
    /// Sends a command; never waits.
    fn send(&mut self, command: Command);

    /// The next event, if there is one; never waits.
    fn try_recv(&mut self) -> Option<Event>;
}
