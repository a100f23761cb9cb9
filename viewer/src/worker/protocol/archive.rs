//! What is asked of archives, and what comes of it.

use attention_anatomy::dicomweb::{Page, Root, SeriesRow, StudyQuery, StudyRow};
use serde::{Deserialize, Serialize};

use super::{Export, codec};
use crate::edit::ByteSlices;

/// An archive, and who asks it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// What people call it.
    pub name: String,
    /// Its address.
    pub root: Root,
    /// The value of the Authorization field. In memory alone: no session, log, report, notice or status holds it.
    pub authorization: Option<String>,
}

/// Shows no token on purpose.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Series of a study in an archive, to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveSeries {
    /// The archive, and what it is asked with.
    pub access: Access,
    /// StudyInstanceUID.
    pub study: String,
    /// SeriesInstanceUIDs.
    pub series: Vec<String>,
}

/// Something that is asked of an archive. A list that is asked for takes the place of the one that was asked for before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ArchiveCommand {
    /// A part of its studies.
    Studies {
        /// What the studies have to match.
        query: StudyQuery,
        /// The part.
        page: Page,
    },
    /// The series of a study.
    Series {
        /// StudyInstanceUID.
        study: String,
    },
    /// Make these files of the labels and send them.
    Send {
        /// The files.
        what: Vec<Export>,
        /// Labels of the study.
        #[serde(with = "codec::slices")]
        labels: ByteSlices,
        /// Facts that the user's side knows. One sentence each.
        notes: Vec<String>,
        /// The file that the labels were opened from.
        opened_from: Option<String>,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ArchiveAnswer {
    /// A page of the list of studies.
    Studies {
        /// Those that were asked for.
        rows: Vec<StudyRow>,
        /// How many more there are in this part that do not say which they are.
        skipped: usize,
    },
    /// The series of a study.
    Series {
        /// StudyInstanceUID.
        study: String,
        /// All of them.
        rows: Vec<SeriesRow>,
    },
    /// A file of several was sent.
    Sending {
        /// Files that the archive has.
        done: usize,
        /// In all.
        of: usize,
    },
    /// All files were sent and kept.
    Sent(Vec<SentFile>),
    /// It cannot be had, or was not kept, and why. One sentence.
    Failed(String),
}

/// A file that an archive keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// What it is: `RTSTRUCT`.
    pub what: String,
    /// Its size.
    pub bytes: usize,
    /// What the archive remarked. One sentence each.
    pub warnings: Vec<String>,
    /// Whether the archive said that it keeps it, and not only nothing to the contrary.
    pub is_told: bool,
}
