//! What files hold of the edits. What was saved since the last change is not "not saved", in however many files it lies: organs in a label
//! map, targets in a structure set, or all in a session. A file counts once it is written, not when somebody asks for it.

use attention_anatomy::anatomy::OrganSet;

use crate::document::Study;
use crate::session::SESSION_NAME;
use crate::worker::{Command, Export};

/// Files on their way, and what lies in those that are written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What the worker makes, under the names by which it will be offered for saving.
    making: Vec<(String, Holds)>,
    /// What a place is chosen for, by the numbers of the requests.
    saving: Vec<(u64, Holds)>,
    /// Of the edits as they were when any of them were saved last.
    held: Option<Holds>,
}

/// What a file holds, or several together.
#[derive(Clone, Debug, PartialEq)]
struct Holds {
    /// Number of the study.
    study: u64,
    /// [`crate::edit::LabelStore::edits`] of what was written.
    edits: u64,
    organs: OrganSet,
    /// Other structures, by their numbers.
    structures: Vec<u64>,
}

impl Written {
    /// The worker is about to make a file of the study; what is edited after this is not in it.
    pub fn asked(&mut self, command: &Command, study: &Study) {
        let (name, organs, structures) = match command {
            Command::Export { what: Export::Structures(what), .. } => {
                (what.file_name.clone(), what.organs, what.extras.iter().map(|extra| extra.number).collect())
            }
            Command::SaveSession { labels, .. } => {
                let all = labels.extras.iter().map(|extra| extra.number).collect();
                (study.name_of_file(SESSION_NAME), OrganSet::ALL, all)
            }
            _ => return,
        };
        // Of another study nothing is waited for any more.
        self.making.retain(|(_, holds)| holds.study == study.number);
        self.saving.retain(|(_, holds)| holds.study == study.number);
        self.making.push((name, Holds { study: study.number, edits: study.labels.edits(), organs, structures }));
    }

    /// A file was made, and the user is asked where it goes.
    pub fn offered(&mut self, name: &str, number: u64) {
        if let Some(at) = self.making.iter().position(|(made, _)| made == name) {
            let (_, holds) = self.making.remove(at);
            self.saving.push((number, holds));
        }
    }

    /// A file is written. Whether files now hold all edits of the study.
    pub fn saved(&mut self, number: u64, study: &Study) -> bool {
        let Some(at) = self.saving.iter().position(|(saving, _)| *saving == number) else { return false };
        let (_, new) = self.saving.remove(at);
        // What was written before the last change holds no edits as they are now.
        if (new.study, new.edits) != (study.number, study.labels.edits()) {
            return false;
        }
        let held = match self.held.take() {
            Some(mut held) if (held.study, held.edits) == (new.study, new.edits) => {
                held.organs = held.organs.union(new.organs);
                held.structures.extend(new.structures);
                held
            }
            _ => new,
        };
        self.held.insert(held).is_all_of(study)
    }
}

impl Holds {
    /// Whether nothing that was edited is missing. What was erased altogether is written by not being there.
    fn is_all_of(&self, study: &Study) -> bool {
        let labels = &study.labels;
        let missing = labels.edited_organs().difference(self.organs);
        let mut structures = labels.extras().iter().filter(|extra| extra.edited && extra.voxel_count() > 0);
        missing.iter().all(|organ| labels.voxel_count(organ) == 0)
            && structures.all(|extra| self.structures.contains(&extra.number))
    }
}
