//! What was done, so that it can be undone.
//!
//! A step is a list of runs of neighbouring voxels that changed alike: 16 bytes for a run however long it is, so that a
//! stroke of the brush costs a few rows and a whole label map its outlines.

use std::collections::VecDeque;
use std::sync::Arc;

use super::extras::Extra;
use super::slices::ByteSlices;

/// Steps beyond this much memory are forgotten, the oldest first. The last step can always be undone, whatever its size.
pub const HISTORY_BYTES: usize = 128 << 20;

/// Neighbouring voxels of one slice that changed alike. Codes are labels, or [`super::NOT_EDITED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Canonical slice.
    pub slice: u32,
    /// First voxel in the slice.
    pub start: u32,
    /// Number of voxels.
    pub len: u32,
    /// Code before.
    pub before: u8,
    /// Code after.
    pub after: u8,
}

/// Structures that are no organs, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExtrasChange {
    pub before: Vec<Arc<Extra>>,
    pub after: Vec<Arc<Extra>>,
}

/// What lies beneath all edits, before and after: a file was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseChange {
    pub before: ByteSlices,
    pub after: ByteSlices,
    /// The files that both come from; `None` for a run.
    pub files: [Option<Arc<str>>; 2],
    /// Slices that a run had delivered by then: what it says later is not taken back.
    pub delivered: u64,
}

/// One edit as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What it was, for people: "brush".
    pub name: &'static str,
    /// What it changed, in order.
    pub changes: Vec<Change>,
    /// Structures that are no organs, where it changed them.
    pub extras: Option<ExtrasChange>,
    /// What lies beneath all edits, where it changed that.
    pub base: Option<BaseChange>,
}

impl Step {
    /// A step that has not changed anything yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, changes: Vec::new(), extras: None, base: None }
    }

    /// Whether it has changed nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.extras.is_none() && self.base.is_none()
    }

    /// Notes that a voxel changes.
    pub fn note(&mut self, slice: usize, voxel: usize, before: u8, after: u8) {
        let (slice, start) = (slice as u32, voxel as u32);
        match self.changes.last_mut() {
            Some(last)
                if last.slice == slice
                    && last.start + last.len == start
                    && (last.before, last.after) == (before, after) =>
            {
                last.len += 1;
            }
            _ => self.changes.push(Change { slice, start, len: 1, before, after }),
        }
    }

    /// Voxels that it changes.
    pub fn voxels(&self) -> usize {
        self.changes.iter().map(|c| c.len as usize).sum()
    }

    fn bytes(&self) -> usize {
        // Structures that stayed are shared with other steps.
        let extras = self.extras.iter().flat_map(|e| e.before.iter().filter(|b| !e.after.contains(b)));
        let runs: usize = extras.map(|extra| extra.runs.len() * size_of::<[u32; 2]>()).sum();
        let base = self.base.as_ref().map_or(0, |base| base.before.bytes() + base.after.bytes());
        size_of::<Self>() + self.changes.len() * size_of::<Change>() + runs + base
    }
}

/// Steps that can be undone, and those that were.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    done: VecDeque<Step>,
    undone: Vec<Step>,
    bytes: usize,
}

impl History {
    /// A step was done: what had been undone before it is gone.
    pub fn push(&mut self, mut step: Step) {
        for gone in self.undone.drain(..) {
            self.bytes -= gone.bytes();
        }
        step.changes.shrink_to_fit();
        self.bytes += step.bytes();
        self.done.push_back(step);
        while self.bytes > HISTORY_BYTES && self.done.len() > 1 {
            if let Some(oldest) = self.done.pop_front() {
                self.bytes -= oldest.bytes();
            }
        }
    }

    /// The step to undo.
    pub fn last_done(&self) -> Option<&Step> {
        self.done.back()
    }

    /// The step to redo.
    pub fn last_undone(&self) -> Option<&Step> {
        self.undone.last()
    }

    /// Takes the step to undo out; give it back to [`Self::was_undone`].
    pub fn take_done(&mut self) -> Option<Step> {
        self.done.pop_back()
    }

    /// Takes the step to redo out; give it back to [`Self::was_redone`].
    pub fn take_undone(&mut self) -> Option<Step> {
        self.undone.pop()
    }

    /// The step was undone.
    pub fn was_undone(&mut self, step: Step) {
        self.undone.push(step);
    }

    /// The step was done again.
    pub fn was_redone(&mut self, step: Step) {
        self.done.push_back(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_steps_go_when_memory_is_full_and_the_last_one_never() {
        let many = HISTORY_BYTES / size_of::<Change>() / 2;
        let change = Change { slice: 0, start: 0, len: 1, before: 0, after: 1 };
        let step = |name, runs| Step { changes: vec![change; runs], ..Step::new(name) };
        let mut history = History::default();
        history.push(step("first", many));
        history.push(step("second", many / 2));
        history.push(step("third", many));
        let names: Vec<_> = history.done.iter().map(|s| s.name).collect();
        assert_eq!(names, ["second", "third"]);
        history.push(step("huge", many * 3));
        assert_eq!((history.done.len(), history.last_done().map(|s| s.name)), (1, Some("huge")));
        let huge = history.take_done().unwrap();
        history.was_undone(huge);
        history.push(step("other", 1));
        assert!(history.last_undone().is_none());
        assert_eq!(history.bytes, step("other", 1).bytes());
    }
}
