//! The thread: it answers while the engine is slow, survives a panic, and ends with its window.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::edit::ByteLayer;
use crate::worker::executor::samples;
use crate::worker::platform::FakePlatform;
use crate::worker::{Ask, Input, OpenAs, Opened, RunRequest};
use attention_anatomy::anatomy::{ORGAN_COUNT, OrganSet};
use whole_program_tests::wait;

fn spawn_fake(platform: &FakePlatform) -> (Box<dyn Worker>, Arc<AtomicUsize>) {
    let repaints = Arc::new(AtomicUsize::new(0));
    let (counted, platform) = (repaints.clone(), platform.clone());
    let options = Options { platform: Box::new(move || Box::new(platform)) };
    let repaint = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    (spawn(Arc::new(repaint), options), repaints)
}

/// Waits for an event; a worker that hangs fails the test.
fn until(worker: &mut dyn Worker, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = wait(&format!("an event after {events:?}"), || worker.try_recv());
        let found = wanted(&event);
        events.push(event);
        if found {
            return events;
        }
    }
}

fn open(worker: &mut dyn Worker) {
    worker.send(Command::Open { job: 1, inputs: vec![Input::Sample], as_what: OpenAs::Whatever, even_if_large: false });
    until(worker, |e| matches!(e, Event::Opened { what: Opened::Ct { .. }, .. }));
}

fn run(number: u64) -> Command {
    Command::Run(RunRequest { run: number, first: 0, enabled: OrganSet::ALL, cleanup: true })
}

#[test]
fn commands_are_heard_while_a_slice_takes_for_ever() {
    let platform = samples::platform();
    platform.state().slow = u32::MAX;
    let (mut worker, repaints) = spawn_fake(&platform);
    open(worker.as_mut());
    worker.send(run(2));
    until(worker.as_mut(), |e| matches!(e, Event::Progress { .. }));
    // The engine never answers, and yet other things are done.
    let labels = ByteLayer::new(samples::ct(samples::SLICES).geometry.size).share();
    worker.send(Command::Compare { number: 3, labels: labels.clone(), reference: labels });
    until(worker.as_mut(), |e| matches!(e, Event::Compared { number: 3, .. }));
    worker.send(run(4));
    until(worker.as_mut(), |e| matches!(e, Event::RunCancelled { run: 2 }));
    assert!(repaints.load(Ordering::Relaxed) >= 4);
}

#[test]
fn a_panic_in_the_engine_is_one_sentence_and_the_worker_goes_on() {
    let platform = samples::platform();
    platform.state().panics_at = Some(3);
    let (mut worker, _) = spawn_fake(&platform);
    open(worker.as_mut());
    worker.send(run(2));
    let events = until(worker.as_mut(), |e| matches!(e, Event::RunFailed { .. }));
    let Some(Event::RunFailed { run: 2, message, device_lost: true }) = events.last() else { panic!("{events:?}") };
    assert!(message.starts_with("fake GPU stopped") && !message.contains('\n'), "{message}");
    worker.send(run(3));
    until(worker.as_mut(), |e| matches!(e, Event::RunFinished { run: 3, .. }));
}

#[test]
fn the_thread_ends_when_its_window_does() {
    let platform = samples::platform();
    platform.state().slow = u32::MAX;
    let (mut worker, _) = spawn_fake(&platform);
    open(worker.as_mut());
    worker.send(run(2));
    worker.send(Command::Ask(Ask { number: 1, slice: 1, attention: [1.0; ORGAN_COUNT], enabled: OrganSet::ALL }));
    until(worker.as_mut(), |e| matches!(e, Event::Progress { .. }));
    drop(worker);
    // The thread held the last other handles of the platform's data.
    wait("the thread ends", || (Arc::strong_count(&platform.weights) == 1).then_some(()));
}
