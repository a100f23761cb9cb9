//! The run: started, fed, held, stopped, cleaned up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use attention_anatomy::infer::{
    Engine, EngineError, Explanation, Message, RunOptions, SliceResult, VolumeRun, Wait, remove_stray_components,
};
use web_time::{Instant, SystemTime, UNIX_EPOCH};

use super::compute::Ready;
use super::study::Record;
use super::{Job, Step};
use crate::worker::{Event, RunRequest};

/// A run under way.
pub(super) struct Segmenting {
    pub(super) request: RunRequest,
    cancel: Arc<AtomicBool>,
    /// Since when it is held.
    held: Option<Instant>,
    /// `None` until weights and device are there.
    volume: Option<VolumeRun>,
    started: Instant,
    /// What the network says, canonical; the clean-up needs all of it.
    labels: Vec<u8>,
    /// All slices are there and only the clean-up is left.
    complete: bool,
}

impl Segmenting {
    fn new(request: RunRequest) -> Self {
        Self {
            request,
            cancel: Arc::default(),
            held: None,
            volume: None,
            started: Instant::now(),
            labels: Vec::new(),
            complete: false,
        }
    }

    pub(super) fn focus(&mut self, slice: usize) {
        self.request.first = slice;
        if let Some(volume) = &mut self.volume {
            volume.focus(slice);
        }
    }

    pub(super) fn pause(&mut self, paused: bool) {
        match (paused, self.held.take()) {
            (true, held) => self.held = Some(held.unwrap_or_else(Instant::now)),
            // Time for which it was held is not the engine's.
            (false, Some(since)) => self.started += since.elapsed(),
            (false, None) => {}
        }
    }

    pub(super) fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// What another engine had under way comes again.
    pub(super) fn engine_changed(&mut self) {
        if let Some(volume) = &mut self.volume {
            volume.restart_in_flight();
            volume.focus(self.request.first);
        }
    }

    /// Whether an engine is needed for it now.
    fn wants_engine(&self) -> bool {
        !self.complete && (self.held.is_none() || self.under_way() > 0)
    }

    fn under_way(&self) -> usize {
        self.volume.as_ref().map_or(0, VolumeRun::under_way)
    }

    fn feed(&mut self, engine: &mut dyn Engine) -> Vec<Message> {
        let held = self.held.is_some() && !self.is_cancelled();
        match &mut self.volume {
            Some(volume) if !held => volume.feed(engine),
            _ => Vec::new(),
        }
    }
}

impl Job {
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
        if let Some(run) = self.run.take() {
            self.events.push_back(Event::RunCancelled { run: run.request.run });
        }
    }

    /// The network cannot go on: neither can what waits for it.
    pub(super) fn network_failed(&mut self, message: &str, device_lost: bool) {
        let asked = self.questions.clear();
        match self.run.take() {
            Some(run) => {
                let run = run.request.run;
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
            Some(run) if run.volume.is_none() && run.is_cancelled() => {
                self.give_up_run();
                return Step::Worked;
            }
            Some(run) if run.complete => {
                self.finish_run();
                return Step::Worked;
            }
            _ => {}
        }
        let wanted = self.run.as_ref().is_some_and(|r| r.wants_engine() || r.is_cancelled());
        if !wanted && self.questions.is_empty() {
            return Step::Idle;
        }
        match self.compute.ready(self.machine.as_mut()) {
            Ready::NotYet => return Step::Waiting,
            Ready::No(message) => {
                self.network_failed(&message, false);
                return Step::Worked;
            }
            Ready::Yes => {}
        }
        if let Err(message) = self.begin_run() {
            self.network_failed(&message, false);
            return Step::Worked;
        }
        let answered = self.answer();
        let fed = self.feed();
        let polled = self.poll_engine();
        answered.max(fed).max(polled)
    }

    /// Prepares the volume for a run that was not begun.
    fn begin_run(&mut self) -> Result<(), String> {
        let (Some(run), Some(study)) = (self.run.as_mut().filter(|r| r.volume.is_none()), self.study.as_mut()) else {
            return Ok(());
        };
        let (Some(weights), Some(device)) = (self.compute.weights(), self.compute.device()) else { return Ok(()) };
        let clock = Instant::now();
        let slices = study.slices(&weights.ready.info.input)?;
        let total = slices.grid().slices;
        let options = RunOptions { first: Some(run.request.first), cancel: run.cancel.clone(), explain: true };
        run.volume = Some(VolumeRun::new(slices, &options));
        run.labels = vec![0; study.ct.geometry.voxel_count()];
        run.started = Instant::now();
        run.held = run.held.map(|_| run.started);
        study.record = Some(Record {
            weights: weights.ready.clone(),
            device: device.name.clone(),
            notes: device.notes.clone(),
            started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            seconds: vec![("prepare".into(), clock.elapsed().as_secs_f64())],
            drawn: run.request.drawn,
            cleanup: run.request.cleanup,
            removed: 0,
            done: [0, total],
            anatomy: BTreeMap::new(),
        });
        let drawn = run.request.drawn;
        self.events.push_back(Event::Progress { run: run.request.run, done: 0, total });
        if let Some(engine) = self.compute.engine() {
            engine.set_drawn(drawn);
        }
        Ok(())
    }

    fn feed(&mut self) -> Step {
        let (Some(run), Some(engine)) = (&mut self.run, self.compute.engine()) else { return Step::Idle };
        // An engine that was made in the middle of a run does not know it yet.
        engine.set_drawn(run.request.drawn);
        let messages = run.feed(engine);
        let step = if messages.is_empty() { Step::Idle } else { Step::Worked };
        self.heard(messages);
        step
    }

    /// Takes one result, whoever asked for it.
    fn poll_engine(&mut self) -> Step {
        let waited_for = self.run.as_ref().map_or(0, Segmenting::under_way) > 0 || self.questions.under_way();
        let Some(engine) = self.compute.engine().filter(|_| waited_for) else { return Step::Idle };
        let Some(result) = engine.poll(Wait::No) else { return Step::Waiting };
        let own = self.run.as_mut().and_then(|r| r.volume.as_mut()).filter(|v| v.owns(result.ticket));
        match own {
            Some(volume) => {
                let messages = volume.accept(engine, result);
                self.heard(messages);
            }
            // Of a question; or of a run that was given up, and then nobody waits for it.
            None => self.question_came(result),
        }
        Step::Worked
    }

    fn question_came(&mut self, result: SliceResult) {
        let known = self.questions.came(result.ticket);
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
        let (_, _engine) = self.compute.lose();
        self.network_failed(&error.to_string(), true);
    }

    /// What the run says becomes events.
    fn heard(&mut self, messages: Vec<Message>) {
        for message in messages {
            let (Some(run), Some(study)) = (&mut self.run, &mut self.study) else { return };
            let number = run.request.run;
            match message {
                Message::SliceDone { slice, labels, explanation } => {
                    let area = labels.len();
                    if let Some(all) = run.labels.get_mut(slice * area..(slice + 1) * area) {
                        all.copy_from_slice(&labels);
                    }
                    let Explanation { margin, removed } =
                        explanation.unwrap_or_else(|| Explanation { margin: vec![u8::MAX; area], removed: None });
                    self.events.push_back(Event::SliceDone { run: number, slice, labels, margin, removed });
                }
                Message::Anatomy(anatomy) => {
                    if let Some(record) = &mut study.record {
                        record.anatomy.insert(anatomy.slice, anatomy.clone());
                    }
                    self.events.push_back(Event::Anatomy { run: number, anatomy });
                }
                Message::Progress { done, total } => {
                    if let Some(record) = &mut study.record {
                        record.done = [done, total];
                    }
                    self.events.push_back(Event::Progress { run: number, done, total });
                }
                Message::Finished => {
                    if let Some(record) = &mut study.record {
                        record.seconds.push(("segment".into(), run.started.elapsed().as_secs_f64()));
                    }
                    run.complete = true;
                    self.compute.tidy();
                }
                Message::Cancelled => self.give_up_run(),
                Message::Failed(error @ EngineError::DeviceLost(_)) => self.device_lost(&error),
                Message::Failed(error) => self.network_failed(&error.to_string(), false),
            }
        }
    }

    /// Cleans up, says which slices that changed, and ends the run.
    fn finish_run(&mut self) {
        let (Some(run), Some(study)) = (self.run.take(), &mut self.study) else { return };
        let (number, mut labels) = (run.request.run, run.labels);
        let [nx, ny, _] = study.ct.geometry.size;
        let mut removed = 0;
        if run.request.cleanup && !run.cancel.load(Ordering::Relaxed) {
            let clock = Instant::now();
            // The clean-up only takes away: a slice has changed where it has fewer labelled voxels.
            let labelled = |labels: &[u8]| -> Vec<usize> {
                labels.chunks_exact(nx * ny).map(|s| s.iter().filter(|&&l| l != 0).count()).collect()
            };
            let before = labelled(&labels);
            removed =
                remove_stray_components(&mut labels, study.ct.geometry.size, study.ct.geometry.spacing()).iter().sum();
            if removed > 0 {
                let slices = labels.chunks_exact(nx * ny).zip(labelled(&labels)).zip(before).enumerate();
                for (slice, ((map, after), before)) in slices {
                    if after != before {
                        self.events.push_back(Event::SliceCleaned { run: number, slice, labels: map.to_vec() });
                    }
                }
            }
            if let Some(record) = &mut study.record {
                record.removed = removed;
                record.seconds.push(("clean up".into(), clock.elapsed().as_secs_f64()));
            }
        }
        self.events.push_back(Event::RunFinished { run: number, removed });
    }
}
