//! Files that have come: slices decoded, where that was asked for, and everything else as it is.

use attention_anatomy::formats::dicom::SeriesFiles;

use super::content::Named;

/// Which slices are decoded as soon as they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Decoding {
    /// Nothing is decoded early.
    #[default]
    None,
    /// Those that take no more memory then: of several series that lie in a folder compressed, one is read.
    NoLarger,
    /// All: one series comes.
    All,
}

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    pub(super) slices: SeriesFiles,
    pub(super) files: Vec<Named>,
}

impl Arrived {
    pub(super) fn add(&mut self, (name, bytes): Named, decoding: Decoding) {
        let left = match decoding {
            Decoding::None => Err((name, bytes)),
            Decoding::NoLarger => self.slices.decode(name, bytes, false),
            Decoding::All => self.slices.decode(name, bytes, true),
        };
        self.files.extend(left.err());
    }

    pub(super) fn len(&self) -> usize {
        self.slices.len() + self.files.len()
    }

    /// What they are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.slices.names().chain(self.files.iter().map(|(name, _)| name.as_str()))
    }

    /// The newest slice in grey values, at most `side` pixels wide and high.
    pub(super) fn picture(&self, side: usize) -> Option<([usize; 2], Vec<u8>)> {
        if let Some(newest) = self.slices.len().checked_sub(1) {
            return self.slices.picture(newest, side);
        }
        let mut newest = SeriesFiles::default();
        newest.extend(self.files.last().cloned());
        newest.picture(0, side)
    }
}
