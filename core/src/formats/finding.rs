//! What a check has found, in a clinician's words.

use super::dicom::Repair;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Good to know.
    Note,
    /// Worth a look: it can be used, and something is not as it should be.
    Doubt,
    /// It cannot be used as it is.
    Wrong,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What it is about: a file, a series, a structure set; empty for all of it.
    pub about: String,
    /// What it is, and what to do.
    pub sentence: String,
    /// What mends it, if somebody asks for that.
    pub repair: Option<Repair>,
}

impl Finding {
    pub(super) fn new(weight: Weight, about: &str, sentence: impl ToString) -> Self {
        Self { weight, about: about.to_owned(), sentence: sentence.to_string(), repair: None }
    }
}
