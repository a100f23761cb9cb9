//! Sessions: what of the document goes into a session file, and how it comes back. The file itself is written and read by
//! the worker.

use super::{Document, Outbox, RunPhase, RunState};
use crate::edit::LabelSnapshot;
use crate::session::{Session, SessionHead, SessionModel, SessionSlice, SessionView};
use crate::worker::{Command, WeightsInfo};

impl Document {
    /// Has the worker write a session file: labels, edits and settings of the open study, without voxels of the CT.
    pub fn save_session(&mut self, outbox: &mut Outbox) {
        if let Some(study) = &mut self.study {
            study.labels.finish();
        }
        if let Some((head, labels)) = self.session() {
            outbox.send(Command::SaveSession { head: Box::new(head), labels });
        }
    }

    pub(crate) fn session(&self) -> Option<(SessionHead, LabelSnapshot)> {
        let study = self.study.as_ref()?;
        let counts = study.removed.iter().zip(&study.drawn);
        let model = |w: &WeightsInfo| SessionModel { name: w.name.clone(), sha256: w.sha256.clone() };
        let head = SessionHead {
            ct: study.key.clone(),
            model: self.model.weights.as_ref().map(model),
            drawn: study.enabled,
            run_finished: self.run.phase == RunPhase::Finished,
            view: SessionView::of(&self.view, self.preferences.layout),
            anatomy: study
                .anatomy
                .iter()
                .zip(counts)
                .filter_map(|(a, (r, d))| Some(SessionSlice::of(a.as_ref()?, *r, *d)))
                .collect(),
        };
        Some((head, study.labels.snapshot()))
    }

    /// Brings what a session file holds back onto the open CT. The edits are one step that can be undone.
    pub(super) fn restore_session(&mut self, session: Session, outbox: &mut Outbox) {
        let Session { head, network, edits, edited_voxels, extras } = session;
        // The worker has compared it with the CT that was open then.
        let Some(study) = self.study.as_mut().filter(|study| study.key == head.ct) else { return };
        let other =
            |weights: &WeightsInfo| head.model.as_ref().filter(|m| m.sha256 != weights.sha256).map(|m| m.name.clone());
        if let Some(name) = self.model.weights.as_ref().and_then(other) {
            outbox
                .notices
                .warn(format!("the labels of this session come from the weights {name}, not from those in use now"));
        }
        if head.run_finished {
            // All that a run would find is in the file.
            if self.run.is_active() {
                outbox.send(Command::CancelRun);
            }
            let total = study.geometry().size[2];
            self.run = RunState {
                number: outbox.next_number(),
                phase: RunPhase::Finished,
                done: total,
                total,
                ..RunState::default()
            };
        }
        head.view.apply(&mut self.view, &mut self.preferences.layout, head.ct.size);
        study.enabled = head.drawn;
        study.what_if = None;
        study.anatomy.fill(None);
        study.removed.fill(None);
        study.drawn.fill(None);
        for (anatomy, removed, drawn) in head.anatomy.into_iter().map(SessionSlice::parts) {
            let k = anatomy.slice;
            if k < study.anatomy.len() {
                (study.anatomy[k], study.removed[k], study.drawn[k]) = (Some(anatomy), removed, drawn);
            }
        }
        study.labels.restore_session(network, edits, extras);
        outbox.notices.info(format!("session restored, with {edited_voxels} voxels edited by hand"));
    }
}
