//! One engine of several that cannot share memory: Web Workers, each with an instance of this program of its own.
//!
//! Slices are handed out to helpers, two to each, so that none waits for its next one; whoever has nothing to fetch computes a slice
//! meanwhile. Results come in whatever order, and are those of one engine alone: the same program computes. A helper that is
//! lost, or silent for too long, costs nothing but time: what it had is done by another one.
//!
//! What travels is what a slice is made of, there and back: a helper needs the weights and the stack of a slice, never the CT; what
//! comes back also answers a what-if.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::device;
use super::engine::{Engine, SliceRequest, SliceResult, Ticket, Wait};
use super::model::plan_engine_of_weights;
use super::plan_engine::{FinishedSlice, PlanEngine};
use super::prediction::SlicePrediction;
use crate::anatomy::{ORGAN_COUNT, OrganSet};
use crate::network::weights::WeightsError;

/// Slices that a helper has: the one that it computes, and the next.
const EACH: usize = 2;
/// A helper is believed to be lost when it has been at one slice for so long: hundreds of the shipped weights' slices.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// What counts of the time between two questions to the helpers: a computer may have slept.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// Those who compute elsewhere. Each has a number; one that was dismissed or lost is not heard of again under it.
pub trait Helpers {
    /// Has them begin, if they have not or have ended: they are needed. Each says when it is ready.
    fn start(&mut self);

    /// What one of them has to say, if any does.
    fn receive(&mut self) -> Option<(usize, HelperWord)>;

    /// Asks one for something; see [`Helper::answer`].
    fn ask(&mut self, helper: usize, question: Vec<u8>);

    /// Ends one.
    fn dismiss(&mut self, helper: usize);

    /// How many there are, ready or on their way.
    fn count(&self) -> usize;

    /// None of them has anything to do for now. They may end after a while, and say so.
    fn rest(&mut self);
}

/// What a helper says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperWord {
    /// It hears.
    Ready,
    /// The answer to its oldest question.
    Answer(Vec<u8>),
    /// It has ended, as it had nothing to do.
    Ended,
    /// It cannot go on, and why.
    Lost(String),
}

#[derive(Serialize, Deserialize)]
struct Question {
    ticket: Ticket,
    request: SliceRequest,
    enabled: OrganSet,
}

/// A slice that a helper has.
struct HandedOut {
    ticket: Ticket,
    request: SliceRequest,
    /// For how long, since it came first.
    waited: Duration,
}

/// An engine and its helpers.
pub struct Crew<H> {
    own: PlanEngine,
    helpers: H,
    /// Helpers that hear, and what they have.
    at_work: BTreeMap<usize, VecDeque<HandedOut>>,
    warnings: Vec<String>,
    submitted: u64,
    heard: Instant,
    silence: Duration,
}

impl<H> std::fmt::Debug for Crew<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("own", &self.own).field("helpers", &self.at_work.len()).finish()
    }
}

impl<H: Helpers> Crew<H> {
    /// An engine with helpers that have the same weights.
    pub fn new(own: PlanEngine, helpers: H) -> Self {
        let (at_work, warnings) = (BTreeMap::new(), Vec::new());
        Self { own, helpers, at_work, warnings, submitted: 0, heard: Instant::now(), silence: LONGEST_SILENCE }
    }

    fn receive(&mut self) {
        while let Some((helper, word)) = self.helpers.receive() {
            match word {
                HelperWord::Ready => {
                    self.at_work.insert(helper, VecDeque::new());
                }
                HelperWord::Answer(message) => self.accept(helper, &message),
                HelperWord::Ended => self.take_back(helper),
                HelperWord::Lost(reason) => self.drop_helper(helper, &reason),
            }
        }
        let gap = self.heard.elapsed().min(LONGEST_GAP);
        self.heard = Instant::now();
        let mut silent = Vec::new();
        for (&helper, jobs) in &mut self.at_work {
            if let Some(job) = jobs.front_mut() {
                job.waited += gap;
                silent.extend((job.waited > self.silence).then_some(helper));
            }
        }
        silent.into_iter().for_each(|helper| self.drop_helper(helper, "they no longer answer"));
    }

    fn accept(&mut self, helper: usize, message: &[u8]) {
        // Of one that was believed to be lost.
        let Some(jobs) = self.at_work.get_mut(&helper) else { return };
        match ciborium::from_reader::<FinishedSlice, _>(message) {
            Ok(finished) => {
                if jobs.pop_front_if(|job| job.ticket == finished.ticket).is_some() {
                    self.own.take_over(finished);
                }
            }
            Err(error) => self.drop_helper(helper, &error.to_string()),
        }
    }

    /// What a helper had comes again, in its order.
    fn take_back(&mut self, helper: usize) {
        for job in self.at_work.remove(&helper).into_iter().flatten().rev() {
            self.own.take_back(job.ticket, job.request);
        }
    }

    fn drop_helper(&mut self, helper: usize, reason: &str) {
        tracing::warn!("helper {helper} is lost: {reason}");
        self.helpers.dismiss(helper);
        self.take_back(helper);
        if self.helpers.count() == 0 {
            let text =
                format!("all helpers of this page have stopped ({reason}); slices are computed one at a time now");
            self.warnings.push(text);
        }
    }

    /// The next slices go to whoever begins with them first: helpers that have none, then this engine, then the others.
    fn hand_out(&mut self) {
        let enabled = self.own.enabled();
        for has in 0..EACH {
            let but = if has > 0 && self.own.would_compute() { 1 } else { 0 };
            for (&helper, jobs) in self.at_work.iter_mut().filter(|(_, jobs)| jobs.len() == has) {
                let Some((ticket, request)) = self.own.hand_out(but) else { return };
                let question = Question { ticket, request, enabled };
                let mut message = Vec::new();
                match ciborium::into_writer(&question, &mut message) {
                    Ok(()) => {
                        self.helpers.ask(helper, message);
                        jobs.push_back(HandedOut { ticket, request: question.request, waited: Duration::ZERO });
                    }
                    // Memory is all that a list of bytes can lack.
                    Err(_) => return self.own.take_back(ticket, question.request),
                }
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.own.is_idle() && self.at_work.values().all(VecDeque::is_empty)
    }
}

impl<H: Helpers> Engine for Crew<H> {
    fn name(&self) -> String {
        self.own.name()
    }

    fn depth(&self) -> usize {
        self.own.depth() + EACH * self.at_work.len()
    }

    fn set_enabled(&mut self, enabled: OrganSet) {
        self.own.set_enabled(enabled);
    }

    fn submit(&mut self, request: SliceRequest) -> Ticket {
        self.submitted += 1;
        // Not for the first slice, which is on screen sooner without, nor for the only one.
        if self.submitted > 1 {
            self.helpers.start();
        }
        self.own.submit(request)
    }

    fn poll(&mut self, wait: Wait) -> Option<SliceResult> {
        self.receive();
        if wait == Wait::Yes && self.own.is_idle() {
            // Nobody hears a helper while this engine blocks: it does their work, and what they answer later is not missed.
            let helpers: Vec<usize> = self.at_work.keys().copied().collect();
            for helper in helpers {
                self.helpers.dismiss(helper);
                self.take_back(helper);
            }
        }
        self.hand_out();
        let result = self.own.poll(wait);
        if result.is_some() && self.is_idle() {
            self.helpers.rest();
        }
        result
    }

    fn reweight(&mut self, slice: usize, attention: &[f32; ORGAN_COUNT]) -> Option<SlicePrediction> {
        self.own.reweight(slice, attention)
    }

    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }
}

/// What one of the [`Helpers`] computes with.
#[derive(Debug)]
pub struct Helper(PlanEngine);

impl Helper {
    /// For a weights file, the same that the [`Crew`]'s own engine was made of.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn new(weights: &[u8]) -> Result<Self, WeightsError> {
        Ok(Self(plan_engine_of_weights(weights, &device::cpu())?))
    }

    /// The answer to a question; `None` to what is none.
    pub fn answer(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        let Question { ticket, request, enabled } = ciborium::from_reader(question).ok()?;
        let finished = self.0.compute_for(ticket, request, enabled)?;
        let mut message = Vec::new();
        ciborium::into_writer(&finished, &mut message).ok()?;
        self.0.reuse(finished);
        Some(message)
    }
}

#[cfg(test)]
mod tests;
