//! An archive, asked by DICOMweb: lists, series, and what is sent to it. What its answers mean is the library's matter
//! (`attention_anatomy::dicomweb`); here is what is done about them.
//!
//! Nothing is asked of anybody unless a command names an archive, and the first sentence says which. A token is read from a file or the
//! environment, never from an argument, which every user of the machine could see; it is sent to that archive alone, and never where
//! others could read it on the way. Redirections are not followed.
//!
//! Without the feature `archive` the program has no HTTP client ([`absent`]).

#[cfg(not(feature = "archive"))]
mod absent;
mod access;
#[cfg(feature = "archive")]
mod http;
mod keep;
mod retrieve;
mod wire;

#[cfg(not(feature = "archive"))]
use absent::Client;
#[cfg(feature = "archive")]
use http::Client;

pub use access::Access;
pub use keep::{Folder, Keep};

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::dicomweb::{
    ACCEPT_JSON, AddressError, ArchiveError, Asked, InstanceRow, Listed, Page, Root, Row, SeriesRow, StudyQuery,
    StudyRow, check, read_rows, store_body, stored,
};
use attention_anatomy::formats::dicom::Transfer;

use crate::progress;
use wire::Trouble;

/// How long is waited before something is asked again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// The longest that an archive may want to be left alone; after more than that somebody else should decide.
const LONGEST_PAUSE: u64 = 60;
/// Rows that are asked for at a time, where all are wanted.
const ROWS: usize = 1000;
/// The longest list, bytes.
const LONGEST_LIST: u64 = 256 << 20;

/// An archive.
pub struct Archive {
    root: Root,
    client: Client,
}

impl Archive {
    /// Makes ready to ask, and says whom.
    ///
    /// # Errors
    /// A token that cannot be read or that others could read on the way; a program without an HTTP client.
    pub fn open(root: &Root, access: &Access) -> Result<Self> {
        if root.to_string().starts_with('/') {
            return Err(AddressError::NotHttp(root.to_string()).into());
        }
        let authorization = access.authorization()?;
        if authorization.is_some() && !root.is_private() {
            bail!(
                "{root}: the token is not sent there, because everybody on the way could read it; the address must begin with https://"
            );
        }
        let client = Client::open(authorization)?;
        progress::note(&format!("the archive is {root}"));
        if !root.is_private() {
            progress::warn(&format!("{root}: names and images can be read by others on the way; use https"));
        }
        Ok(Self { root: root.clone(), client })
    }

    fn place(&self) -> String {
        self.root.to_string()
    }

    /// A part of the list of studies.
    ///
    /// # Errors
    /// What the user is told.
    pub fn studies(&self, query: &StudyQuery, page: Page) -> Result<Listed<StudyRow>> {
        self.list(&self.root.studies(query, page))
    }

    /// All series of a study.
    ///
    /// # Errors
    /// A study that is not there, and what the user is told.
    pub fn series(&self, study: &str) -> Result<Vec<SeriesRow>> {
        let rows = self.all(|page| self.root.series(study, page))?;
        if rows.is_empty() {
            bail!("{}: there is no study {study}, or it has no series", self.root);
        }
        Ok(rows)
    }

    fn instances(&self, study: &str, series: &str) -> Result<Vec<InstanceRow>> {
        let rows: Vec<InstanceRow> = self.all(|page| self.root.instances(study, series, page))?;
        if rows.is_empty() {
            bail!("{}: there is no series {series} in study {study}, or it is empty", self.root);
        }
        Ok(rows)
    }

    /// All rows, page by page: an archive may give fewer at a time than it is asked for, and not say so.
    fn all<R: Row>(&self, address: impl Fn(Page) -> Result<String, AddressError>) -> Result<Vec<R>> {
        let mut rows: Vec<R> = Vec::new();
        let mut known = std::collections::BTreeSet::new();
        let mut offset = 0;
        loop {
            let listed: Listed<R> = self.list(&address(Page { limit: ROWS, offset })?)?;
            offset += listed.rows.len() + listed.skipped;
            let before = rows.len();
            rows.extend(listed.rows.into_iter().filter(|row| known.insert(row.uid().to_owned())));
            // The end, or an archive that does not know of pages.
            if rows.len() == before {
                return Ok(rows);
            }
        }
    }

    fn list<R: Row>(&self, address: &str) -> Result<Listed<R>> {
        self.patiently(|| {
            let mut answer = self.client.get(address, ACCEPT_JSON)?;
            check(&answer.head, Asked::List, &self.place())?;
            let body = answer.read(LONGEST_LIST)?;
            Ok(read_rows(&body, &answer.head.content_type, &self.place())?)
        })
    }

    /// Sends files, each a name for messages and its bytes, one by one; what the archive remarked on them.
    ///
    /// # Errors
    /// What is no DICOM file, and what was not kept. Whatever was sent before it stays in the archive.
    pub fn send(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        // All of them before the first is sent.
        let instances: Vec<String> =
            files.iter().map(|(name, bytes)| Ok(Transfer::of_file(name, bytes)?.instance)).collect::<Result<_>>()?;
        for ((name, bytes), instance) in files.iter().zip(instances) {
            let body = store_body(&[bytes]);
            let said = self.patiently(|| {
                let mut answer = self.client.post(&self.root.store(), &body.content_type, &body.bytes)?;
                let said = answer.read(LONGEST_LIST)?;
                let sent = std::slice::from_ref(&instance);
                let answer = stored(&answer.head, &said, body.bytes.len(), sent, &self.place())?;
                answer.all(&self.place())?;
                Ok(answer)
            });
            let answer = said.with_context(|| format!("{name}: not sent"))?;
            for warning in &answer.warnings {
                progress::warn(&format!("{name}: {warning}"));
            }
            let told = if answer.is_told { "" } else { ", as far as it says" };
            progress::print_line(&format!("{name}: {} kB, kept by {}{told}", bytes.len().div_ceil(1000), self.root));
        }
        Ok(())
    }

    /// Asks again, after a pause that grows, as long as that may help.
    fn patiently<T>(&self, mut ask: impl FnMut() -> Result<T, Trouble>) -> Result<T> {
        for pause in PAUSES {
            let trouble = match ask() {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let wanted = trouble.retry_after().unwrap_or(0);
            if !trouble.is_passing() || wanted > LONGEST_PAUSE {
                return Err(self.told(trouble));
            }
            std::thread::sleep(pause.max(Duration::from_secs(wanted)));
        }
        ask().map_err(|trouble| self.told(trouble))
    }

    /// The sentence, with what can be done about it here.
    fn told(&self, trouble: Trouble) -> anyhow::Error {
        match trouble {
            Trouble::Archive(ArchiveError::Refused(refusal)) if refusal.head.status == 401 => {
                anyhow!("{refusal} (--token-file FILE, or the environment variable {})", access::TOKEN)
            }
            Trouble::Archive(error) => error.into(),
            Trouble::Broken { sentence, .. } => anyhow!("{}: {sentence}", self.root),
            Trouble::Own(error) => error,
        }
    }
}
