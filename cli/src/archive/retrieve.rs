//! Series on their way: a bar, and what is said beside it.

use anyhow::Result;
use attention_anatomy::dicomweb::{self, News, OwnError};

use super::{Archive, Keep, wait};
use crate::progress;

/// A series on its way.
struct Coming<'a> {
    keep: &'a mut dyn Keep,
    bar: indicatif::ProgressBar,
}

impl Archive {
    /// Retrieves a series, but for what is there already; how many bytes came.
    ///
    /// # Errors
    /// What did not come, and what the user is told. What came is kept.
    pub fn retrieve(&self, study: &str, series: &str, keep: &mut dyn Keep) -> Result<u64> {
        let mut coming = Coming { keep, bar: progress::bar(0, "retrieve") };
        let came = wait(self.archive.retrieve(study, series, &mut coming));
        coming.bar.finish_and_clear();
        came.map_err(Self::told)
    }
}

impl dicomweb::Keep for Coming<'_> {
    fn there(&self) -> Result<Vec<String>, OwnError> {
        self.keep.there().map_err(Into::into)
    }

    fn keep(&mut self, uid: &str, bytes: Vec<u8>) -> Result<(), OwnError> {
        self.keep.keep(uid, bytes).map_err(Into::into)
    }

    fn hear(&mut self, news: &News) {
        match news {
            News::There { there, wanted } => {
                progress::note(&format!("{there} of {wanted} instances of the series are there already"));
            }
            News::Came { come, wanted, bytes } => {
                self.bar.set_length(*wanted as u64);
                self.bar.set_position(*come as u64);
                self.bar.set_message(format!("{:.1} MB", *bytes as f64 / 1e6));
            }
            News::OneByOne { why, come, wanted } => progress::warn(&format!(
                "{why}; {come} of {wanted} instances had come, the others are asked for one by one"
            )),
            News::Note(note) => progress::warn(note),
        }
    }
}
