//! What carries requests to an archive and answers back, as far as it has to be known here: `fetch` in the page, an HTTP client natively,
//! something made up in tests. Nothing waits: an answer is a promise, and its body comes in pieces.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::address::AddressError;
use super::answer::{ArchiveError, Head};
use super::retrieval::Incomplete;

/// Something that will be there later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What is asked for. Whoever carries it adds who asks.
#[derive(Clone)]
pub enum Request {
    /// Something that is there.
    Get {
        /// Its address.
        address: String,
        /// What it is wanted as.
        accept: &'static str,
    },
    /// Something that is to be kept.
    Post {
        /// Address that it is sent to.
        address: String,
        /// Its Content-Type.
        content_type: String,
        /// Its bytes.
        bytes: Arc<[u8]>,
    },
}

/// Shows nothing on purpose: addresses of lists hold what was searched for.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Request(withheld)")
    }
}

/// The value of the Authorization field for a token: `Bearer` where it does not say otherwise. `None` for what is no token, which is a line
/// of plain characters.
pub fn authorization(token: &str) -> Option<String> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return None;
    }
    let has_scheme = ["Bearer ", "Basic "].iter().any(|scheme| token.starts_with(scheme));
    Some(if has_scheme { token.to_owned() } else { format!("Bearer {token}") })
}

/// A connection that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Broken {
    /// How, in words that follow the address.
    pub sentence: String,
    /// Whether the same may work in a moment.
    pub is_passing: bool,
}

impl Broken {
    /// A connection that ended before its time, and what the system says of it.
    pub fn off(reason: &str) -> Self {
        Self { sentence: format!("the connection broke ({reason})"), is_passing: true }
    }
}

/// Carries requests.
pub trait Transport {
    /// Asks; whatever the status, an answer is no error.
    fn ask(&self, request: &Request) -> Later<'static, Result<Answer, Broken>>;

    /// Lets time pass.
    fn pause(&self, time: Duration) -> Later<'static, ()>;
}

/// An answer, whose body is still on its way.
pub struct Answer {
    /// What stands in front of it.
    pub head: Head,
    /// The rest. Nobody wants more of it where it is dropped.
    pub body: Box<dyn Body>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.head.status).finish_non_exhaustive()
    }
}

/// The body of an answer.
pub trait Body {
    /// The next piece, as large as it comes; `None` behind the last.
    fn next(&mut self) -> Later<'_, Result<Option<Vec<u8>>, Broken>>;
}

/// What whoever asks cannot do on its own side.
pub type OwnError = Box<dyn std::error::Error + Send + Sync>;

/// Why something did not come, or was not kept.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The connection failed.
    #[error("{place}: {broken}")]
    Broken {
        /// The archive.
        place: String,
        /// How it broke off.
        broken: Broken,
    },
    /// Nothing came any more.
    #[error(
        "{place}: no answer came for {seconds} s; the archive is overloaded, or a firewall or proxy on the way swallows what is sent"
    )]
    Silent {
        /// The archive.
        place: String,
        /// For how long.
        seconds: u64,
    },
    /// The archive said so.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Text that is no UID.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is nothing of that name.
    #[error("{place}: there is no {what}, or it is empty")]
    Nothing {
        /// The archive.
        place: String,
        /// `study 1.2.3`
        what: String,
    },
    /// A series with holes.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
    /// Where it was to be put.
    #[error(transparent)]
    Own(OwnError),
}

impl Trouble {
    /// Whether the same may work in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Broken { broken, .. } => broken.is_passing,
            Self::Silent { .. } => true,
            Self::Archive(error) => error.is_passing(),
            Self::Address(_) | Self::Nothing { .. } | Self::Incomplete(_) | Self::Own(_) => false,
        }
    }

    /// How long the archive wants to be left alone, seconds.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Archive(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The status by which it was refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Archive(ArchiveError::Refused(refusal)) => Some(refusal.head.status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_line_and_says_its_scheme_or_is_a_bearer() {
        for (token, field) in [
            ("abc\n", Some("Bearer abc")),
            ("Basic dTpw", Some("Basic dTpw")),
            ("Bearer x", Some("Bearer x")),
            ("", None),
            (" \n", None),
            ("a\nb", None),
            ("\u{fc}", None),
        ] {
            assert_eq!(authorization(token).as_deref(), field, "{token:?}");
        }
    }
}
