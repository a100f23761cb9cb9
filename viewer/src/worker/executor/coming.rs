//! Files that are being read, several at the same time: a browser takes milliseconds for each, however small it is, and passes them
//! waiting; of a folder there are thousands.

use std::collections::VecDeque;
use std::time::Duration;

use web_time::Instant;

use super::content::Named;
use crate::worker::error::PlatformError;
use crate::worker::platform::{self, File, Promise};

/// Files that are on their way at most, and bytes of them above which no further one is begun. A browser reads hundreds of small ones
/// together, one after the other: with as many as that, the next ones are being read while these are taken over.
const AHEAD: usize = 1024;
const AHEAD_BYTES: u64 = 64_000_000;
/// Files that are taken over at once at most, and how long files are begun and taken over.
const AT_ONCE: usize = 16;
const PIECE: Duration = Duration::from_millis(10);

/// A file on its way.
struct Coming {
    name: String,
    bytes: u64,
    contents: Contents,
}

enum Contents {
    Asked(Promise<Result<Vec<u8>, PlatformError>>),
    There(Result<Vec<u8>, PlatformError>),
}

impl Coming {
    /// Asked for at once: a promise does nothing before.
    fn begin(file: File) -> Self {
        let mut promise = (file.read)();
        let contents = platform::ask(&mut promise).map_or(Contents::Asked(promise), Contents::There);
        Self { name: file.name, bytes: file.bytes, contents }
    }

    fn is_there(&mut self) -> bool {
        if let Contents::Asked(promise) = &mut self.contents
            && let Some(contents) = platform::ask(promise)
        {
            self.contents = Contents::There(contents);
        }
        matches!(self.contents, Contents::There(_))
    }
}

/// Files that are to be read, in their order.
#[derive(Default)]
pub(super) struct ComingFiles {
    listed: VecDeque<File>,
    coming: VecDeque<Coming>,
}

impl ComingFiles {
    pub(super) fn add(&mut self, files: Vec<File>) {
        self.listed.extend(files);
    }

    /// Those that have so many bytes and can be read piece by piece.
    pub(super) fn take_large(&mut self, least: u64) -> VecDeque<File> {
        let is_large = |file: &File| file.bytes >= least && file.pieces.is_some();
        let (large, rest) = std::mem::take(&mut self.listed).into_iter().partition(is_large);
        self.listed = rest;
        large
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.listed.len() + self.coming.len()
    }

    /// Those that nobody has asked for.
    pub(super) fn listed(&self) -> impl Iterator<Item = &File> + Clone {
        self.listed.iter()
    }

    /// Bytes of those that nobody has asked for.
    pub(super) fn bytes(&self) -> u64 {
        self.listed.iter().map(|file| file.bytes).sum()
    }

    /// Has more of them read, and hands over those that are next and there; whether there were any.
    pub(super) fn take_into(&mut self, files: &mut Vec<Named>) -> Result<bool, PlatformError> {
        let (clock, before) = (Instant::now(), files.len());
        let busy = || clock.elapsed() > PIECE;
        while files.len() < before + AT_ONCE {
            let mut ahead: u64 = self.coming.iter().map(|file| file.bytes).sum();
            while self.coming.len() < AHEAD && ahead < AHEAD_BYTES && !busy() {
                let Some(file) = self.listed.pop_front() else { break };
                ahead += file.bytes;
                self.coming.push_back(Coming::begin(file));
            }
            let Some(next) = self.coming.pop_front_if(Coming::is_there) else { break };
            if let Contents::There(contents) = next.contents {
                files.push((next.name, contents?));
            }
            if busy() {
                break;
            }
        }
        Ok(files.len() > before)
    }
}
