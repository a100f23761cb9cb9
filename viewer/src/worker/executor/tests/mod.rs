//! The worker on a platform whose engine, devices and promises do what the test says.

mod archive;
mod demo;
mod fitting;
mod frames;
mod labels;
mod opening;
mod questions;
mod real;
mod running;
mod saving;

use attention_anatomy::anatomy::{ORGAN_COUNT, OrganSet};

use super::samples::{self, SLICES};
use super::{Executor, Step};
use crate::edit::ByteSlices;
use crate::worker::platform::FakePlatform;
use crate::worker::{Ask, Command, Event, Input, OpenAnswer, OpenAs, OpenQuestion, Opened, RunRequest};

/// A worker and its platform.
struct Rig {
    platform: FakePlatform,
    executor: Executor,
}

impl Rig {
    fn new() -> Self {
        Self::on(samples::platform())
    }

    fn on(platform: FakePlatform) -> Self {
        let executor = Executor::new(Box::new(platform.clone()));
        Self { platform, executor }
    }

    /// With the sample open.
    fn with_sample() -> Self {
        let mut rig = Self::new();
        let events = rig.open(vec![Input::Sample]);
        assert!(matches!(events.last(), Some(Event::Opened { what: Opened::Ct { .. }, .. })), "{events:?}");
        rig
    }

    fn tell(&mut self, command: Command) {
        self.executor.handle(command);
    }

    /// One step and what it says.
    fn step(&mut self) -> Vec<Event> {
        self.executor.step();
        std::iter::from_fn(|| self.executor.event()).collect()
    }

    /// Steps until an event is as wanted; all events until then.
    fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..100_000 {
            let new = self.step();
            let found = new.iter().any(&wanted);
            events.extend(new);
            if found {
                return events;
            }
        }
        panic!("it never comes after {events:?}");
    }

    /// Steps until there is nothing to do.
    fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..100_000 {
            let step = self.executor.step();
            events.extend(std::iter::from_fn(|| self.executor.event()));
            if step == Step::Idle {
                return events;
            }
        }
        panic!("it never rests after {events:?}");
    }

    fn open(&mut self, inputs: Vec<Input>) -> Vec<Event> {
        self.open_as(inputs, OpenAs::Whatever)
    }

    fn open_as(&mut self, inputs: Vec<Input>, as_what: OpenAs) -> Vec<Event> {
        self.tell(Command::Open { job: 1, inputs, as_what, even_if_large: false });
        self.rest()
    }

    fn run(&mut self, run: u64, first: usize) {
        self.tell(Command::Run(RunRequest { run, first, enabled: OrganSet::ALL, cleanup: true }));
    }

    fn ask(&mut self, number: u64, slice: usize, attention: f32) {
        let attention = [attention; ORGAN_COUNT];
        self.tell(Command::Ask(Ask { number, slice, attention, enabled: OrganSet::ALL }));
    }

    fn submitted(&self) -> Vec<usize> {
        self.platform.state().submitted.clone()
    }
}

fn bytes(name: &str, bytes: Vec<u8>) -> Input {
    Input::Bytes { name: name.into(), bytes: bytes.into() }
}

fn file(name: &str) -> Input {
    let path = format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    bytes(name, std::fs::read(path).unwrap())
}

/// The one sentence for which nothing was opened.
fn refusal(events: &[Event]) -> &str {
    match events.last() {
        Some(Event::OpenFailed { message, job: 1 }) => {
            assert!(!message.is_empty() && !message.contains('\n'), "{message}");
            message
        }
        other => panic!("opened: {other:?}"),
    }
}

/// Slices in the order in which they came.
fn done(events: &[Event]) -> Vec<usize> {
    let slice = |e: &Event| if let Event::SliceDone { slice, .. } = e { Some(*slice) } else { None };
    events.iter().filter_map(slice).collect()
}

fn shared(voxels: Vec<u8>) -> ByteSlices {
    // Whoever reads them wants them in one piece.
    ByteSlices::cut(&voxels, voxels.len())
}
