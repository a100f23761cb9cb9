//! What is done to labels for the window, which must not wait for a whole volume: tools for whole organs, session files,
//! edits that are stored and come back. One of them in a step.

use super::{Executor, Step};
use crate::edit::{LabelSnapshot, Made, Operand, OrganEdit, StructureEdit};
use crate::session::{self, CtKey, EditsRecord, SESSION_NAME, SessionHead};
use crate::worker::Event;

/// Something that is to be done.
pub(super) enum LabelTask {
    Edit { number: u64, edit: OrganEdit, labels: LabelSnapshot },
    Combine { number: u64, edit: StructureEdit, labels: LabelSnapshot },
    SaveSession { head: Box<SessionHead>, labels: LabelSnapshot },
    Pack { number: u64, ct: CtKey, saved: u64, labels: LabelSnapshot },
    Unpack { study: u64, record: Box<EditsRecord> },
}

impl Executor {
    pub(super) fn step_label_tasks(&mut self) -> Step {
        let Some(task) = self.label_tasks.pop_front() else { return Step::Idle };
        self.editing = match &task {
            LabelTask::Edit { number, .. } | LabelTask::Combine { number, .. } => Some(*number),
            _ => None,
        };
        let event = match task {
            LabelTask::Edit { number, edit, labels } => {
                let ct = self.study.as_ref().map(|study| study.ct.clone());
                match ct.and_then(|ct| labels.changes(ct, &edit)) {
                    Some(changes) => Event::Edited { number, changes },
                    None => {
                        let message = "the labels do not belong to the open CT; use the tool again".into();
                        Event::EditFailed { number, message }
                    }
                }
            }
            LabelTask::Combine { number, edit, labels } => match self.combine(&edit, &labels) {
                Some(Made::Changes(changes)) => Event::Edited { number, changes },
                Some(Made::Extra(extra)) => Event::Made { number, extra: vec![extra] },
                None => {
                    let message = "there is nothing to make a structure of; choose one that has a voxel".into();
                    Event::EditFailed { number, message }
                }
            },
            LabelTask::SaveSession { head, labels } => {
                let bytes = session::write(*head, &labels).into_bytes();
                Event::Exported { name: SESSION_NAME.into(), bytes }
            }
            LabelTask::Pack { number, ct, saved, labels } => {
                Event::EditsPacked { number, text: EditsRecord::of(&labels, ct, saved).to_text() }
            }
            LabelTask::Unpack { study, record } => {
                let unpacked = record.edits().and_then(|edits| Ok((edits, record.extras()?)));
                match unpacked {
                    Ok((edits, extras)) => {
                        Event::EditsUnpacked { study, edits, edited_voxels: record.edited_voxels, extras }
                    }
                    Err(error) => Event::Failed(error.to_string()),
                }
            }
        };
        self.events.push_back(event);
        Step::Worked
    }

    fn combine(&mut self, edit: &StructureEdit, labels: &LabelSnapshot) -> Option<Made> {
        let study = self.study.as_mut()?;
        let asks_body = edit.of == Operand::Body || edit.operation.other() == Some(Operand::Body);
        let body = asks_body.then(|| study.body());
        let [nx, ny, _] = study.ct.geometry.size;
        let is_body = |n: usize| body.as_ref().is_some_and(|body| body.contains(n % nx, n / nx % ny, n / (nx * ny)));
        labels.make(&study.ct, edit, &is_body)
    }

    /// A task broke off.
    pub(super) fn label_task_failed(&mut self, message: String) {
        self.events.push_back(match self.editing.take() {
            Some(number) => Event::EditFailed { number, message },
            None => Event::Failed(message),
        });
    }
}
