//! A DICOM node: it receives images by C-STORE, answers C-ECHO, and sends structures to another node (PS3.4 annex B, PS3.7, PS3.8). It
//! talks only to those whom the command line names or lets in.

mod message;
mod receive;
mod send;

use std::str::FromStr;

pub use receive::{Receiver, Reception};
pub use send::{send, verify};

/// The most characters of an application entity title (PS3.5 6.2, AE).
const LONGEST_TITLE: usize = 16;

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Application entity title.
    pub title: String,
    /// Host and port.
    pub address: String,
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no node; write TITLE@HOST:PORT");
        let (name, address) = text.split_once('@').ok_or_else(wrong)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        Ok(Self { title: title(name)?, address: address.into() })
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.title, self.address)
    }
}

/// An application entity title, if it can be one.
///
/// # Errors
/// A sentence.
pub fn title(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_plain = text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'\\');
    if text.is_empty() || text.len() > LONGEST_TITLE || !is_plain {
        return Err(format!("{text:?} is no application entity title: 1 to {LONGEST_TITLE} plain characters"));
    }
    Ok(text.into())
}
