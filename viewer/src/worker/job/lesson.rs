//! The small training: a step of it between other work.

use super::{Job, Step};
use crate::worker::learn::LearnJob;
use crate::worker::{Event, LearnCommand, LearnEvent, LearnNews, LearnSettings};

/// A small training that was asked for.
pub(super) struct Lesson {
    run: u64,
    settings: LearnSettings,
    paused: bool,
    /// Once there is a device.
    training: Option<LearnJob>,
}

impl Job {
    pub(super) fn learn(&mut self, command: LearnCommand) {
        match command {
            LearnCommand::Start { run, settings } => {
                self.lesson = Some(Lesson { run, settings, paused: false, training: None });
            }
            LearnCommand::Pause(paused) => {
                if let Some(lesson) = &mut self.lesson {
                    lesson.paused = paused;
                }
            }
            LearnCommand::Stop => self.end_lesson(LearnNews::Finished),
        }
    }

    /// It is over, whatever it was doing.
    pub(super) fn end_lesson(&mut self, news: LearnNews) {
        if let Some(lesson) = self.lesson.take() {
            self.events.push_back(Event::Learn(LearnEvent { run: lesson.run, news }));
        }
    }

    pub(super) fn step_lesson(&mut self) -> Step {
        let Some(lesson) = self.lesson.as_mut().filter(|l| !l.paused) else { return Step::Idle };
        let Some(training) = &mut lesson.training else {
            let Some(device) = self.compute.device_or_open(self.machine.as_mut()) else { return Step::Waiting };
            let (device, name) = (device.burn.clone(), device.name.clone());
            lesson.training = Some(LearnJob::new(lesson.run, lesson.settings, device, name));
            return Step::Worked;
        };
        let Some(events) = training.step() else { return Step::Waiting };
        if training.is_over() {
            self.lesson = None;
        }
        self.events.extend(events.into_iter().map(Event::Learn));
        Step::Worked
    }
}
