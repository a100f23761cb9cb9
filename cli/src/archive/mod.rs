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
mod folder;
mod retrieve;

#[cfg(not(feature = "archive"))]
use absent::{transport, wait};
#[cfg(feature = "archive")]
use attention_anatomy_archive::wait;

pub use access::Access;
pub use folder::Folder;

use anyhow::{Context, Result, anyhow, bail};
use attention_anatomy::dicomweb::{
    self, AddressError, Listed, Page, Root, SeriesRow, StudyQuery, StudyRow, Transport, Trouble,
};
use attention_anatomy::formats::dicom::Transfer;

use crate::progress;

#[cfg(feature = "archive")]
fn transport(authorization: Option<&str>) -> Result<Box<dyn Transport>> {
    Ok(Box::new(attention_anatomy_archive::Http::new(authorization)))
}

/// An archive.
pub struct Archive {
    root: Root,
    archive: dicomweb::Archive,
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
        let transport: Box<dyn Transport> = transport(authorization.as_deref())?;
        progress::note(&format!("the archive is {root}"));
        if !root.is_private() {
            progress::warn(&format!("{root}: names and images can be read by others on the way; use https"));
        }
        Ok(Self { root: root.clone(), archive: dicomweb::Archive::new(root.clone(), transport) })
    }

    /// A part of the list of studies.
    ///
    /// # Errors
    /// What the user is told.
    pub fn studies(&self, query: &StudyQuery, page: Page) -> Result<Listed<StudyRow>> {
        wait(self.archive.studies(query, page)).map_err(Self::told)
    }

    /// All series of a study.
    ///
    /// # Errors
    /// A study that is not there, and what the user is told.
    pub fn series(&self, study: &str) -> Result<Vec<SeriesRow>> {
        wait(self.archive.series(study)).map_err(Self::told)
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
            let said = wait(self.archive.send(&instance, bytes)).map_err(Self::told);
            let answer = said.with_context(|| format!("{name}: not sent"))?;
            for warning in &answer.warnings {
                progress::warn(&format!("{name}: {warning}"));
            }
            let told = if answer.is_told { "" } else { ", as far as it says" };
            progress::print_line(&format!("{name}: {} kB, kept by {}{told}", bytes.len().div_ceil(1000), self.root));
        }
        Ok(())
    }

    /// The sentence, with what can be done about it here.
    fn told(trouble: Trouble) -> anyhow::Error {
        if trouble.status() == Some(401) {
            return anyhow!("{trouble} (--token-file FILE, or the environment variable {})", access::TOKEN);
        }
        match trouble {
            Trouble::Own(error) => anyhow!(error),
            other => other.into(),
        }
    }
}
