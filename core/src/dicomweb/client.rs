//! An archive that is asked: lists page by page, whole series, and what is sent to it; the same from a page, a window and a command. What
//! may pass is tried again after pauses that grow. Nothing is asked of anybody before something here is called.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use super::address::{ACCEPT_DICOM, ACCEPT_JSON, AddressError, Page, Root, StudyQuery};
use super::answer::{ArchiveError, Asked, check, not_dicom};
use super::multipart::{Limits, Part, PartReader};
use super::retrieval::{Retrieval, Taken};
use super::rows::{InstanceRow, Listed, Row, SeriesRow, StudyRow, read_rows};
use super::store::{StoreAnswer, store_body, stored};
use super::transport::{Answer, Broken, Later, OwnError, Request, Transport, Trouble};

/// How long is waited before something is asked again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// The longest that an archive may want to be left alone, seconds; after more than that somebody else should decide.
const LONGEST_PAUSE: u64 = 60;
/// How long nothing may come before a connection counts as dead: some fetch old studies from elsewhere before they say a word.
const SILENCE: Duration = Duration::from_secs(120);
/// The same of lists, for which nothing is fetched from anywhere.
const SILENCE_OF_LISTS: Duration = Duration::from_secs(60);
/// Bytes a second of a slow line: what is sent is on its way before anybody can answer.
const SLOW_LINE: u64 = 64 << 10;
/// Rows that are asked for at a time, where all are wanted.
const ROWS: usize = 1000;
/// The longest list, bytes.
const LONGEST_LIST: usize = 256 << 20;
/// Of an answer that is no DICOM, as much as tells what it is.
const ENOUGH: usize = 512;
/// Bytes of a series after which others have a turn.
const TURN: u64 = 4 << 20;

/// Takes the instances of a series as they come.
pub trait Receiver {
    /// UIDs of those that are stored from before.
    ///
    /// # Errors
    /// A place that cannot be read.
    fn stored(&self) -> Result<Vec<String>, OwnError>;

    /// Stores one.
    ///
    /// # Errors
    /// A place that cannot be written into.
    fn store(&mut self, uid: &str, bytes: Vec<u8>) -> Result<(), OwnError>;

    /// Called with how it goes on.
    fn on_news(&mut self, _: &News) {}
}

/// In memory, with names for messages.
impl Receiver for Vec<(String, Vec<u8>)> {
    fn stored(&self) -> Result<Vec<String>, OwnError> {
        Ok(Vec::new())
    }

    fn store(&mut self, uid: &str, bytes: Vec<u8>) -> Result<(), OwnError> {
        self.push((format!("{uid}.dcm"), bytes));
        Ok(())
    }
}

/// How a series comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Some are there from before, and are not asked for.
    There {
        /// How many.
        there: usize,
        /// Of how many.
        wanted: usize,
    },
    /// More of it came.
    Came {
        /// Instances that are there.
        come: usize,
        /// Of how many.
        wanted: usize,
        /// Bytes that came over the wire.
        bytes: u64,
    },
    /// The answer broke off: the others are asked for one by one.
    OneByOne {
        /// Why, one sentence.
        why: String,
        /// Instances that are there.
        come: usize,
        /// Of how many.
        wanted: usize,
    },
    /// What else is to be said of it, one sentence.
    Note(String),
}

impl News {
    /// What of it is a warning.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::There { .. } | Self::Came { .. } => None,
            Self::OneByOne { why, come, wanted } => {
                Some(format!("{why}; {come} of {wanted} instances had come, the others are asked for one by one"))
            }
            Self::Note(note) => Some(note.clone()),
        }
    }
}

/// An archive.
pub struct Archive {
    root: Root,
    transport: Box<dyn Transport>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("root", &self.root).finish_non_exhaustive()
    }
}

/// A series on its way.
struct Coming<'a> {
    book: Retrieval,
    receiver: &'a mut dyn Receiver,
    bytes: u64,
}

impl Archive {
    /// The archive below a root. Nothing is asked.
    pub fn new(root: Root, transport: Box<dyn Transport>) -> Self {
        Self { root, transport }
    }

    /// Its root, which messages begin with.
    pub fn place(&self) -> String {
        self.root.to_string()
    }

    /// What is to come, unless nothing does for so long: whoever waits for an archive never waits without end.
    async fn within<T>(&self, limit: Duration, mut coming: Later<'_, Result<T, Broken>>) -> Result<T, Trouble> {
        let mut silence: Option<Later<'static, ()>> = None;
        poll_fn(|context| {
            // What came while nobody asked is no silence.
            if let Poll::Ready(result) = coming.as_mut().poll(context) {
                return Poll::Ready(result.map_err(|broken| Trouble::Broken { place: self.place(), broken }));
            }
            let over = silence.get_or_insert_with(|| self.transport.pause(limit));
            over.as_mut().poll(context).map(|()| Err(Trouble::Silent { place: self.place(), seconds: limit.as_secs() }))
        })
        .await
    }

    /// The whole body of an answer, up to so many bytes, behind which it is cut.
    async fn read(&self, answer: &mut Answer, most: usize, silence: Duration) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        while bytes.len() < most
            && let Some(piece) = self.within(silence, answer.body.next()).await?
        {
            bytes.extend_from_slice(&piece);
        }
        bytes.truncate(most);
        Ok(bytes)
    }

    /// A part of the list of studies.
    ///
    /// # Errors
    /// [`Trouble`]
    pub async fn studies(&self, query: &StudyQuery, page: Page) -> Result<Listed<StudyRow>, Trouble> {
        self.list(&self.root.studies(query, page)).await
    }

    /// All series of a study.
    ///
    /// # Errors
    /// [`Trouble`]: also of a study that is not there.
    pub async fn series(&self, study: &str) -> Result<Vec<SeriesRow>, Trouble> {
        let rows = self.all(|page| self.root.series(study, page)).await?;
        let what = || format!("study {study}");
        if rows.is_empty() { Err(Trouble::Nothing { place: self.place(), what: what() }) } else { Ok(rows) }
    }

    async fn instances(&self, study: &str, series: &str) -> Result<Vec<InstanceRow>, Trouble> {
        let rows: Vec<InstanceRow> = self.all(|page| self.root.instances(study, series, page)).await?;
        let what = || format!("series {series} in study {study}");
        if rows.is_empty() { Err(Trouble::Nothing { place: self.place(), what: what() }) } else { Ok(rows) }
    }

    /// All rows, page by page: an archive may give fewer at a time than it is asked for, and not say so.
    async fn all<R: Row>(&self, address: impl Fn(Page) -> Result<String, AddressError>) -> Result<Vec<R>, Trouble> {
        let mut rows: Vec<R> = Vec::new();
        let mut known = BTreeSet::new();
        let mut offset = 0;
        loop {
            let listed: Listed<R> = self.list(&address(Page { limit: ROWS, offset })?).await?;
            offset += listed.rows.len() + listed.skipped;
            let before = rows.len();
            rows.extend(listed.rows.into_iter().filter(|row| known.insert(row.uid().to_owned())));
            // The end, or an archive that does not know of pages.
            if rows.len() == before {
                return Ok(rows);
            }
        }
    }

    async fn list<R: Row>(&self, address: &str) -> Result<Listed<R>, Trouble> {
        let mut patience = Patience::default();
        loop {
            match self.list_once(address).await {
                Ok(listed) => return Ok(listed),
                Err(trouble) => self.wait_or(trouble, &mut patience).await?,
            }
        }
    }

    async fn list_once<R: Row>(&self, address: &str) -> Result<Listed<R>, Trouble> {
        let request = Request::Get { address: address.into(), accept: ACCEPT_JSON };
        let mut answer = self.within(SILENCE_OF_LISTS, self.transport.ask(&request)).await?;
        check(&answer.head, Asked::List, &self.place())?;
        let body = self.read(&mut answer, LONGEST_LIST, SILENCE_OF_LISTS).await?;
        Ok(read_rows(&body, &answer.head.content_type, &self.place())?)
    }

    /// Sends a DICOM file whose SOPInstanceUID is `instance`; what the archive says of it. What was sent and not answered is sent again, under
    /// the same UID, of which an archive keeps one.
    ///
    /// # Errors
    /// [`Trouble`]: it was not kept.
    pub async fn send(&self, instance: &str, file: &[u8]) -> Result<StoreAnswer, Trouble> {
        let body = store_body(&[file]);
        let length = body.bytes.len();
        let (address, content_type) = (self.root.store(), body.content_type);
        let request = Request::Post { address, content_type, bytes: body.bytes.into() };
        let mut patience = Patience::default();
        loop {
            match self.send_once(&request, instance, length).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => self.wait_or(trouble, &mut patience).await?,
            }
        }
    }

    async fn send_once(&self, request: &Request, instance: &str, length: usize) -> Result<StoreAnswer, Trouble> {
        let on_its_way = Duration::from_secs(length as u64 / SLOW_LINE);
        let mut answer = self.within(SILENCE + on_its_way, self.transport.ask(request)).await?;
        let said = self.read(&mut answer, LONGEST_LIST, SILENCE).await?;
        let answer = stored(&answer.head, &said, length, &[instance.to_owned()], &self.place())?;
        answer.all(&self.place())?;
        Ok(answer)
    }

    /// Retrieves a series, but for what is there already; how many bytes came. All of it comes in one answer; where that breaks off, what is
    /// missing is asked for one by one.
    ///
    /// # Errors
    /// [`Trouble`]: what did not come. What came was taken.
    pub async fn retrieve(&self, study: &str, series: &str, receiver: &mut dyn Receiver) -> Result<u64, Trouble> {
        // The rows are let go before the slices come.
        let mut book =
            Retrieval::new(series, self.instances(study, series).await?.iter().map(|row| row.uid().to_owned()));
        for uid in receiver.stored().map_err(Trouble::Own)? {
            book.has_come(&uid);
        }
        let (there, wanted) = book.progress();
        let mut coming = Coming { book, receiver, bytes: 0 };
        if there > 0 {
            coming.receiver.on_news(&News::There { there, wanted });
        } else {
            coming.tell();
            match self.part(&self.root.whole_series(study, series)?, &mut coming).await {
                Err(trouble) if trouble.is_passing() => {
                    let (come, wanted) = coming.book.progress();
                    coming.receiver.on_news(&News::OneByOne { why: trouble.to_string(), come, wanted });
                }
                result => result?,
            }
        }
        for uid in coming.book.missing() {
            let address = self.root.instance(study, series, &uid)?;
            let mut patience = Patience::default();
            loop {
                match self.part(&address, &mut coming).await {
                    Ok(()) => break,
                    // It broke behind it. (What could not be kept has come, too, and is an error.)
                    Err(trouble) if trouble.is_passing() && coming.book.is_there(&uid) => break,
                    // It is told in the end, with all others that are missing.
                    Err(trouble) if trouble.status() == Some(404) => break,
                    Err(trouble) => self.wait_or(trouble, &mut patience).await?,
                }
            }
        }
        for note in coming.book.finish()? {
            coming.receiver.on_news(&News::Note(note));
        }
        Ok(coming.bytes)
    }

    /// One answer with instances.
    async fn part(&self, address: &str, coming: &mut Coming<'_>) -> Result<(), Trouble> {
        let place = self.place();
        let request = Request::Get { address: address.into(), accept: ACCEPT_DICOM };
        let mut answer = self.within(SILENCE, self.transport.ask(&request)).await?;
        check(&answer.head, Asked::Retrieve, &place)?;
        let Ok(mut reader) = PartReader::new(&answer.head.content_type, Limits::default()) else {
            let start = self.read(&mut answer, ENOUGH, SILENCE).await?;
            return Err(not_dicom(&place, &answer.head.content_type, &start).into());
        };
        let odd = |error| ArchiveError::Body { place: place.clone(), error };
        let Answer { body, .. } = &mut answer;
        let mut turn = coming.bytes + TURN;
        while let Some(piece) = self.within(SILENCE, body.next()).await? {
            coming.bytes += piece.len() as u64;
            for part in reader.push(&piece).map_err(odd)? {
                coming.take(part)?;
            }
            coming.tell();
            if coming.bytes >= turn {
                turn = coming.bytes + TURN;
                give_way().await;
            }
        }
        if let Some(part) = reader.finish().map_err(odd)? {
            coming.take(part)?;
        }
        coming.tell();
        Ok(())
    }

    /// Waits before the same is asked again, if that may help.
    async fn wait_or(&self, trouble: Trouble, patience: &mut Patience) -> Result<(), Trouble> {
        match patience.pause(&trouble) {
            Some(pause) => {
                self.transport.pause(pause).await;
                Ok(())
            }
            None => Err(trouble),
        }
    }
}

/// How often the same was asked.
#[derive(Debug, Default)]
struct Patience {
    asked: usize,
    /// Whether it was waited for in vain.
    was_silent: bool,
}

impl Patience {
    /// How long to wait before the same is asked again; `None` where that does not help.
    fn pause(&mut self, trouble: &Trouble) -> Option<Duration> {
        // That took long enough: once more, and then somebody else should decide.
        if matches!(trouble, Trouble::Silent { .. }) && std::mem::replace(&mut self.was_silent, true) {
            return None;
        }
        let wanted = trouble.retry_after().unwrap_or(0);
        let pause = PAUSES.get(self.asked).filter(|_| trouble.is_passing() && wanted <= LONGEST_PAUSE)?;
        self.asked += 1;
        Some((*pause).max(Duration::from_secs(wanted)))
    }
}

impl Coming<'_> {
    fn take(&mut self, part: Part) -> Result<(), Trouble> {
        if let Taken::New(uid) = self.book.take(&part) {
            self.receiver.store(&uid, part.body).map_err(Trouble::Own)?;
        }
        Ok(())
    }

    fn tell(&mut self) {
        let (come, wanted) = self.book.progress();
        self.receiver.on_news(&News::Came { come, wanted, bytes: self.bytes });
    }
}

/// Lets whoever asks for what comes do something else once.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|_| match std::mem::replace(&mut has_waited, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[cfg(test)]
mod tests;
