//! The small training: a step of it between other work.

use super::{Executor, Step};
use crate::worker::learn::LearnTask;
use crate::worker::{Event, LearnCommand, LearnEvent, LearnSettings, LearnUpdate};

/// A small training that was asked for.
pub(super) struct Demo {
    run: u64,
    settings: LearnSettings,
    paused: bool,
    /// Once there is a device.
    training: Option<LearnTask>,
}

impl Executor {
    pub(super) fn learn(&mut self, command: LearnCommand) {
        match command {
            LearnCommand::Start { run, settings } => {
                self.demo = Some(Demo { run, settings, paused: false, training: None });
            }
            LearnCommand::Pause(paused) => {
                if let Some(demo) = &mut self.demo {
                    demo.paused = paused;
                }
            }
            LearnCommand::Stop => self.end_demo(LearnUpdate::Finished),
        }
    }

    /// It is over, whatever it was doing.
    pub(super) fn end_demo(&mut self, update: LearnUpdate) {
        if let Some(demo) = self.demo.take() {
            self.events.push_back(Event::Learn(LearnEvent { run: demo.run, update }));
        }
    }

    pub(super) fn step_demo(&mut self) -> Step {
        let Some(demo) = self.demo.as_mut().filter(|l| !l.paused) else { return Step::Idle };
        let Some(training) = &mut demo.training else {
            let Some(device) = self.compute.device_or_open(self.platform.as_mut()) else { return Step::Waiting };
            match device.clone().for_training() {
                Ok(device) => {
                    demo.training = Some(LearnTask::new(demo.run, demo.settings, &device));
                }
                Err(error) => self.end_demo(LearnUpdate::Failed(error.to_string())),
            }
            return Step::Worked;
        };
        let Some(events) = training.step() else { return Step::Waiting };
        if training.is_over() {
            self.demo = None;
        }
        self.events.extend(events.into_iter().map(Event::Learn));
        Step::Worked
    }
}
