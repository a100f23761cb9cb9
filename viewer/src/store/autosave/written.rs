//! What files hold of the edits. What was saved since the last change is not "not saved", in however many files it lies: organs in a label
//! map, targets in a structure set, or all in a session. A file counts once it is written, or an archive has said that it keeps it, not
//! when somebody asks for it.

use attention_anatomy::anatomy::OrganSet;

use crate::document::Study;
use crate::session::SESSION_NAME;
use crate::worker::{ArchiveCommand, Command, Export};

/// Files on their way, and what lies in those that are written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// What the worker makes, under the names by which it will be offered for saving.
    making: Vec<(String, Holds)>,
    /// What a place is chosen for, and what is being sent.
    underway: Vec<(Way, Holds)>,
    /// Of the edits as they were when any of them were saved last.
    held: Option<Holds>,
}

/// How files leave the program, by the number of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One file, to where the user says.
    Save(u64),
    /// All that an archive is sent together.
    Send(u64),
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
    /// The worker is about to make files of the study, or to send them; what is edited after this is not in them.
    pub fn asked(&mut self, command: &Command, study: &Study) {
        // Of another study nothing is waited for any more.
        self.making.retain(|(_, holds)| holds.study == study.number);
        self.underway.retain(|(_, holds)| holds.study == study.number);
        let holds = |organs, structures| Holds { study: study.number, edits: study.labels.edits(), organs, structures };
        let in_export = |what: &Export| match what {
            Export::Structures(what) => holds(what.organs, what.extras.iter().map(|extra| extra.number).collect()),
            _ => holds(OrganSet::EMPTY, Vec::new()),
        };
        match command {
            Command::Export { what: what @ Export::Structures(structures), .. } => {
                self.making.push((structures.file_name.clone(), in_export(what)));
            }
            Command::SaveSession { labels, .. } => {
                let structures = labels.extras.iter().map(|extra| extra.number).collect();
                self.making.push((study.name_of_file(SESSION_NAME), holds(OrganSet::ALL, structures)));
            }
            Command::Archive { number, what: ArchiveCommand::Send { what, .. }, .. } => {
                let mut all = holds(OrganSet::EMPTY, Vec::new());
                what.iter().for_each(|export| all.add(in_export(export)));
                self.underway.push((Way::Send(*number), all));
            }
            _ => {}
        }
    }

    /// A file was made, and the user is asked where it goes.
    pub fn offered(&mut self, name: &str, number: u64) {
        if let Some(at) = self.making.iter().position(|(made, _)| made == name) {
            let (_, holds) = self.making.remove(at);
            self.underway.push((Way::Save(number), holds));
        }
    }

    /// A file is written, or an archive keeps all that it was sent. Whether files now hold all edits of the study.
    pub fn kept(&mut self, way: Way, study: &Study) -> bool {
        let Some(at) = self.underway.iter().position(|(underway, _)| *underway == way) else { return false };
        let (_, new) = self.underway.remove(at);
        // What was written before the last change holds no edits as they are now.
        if (new.study, new.edits) != (study.number, study.labels.edits()) {
            return false;
        }
        let held = match self.held.take() {
            Some(mut held) if (held.study, held.edits) == (new.study, new.edits) => {
                held.add(new);
                held
            }
            _ => new,
        };
        self.held.insert(held).is_all_of(study)
    }
}

impl Holds {
    /// What another file holds besides.
    fn add(&mut self, other: Self) {
        self.organs = self.organs.union(other.organs);
        self.structures.extend(other.structures);
    }

    /// Whether nothing that was edited is missing. What was erased altogether is written by not being there.
    fn is_all_of(&self, study: &Study) -> bool {
        let labels = &study.labels;
        let missing = labels.edited_organs().difference(self.organs);
        let mut structures = labels.extras().iter().filter(|extra| extra.edited && extra.voxel_count() > 0);
        missing.iter().all(|organ| labels.voxel_count(organ) == 0)
            && structures.all(|extra| self.structures.contains(&extra.number))
    }
}
