//! Which instances of a series have come: a volume with holes is never taken for a whole one.
//!
//! An archive says in a list what a series has, and sends it in another answer, which may break off, hold something twice, or hold
//! something else. Whoever retrieves tells this book of every part; what it still misses is asked for one by one.

use std::collections::BTreeSet;

use super::multipart::Part;
use crate::formats::dicom::{Transfer, is_uid, series_of};

/// The book of a series.
#[derive(Clone, Debug)]
pub struct Retrieval {
    series: String,
    wanted: BTreeSet<String>,
    come: BTreeSet<String>,
    doubled: usize,
    others: usize,
    unreadable: usize,
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// An instance of the series, for the first time.
    New(String),
    /// One that had come before.
    Again(String),
    /// An instance of another series.
    Other,
    /// No DICOM.
    NotDicom,
}

/// Instances that did not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missing} of {wanted} instances of the series did not come{}; the same again goes on where it stopped", also(*.unreadable))]
pub struct Incomplete {
    /// How many.
    pub missing: usize,
    /// Of how many.
    pub wanted: usize,
    /// Parts that were no DICOM.
    pub unreadable: usize,
}

fn also(unreadable: usize) -> String {
    match unreadable {
        0 => String::new(),
        1 => " (1 part of the answer was no DICOM)".into(),
        n => format!(" ({n} parts of the answer were no DICOM)"),
    }
}

impl Retrieval {
    /// For a series, by its UID and those of its instances, as the archive lists them. What is no UID is left out.
    pub fn new(series: &str, instances: impl IntoIterator<Item = String>) -> Self {
        let wanted = instances.into_iter().filter(|uid| is_uid(uid)).collect();
        Self { series: series.into(), wanted, come: BTreeSet::new(), doubled: 0, others: 0, unreadable: 0 }
    }

    /// Notes an instance that is there already, from before; false where it is none of this series.
    pub fn has_come(&mut self, uid: &str) -> bool {
        let is_wanted = self.wanted.contains(uid);
        if is_wanted {
            self.come.insert(uid.into());
        }
        is_wanted
    }

    /// Notes a part. An instance that the list did not name and that is of this series has arrived in the archive since: it belongs to it.
    pub fn take(&mut self, part: &Part) -> Taken {
        let Ok(transfer) = Transfer::of_file("", &part.body) else {
            self.unreadable += 1;
            return Taken::NotDicom;
        };
        if series_of(&part.body).is_some_and(|series| series != self.series) {
            self.others += 1;
            return Taken::Other;
        }
        let uid = transfer.instance;
        self.wanted.insert(uid.clone());
        if self.come.insert(uid.clone()) {
            Taken::New(uid)
        } else {
            self.doubled += 1;
            Taken::Again(uid)
        }
    }

    /// Whether an instance has come.
    pub fn is_there(&self, uid: &str) -> bool {
        self.come.contains(uid)
    }

    /// UIDs of instances that have not come, in their order.
    pub fn missing(&self) -> Vec<String> {
        self.wanted.difference(&self.come).cloned().collect()
    }

    /// Instances that have come, and all of them.
    pub fn progress(&self) -> (usize, usize) {
        (self.come.len(), self.wanted.len())
    }

    /// Whether all have come; what else is to be said of it, a sentence each.
    ///
    /// # Errors
    /// [`Incomplete`]
    pub fn finish(&self) -> Result<Vec<String>, Incomplete> {
        let missing = self.wanted.len() - self.come.len();
        if missing > 0 || self.wanted.is_empty() {
            return Err(Incomplete { missing, wanted: self.wanted.len(), unreadable: self.unreadable });
        }
        let notes = [
            (self.doubled, "came twice and count once"),
            (self.others, "were of another series and are left out"),
            (self.unreadable, "were no DICOM and are left out"),
        ];
        Ok(notes
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} parts of the answer {what}"))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a class, these UIDs and a row: explicit little endian.
    fn file(instance: &str, series: &str) -> Part {
        let mut data = Vec::new();
        let mut element = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
            let mut value = value.to_vec();
            value.resize(value.len().next_multiple_of(2), 0);
            data.extend(group.to_le_bytes());
            data.extend(element.to_le_bytes());
            data.extend(vr);
            data.extend((value.len() as u16).to_le_bytes());
            data.extend(value);
        };
        element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.2");
        element(8, 0x18, b"UI", instance.as_bytes());
        element(0x20, 0xE, b"UI", series.as_bytes());
        element(0x28, 0x10, b"US", &[4, 0]);
        let class = "1.2.840.10008.5.1.4.1.1.2".to_owned();
        let syntax = "1.2.840.10008.1.2.1".to_owned();
        let sent = Transfer { class, instance: instance.into(), syntax, data_set: &data };
        Part { content_type: "application/dicom".into(), body: sent.to_file().unwrap() }
    }

    fn book() -> Retrieval {
        Retrieval::new("1.9", ["1.1", "1.2", "1.3", "../x"].map(String::from))
    }

    #[test]
    fn a_series_is_whole_when_each_instance_has_come_whatever_else_came() {
        let mut book = book();
        assert_eq!(book.progress(), (0, 3));
        assert_eq!(book.take(&file("1.2", "1.9")), Taken::New("1.2".into()));
        assert_eq!(book.take(&file("1.2", "1.9")), Taken::Again("1.2".into()));
        assert_eq!(book.take(&file("1.3", "1.8")), Taken::Other);
        assert_eq!(book.take(&Part { content_type: "text/plain".into(), body: b"no".to_vec() }), Taken::NotDicom);
        assert!(book.has_come("1.1") && !book.has_come("1.7"));
        assert_eq!((book.missing(), book.progress()), (vec!["1.3".to_owned()], (2, 3)));
        let error = book.finish().unwrap_err();
        assert_eq!(error, Incomplete { missing: 1, wanted: 3, unreadable: 1 });
        assert!(error.to_string().starts_with("1 of 3 instances of the series did not come (1 part"), "{error}");
        // New in the archive since the list was made.
        assert_eq!(book.take(&file("1.4", "1.9")), Taken::New("1.4".into()));
        assert!(book.finish().is_err());
        assert_eq!(book.take(&file("1.3", "1.9")), Taken::New("1.3".into()));
        assert_eq!(book.finish().unwrap().len(), 3);
        assert!(book.missing().is_empty());
    }

    #[test]
    fn nothing_is_no_series() {
        assert_eq!(Retrieval::new("1.9", []).finish(), Err(Incomplete { missing: 0, wanted: 0, unreadable: 0 }));
        let mut whole = book();
        for instance in ["1.1", "1.2", "1.3"] {
            whole.take(&file(instance, "1.9"));
        }
        assert_eq!(whole.finish(), Ok(Vec::new()));
    }

    #[test]
    fn half_a_file_is_no_instance() {
        let mut book = book();
        let Part { content_type, mut body } = file("1.1", "1.9");
        // Before the UID of the instance is whole.
        body.truncate(body.len() - 40);
        assert_eq!(book.take(&Part { content_type, body }), Taken::NotDicom);
        assert_eq!(book.missing().len(), 3);
    }
}
