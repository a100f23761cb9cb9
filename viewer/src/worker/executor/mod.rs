//! The worker itself: a state machine without a thread of its own. [`Executor::handle`] notes what is asked and never works;
//! [`Executor::step`] does one piece of whatever there is to do, so that commands are heard between pieces, of which the
//! longest is one slice on the processor or the unpacking of one file.
//!
//! | file | what |
//! |---|---|
//! | `open.rs`, `open/reading.rs`, `open/images.rs`, `open/streamed.rs`, `open/retrieved.rs` | from inputs to files to what is in them |
//! | `coming.rs`, `arrived.rs` | files that are being read; those that have come, slices of DICOM decoded |
//! | `archive.rs` | lists of archives, and what is sent to them |
//! | `content.rs`, `doubts.rs` | what a file is; whether an unnamed label map has our numbers |
//! | `compute.rs` | weights, device, engine |
//! | `segment.rs` | the run and its clean-up |
//! | `questions.rs` | what-if, between the slices of the run and after it |
//! | `open_ct.rs` | the open CT and what is known of its last run |
//! | `measure.rs` | comparison with a reference |
//! | `export.rs` | files to be saved |
//! | `labels.rs` | tools for whole organs, session files, edits that are stored |
//! | `demo.rs` | the small training |

mod archive;
mod arrived;
mod coming;
mod compute;
mod content;
mod demo;
mod doubts;
mod export;
mod labels;
mod measure;
mod open;
mod open_ct;
mod questions;
#[cfg(test)]
pub(crate) mod samples;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::archive::Asked;
use self::compute::Compute;
use self::demo::Demo;
use self::export::Exporting;
use self::labels::LabelTask;
use self::measure::Comparing;
use self::open::{LeftOver, Opening};
use self::open_ct::OpenCt;
use self::questions::Questions;
use self::segment::Segmenting;
use super::platform::Platform;
use super::{Command, Event, LearnUpdate};

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
enum Lane {
    Compute,
    Opening,
    Network,
    Measuring,
    Labels,
    Exporting,
    Learning,
    Archive,
}

/// The worker, with all that it is at.
pub struct Executor {
    platform: Box<dyn Platform>,
    events: VecDeque<Event>,
    compute: Compute,
    study: Option<OpenCt>,
    opening: Option<Opening>,
    /// What had come of a series when it was given up.
    left_over: Option<LeftOver>,
    /// A list that an archive is asked for.
    asked: Option<Asked>,
    /// What is being sent to one.
    sending: Option<Asked>,
    run: Option<Segmenting>,
    questions: Questions,
    comparing: Option<Comparing>,
    exports: VecDeque<Exporting>,
    label_tasks: VecDeque<LabelTask>,
    /// Number of the edit that is being looked for, in case that breaks off.
    editing: Option<u64>,
    demo: Option<Demo>,
    lane: Lane,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl Executor {
    /// A worker with the bundled weights and no study.
    pub fn new(mut platform: Box<dyn Platform>) -> Self {
        let compute = Compute::new(platform.as_mut());
        Self {
            platform,
            events: VecDeque::new(),
            compute,
            study: None,
            opening: None,
            left_over: None,
            asked: None,
            sending: None,
            run: None,
            questions: Questions::default(),
            comparing: None,
            exports: VecDeque::new(),
            label_tasks: VecDeque::new(),
            editing: None,
            demo: None,
            lane: Lane::Compute,
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
                        let reference = self.study.as_ref().map(OpenCt::reference);
                        let left_over = self.left_over.take();
                        let opening = Opening::new(job, inputs, as_what, even_if_large, reference);
                        self.opening = Some(opening.with(left_over));
                    }
                }
            }
            Command::AnswerOpen { job, answer } => {
                if let Some(opening) = self.opening.as_mut().filter(|o| o.number() == job) {
                    opening.answered(answer);
                }
            }
            Command::AssumeHu => {
                if let Some(study) = &mut self.study {
                    study.assume_hu = true;
                }
            }
            Command::CancelOpen => self.give_up_opening(),
            Command::Close => self.close(),
            Command::UseDevice(preference) => self.compute.use_device(self.platform.as_mut(), preference),
            Command::UseBundledWeights => self.compute.use_bundled(self.platform.as_mut()),
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
            Command::Export { what, labels, notes, opened_from } => {
                self.exports.push_back(Exporting { what, labels, notes, opened_from });
            }
            Command::Edit { number, edit, labels } => {
                self.label_tasks.push_back(LabelTask::Edit { number, edit, labels });
            }
            Command::Combine { number, edit, labels } => {
                self.label_tasks.push_back(LabelTask::Combine { number, edit, labels });
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
            Command::Archive { number, access, what } => self.ask_archive(number, &access, what),
            Command::Learn(command) => self.learn(command),
        }
    }

    /// Does a piece of everything that there is to do.
    pub fn step(&mut self) -> Step {
        type Entry = (Lane, fn(&mut Executor) -> Step);
        const LANES: [Entry; 8] = [
            (Lane::Compute, Executor::step_compute),
            (Lane::Opening, Executor::step_opening),
            (Lane::Labels, Executor::step_label_tasks),
            (Lane::Network, Executor::step_network),
            (Lane::Exporting, Executor::step_exports),
            (Lane::Measuring, Executor::step_comparing),
            (Lane::Archive, Executor::step_archive),
            (Lane::Learning, Executor::step_demo),
        ];
        let mut done = Step::Idle;
        for (lane, step) in LANES {
            self.lane = lane;
            done = done.max(step(self));
        }
        self.lane = Lane::Compute;
        if done == Step::Idle && self.compute.prepare_engine(&mut *self.platform) {
            done = Step::Worked;
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
        match self.lane {
            Lane::Opening => {
                if let Some(opening) = self.opening.take() {
                    let message = format!("{} cannot be opened {mistake}; convert it and try again", opening.name());
                    self.events.push_back(Event::OpenFailed { job: opening.number(), message });
                }
            }
            Lane::Network => {
                let (device, _engine) = self.compute.drop_device();
                self.network_failed(&format!("{device} stopped {mistake} or in its driver; start again"), true);
            }
            Lane::Compute => {
                self.compute.give_up_opening();
                let message = format!("the device cannot be opened {mistake} or in its driver; choose another one");
                self.events.push_back(Event::DeviceFailed(message.clone()));
                self.network_failed(&message, false);
            }
            Lane::Measuring => {
                self.comparing = None;
                self.events.push_back(Event::Failed(format!("the labels cannot be compared {mistake}")));
            }
            Lane::Learning => {
                let message = format!("it stopped {mistake} or in the driver of its device; start anew");
                self.end_demo(LearnUpdate::Failed(message));
            }
            Lane::Archive => self.archive_failed(&format!("the archive cannot be asked {mistake}")),
            Lane::Labels => self.label_task_failed(format!("the labels cannot be worked on {mistake}")),
            Lane::Exporting => self.events.push_back(Event::Failed(format!("the file cannot be made {mistake}"))),
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
