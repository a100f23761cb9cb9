//! What an event of the worker changes.

use attention_anatomy::metrics::OrganMetrics;
use web_time::Instant;

use super::{ByteLayer, FileRequest, Reference, RunPhase, State, Study};
use crate::panels::Opening;
use crate::worker::{Command, Event, Input, OpenAs, Opened, RunRequest};

impl State {
    /// Applies an event; those of runs and questions that are over change nothing.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::Device(device) => {
                for note in &device.notes {
                    self.notices.warn(note.clone());
                }
                self.model.device = Some(device);
            }
            Event::DeviceFailed(message) => self.notices.error(message),
            Event::Weights(weights) => self.model.weights = Some(weights),
            Event::OpenProgress { .. } | Event::OpenLarge { .. } => self.panels.opening(event),
            Event::Opened { job, what } => {
                self.panels.opened(job);
                self.opened(what);
            }
            Event::OpenFailed { job, message } => {
                self.panels.opened(job);
                if !message.is_empty() {
                    self.notices.error(message);
                }
            }
            Event::SliceDone { run, slice, labels, margin, removed } => {
                if let Some(study) = self.study.as_mut().filter(|_| run == self.run.number) {
                    study.labels.apply_run_slice(slice, &labels);
                    let layer = study.margin.slice_mut(slice);
                    if layer.len() == margin.len() {
                        layer.copy_from_slice(&margin);
                    }
                    if let Some(entry) = study.removed.get_mut(slice) {
                        *entry = removed;
                    }
                }
            }
            Event::SliceCleaned { run, slice, labels } => {
                if let Some(study) = self.study.as_mut().filter(|_| run == self.run.number) {
                    study.labels.apply_run_slice(slice, &labels);
                }
            }
            Event::Anatomy { run, anatomy } => {
                if let Some(study) = self.study.as_mut().filter(|_| run == self.run.number)
                    && let Some(entry) = study.anatomy.get_mut(anatomy.slice)
                {
                    *entry = Some(anatomy);
                }
            }
            Event::Progress { run, done, total } if run == self.run.number => {
                (self.run.done, self.run.total) = (done, total);
            }
            Event::RunFinished { run, .. } if run == self.run.number => self.run.end(RunPhase::Finished),
            Event::RunCancelled { run } if run == self.run.number => self.run.end(RunPhase::Cancelled),
            Event::RunFailed { run, message, device_lost } if run == self.run.number => {
                if device_lost {
                    self.model.device = None;
                }
                self.notices.error(message.clone());
                self.run.end(RunPhase::Failed(message));
            }
            Event::Progress { .. }
            | Event::RunFinished { .. }
            | Event::RunCancelled { .. }
            | Event::RunFailed { .. } => {}
            Event::Answer { number, slice, labels } => {
                let what_if = self.study.as_mut().and_then(|s| s.what_if.as_mut());
                if let Some(what_if) = what_if.filter(|w| w.asked == number && w.slice == slice) {
                    what_if.labels = Some(labels);
                }
            }
            Event::Compared { number, metrics } => self.compared(number, metrics),
            Event::Exported { name, bytes } => self.request(FileRequest::Save { name, bytes }),
            Event::Failed(message) => self.notices.error(message),
            Event::Learn(event) => self.panels.learn(event),
        }
    }

    /// Opens these.
    pub fn open(&mut self, inputs: Vec<Input>, as_what: OpenAs) {
        let job = self.next_number();
        let step = "Reading".to_string();
        self.panels.opening = Some(Opening { job, inputs: inputs.clone(), as_what, step, ..Default::default() });
        self.send(Command::Open { job, inputs, as_what, even_if_large: false });
    }

    /// Goes on with what is being opened, although it will hardly fit into memory.
    pub fn open_although_large(&mut self) {
        if let Some(opening) = self.panels.opening.as_mut() {
            opening.large = None;
            let Opening { job, inputs, as_what, .. } = opening.clone();
            self.send(Command::Open { job, inputs, as_what, even_if_large: true });
        }
    }

    /// Gives up what is being opened.
    pub fn cancel_open(&mut self) {
        self.panels.opening = None;
        self.send(Command::CancelOpen);
    }

    fn opened(&mut self, what: Opened) {
        match what {
            Opened::Ct { name, ct } => {
                crate::store::keep(self);
                for warning in &ct.warnings {
                    self.notices.warn(warning.clone());
                }
                self.view.reset(ct.geometry.size);
                let number = self.next_number();
                self.study = Some(Study::new(number, name, ct));
                self.run = Default::default();
                if self.preferences.run_after_opening {
                    self.start_run();
                }
            }
            Opened::Labels { name, voxels, reference } => {
                let Some(study) = self.study.as_mut() else { return };
                let size = study.geometry().size;
                if reference {
                    let Some(labels) = ByteLayer::from_voxels(size, voxels) else { return };
                    study.reference = Some(Reference { name, labels, metrics: Vec::new(), asked: None, revision: 0 });
                } else {
                    study.labels.replace_all(&voxels);
                }
            }
            Opened::Weights(weights) => self.model.weights = Some(weights),
            Opened::Session { text } => crate::store::restore_session(self, &text),
        }
    }

    /// Starts a segmentation from the slice on screen.
    pub fn start_run(&mut self) {
        if self.study.is_none() {
            return;
        }
        let run = self.next_number();
        let (first, drawn) = (self.view.slice(), self.model.drawn());
        if let Some(study) = self.study.as_mut() {
            study.drawn = drawn;
            study.what_if = None;
        }
        self.run =
            super::Run { number: run, phase: RunPhase::Running, started: Some(Instant::now()), ..Default::default() };
        self.send(Command::Run(RunRequest { run, first, drawn, cleanup: true }));
    }

    fn compared(&mut self, number: u64, metrics: Vec<Option<OrganMetrics>>) {
        if let Some(reference) = self.study.as_mut().and_then(|s| s.reference.as_mut())
            && reference.asked == Some(number)
        {
            reference.metrics = metrics;
        }
    }
}
