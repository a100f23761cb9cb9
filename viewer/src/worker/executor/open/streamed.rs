//! A large file is decoded while it is read, where its format allows that: it lies in memory once, as voxels. The memory of a page
//! never shrinks, and half of it was the file.

use std::io::{self, Read};

use attention_anatomy::formats::{self, CtOrLabels, Format, ReadOptions, SampleType};

use super::super::content::Sorted;
use super::{BYTES_PER_VOXEL, Found, OpenStage, Opening, Progress};
use crate::worker::error::{OpenError, PlatformError};
use crate::worker::platform::{File, Platform};

/// So many bytes say what a file is, and whether its labels have names.
const HEAD: u64 = 1 << 20;

/// The step that takes seconds, in one piece.
const DECODING: &str = "Reading and decoding";

/// Voxels of a NIfTI file by its head, if it may be a CT. Named labels and unsigned bytes are none, and are smaller.
fn voxels_of_ct(name: &str, head: Vec<u8>) -> Option<u64> {
    if formats::sniff(&head) != Some(Format::Nifti) {
        return None;
    }
    let header = formats::read_header(&head, &ReadOptions::default()).ok()??;
    let is_labels = header.sample == SampleType::U8 || formats::says_names(&[(name.to_string(), head)]);
    (!is_labels).then(|| header.voxel_count())
}

fn unreadable(file: &File) -> impl Fn(io::Error) -> PlatformError {
    move |error| PlatformError::Unreadable { name: file.name.clone(), reason: error.to_string() }
}

/// What a file begins with, and the file from its start.
type Begun = (Vec<u8>, Box<dyn Read>);

/// `None` for a file that can only be read whole.
fn begin(file: &File) -> Result<Option<Begun>, PlatformError> {
    let Some(pieces) = &file.pieces else { return Ok(None) };
    let mut head = Vec::new();
    pieces().and_then(|input| input.take(HEAD).read_to_end(&mut head)).map_err(unreadable(file))?;
    Ok(Some((head, pieces().map_err(unreadable(file))?)))
}

impl Opening {
    /// Decodes the file, or has it read whole.
    pub(super) fn stream(&mut self, platform: &dyn Platform, file: File) -> Result<Progress, OpenError> {
        let begun = begin(&file)?;
        let Some((voxels, input)) = begun.and_then(|(head, input)| Some((voxels_of_ct(&file.name, head)?, input)))
        else {
            self.coming.add(vec![file]);
            return Ok(Progress::Going("Reading", Some(0.0)));
        };
        let large = self.fits(platform, voxels.saturating_mul(BYTES_PER_VOXEL))?;
        if large.is_some() || self.told.0 != DECODING {
            self.stage = OpenStage::Streaming(file);
            return Ok(large.unwrap_or(Progress::Going(DECODING, None)));
        }
        let image = formats::read_ct_or_labels_from(input, file.bytes).map_err(|e| OpenError::of(&self.name, e))?;
        self.stage = OpenStage::Applying(Sorted::default());
        Ok(match image {
            CtOrLabels::Labels(labels) => Progress::Found(Found::Unnamed(Box::new(labels))),
            CtOrLabels::Ct(ct) => {
                self.has_ct = true;
                Progress::Read(Box::new(ct))
            }
        })
    }
}
