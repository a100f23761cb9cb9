//! What if the network attended otherwise? The user changes the attention vector; the worker answers with the labels that
//! this slice would have had. Nothing is edited.
//!
//! The user's wish holds for whatever slice is on screen: it is put to the worker again when the slice changes. While a bar
//! is dragged, questions go out at most every [`PAUSE`] seconds, and the last answer stays on screen until the next.
//!
//! The labels on screen were cleaned up over the whole volume, and an answer is not: what the clean-up took away would come back under any
//! vector, as if attention had held it back. So each slice is asked about twice, first by the network's own attention, and only where the
//! two answers differ does a label change.

use std::borrow::Cow;

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ};

use super::study::{Study, WhatIf};
use super::{Document, Outbox};
use crate::display::Overlay;
use crate::edit::take_edits_off;
use crate::worker::{Ask, Command};

/// Shortest time between two questions about one slice, seconds.
const PAUSE: f64 = 0.05;

/// What the user wishes the attention to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Attention off: all ones.
    pub off: bool,
    /// Values set by hand, by organ.
    pub set: [Option<f32>; ORGAN_COUNT],
    /// Study and run that it was made for; it ends with them.
    of: (u64, u64),
    asked_at: f64,
}

impl Default for Wish {
    fn default() -> Self {
        Self { off: false, set: [None; ORGAN_COUNT], of: (0, 0), asked_at: 0.0 }
    }
}

impl Wish {
    /// Whether anything is wished.
    pub fn is_on(&self) -> bool {
        self.off || self.set.iter().any(Option::is_some)
    }

    /// The vector that is wished, where the network's own is `own`.
    pub fn vector(&self, own: &[f32; ORGAN_COUNT]) -> [f32; ORGAN_COUNT] {
        std::array::from_fn(|n| self.set[n].unwrap_or(if self.off { 1.0 } else { own[n] }))
    }

    /// Back to the network's own attention.
    pub fn reset(&mut self) {
        (self.off, self.set) = (false, [None; ORGAN_COUNT]);
    }
}

/// The network's own attention on a slice.
fn own(study: &Study, slice: usize) -> Option<[f32; ORGAN_COUNT]> {
    study.anatomy_near(slice)?.attention
}

impl Document {
    /// Keeps the study's what-if as the user wishes it, on the slice on screen. Once a frame, whichever tab is open.
    /// Seconds after which it wants to be called again, if it does.
    pub fn follow_wish(&mut self, now: f64, outbox: &mut Outbox) -> Option<f64> {
        let slice = self.view.slice();
        let wish = &mut self.wish;
        let Some(study) = self.study.as_mut() else {
            wish.reset();
            return None;
        };
        let of = (study.number, self.run.number);
        if wish.of != of {
            if study.what_if.is_none() {
                wish.reset();
            }
            wish.of = of;
        }
        // What attention removed is what the network would say without it.
        let removed = self.view.overlay == Overlay::RemovedByAttention;
        let Some(own) = own(study, slice).filter(|_| removed || wish.is_on()) else {
            study.what_if = None;
            return None;
        };
        let mut attention = if wish.is_on() { wish.vector(&own) } else { [1.0; ORGAN_COUNT] };
        let (mut said_by_own, mut last) = (None, (None, None));
        match study.what_if.as_mut().filter(|what_if| what_if.slice == slice) {
            None => attention = own,
            Some(what_if) if what_if.own.is_none() => return None,
            Some(what_if) => {
                if what_if.attention == attention {
                    study.lay_answer_over_labels();
                    return None;
                }
                let waited = now - wish.asked_at;
                if (0.0..PAUSE).contains(&waited) {
                    return Some(PAUSE - waited);
                }
                (said_by_own, last) = (what_if.own.take(), (what_if.labels.take(), what_if.differing.take()));
            }
        }
        wish.asked_at = now;
        let enabled = study.enabled;
        let asked = outbox.next_number();
        let revision = study.labels.layer().revision();
        let (labels, differing) = last;
        study.what_if =
            Some(WhatIf { slice, attention, asked, own: said_by_own, answer: None, labels, differing, revision });
        outbox.send(Command::Ask(Ask { number: asked, slice, attention, enabled }));
        None
    }
}

impl Study {
    /// The answer to a question, unless a newer one was asked since.
    pub(super) fn what_if_answered(&mut self, number: u64, slice: usize, labels: Vec<u8>) {
        let Some(what_if) = self.what_if.as_mut().filter(|w| w.asked == number && w.slice == slice) else { return };
        if what_if.own.is_none() {
            // Whoever wishes what is so anyway has both answers at once.
            what_if.answer = Some(labels.clone());
            what_if.own = Some(labels);
        } else {
            (what_if.answer, what_if.labels, what_if.differing) = (Some(labels), None, None);
            self.lay_answer_over_labels();
        }
    }

    /// Makes the labels of the what-if, and again where those that it starts from have changed.
    fn lay_answer_over_labels(&mut self) {
        let revision = self.labels.layer().revision();
        let Some(what_if) = self.what_if.as_ref() else { return };
        if what_if.labels.is_some() && what_if.revision == revision {
            return;
        }
        let (Some(own), Some(answer)) = (&what_if.own, &what_if.answer) else { return };
        let both = || own.iter().zip(answer);
        let said = said_by_network(self, what_if.slice, own);
        let from = said.iter().copied().zip(both());
        let labels = from.map(|(network, (own, answer))| if own == answer { network } else { *answer }).collect();
        let differing = both().map(|(own, answer)| if own == answer { 0 } else { *answer }).collect();
        if let Some(what_if) = self.what_if.as_mut() {
            (what_if.labels, what_if.differing, what_if.revision) = (Some(labels), Some(differing), revision);
        }
    }
}

impl WhatIf {
    /// What the picture draws of it: all labels in place of those of the slice, or what attention took away over them.
    pub fn drawn_under(&self, overlay: Overlay) -> Option<&Vec<u8>> {
        if overlay == Overlay::RemovedByAttention { self.differing.as_ref() } else { self.labels.as_ref() }
    }
}

/// The network's labels of a slice, whatever was edited over them: those of its run, cleaned up; where a file was opened over these, what it
/// says now by its `own` attention.
fn said_by_network<'a>(study: &'a Study, slice: usize, own: &'a [u8]) -> Cow<'a, [u8]> {
    if study.labels.opened_from().is_some() {
        return Cow::Borrowed(own);
    }
    let mut labels = study.labels.layer().slice(slice);
    if let Some(under) = study.labels.under_edits(slice) {
        take_edits_off(labels.to_mut(), under);
    }
    labels
}

/// Voxels that an organ wins and loses on the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which organ.
    pub organ: Organ,
    /// Voxels that it has only under the what-if.
    pub gained: u32,
    /// Voxels that it has only without.
    pub lost: u32,
}

/// What the what-if changes against the network's own labels, the largest change first; `None` before the answer.
pub fn changes(study: &Study) -> Option<Vec<Change>> {
    let what_if = study.what_if.as_ref()?;
    let (new, own) = (what_if.labels.as_deref()?, what_if.own.as_deref().unwrap_or_default());
    let mut counts = [[0u32; 2]; u8::MAX as usize + 1];
    for (&new, &old) in new.iter().zip(said_by_network(study, what_if.slice, own).iter()) {
        if old != new {
            counts[usize::from(new)][0] += 1;
            counts[usize::from(old)][1] += 1;
        }
    }
    let mut changes: Vec<Change> = Organ::ALL
        .into_iter()
        .map(|organ| (organ, counts[usize::from(organ.label())]))
        .filter(|(_, [gained, lost])| gained + lost > 0)
        .map(|(organ, [gained, lost])| Change { organ, gained, lost })
        .collect();
    changes.sort_by_key(|c| std::cmp::Reverse(c.gained + c.lost));
    Some(changes)
}
