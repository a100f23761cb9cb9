//! What an event of the worker changes.

use attention_anatomy::metrics::OrganMetrics;
use web_time::{Duration, Instant};

use super::study::{Reference, Study};
use super::{Document, FileRequest, Opening, Outbox, Question, RunPhase, RunState, Severity};
use crate::edit::ByteLayer;
use crate::session::Session;
use crate::worker::{Command, Event, Input, OpenAs, Opened, RunRequest};

impl Document {
    /// Applies an event; those of runs and questions that are over change nothing.
    pub fn apply(&mut self, event: Event, outbox: &mut Outbox) {
        match event {
            Event::Device(device) => {
                for note in &device.notes {
                    outbox.notices.lasting(Severity::Warning, note.clone());
                }
                self.model.device = Some(device);
            }
            Event::DeviceFailed(message) => outbox.notices.error(message),
            Event::Weights(weights) => self.model.weights = Some(weights),
            Event::OpenProgress { job, step, part } => {
                if let Some(opening) = self.opening.as_mut().filter(|o| o.job == job) {
                    (opening.step, opening.part) = (step, part);
                }
            }
            Event::OpenPicture { job, picture } => {
                if let Some(opening) = self.opening.as_mut().filter(|o| o.job == job) {
                    opening.picture = Some(picture);
                }
            }
            Event::Archive { number, answer } => self.archive_said(number, answer, outbox),
            Event::OpenLarge { job, bytes } => {
                if let Some(opening) = self.opening.as_mut().filter(|o| o.job == job) {
                    opening.large = Some(bytes);
                }
            }
            Event::OpenAsks { job, question } => {
                // What is asked about the rest of what was opened, too: the scan is there by then.
                if self.opening.as_ref().is_none_or(|o| o.job == job) {
                    self.question = Some(Question::Opening { job, question });
                }
            }
            Event::Opened { job, what } => {
                let is_ct = matches!(what, Opened::Ct { .. });
                let origin = self.origin_of_opening(job).filter(|_| is_ct);
                if is_ct {
                    self.remember(job);
                }
                self.end_opening(job);
                self.opened(what, outbox);
                if let (Some(study), true) = (&mut self.study, is_ct) {
                    study.origin = origin;
                    self.offer_structures(outbox);
                }
            }
            Event::OpenFailed { job, message } => {
                self.end_opening(job);
                if !message.is_empty() {
                    outbox.notices.error(message);
                }
            }
            Event::SliceDone { run, slice, labels, margin, removed } => {
                if let Some(study) = self.study.as_mut().filter(|_| run == self.run.number) {
                    let labels = labels.to_vec();
                    study.labels.apply_run_slice(slice, &labels);
                    study.note_drawn(slice, &labels);
                    study.margin.set(slice, margin);
                    if let Some(entry) = study.removed.get_mut(slice) {
                        *entry = removed;
                    }
                }
            }
            Event::SliceCleaned { run, slice, labels } => {
                if let Some(study) = self.study.as_mut().filter(|_| run == self.run.number) {
                    let labels = labels.to_vec();
                    study.labels.apply_run_slice(slice, &labels);
                    study.note_drawn(slice, &labels);
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
                outbox.notices.error(message.clone());
                self.run.end(RunPhase::Failed(message));
            }
            Event::Progress { .. }
            | Event::RunFinished { .. }
            | Event::RunCancelled { .. }
            | Event::RunFailed { .. } => {}
            Event::Answer { number, slice, labels } => {
                if let Some(study) = self.study.as_mut() {
                    study.what_if_answered(number, slice, labels);
                }
            }
            Event::Compared { number, metrics } => self.compared(number, metrics),
            Event::NotHu { run, message } if run == self.run.number => {
                self.run.end(RunPhase::Failed(message.clone()));
                self.question = Some(Question::NotHu(message));
            }
            Event::NotHu { .. } => {}
            Event::Exported { name, bytes } => {
                let name = self.study.as_ref().map_or(name.clone(), |study| study.name_of_file(&name));
                outbox.request(FileRequest::Save { name, bytes });
            }
            Event::Failed(message) => outbox.notices.error(message),
            Event::Warning(message) => outbox.notices.warn(message),
            Event::Edited { number, changes } => {
                if let Some(study) = self.study.as_mut() {
                    study.labels.apply_changes(number, changes);
                }
            }
            Event::Made { number, extra } => {
                if let (Some(study), Some(extra)) = (self.study.as_mut(), extra.into_iter().next()) {
                    study.labels.take_made(number, extra);
                }
            }
            Event::EditFailed { number, message } => {
                if let Some(study) = self.study.as_mut() {
                    study.labels.give_up_changes(number);
                }
                outbox.notices.error(message);
            }
            Event::EditsUnpacked { study: number, edits, edited_voxels, extras } => {
                if let Some(study) = self.study.as_mut().filter(|s| s.number == number) {
                    let structures = extras.len();
                    study.labels.restore_edits(edits, extras, true, "restored edits");
                    outbox.notices.info(match (edited_voxels, structures) {
                        (voxels, 0) => format!("{voxels} edited voxels restored"),
                        (0, structures) => format!("{structures} structures restored"),
                        (voxels, structures) => format!("{voxels} edited voxels and {structures} structures restored"),
                    });
                }
            }
            // For those who asked: the panel that shows the training, and whoever stores edits.
            Event::Learn(_) | Event::EditsPacked { .. } => {}
        }
    }

    /// Opens these.
    pub fn open(&mut self, inputs: Vec<Input>, as_what: OpenAs, outbox: &mut Outbox) {
        let job = outbox.next_number();
        let step = "Reading".to_string();
        self.question = None;
        self.opening = Some(Opening { job, inputs: inputs.clone(), as_what, step, ..Default::default() });
        outbox.send(Command::Open { job, inputs, as_what, even_if_large: false });
    }

    /// Goes on with what is being opened, although it will hardly fit into memory.
    pub fn open_although_large(&mut self, outbox: &mut Outbox) {
        if let Some(opening) = self.opening.as_mut() {
            opening.large = None;
            let Opening { job, inputs, as_what, .. } = opening.clone();
            outbox.send(Command::Open { job, inputs, as_what, even_if_large: true });
        }
    }

    /// Gives up what is being opened.
    pub fn cancel_open(&mut self, outbox: &mut Outbox) {
        self.opening = None;
        self.forget_opening_question();
        outbox.send(Command::CancelOpen);
    }

    fn forget_opening_question(&mut self) {
        self.question.take_if(|question| matches!(question, Question::Opening { .. }));
    }

    /// Closes the study.
    pub fn close(&mut self, outbox: &mut Outbox) {
        outbox.send(Command::Close);
        self.question = None;
        self.study = None;
        self.run = RunState::default();
    }

    /// Puts the file or folder that a scan was opened from at the head of the recent ones.
    fn remember(&mut self, job: u64) {
        let Some(opening) = self.opening.as_ref().filter(|o| o.job == job) else { return };
        if let [Input::Path(path)] = opening.inputs.as_slice() {
            // The next start may be from another folder.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            self.preferences.opened(&path.to_string_lossy());
        }
    }

    fn end_opening(&mut self, job: u64) {
        if self.opening.as_ref().is_some_and(|o| o.job == job) {
            self.opening = None;
        }
    }

    fn opened(&mut self, what: Opened, outbox: &mut Outbox) {
        match what {
            Opened::Ct { name, ct, key, about, labels_follow } => {
                // What is still said of the last scan is not said of this one.
                outbox.notices.begin_scan();
                for warning in &ct.warnings {
                    outbox.notices.warn(warning.clone());
                }
                self.view.reset(ct.geometry.size);
                self.view.set_window_of_scan(about.as_ref().and_then(|about| about.window));
                let number = outbox.next_number();
                self.study = Some(Study { about, ..Study::new(number, name, ct, key) });
                self.run = RunState::default();
                // What comes with it is shown, and not replaced at once.
                if self.preferences.run_after_opening && !labels_follow {
                    self.start_run(outbox);
                }
            }
            Opened::Labels { name, labels, edits, extras, reference, warnings } => {
                for warning in warnings {
                    outbox.notices.warn(warning);
                }
                let Some(study) = self.study.as_mut() else { return };
                let size = study.geometry().size;
                if reference {
                    let Some(labels) = labels.and_then(|labels| ByteLayer::from_slices(size, &labels)) else {
                        outbox.notices.error(format!("{name} holds no organ to compare with"));
                        return;
                    };
                    study.reference = Some(Reference { name, labels, metrics: Vec::new(), asked: None, revision: 0 });
                    return;
                }
                let others = match extras.len() {
                    0 => String::new(),
                    1 => "1 structure that is none of the 33 organs".to_string(),
                    n => format!("{n} structures that are none of the 33 organs"),
                };
                let Some(labels) = labels else {
                    study.labels.open_extras(extras);
                    outbox
                        .notices
                        .info(format!("{name} holds {others}: they are listed under the organs and outlined"));
                    return;
                };
                // What a run still says is not about these labels.
                if self.run.is_active() {
                    outbox.send(Command::CancelRun);
                }
                self.run = RunState { number: outbox.next_number(), ..RunState::default() };
                study.what_if = None;
                study.labels.open_labels(&name, labels, edits, extras);
                let others = if others.is_empty() { others } else { format!(", with {others}") };
                let text = format!("the labels on screen are those of {name}{others}; undo brings back those before");
                outbox.notices.info(text);
            }
            Opened::Weights(weights) => self.model.weights = Some(weights),
            Opened::Session { head, network, edits, edited_voxels, extras } => {
                self.restore_session(Session { head: *head, network, edits, edited_voxels, extras }, outbox);
            }
        }
    }

    /// Starts a segmentation from the slice on screen; asks first where it would replace labels that come from a file.
    pub fn start_run(&mut self, outbox: &mut Outbox) {
        let from = self.study.as_ref().and_then(|study| study.labels.opened_from());
        match from.map(str::to_owned) {
            Some(file) => self.question = Some(Question::Replace(file)),
            None => self.begin_run(outbox),
        }
    }

    pub(super) fn begin_run(&mut self, outbox: &mut Outbox) {
        let (first, enabled) = (self.view.slice(), self.model.enabled());
        let Some(study) = self.study.as_mut() else { return };
        study.enabled = enabled;
        study.what_if = None;
        study.labels.begin_run();
        let run = outbox.next_number();
        self.run =
            RunState { number: run, phase: RunPhase::Running, started: Some(Instant::now()), ..Default::default() };
        outbox.send(Command::Run(RunRequest { run, first, enabled, cleanup: true }));
    }

    fn compared(&mut self, number: u64, metrics: Vec<Option<OrganMetrics>>) {
        if let Some(reference) = self.study.as_mut().and_then(|s| s.reference.as_mut())
            && reference.asked == Some(number)
        {
            reference.metrics = metrics;
        }
    }
}

/// How long a frame works on an edit of many voxels.
const EDIT_TIME: Duration = Duration::from_millis(6);

impl Document {
    /// Goes on with an edit of many voxels. Once a frame; whether something is left for the next.
    pub fn advance_edit(&mut self) -> bool {
        self.study.as_mut().is_some_and(|study| study.labels.advance(EDIT_TIME))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::display::WINDOW_PRESETS;
    use crate::document::bench::Bench;
    use crate::edit::samples::ct;
    use crate::session::CtKey;
    use crate::worker::AboutScan;

    fn open(bench: &mut Bench, paths: &[&str]) {
        bench.open(paths.iter().map(|path| Input::Path(PathBuf::from(path))).collect(), OpenAs::Whatever);
        let job = bench.opening.as_ref().unwrap().job;
        let ct = ct([2; 3], [1.0; 3]);
        let key = CtKey::of(&ct);
        let what = Opened::Ct { name: "scan".into(), ct, key, about: None, labels_follow: false };
        bench.apply(Event::Opened { job, what });
    }

    #[test]
    fn scans_that_were_opened_are_found_again_whatever_the_folder_of_the_next_start() {
        let mut bench = Bench::default();
        for paths in [&["a"][..], &["b"], &["one of.dcm", "two files.dcm"], &["a"]] {
            open(&mut bench, paths);
        }
        let here = std::env::current_dir().unwrap();
        let recent: Vec<PathBuf> = bench.preferences.recent.iter().map(PathBuf::from).collect();
        assert_eq!(recent, [here.join("a"), here.join("b")]);
    }

    #[test]
    fn a_new_scan_begins_with_its_own_window_and_without_what_was_said_of_the_last() {
        let mut bench = Bench::default();
        open(&mut bench, &["a"]);
        (bench.view.window, bench.view.inverted) = (WINDOW_PRESETS[2].window, true);
        bench.outbox.notices.warn("slices of the last scan are oblique");
        bench.outbox.notices.lasting(Severity::Warning, "there is no GPU");
        let about = AboutScan { window: Some([80.0, 40.0]), ..AboutScan::default() };
        bench.open(vec![Input::Path("b".into())], OpenAs::Whatever);
        let job = bench.opening.as_ref().unwrap().job;
        let ct = ct([2; 3], [1.0; 3]);
        let what = Opened::Ct {
            name: "b".into(),
            key: CtKey::of(&ct),
            ct,
            about: Some(Box::new(about)),
            labels_follow: false,
        };
        bench.apply(Event::Opened { job, what });
        assert_eq!((bench.view.window.width, bench.view.window.level, bench.view.inverted), (80.0, 40.0, false));
        let said: Vec<&str> = bench.outbox.notices.iter().map(|n| n.text.as_str()).collect();
        assert_eq!(said, ["there is no GPU"]);
        open(&mut bench, &["c"]);
        assert_eq!(bench.view.window, WINDOW_PRESETS[1].window, "soft tissue where the files name none");
    }

    #[test]
    fn a_scan_that_could_not_be_read_is_not_offered_again() {
        let mut bench = Bench::default();
        bench.open(vec![Input::Path("broken.nii".into())], OpenAs::Whatever);
        let job = bench.opening.as_ref().unwrap().job;
        bench.apply(Event::OpenFailed { job, message: "broken.nii is broken".into() });
        assert!(bench.preferences.recent.is_empty());
    }
}
