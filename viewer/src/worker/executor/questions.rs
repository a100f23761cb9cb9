//! What if: the labels of one slice under another attention vector.
//!
//! Answered at once where the engine still has what the network said of the slice; else the slice is computed again,
//! between the slices of a run or after it. A newer question about a slice takes the place of an older one.

use std::collections::BTreeMap;
use std::sync::Arc;

use attention_anatomy::infer::volume_run::empty;
use attention_anatomy::infer::{
    Engine, LabelOutput, LabelRequest, SlicePrediction, SliceResult, Ticket, VolumeSlice, reduce,
};
use attention_anatomy::preprocess::{Blend, ModelSlices};

use super::{Executor, Step};
use crate::worker::{Ask, Event};

/// Slices that are computed for questions at the same time: a thin slice follows from two.
const AT_ONCE: usize = 2;
/// How often one slice is computed for one question.
const TRIES: usize = 3;

/// A question and what is known of its answer.
struct Question {
    ask: Ask,
    /// By slice, under the vector.
    known: BTreeMap<usize, SlicePrediction>,
    /// Under which ticket the labels come, from an engine that makes them.
    asked: Option<Ticket>,
    tries: usize,
}

/// Questions that wait for an answer.
#[derive(Default)]
pub(super) struct Questions {
    waiting: Vec<Question>,
    /// Slices that are computed for them.
    submitted: BTreeMap<Ticket, usize>,
}

impl Questions {
    pub(super) fn add(&mut self, ask: Ask) {
        self.waiting.retain(|q| q.ask.slice != ask.slice);
        self.waiting.push(Question { ask, known: BTreeMap::new(), asked: None, tries: 0 });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a slice is being computed for a question.
    pub(super) fn under_way(&self) -> bool {
        !self.submitted.is_empty() || self.waiting.iter().any(|question| question.asked.is_some())
    }

    /// Whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        self.submitted.clear();
        !std::mem::take(&mut self.waiting).is_empty()
    }

    /// What another engine had under way comes again.
    pub(super) fn engine_changed(&mut self) {
        self.submitted.clear();
        self.waiting.iter_mut().for_each(|question| question.asked = None);
    }

    /// A slice is there; whether it was computed for a question.
    pub(super) fn accept(&mut self, ticket: Ticket) -> bool {
        self.submitted.remove(&ticket).is_some() || self.waiting.iter().any(|q| q.asked == Some(ticket))
    }

    /// The question that labels under this ticket answer, if they were asked for and are there; without them it is asked again.
    pub(super) fn answered(&mut self, result: &mut SliceResult) -> Option<(Ask, Vec<u8>)> {
        let at = self.waiting.iter().position(|question| question.asked == Some(result.ticket))?;
        self.waiting[at].asked = None;
        result.outcome.as_ref().ok()?;
        let labels = result.labels.pop()?;
        Some((self.waiting.remove(at).ask, labels.labels))
    }
}

impl Executor {
    /// Answers what can be answered now, and has computed what is missing.
    pub(super) fn answer(&mut self) -> Step {
        let (Some(study), Some(weights)) = (&mut self.study, self.compute.weights()) else {
            self.questions.clear();
            return Step::Idle;
        };
        if self.questions.is_empty() {
            return Step::Idle;
        }
        let slices = match study.slices(&weights.ready.info.input) {
            Ok(slices) => slices,
            Err(error) => {
                self.questions.clear();
                self.events.push_back(Event::Failed(error.to_string()));
                return Step::Worked;
            }
        };
        let Some(engine) = self.compute.engine() else { return Step::Idle };
        let mut step = Step::Idle;
        let mut later = Vec::new();
        for mut question in std::mem::take(&mut self.questions.waiting) {
            match question.answer(engine, &slices, &mut self.questions.submitted) {
                Answer::Labels(labels) => {
                    let Ask { number, slice, .. } = question.ask;
                    self.events.push_back(Event::Answer { number, slice, labels });
                    step = Step::Worked;
                }
                Answer::Never => {
                    let message = "this question cannot be answered on this device; choose another one";
                    self.events.push_back(Event::Failed(message.into()));
                    step = Step::Worked;
                }
                Answer::Later => {
                    step = step.max(Step::Waiting);
                    later.push(question);
                }
            }
        }
        self.questions.waiting = later;
        step
    }
}

enum Answer {
    Labels(Vec<u8>),
    Later,
    Never,
}

impl Question {
    fn answer(
        &mut self,
        engine: &mut dyn Engine,
        slices: &Arc<ModelSlices>,
        submitted: &mut BTreeMap<Ticket, usize>,
    ) -> Answer {
        if self.ask.slice >= slices.grid().slices {
            return Answer::Never;
        }
        let blend = slices.centres().blend(self.ask.slice);
        if engine.makes_labels() {
            return self.ask_for_labels(engine, slices, submitted, blend);
        }
        for k in [blend.below, blend.above] {
            if self.known.contains_key(&k) {
                continue;
            }
            if slices.body().extent(k).is_none() {
                self.known.insert(k, empty(k));
                continue;
            }
            engine.set_enabled(self.ask.enabled);
            if let Some(prediction) = engine.reweight(k, &self.ask.attention) {
                self.known.insert(k, prediction);
            } else if submitted.len() < AT_ONCE && !submitted.values().any(|&s| s == k) {
                if self.tries == TRIES * AT_ONCE {
                    return Answer::Never;
                }
                if let Some(wanted) = VolumeSlice::of(slices, k) {
                    self.tries += 1;
                    let tickets = engine.submit_slices(slices, vec![wanted]);
                    submitted.extend(tickets.into_iter().map(|ticket| (ticket, k)));
                }
            }
        }
        match (self.known.get(&blend.below), self.known.get(&blend.above)) {
            (Some(below), Some(above)) => {
                Answer::Labels(reduce::labels(slices.grid(), below, Some((above, blend.weight_above))))
            }
            _ => Answer::Later,
        }
    }

    /// Asks an engine that makes labels by itself; they come as a result.
    fn ask_for_labels(
        &mut self,
        engine: &mut dyn Engine,
        slices: &Arc<ModelSlices>,
        submitted: &mut BTreeMap<Ticket, usize>,
        blend: Blend,
    ) -> Answer {
        if self.asked.is_some() {
            return Answer::Later;
        }
        let output = LabelOutput::of(slices, self.ask.slice, blend);
        let sources: Vec<usize> = output.parts.iter().filter_map(|(slice, _)| *slice).collect();
        if sources.is_empty() {
            let [nx, ny] = slices.grid().input_size;
            return Answer::Labels(vec![0; nx * ny]);
        }
        engine.set_enabled(self.ask.enabled);
        let wanted = LabelRequest { grid: slices.grid().clone(), outputs: vec![output], explain: false };
        self.asked = engine.relabel(&wanted, &self.ask.attention);
        if self.asked.is_some() || !submitted.is_empty() {
            return Answer::Later;
        }
        // One of them is no longer at hand.
        if self.tries == TRIES {
            return Answer::Never;
        }
        self.tries += 1;
        let wanted: Vec<VolumeSlice> = sources.into_iter().filter_map(|k| VolumeSlice::of(slices, k)).collect();
        let slices_of: Vec<usize> = wanted.iter().map(|wanted| wanted.slice).collect();
        submitted.extend(engine.submit_slices(slices, wanted).into_iter().zip(slices_of));
        Answer::Later
    }
}
