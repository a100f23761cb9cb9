//! The worker itself: a state machine without a thread of its own. [`Job::handle`] notes what is asked and never works;
//! [`Job::step`] does one piece of whatever there is to do, so that commands are heard between pieces, of which the
//! longest is one slice on the processor or the unpacking of one file.
//!
//! | file | what |
//! |---|---|
//! | `open.rs` | from inputs to files to what is in them |
//! | `content.rs` | what a file is |
//! | `compute.rs` | weights, device, engine |
//! | `segment.rs` | the run and its clean-up |
//! | `questions.rs` | what-if, between the slices of the run and after it |
//! | `study.rs` | the open CT and what is known of its last run |
//! | `measure.rs` | comparison with a reference |
//! | `export.rs` | files to be saved |
//! | `labels.rs` | tools for whole organs, session files, edits that are stored |
//! | `lesson.rs` | the small training |

mod compute;
mod content;
mod export;
mod labels;
mod lesson;
mod measure;
mod open;
mod questions;
#[cfg(test)]
pub(crate) mod samples;
mod segment;
mod study;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::compute::Compute;
use self::export::Exporting;
use self::labels::LabelTask;
use self::lesson::Lesson;
use self::measure::Comparing;
use self::open::Opening;
use self::questions::Questions;
use self::segment::Segmenting;
use self::study::Study;
use super::machine::Machine;
use super::{Command, Event, LearnNews};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// There is nothing to do: the next step makes sense after the next command.
    Idle,
    /// Something is under way elsewhere (a GPU, a browser's promise): ask again soon.
    Waiting,
    /// A piece of work: there may be more.
    Worked,
}

/// What is being done, for the case that it panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Compute,
    Opening,
    Network,
    Measuring,
    Labels,
    Exporting,
    Learning,
}

/// See the module's text.
pub struct Job {
    machine: Box<dyn Machine>,
    events: VecDeque<Event>,
    compute: Compute,
    study: Option<Study>,
    opening: Option<Opening>,
    run: Option<Segmenting>,
    questions: Questions,
    comparing: Option<Comparing>,
    exports: VecDeque<Exporting>,
    label_tasks: VecDeque<LabelTask>,
    /// Number of the edit that is being looked for, in case that breaks off.
    editing: Option<u64>,
    lesson: Option<Lesson>,
    doing: Doing,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("doing", &self.doing).finish_non_exhaustive()
    }
}

impl Job {
    /// A worker with the bundled weights and no study.
    pub fn new(mut machine: Box<dyn Machine>) -> Self {
        let compute = Compute::new(machine.as_mut());
        Self {
            machine,
            events: VecDeque::new(),
            compute,
            study: None,
            opening: None,
            run: None,
            questions: Questions::default(),
            comparing: None,
            exports: VecDeque::new(),
            label_tasks: VecDeque::new(),
            editing: None,
            lesson: None,
            doing: Doing::Compute,
        }
    }

    /// Notes what is asked. Never works, never waits.
    pub fn handle(&mut self, command: Command) {
        match command {
            Command::Open { job, inputs, as_what, even_if_large } => {
                match self.opening.as_mut().filter(|o| o.number() == job && even_if_large) {
                    Some(parked) => parked.go_on(),
                    None => {
                        self.give_up_opening();
                        let reference = self.study.as_ref().map(Study::reference);
                        self.opening = Some(Opening::new(job, inputs, as_what, even_if_large, reference));
                    }
                }
            }
            Command::CancelOpen => self.give_up_opening(),
            Command::Close => self.close(),
            Command::UseDevice(preference) => self.compute.use_device(self.machine.as_mut(), preference),
            Command::UseBundledWeights => self.compute.use_bundled(self.machine.as_mut()),
            Command::Run(request) => self.start(request),
            Command::Focus { slice } => {
                if let Some(run) = &mut self.run {
                    run.focus(slice);
                }
            }
            Command::Pause(paused) => {
                if let Some(run) = &mut self.run {
                    run.pause(paused);
                }
            }
            Command::CancelRun => {
                if let Some(run) = &self.run {
                    run.cancel();
                }
            }
            Command::Ask(ask) => {
                if self.study.is_some() {
                    self.questions.add(ask);
                }
            }
            Command::Compare { number, labels, reference } => self.start_comparing(number, &labels, &reference),
            Command::Export { what, labels, notes } => self.exports.push_back(Exporting { what, labels, notes }),
            Command::Edit { number, edit, labels } => {
                self.label_tasks.push_back(LabelTask::Edit { number, edit, labels });
            }
            Command::SaveSession { head, labels } => {
                self.label_tasks.push_back(LabelTask::SaveSession { head, labels });
            }
            Command::PackEdits { number, ct, saved, labels } => {
                self.label_tasks.push_back(LabelTask::Pack { number, ct, saved, labels });
            }
            Command::UnpackEdits { study, record } => {
                self.label_tasks.push_back(LabelTask::Unpack { study, record });
            }
            Command::Learn(command) => self.learn(command),
        }
    }

    /// Does a piece of everything that there is to do.
    pub fn step(&mut self) -> Step {
        type Lane = (Doing, fn(&mut Job) -> Step);
        const LANES: [Lane; 7] = [
            (Doing::Compute, Job::step_compute),
            (Doing::Opening, Job::step_opening),
            (Doing::Labels, Job::step_label_tasks),
            (Doing::Network, Job::step_network),
            (Doing::Exporting, Job::step_exports),
            (Doing::Measuring, Job::step_comparing),
            (Doing::Learning, Job::step_lesson),
        ];
        let mut done = Step::Idle;
        for (doing, lane) in LANES {
            self.doing = doing;
            done = done.max(lane(self));
        }
        done
    }

    /// The next event, if there is one.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Goes on after a step panicked: what was being done is over and said to be, everything else stays.
    pub fn recover(&mut self) {
        let mistake = "because of a mistake in this program";
        match self.doing {
            Doing::Opening => {
                if let Some(opening) = self.opening.take() {
                    let message = format!("{} cannot be opened {mistake}; convert it and try again", opening.name());
                    self.events.push_back(Event::OpenFailed { job: opening.number(), message });
                }
            }
            Doing::Network => {
                let (device, _engine) = self.compute.lose();
                self.network_failed(&format!("{device} stopped {mistake} or in its driver; start again"), true);
            }
            Doing::Compute => {
                self.compute.give_up_opening();
                let message = format!("the device cannot be opened {mistake} or in its driver; choose another one");
                self.events.push_back(Event::DeviceFailed(message.clone()));
                self.network_failed(&message, false);
            }
            Doing::Measuring => {
                self.comparing = None;
                self.events.push_back(Event::Failed(format!("the labels cannot be compared {mistake}")));
            }
            Doing::Learning => {
                let message = format!("it stopped {mistake} or in the driver of its device; start anew");
                self.end_lesson(LearnNews::Failed(message));
            }
            Doing::Labels => self.label_task_failed(format!("the labels cannot be worked on {mistake}")),
            Doing::Exporting => self.events.push_back(Event::Failed(format!("the file cannot be made {mistake}"))),
        }
    }

    /// Forgets the study and all that was asked about it.
    fn close(&mut self) {
        self.give_up_run();
        self.questions.clear();
        self.comparing = None;
        self.exports.clear();
        self.study = None;
    }
}
