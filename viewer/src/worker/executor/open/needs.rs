//! What files will need once they are open, told before any of them is read whole.
//!
//! Of a series that may not fit the heads are looked at, which takes a moment: a folder may hold several, of which one is read.

use std::collections::BTreeMap;
use std::io::Read;

use attention_anatomy::formats::dicom;

use super::{BYTES_PER_VOXEL, Opening, Progress};
use crate::worker::error::{OpenError, PlatformError};
use crate::worker::platform::{File, Platform};

/// So much of a file holds what is said of a slice before its pixels.
const HEAD: u64 = 1 << 16;

/// Bytes of a voxel in a file that is not compressed. What is compressed needs more than is said here.
const BYTES_IN_A_FILE: u64 = 2;

impl Opening {
    /// Refuses files that can never fit, by their heads.
    pub(super) fn can_fit(&self, platform: &dyn Platform) -> Result<(), PlatformError> {
        let most = platform.most_needed();
        more_than(most, self.coming.listed()).map_or(Ok(()), |bytes| Err(PlatformError::NeedsTooMuch { bytes, most }))
    }

    /// Asks the user, once, if so much is too much; what can never be there is refused.
    pub(super) fn fits(&mut self, platform: &dyn Platform, bytes: u64) -> Result<Option<Progress>, OpenError> {
        let most = platform.most_needed();
        if bytes > most {
            return Err(PlatformError::NeedsTooMuch { bytes, most }.into());
        }
        let large = !self.even_if_large && bytes > platform.memory_limit();
        self.parked = large;
        Ok(large.then_some(Progress::Large(bytes)))
    }
}

/// Bytes of the files, and of the voxels if these are all.
fn with_voxels(all: u64, series: u64) -> u64 {
    all.saturating_add((series / BYTES_IN_A_FILE).saturating_mul(BYTES_PER_VOXEL))
}

/// Bytes that are needed at least, where these are more than `most`: of the files, and of the voxels of the largest series.
fn more_than<'a>(most: u64, files: impl Iterator<Item = &'a File> + Clone) -> Option<u64> {
    let all = files.clone().map(|file| file.bytes).sum();
    if with_voxels(all, all) <= most {
        return None;
    }
    let mut series: BTreeMap<String, u64> = BTreeMap::new();
    for file in files {
        if let Some(uid) = series_of(file) {
            *series.entry(uid).or_default() += file.bytes;
        }
    }
    let needed = with_voxels(all, series.into_values().max().unwrap_or_default());
    (needed > most).then_some(needed)
}

/// The series of a slice, without a name where the file gives it none; `None` of what is no slice. What cannot be read is said when it is
/// its turn.
fn series_of(file: &File) -> Option<String> {
    let mut head = Vec::new();
    file.pieces.as_ref()?().and_then(|input| input.take(HEAD).read_to_end(&mut head)).ok()?;
    let is_slice = dicom::stored(&head) == Some(dicom::Stored::Image);
    is_slice.then(|| dicom::series_of(&head).unwrap_or_default())
}
