//! Series. All of one come in one answer; where that breaks off, what is missing is asked for one by one, and what had come is kept.

use std::io::Read;

use anyhow::Result;
use attention_anatomy::dicomweb::{
    ACCEPT_DICOM, ArchiveError, Asked, Limits, PartReader, Retrieval, Row, Taken, check, not_dicom,
};

use super::wire::{Answer, Trouble};
use super::{Archive, Keep};
use crate::progress;

/// Read at a time.
const CHUNK: usize = 256 << 10;
/// Of an answer that is no DICOM, as much as tells what it is.
const ENOUGH: u64 = 512;

/// A series on its way.
struct Coming<'a> {
    book: Retrieval,
    keep: &'a mut dyn Keep,
    bar: indicatif::ProgressBar,
    bytes: u64,
}

impl Archive {
    /// Retrieves a series, but for what is there already; how many bytes came.
    ///
    /// # Errors
    /// What did not come, and what the user is told. What came is kept.
    pub fn retrieve(&self, study: &str, series: &str, keep: &mut dyn Keep) -> Result<u64> {
        let instances = self.instances(study, series)?;
        let mut book = Retrieval::new(series, instances.iter().map(|row| row.uid().to_owned()));
        for uid in keep.there()? {
            book.has_come(&uid);
        }
        let (there, wanted) = book.progress();
        let bar = progress::bar(wanted as u64, "retrieve");
        bar.set_position(there as u64);
        let mut coming = Coming { book, keep, bar, bytes: 0 };
        if there > 0 {
            progress::note(&format!("{there} of {wanted} instances of the series are there already"));
        } else {
            match self.part(&self.root.whole_series(study, series)?, &mut coming) {
                Err(trouble) if trouble.is_passing() => {
                    let (come, wanted) = coming.book.progress();
                    let told = self.told(trouble);
                    progress::warn(&format!(
                        "{told:#}; {come} of {wanted} instances had come, the others are asked for one by one"
                    ));
                }
                result => result.map_err(|trouble| self.told(trouble))?,
            }
        }
        for uid in coming.book.missing() {
            let address = self.root.instance(study, series, &uid)?;
            self.patiently(|| match self.part(&address, &mut coming) {
                // It is told in the end, with all others that are missing.
                Err(Trouble::Archive(ArchiveError::Refused(refusal))) if refusal.head.status == 404 => Ok(()),
                result => result,
            })?;
        }
        coming.bar.finish_and_clear();
        for note in coming.book.finish()? {
            progress::warn(&note);
        }
        Ok(coming.bytes)
    }

    /// One answer with instances.
    fn part(&self, address: &str, coming: &mut Coming<'_>) -> Result<(), Trouble> {
        let place = self.place();
        let mut answer = self.client.get(address, ACCEPT_DICOM)?;
        check(&answer.head, Asked::Retrieve, &place)?;
        let Ok(mut reader) = PartReader::new(&answer.head.content_type, Limits::default()) else {
            let start = answer.read(ENOUGH)?;
            return Err(not_dicom(&place, &answer.head.content_type, &start).into());
        };
        let odd = |error| ArchiveError::Body { place: place.clone(), error };
        let Answer { body, .. } = &mut answer;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Trouble::broken(&error)),
            };
            coming.bytes += read as u64;
            for part in reader.push(&chunk[..read]).map_err(odd)? {
                coming.take(part)?;
            }
            coming.bar.set_message(format!("{:.1} MB", coming.bytes as f64 / 1e6));
        }
        match reader.finish().map_err(odd)? {
            Some(part) => coming.take(part),
            None => Ok(()),
        }
    }
}

impl Coming<'_> {
    fn take(&mut self, part: attention_anatomy::dicomweb::Part) -> Result<(), Trouble> {
        if let Taken::New(uid) = self.book.take(&part) {
            self.keep.keep(&uid, part.body).map_err(Trouble::Own)?;
            self.bar.inc(1);
        }
        Ok(())
    }
}
