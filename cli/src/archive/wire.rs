//! What goes over the wire and what goes wrong on it, whoever the client is.

use std::io::Read;

use attention_anatomy::dicomweb::{ArchiveError, Head};

/// An answer, whose body is still on its way.
pub struct Answer {
    /// What stands in front of it.
    pub head: Head,
    /// The rest.
    pub body: Box<dyn Read>,
}

impl Answer {
    /// The whole body, up to a limit, behind which it is cut.
    ///
    /// # Errors
    /// [`Trouble::Broken`]
    pub fn read(&mut self, limit: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        self.body.by_ref().take(limit).read_to_end(&mut bytes).map_err(|error| Trouble::broken(&error))?;
        Ok(bytes)
    }
}

/// Why something did not come.
#[derive(Debug)]
pub enum Trouble {
    /// The connection failed.
    Broken {
        /// How, in words that follow the address.
        sentence: String,
        /// Whether the same may work in a moment.
        is_passing: bool,
    },
    /// The archive said so.
    Archive(ArchiveError),
    /// This machine's own.
    Own(anyhow::Error),
}

impl Trouble {
    /// A connection that ended before its time.
    pub fn broken(error: &std::io::Error) -> Self {
        Self::Broken { sentence: format!("the connection broke ({error})"), is_passing: true }
    }

    /// Whether the same may work in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Broken { is_passing, .. } => *is_passing,
            Self::Archive(error) => error.is_passing(),
            Self::Own(_) => false,
        }
    }

    /// How long the archive wants to be left alone, seconds.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Archive(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<ArchiveError> for Trouble {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}
