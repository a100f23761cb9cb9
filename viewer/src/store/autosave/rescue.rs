//! What would be lost if the program ended in the middle of the next frame: kept beside the program, for whoever outlives it.

use std::rc::Rc;

use super::super::Storage;
use super::{Autosave, now};
use crate::document::Document;
use crate::edit::LabelSnapshot;
use crate::session::{CtKey, EditsRecord};

/// Edits as they were after a frame, and where they are stored. Taking one costs a pointer for each slice.
#[derive(Debug)]
pub struct Rescue {
    storage: Rc<Storage>,
    /// `None` where all edits are stored, or on their way.
    edits: Option<Unstored>,
}

#[derive(Debug)]
struct Unstored {
    /// [`crate::edit::LabelStore::edits`] of them.
    number: u64,
    name: String,
    ct: CtKey,
    labels: LabelSnapshot,
}

impl Rescue {
    /// Stores what is not stored, now. Whether all of it is written, or a part may still be lost.
    pub fn store(self) -> bool {
        if let Some(Unstored { name, ct, labels, .. }) = self.edits {
            self.storage.save(&name, EditsRecord::of(&labels, ct, now().as_secs()).to_text());
        }
        self.storage.flush()
    }
}

impl Autosave {
    /// Brings what would have to be rescued up to date. After every frame.
    pub fn prepare_rescue(&self, document: &Document, rescue: &mut Option<Rescue>) {
        let Some(storage) = &self.storage else { return };
        let Rescue { edits, .. } = rescue.get_or_insert_with(|| Rescue { storage: storage.clone(), edits: None });
        let open = document.study.as_ref().zip(self.study.as_ref());
        let Some((study, remembered)) = open.filter(|(study, remembered)| study.number == remembered.number) else {
            *edits = None;
            return;
        };
        if !study.labels.has_edits() {
            *edits = None;
            return;
        }
        let (number, name) = (study.labels.edits(), remembered.name());
        let is_stored = number == remembered.stored && self.packing.iter().all(|packing| packing.name != name);
        if is_stored {
            *edits = None;
        } else if edits.as_ref().is_none_or(|last| last.number != number || last.name != name) {
            let (ct, labels) = (remembered.key.clone(), study.labels.snapshot_of_edits());
            *edits = Some(Unstored { number, name, ct, labels });
        }
    }
}
