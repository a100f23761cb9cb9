//! The worker in a thread of its own. What panics in it ends what it was doing and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use attention_anatomy::infer::StoragePreference;

use super::platform::{Platform, ThisPlatform};
use super::{Command, Event, Executor, Step, Worker};
use crate::waker::Waker;

/// Wakes the window: there is an event.
pub type Repaint = Arc<dyn Fn() + Send + Sync>;

/// How often a device that is at work is asked whether it is done.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// How the worker is set up.
pub struct Options {
    /// Called in the worker's thread, as a device and its engine never leave it.
    pub platform: Box<dyn FnOnce() -> Box<dyn Platform> + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Self { platform: Box::new(|| Box::new(ThisPlatform::default())) }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// The worker of a window, whose networks lie on a GPU as `storage` says.
pub fn spawn_worker(window: &Waker, storage: StoragePreference) -> Box<dyn Worker> {
    let window = window.clone();
    let platform = move || -> Box<dyn Platform> { Box::new(ThisPlatform { storage }) };
    spawn(Arc::new(move || window.wake()), Options { platform: Box::new(platform) })
}

/// A worker that calls `repaint` after each event. It ends when the returned end of it is dropped.
pub fn spawn(repaint: Repaint, options: Options) -> Box<dyn Worker> {
    let (commands, received) = channel();
    let (sender, events) = channel();
    let failed = sender.clone();
    let thread = std::thread::Builder::new()
        .name("worker".into())
        .spawn(move || work(Executor::new((options.platform)()), &received, &sender, &repaint));
    if let Err(error) = thread {
        // Received like any other event; nobody has dropped the other end yet.
        let _ = failed.send(Event::Failed(format!("the worker cannot be started ({error}); close other programs")));
    }
    Box::new(Thread { commands, events })
}

/// The window's end.
struct Thread {
    commands: Sender<Command>,
    events: Receiver<Event>,
}

impl Worker for Thread {
    fn send(&mut self, command: Command) {
        // A worker that could not be started has said so.
        let _ = self.commands.send(command);
    }

    fn try_recv(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

fn work(mut executor: Executor, commands: &Receiver<Command>, events: &Sender<Event>, repaint: &Repaint) {
    loop {
        let step = catch_unwind(AssertUnwindSafe(|| executor.step())).unwrap_or_else(|_| {
            // What was lost may fail once more while it is taken down.
            let _ = catch_unwind(AssertUnwindSafe(|| executor.recover()));
            Step::Worked
        });
        while let Some(event) = executor.event() {
            if events.send(event).is_err() {
                return;
            }
            repaint();
        }
        let next = match step {
            Step::Idle => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Step::Waiting => commands.recv_timeout(ASK_AGAIN),
            Step::Worked => commands.try_recv().map_err(|e| match e {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            }),
        };
        match next {
            Ok(command) => executor.handle(command),
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // All that came meanwhile, before the next piece of work.
        while let Ok(command) = commands.try_recv() {
            executor.handle(command);
        }
    }
}

#[cfg(test)]
mod tests;
