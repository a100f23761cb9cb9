//! The run: started, fed, held, stopped, cleaned up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attention_anatomy::infer::{
    Engine, EngineError, Explanation, Message, RunOptions, SegmentationRequest, SegmentationSession, SliceResult, Wait,
};
use web_time::Instant;

use super::compute::EngineState;
use super::{Executor, Step};
use crate::edit::PackedSlice;
use crate::worker::error::NetworkError;
use crate::worker::{Ask, Event, PackedMargin, RunRequest};

/// A run under way.
pub(super) struct Segmenting {
    pub(super) request: RunRequest,
    cancel: Arc<AtomicBool>,
    held: bool,
    /// `None` until weights and device are there.
    session: Option<SegmentationSession>,
    /// Slices that the clean-up changed and that were not sent, and voxels that it took away; once it is done.
    cleaned: Option<(VecDeque<usize>, usize)>,
}

/// Slices after the clean-up that are sent in one step: all of a large scan at once would lie in memory beside the labels.
const CLEANED_PER_STEP: usize = 16;

impl Segmenting {
    fn new(request: RunRequest) -> Self {
        Self { request, cancel: Arc::default(), held: false, session: None, cleaned: None }
    }

    pub(super) fn focus(&mut self, slice: usize) {
        self.request.first = slice;
        if let Some(session) = &mut self.session {
            session.focus(slice);
        }
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.held = paused;
        if let Some(session) = &mut self.session {
            session.hold(paused);
        }
    }

    pub(super) fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// What another engine had under way comes again.
    pub(super) fn change_device(&mut self, device: &str, notes: &[String]) {
        if let Some(session) = &mut self.session {
            session.change_device(device, notes, self.request.first);
        }
    }

    pub(super) fn session(&self) -> Option<&SegmentationSession> {
        self.session.as_ref()
    }

    fn is_complete(&self) -> bool {
        self.session.as_ref().is_some_and(SegmentationSession::is_complete)
    }

    /// Whether an engine is needed for it now.
    fn wants_engine(&self) -> bool {
        self.session.as_ref().map_or(!self.held, SegmentationSession::wants_engine)
    }

    fn under_way(&self) -> usize {
        self.session.as_ref().map_or(0, SegmentationSession::under_way)
    }
}

impl Executor {
    /// A run to be started; one that is under way is cancelled.
    pub(super) fn start(&mut self, request: RunRequest) {
        self.give_up_run();
        if self.study.is_none() {
            let message = "there is no CT to segment; open one first".into();
            self.events.push_back(Event::RunFailed { run: request.run, message, device_lost: false });
            return;
        }
        self.run = Some(Segmenting::new(request));
    }

    pub(super) fn give_up_run(&mut self) {
        if let Some(run) = self.end_run() {
            self.events.push_back(Event::RunCancelled { run });
        }
    }

    /// The run is over; its record stays with the study. Its number.
    fn end_run(&mut self) -> Option<u64> {
        let run = self.run.take()?;
        if let (Some(study), Some(session)) = (&mut self.study, run.session) {
            study.provenance = Some(session.into_provenance());
        }
        Some(run.request.run)
    }

    /// The network cannot go on: neither can what waits for it.
    pub(super) fn network_failed(&mut self, message: &str, device_lost: bool) {
        let asked = self.questions.clear();
        match self.end_run() {
            Some(run) => {
                self.events.push_back(Event::RunFailed { run, message: message.into(), device_lost });
            }
            None if device_lost => self.events.push_back(Event::DeviceFailed(message.into())),
            None if asked => self.events.push_back(Event::Failed(message.into())),
            None => {}
        }
    }

    /// Runs and questions: whatever needs the engine.
    pub(super) fn step_network(&mut self) -> Step {
        // What needs no engine first.
        match &self.run {
            Some(run) if run.session.is_none() && run.is_cancelled() => {
                self.give_up_run();
                return Step::Worked;
            }
            Some(run) if run.is_complete() => {
                self.finish_run();
                return Step::Worked;
            }
            _ => {}
        }
        let wanted = self.run.as_ref().is_some_and(|r| r.wants_engine() || r.is_cancelled());
        if !wanted && self.questions.is_empty() {
            return Step::Idle;
        }
        match self.compute.ensure_engine(self.platform.as_mut()) {
            EngineState::Pending => return Step::Waiting,
            EngineState::Unavailable(error) => {
                self.network_failed(&error.to_string(), false);
                return Step::Worked;
            }
            EngineState::Ready => {}
        }
        match self.begin_run() {
            Err(error @ NetworkError::NotHu(_)) => {
                self.questions.clear();
                if let Some(run) = self.end_run() {
                    self.events.push_back(Event::NotHu { run, message: error.to_string() });
                }
                return Step::Worked;
            }
            Err(error) => {
                self.network_failed(&error.to_string(), false);
                return Step::Worked;
            }
            Ok(()) => {}
        }
        let answered = self.answer();
        let fed = self.feed();
        let polled = self.poll_engine();
        let warnings = self.compute.engine().map_or(Vec::new(), Engine::take_warnings);
        self.events.extend(warnings.into_iter().map(Event::Warning));
        answered.max(fed).max(polled)
    }

    /// Prepares the volume for a run that was not begun.
    fn begin_run(&mut self) -> Result<(), NetworkError> {
        let (Some(run), Some(study)) = (self.run.as_mut().filter(|r| r.session.is_none()), self.study.as_mut()) else {
            return Ok(());
        };
        let (Some(weights), Some(device)) = (self.compute.weights(), self.compute.device()) else { return Ok(()) };
        let clock = Instant::now();
        let slices = study.slices(&weights.ready.info.input)?;
        let enabled = run.request.enabled;
        let mut session = SegmentationSession::new(
            slices,
            SegmentationRequest {
                inputs: vec![study.name.clone()],
                cleanup: run.request.cleanup,
                assume_hu: study.assume_hu,
                run: RunOptions {
                    first: Some(run.request.first),
                    cancel: run.cancel.clone(),
                    explain: true,
                    ..RunOptions::default()
                },
                seconds: vec![("prepare".into(), clock.elapsed().as_secs_f64())],
                ..SegmentationRequest::new(weights.ready.clone().into(), device, enabled)
            },
        );
        session.hold(run.held);
        let [done, total] = session.progress();
        run.session = Some(session);
        // What an earlier run left is no longer how the labels came about.
        study.provenance = None;
        self.events.push_back(Event::Progress { run: run.request.run, done, total });
        if let Some(engine) = self.compute.engine() {
            engine.set_enabled(enabled);
        }
        Ok(())
    }

    fn feed(&mut self) -> Step {
        let (Some(run), Some(engine)) = (&mut self.run, self.compute.engine()) else { return Step::Idle };
        // An engine that was made in the middle of a run does not know it yet.
        engine.set_enabled(run.request.enabled);
        let messages = run.session.as_mut().map_or(Vec::new(), |session| session.feed(engine));
        let step = if messages.is_empty() { Step::Idle } else { Step::Worked };
        self.apply_messages(messages);
        step
    }

    /// Takes one result, whoever asked for it.
    fn poll_engine(&mut self) -> Step {
        let waited_for = self.run.as_ref().map_or(0, Segmenting::under_way) > 0 || self.questions.under_way();
        let Some(engine) = self.compute.engine().filter(|_| waited_for) else { return Step::Idle };
        let Some(result) = engine.poll(Wait::No) else { return Step::Waiting };
        let own = self.run.as_mut().and_then(|r| r.session.as_mut()).filter(|s| s.owns(result.ticket));
        match own {
            Some(session) => {
                let messages = session.accept(engine, result);
                self.apply_messages(messages);
            }
            // Of a question; or of a run that was given up, and then nobody waits for it.
            None => self.accept_answer(result),
        }
        Step::Worked
    }

    fn accept_answer(&mut self, mut result: SliceResult) {
        let known = self.questions.accept(result.ticket);
        if let Some((Ask { number, slice, .. }, labels)) = self.questions.answered(&mut result) {
            self.events.push_back(Event::Answer { number, slice, labels });
        }
        match result.outcome {
            Err(error @ EngineError::DeviceLost(_)) => self.device_lost(&error),
            Err(error) if known => {
                self.questions.clear();
                self.events.push_back(Event::Failed(error.to_string()));
            }
            _ => {}
        }
    }

    fn device_lost(&mut self, error: &EngineError) {
        let (_, _engine) = self.compute.drop_device();
        self.network_failed(&error.to_string(), true);
    }

    /// What the run says becomes events.
    fn apply_messages(&mut self, messages: Vec<Message>) {
        for message in messages {
            let Some(run) = &self.run else { return };
            let number = run.request.run;
            match message {
                Message::SliceDone { slice, labels, explanation, .. } => {
                    let area = labels.len();
                    let Explanation { margin, removed } =
                        explanation.unwrap_or_else(|| Explanation { margin: vec![u8::MAX; area], removed: None });
                    let (labels, margin) = (PackedSlice::of(&labels), PackedMargin::of(&margin));
                    self.events.push_back(Event::SliceDone { run: number, slice, labels, margin, removed });
                }
                Message::Anatomy(anatomy) => self.events.push_back(Event::Anatomy { run: number, anatomy }),
                Message::Progress { done, total } => {
                    self.events.push_back(Event::Progress { run: number, done, total });
                }
                Message::Finished => self.compute.free_memory(),
                Message::Cancelled => self.give_up_run(),
                Message::Failed(error @ EngineError::DeviceLost(_)) => self.device_lost(&error),
                Message::Failed(error) => self.network_failed(&error.to_string(), false),
            }
        }
    }

    /// Cleans up, says which slices that changed, some in a step, and ends the run.
    fn finish_run(&mut self) {
        let Some(run) = &mut self.run else { return };
        let Some(session) = &mut run.session else { return };
        let (left, removed) = run.cleaned.get_or_insert_with(|| {
            let changed = session.clean_up();
            (changed.into(), session.provenance().removed)
        });
        let (number, removed) = (run.request.run, *removed);
        for slice in left.drain(..left.len().min(CLEANED_PER_STEP)) {
            let labels = PackedSlice::of(&session.labels(slice));
            self.events.push_back(Event::SliceCleaned { run: number, slice, labels });
        }
        if left.is_empty()
            && let Some(run) = self.end_run()
        {
            self.events.push_back(Event::RunFinished { run, removed });
        }
    }
}
