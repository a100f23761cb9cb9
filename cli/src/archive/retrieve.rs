//! Series on their way: a bar, and what is said beside it.

use anyhow::Result;
use attention_anatomy::dicomweb::{News, OwnError, Receiver};

use super::{Archive, wait};
use crate::progress;

/// A series on its way.
struct Coming<'a> {
    receiver: &'a mut dyn Receiver,
    bar: indicatif::ProgressBar,
}

impl Archive {
    /// Retrieves a series, but for what is there already; how many bytes came.
    ///
    /// # Errors
    /// What did not come, and what the user is told. What came is kept.
    pub fn retrieve(&self, study: &str, series: &str, receiver: &mut dyn Receiver) -> Result<u64> {
        let mut coming = Coming { receiver, bar: progress::bar(0, "retrieve") };
        let bytes = wait(self.archive.retrieve(study, series, &mut coming));
        coming.bar.finish_and_clear();
        bytes.map_err(Self::told)
    }
}

impl Receiver for Coming<'_> {
    fn stored(&self) -> Result<Vec<String>, OwnError> {
        self.receiver.stored()
    }

    fn store(&mut self, uid: &str, bytes: Vec<u8>) -> Result<(), OwnError> {
        self.receiver.store(uid, bytes)
    }

    fn on_news(&mut self, news: &News) {
        match news {
            News::There { there, wanted } => {
                progress::note(&format!("{there} of {wanted} instances of the series are there already"));
            }
            News::Came { come, wanted, bytes } => {
                self.bar.set_length(*wanted as u64);
                self.bar.set_position(*come as u64);
                self.bar.set_message(format!("{:.1} MB", *bytes as f64 / 1e6));
            }
            News::OneByOne { .. } | News::Note(_) => {}
        }
        if let Some(warning) = news.warning() {
            progress::warn(&warning);
        }
    }
}
