//! Edits of many voxels: whole label maps from a file, organs that the worker has smoothed, large steps that are undone.
//! A window that waited for one would stand still for a second or two, so they are laid over the labels slice by slice, a
//! few milliseconds in every frame ([`LabelStore::advance`]); until the last slice is done, no other edit begins.

use std::sync::Arc;

use web_time::{Duration, Instant};

use super::extras::Extra;
use super::history::{BaseChange, Change, Step};
use super::labels::{LabelStore, NOT_EDITED, known};
use super::packed_slice::PackedSlice;
use super::slices::ByteSlices;

/// Up to so many voxels are changed at once: a few milliseconds.
pub const AT_ONCE: usize = 1 << 18;

/// An edit under way.
#[derive(Debug)]
pub(super) struct Bulk {
    kind: Kind,
    /// The slice, or the change, that comes next.
    next: usize,
    /// The slice beneath all edits that comes next, once the changes are done.
    base: usize,
    /// Labels that are others so far.
    changed: usize,
}

#[derive(Debug)]
enum Kind {
    /// A code for every voxel; what the network says beneath them, where that is known, too. `in_file`: a file holds all the edits that
    /// there are then.
    Codes { codes: ByteSlices, network: Option<ByteSlices>, keep: bool, in_file: bool },
    /// All edits are given back to the network.
    Discard,
    /// Changes that were found elsewhere: a step that has not been done yet.
    New(Step),
    /// A step that is done again.
    Redo(Step),
    /// A step that is taken back.
    Undo(Step),
}

impl LabelStore {
    /// Whether an edit of many voxels is under way, here or in the worker: no other one begins meanwhile.
    pub fn is_busy(&self) -> bool {
        self.bulk.is_some() || self.awaited.is_some()
    }

    /// The worker looks for the changes of an edit, under this number; they come to [`Self::apply_changes`].
    pub fn await_changes(&mut self, number: u64, name: &'static str) {
        self.end();
        self.finished = None;
        self.awaited = Some((number, name));
    }

    /// The changes that were awaited under a number; any others change nothing.
    pub fn apply_changes(&mut self, number: u64, changes: Vec<Change>) {
        if let Some((_, name)) = self.awaited.take_if(|(awaited, _)| *awaited == number) {
            self.start(Kind::New(Step { changes, ..Step::new(name) }), 0);
        }
    }

    /// The changes that were awaited will not come.
    pub fn give_up_changes(&mut self, number: u64) {
        self.awaited.take_if(|(awaited, _)| *awaited == number);
    }

    /// Goes on with an edit of many voxels for about so long, at least a slice; whether something is left to do.
    pub fn advance(&mut self, time: Duration) -> bool {
        let began = Instant::now();
        while self.bulk.is_some() {
            self.advance_slice();
            if began.elapsed() >= time {
                break;
            }
        }
        self.bulk.is_some()
    }

    /// Ends an edit of many voxels at once, however long it takes: what is saved or exchanged must not be half of the labels before and
    /// half of those after.
    pub fn finish(&mut self) {
        self.advance(Duration::MAX);
    }

    /// How many labels an edit of many voxels has changed, or how many voxels a structure has that was made, once it is over; `None` where
    /// it was given up. Asked once.
    pub fn take_finished(&mut self) -> Option<usize> {
        self.finished.take()
    }

    /// Other labels in place of all, from a file: `network` is what lies beneath what somebody edited, `edits` the label of every voxel
    /// that was, [`NOT_EDITED`] elsewhere; `extras` are put beside those that there are, in place of those of the same name. One step,
    /// which can be undone; what a run says later is not taken back with it. Another number of voxels changes nothing.
    pub fn open_labels(&mut self, file: &str, network: ByteSlices, edits: Option<ByteSlices>, extras: Vec<Extra>) {
        let [nx, ny, nz] = self.layer().size();
        let edits = edits.unwrap_or_else(|| ByteSlices::filled(NOT_EDITED, nx * ny, nz));
        let base = BaseChange {
            before: self.beneath(),
            after: network.clone(),
            files: [self.opened_from.clone(), Some(file.into())],
            delivered: self.delivered,
        };
        self.lay_over(edits, Some(network), Some(base), false, extras, "opened labels");
    }

    /// Structures that are no organs, from a file, beside those that there are, in place of those of the same name.
    pub fn open_extras(&mut self, extras: Vec<Extra>) {
        self.advance(Duration::MAX);
        self.change_extras("opened structures", self.with_extras(extras));
    }

    /// What a session file holds: the network's labels, and over them, in one step, the edits in place of those that were there.
    pub fn restore_session(&mut self, network: ByteSlices, edits: ByteSlices, extras: Vec<Extra>) {
        self.lay_over(edits, Some(network), None, false, extras, "session");
    }

    /// Lays edits over the labels, in one step: the label of every edited voxel, [`NOT_EDITED`] elsewhere. Those that were
    /// there before stay as they are if `keep`, also where both say something, since they are newer; else they are given back to the
    /// network. `extras` are put beside those that there
    /// are, in place of those of the same name.
    pub fn restore_edits(&mut self, edits: ByteSlices, extras: Vec<Extra>, keep: bool, name: &'static str) {
        self.lay_over(edits, None, None, keep, extras, name);
    }

    fn lay_over(
        &mut self,
        codes: ByteSlices,
        network: Option<ByteSlices>,
        base: Option<BaseChange>,
        keep: bool,
        extras: Vec<Extra>,
        name: &'static str,
    ) {
        let fits = |slices: &ByteSlices| {
            slices.slices().len() == self.layer().size()[2] && slices.len() == self.layer().voxel_count()
        };
        if !codes.is_empty() && fits(&codes) && network.as_ref().is_none_or(fits) {
            // What a file holds comes after whatever was under way; what the worker still looks for is out of date.
            self.awaited = None;
            self.advance(Duration::MAX);
            self.begin(name);
            if network.is_some() {
                self.opened_from = base.as_ref().and_then(|base| base.files[1].clone());
            }
            if let Some(base) = base {
                self.note_base(base);
            }
            // Structures stay, whatever file is opened.
            let in_file = network.is_some() && self.extras().iter().all(|extra| !extra.edited);
            if !extras.is_empty() {
                self.exchange_extras(self.with_extras(extras));
            }
            self.start(Kind::Codes { codes, network, keep, in_file }, 0);
        }
    }

    /// What lies beneath all edits, shared where nothing was edited.
    fn beneath(&self) -> ByteSlices {
        let snapshot = self.snapshot();
        let under = &snapshot.under;
        let of = |(k, slice): (usize, &Arc<PackedSlice>)| match under.get(k) {
            Some(Some(_)) => Arc::new(PackedSlice::of(&snapshot.network_slice(k))),
            _ => slice.clone(),
        };
        ByteSlices::new(snapshot.labels.slices().iter().enumerate().map(of).collect())
    }

    /// Those that there are and these, which take the place of those of the same name.
    fn with_extras(&self, extras: Vec<Extra>) -> Vec<Arc<Extra>> {
        let is_old = |old: &&Arc<Extra>| extras.iter().all(|new| new.name != old.name);
        let mut all: Vec<Arc<Extra>> = self.extras().iter().filter(is_old).cloned().collect();
        let first = self.free_number();
        all.extend(extras.into_iter().zip(first..).map(|(extra, number)| Arc::new(Extra { number, ..extra })));
        all
    }

    /// The network's labels in place of all edits, in one step that can be undone.
    pub fn discard_edits(&mut self) {
        if !self.is_busy() {
            self.begin("discard edits");
            self.start(Kind::Discard, 0);
        }
    }

    /// Takes the last step back; false where there is none, or another edit is under way.
    pub fn undo(&mut self) -> bool {
        if self.is_busy() {
            return false;
        }
        self.end();
        let Some(step) = self.history.take_done() else { return false };
        let end = step.changes.len();
        self.start(Kind::Undo(step), end);
        true
    }

    /// Does the last step that was undone again; false where there is none, or another edit is under way.
    pub fn redo(&mut self) -> bool {
        if self.is_busy() {
            return false;
        }
        self.end();
        let Some(step) = self.history.take_undone() else { return false };
        self.start(Kind::Redo(step), 0);
        true
    }

    fn start(&mut self, kind: Kind, next: usize) {
        let voxels = match &kind {
            Kind::Codes { .. } | Kind::Discard => self.layer().voxel_count(),
            Kind::Redo(step) | Kind::Undo(step) if step.base.is_some() => self.layer().voxel_count(),
            Kind::New(step) | Kind::Redo(step) | Kind::Undo(step) => step.voxels(),
        };
        self.bulk = Some(Bulk { kind, next, base: 0, changed: 0 });
        self.finished = None;
        if voxels <= AT_ONCE {
            self.advance(Duration::MAX);
        }
    }

    /// One slice of the edit, or its end.
    fn advance_slice(&mut self) {
        let Some(mut bulk) = self.bulk.take() else { return };
        let [nx, ny, nz] = self.layer().size();
        let k = bulk.next;
        let over = match &bulk.kind {
            Kind::Codes { codes, network, keep, .. } => {
                if k < nz {
                    if let Some(network) = network {
                        bulk.changed += self.lay_beneath(k, &network.slice(k));
                    }
                    let (codes, keep) = (codes.slice(k), *keep);
                    let code = |n: usize| if codes[n] == NOT_EDITED { NOT_EDITED } else { known(codes[n]) };
                    let newer = self.shared_under(k).filter(|_| keep);
                    let is_newer = |n: usize| newer.as_ref().is_some_and(|under| under[n] != NOT_EDITED);
                    let wanted =
                        |n: usize, _| Some(code(n)).filter(|&code| !keep || (code != NOT_EDITED && !is_newer(n)));
                    bulk.changed += self.set(k, 0..nx * ny, wanted);
                }
                k >= nz
            }
            Kind::Discard => {
                if k < nz && self.under_edits(k).is_some() {
                    bulk.changed += self.set(k, 0..nx * ny, |_, _| Some(NOT_EDITED));
                }
                k >= nz
            }
            Kind::New(step) | Kind::Redo(step) if k < step.changes.len() => {
                let changes = of_one_slice(step.changes.get(k..).unwrap_or_default());
                bulk.changed += self.apply(changes.iter().map(|c| (*c, c.after)));
                bulk.next = k + changes.len().saturating_sub(1);
                false
            }
            Kind::Undo(step) if k > 0 => {
                let changes = of_last_slice(step.changes.get(..k).unwrap_or_default());
                bulk.changed += self.apply(changes.iter().rev().map(|c| (*c, c.before)));
                bulk.next = k - changes.len();
                false
            }
            Kind::New(step) | Kind::Redo(step) | Kind::Undo(step) => match &step.base {
                // What a run has said since then stays.
                Some(base) if bulk.base < nz && base.delivered == self.delivered => {
                    let back = matches!(bulk.kind, Kind::Undo(_));
                    let beneath = if back { &base.before } else { &base.after };
                    self.lay_beneath(bulk.base, &beneath.slice(bulk.base));
                    bulk.base += 1;
                    self.bulk = Some(bulk);
                    return;
                }
                _ => true,
            },
        };
        if !over {
            if !matches!(bulk.kind, Kind::Undo(_)) {
                bulk.next += 1;
            }
            self.bulk = Some(bulk);
            return;
        }
        let [back, step] = match &bulk.kind {
            Kind::Redo(step) => [None, Some(step)],
            Kind::Undo(step) => [Some(step), None],
            _ => [None; 2],
        };
        if let Some(Step { extras, base, .. }) = back.or(step) {
            let (extras, base) = (extras.clone(), base.clone().filter(|base| base.delivered == self.delivered));
            let undo = back.is_some();
            if let Some(change) = extras {
                self.take_extras(if undo { change.before } else { change.after });
            }
            if let Some(BaseChange { files: [before, after], .. }) = base {
                self.opened_from = if undo { before } else { after };
            }
        }
        self.finished = Some(bulk.changed);
        if matches!(bulk.kind, Kind::Codes { in_file: true, .. }) {
            self.in_file = Some(self.edits());
        }
        match bulk.kind {
            Kind::Codes { .. } | Kind::Discard => self.end(),
            Kind::New(step) if step.changes.is_empty() => {}
            Kind::New(step) => self.history.push(step),
            Kind::Redo(step) => self.history.was_redone(step),
            Kind::Undo(step) => self.history.was_undone(step),
        }
    }
}

fn of_one_slice(changes: &[Change]) -> &[Change] {
    changes.chunk_by(|a, b| a.slice == b.slice).next().unwrap_or_default()
}

fn of_last_slice(changes: &[Change]) -> &[Change] {
    changes.chunk_by(|a, b| a.slice == b.slice).next_back().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use attention_anatomy::anatomy::Organ;

    use super::*;
    use crate::edit::samples::store;

    const SIZE: [usize; 3] = [64, 64, 80];
    const LIVER: u8 = Organ::Liver as u8;

    fn all(label: u8) -> ByteSlices {
        ByteSlices::filled(label, 64 * 64, 80)
    }

    /// Frames that an edit takes when each does as little as it can.
    fn frames(labels: &mut LabelStore) -> usize {
        let mut frames = 1;
        while labels.advance(Duration::ZERO) {
            frames += 1;
        }
        labels.check();
        frames
    }

    #[test]
    fn a_whole_label_map_is_laid_over_the_labels_a_slice_in_a_frame_and_undone_in_one_step() {
        let mut labels = store(SIZE, [1.0; 3]);
        labels.open_labels("map", all(LIVER), None, Vec::new());
        assert_eq!(labels.voxel_count(Organ::Liver), 0, "the window did not wait");
        assert!(labels.is_busy() && !labels.undo() && labels.take_finished().is_none());
        assert!(frames(&mut labels) > 80);
        let volume = labels.layer().voxel_count();
        assert_eq!((labels.voxel_count(Organ::Liver), labels.take_finished()), (volume as u64, Some(volume)));
        assert!(labels.undo() && labels.is_busy());
        assert_eq!(labels.voxel_count(Organ::Liver), volume as u64);
        assert!(frames(&mut labels) > 80);
        assert_eq!((labels.voxel_count(Organ::Liver), labels.redo_name()), (0, Some("opened labels")));
        assert!(labels.redo());
        frames(&mut labels);
        assert_eq!((labels.voxel_count(Organ::Liver), labels.edited_voxels()), (volume as u64, 0));
        labels.restore_edits(all(Organ::Heart.label()), Vec::new(), true, "restored edits");
        assert!(frames(&mut labels) > 80);
        assert_eq!(labels.edited_voxels(), volume as u64);
        labels.discard_edits();
        assert!(frames(&mut labels) > 80);
        assert_eq!((labels.edited_voxels(), labels.undo_name()), (0, Some("discard edits")));
    }

    #[test]
    fn opened_labels_are_no_edits_but_what_was_edited_in_them_is() {
        let mut labels = store(SIZE, [1.0; 3]);
        for k in 0..80 {
            labels.apply_run_slice(k, &[Organ::Heart.label(); 64 * 64]);
        }
        labels.restore_edits(edits(5), Vec::new(), true, "brush");
        frames(&mut labels);
        let before = labels.snapshot();
        let gtv = Extra { name: "GTV".into(), runs: vec![[3, 9]], ..Extra::default() };
        labels.open_labels("map", all(LIVER), Some(edits(40)), vec![gtv.clone()]);
        frames(&mut labels);
        let [spleens, livers] = [Organ::Spleen, Organ::Liver].map(|organ| labels.voxel_count(organ));
        assert_eq!((spleens, livers, labels.edited_voxels()), (40, 64 * 64 * 80 - 40, 40));
        assert_eq!(labels.edited_organs(), [Organ::Spleen, Organ::Liver].into_iter().collect());
        assert_eq!((labels.extras().len(), labels.extras()[0].name.as_str()), (1, "GTV"));
        // Opened a second time, it is there once.
        labels.open_labels("map 2", all(LIVER), Some(edits(40)), vec![gtv]);
        assert_eq!(labels.opened_from(), Some("map 2"));
        frames(&mut labels);
        assert_eq!(labels.extras().len(), 1);
        for _ in 0..2 {
            assert!(labels.undo());
            frames(&mut labels);
        }
        assert_eq!(
            (labels.snapshot(), labels.opened_from()),
            (before, None),
            "network, edits and structures as before"
        );
        labels.redo();
        frames(&mut labels);
        assert_eq!(labels.opened_from(), Some("map"));
        assert_eq!((labels.voxel_count(Organ::Spleen), labels.edited_voxels()), (40, 40));
        // What a run says since then is not taken back.
        labels.apply_run_slice(79, &[Organ::Stomach.label(); 64 * 64]);
        labels.undo();
        frames(&mut labels);
        assert_eq!(labels.voxel_count(Organ::Stomach), 64 * 64);
        assert_eq!(labels.edited_voxels(), 5);
    }

    /// So many edited voxels of the spleen on the first slice.
    fn edits(voxels: usize) -> ByteSlices {
        let mut codes = vec![NOT_EDITED; 64 * 64 * 80];
        codes[..voxels].fill(Organ::Spleen.label());
        ByteSlices::cut(&codes, 64 * 64)
    }

    #[test]
    fn slices_of_a_run_that_come_meanwhile_are_kept_beneath_the_edits() {
        let mut labels = store(SIZE, [1.0; 3]);
        labels.restore_edits(all(LIVER), Vec::new(), true, "restored edits");
        labels.advance(Duration::ZERO);
        for k in [0, 79] {
            labels.apply_run_slice(k, &[Organ::Heart.label(); 64 * 64]);
        }
        frames(&mut labels);
        assert_eq!((labels.voxel_count(Organ::Liver), labels.voxel_count(Organ::Heart)), (64 * 64 * 80, 0));
        assert!([0, 79].iter().all(|&k| labels.snapshot().network_slice(k) == [Organ::Heart.label(); 64 * 64]));
        labels.undo();
        frames(&mut labels);
        assert_eq!(labels.voxel_count(Organ::Heart), 2 * 64 * 64);
    }

    #[test]
    fn awaited_changes_are_applied_once_and_those_of_another_number_never() {
        let mut labels = store(SIZE, [1.0; 3]);
        let changes = |slices: u32| -> Vec<Change> {
            let change = |slice| Change { slice, start: 0, len: 64 * 64, before: NOT_EDITED, after: LIVER };
            (0..slices).map(change).collect()
        };
        labels.await_changes(7, "smooth");
        labels.apply_changes(6, changes(3));
        assert!(labels.is_busy() && frames(&mut labels) == 1);
        labels.apply_changes(7, changes(70));
        assert_eq!(labels.voxel_count(Organ::Liver), 0);
        frames(&mut labels);
        labels.apply_changes(7, changes(80));
        assert_eq!((labels.voxel_count(Organ::Liver), labels.undo_name()), (70 * 64 * 64, Some("smooth")));
        labels.await_changes(8, "smooth");
        labels.give_up_changes(8);
        assert!(!labels.is_busy());
    }
}
