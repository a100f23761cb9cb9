//! Large files are decoded while they are read, where their format allows that: they lie in memory once, as voxels. The memory of a page
//! never shrinks, and half of it was the file.

use std::collections::VecDeque;
use std::io::{self, Read};

use attention_anatomy::formats::dicom::{FrameReader, FrameStep, looks_like_dicom};
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

/// A file with many frames on its way in.
pub(in super::super) struct Frames {
    reader: FrameReader,
    file: File,
}

/// A file with many frames, `is_alone` if no other is as large: several that are compressed may be several series, of which one is read.
fn frames_of(file: &File, is_alone: bool) -> Result<Option<FrameReader>, PlatformError> {
    let Some(pieces) = &file.pieces else { return Ok(None) };
    let opened = pieces().and_then(|input| FrameReader::open(file.name.clone(), input, file.bytes, is_alone));
    opened.map_err(unreadable(file))
}

impl Opening {
    /// The next large file, or more of it.
    pub(super) fn stream_on(&mut self, platform: &dyn Platform) -> Result<Progress, OpenError> {
        match std::mem::replace(&mut self.stage, OpenStage::Reading) {
            OpenStage::Streaming(mut large) => match large.pop_front() {
                Some(file) => self.stream(platform, file, large),
                None => Ok(Progress::Going("Reading", Some(0.0))),
            },
            OpenStage::Frames(mut frames, large) => {
                let part = frames.reader.part();
                match frames.reader.step(&mut self.arrived.slices) {
                    FrameStep::More => {
                        self.stage = OpenStage::Frames(frames, large);
                        return Ok(Progress::Going("Reading", Some(part)));
                    }
                    FrameStep::Done => {}
                    FrameStep::Whole => self.coming.add(vec![frames.file]),
                }
                self.stage = OpenStage::Streaming(large);
                Ok(Progress::Going("Reading", Some(part)))
            }
            _ => Ok(Progress::Done),
        }
    }

    /// Decodes a file, or has it read whole.
    fn stream(&mut self, platform: &dyn Platform, file: File, large: VecDeque<File>) -> Result<Progress, OpenError> {
        let Some((head, input)) = begin(&file)? else { return Ok(self.read_whole(file, large)) };
        let is_alone = large.is_empty();
        if looks_like_dicom(&head) {
            // What is said before its pixels may take more than that; its own reader looks further.
            drop((head, input));
            let Some(reader) = frames_of(&file, is_alone)? else { return Ok(self.read_whole(file, large)) };
            let needed = reader.voxels().saturating_mul(BYTES_PER_VOXEL);
            self.stage = OpenStage::Frames(Box::new(Frames { reader, file }), large);
            let too_large = self.fits(platform, needed)?;
            return Ok(too_large.unwrap_or(Progress::Going("Reading", Some(0.0))));
        }
        // What lies beside a NIfTI file may be its label map.
        let is_only = is_alone && self.coming.count() == 0 && self.arrived.len() == 0;
        match voxels_of_ct(&file.name, head) {
            Some(voxels) if is_only => self.stream_nifti(platform, file, input, voxels),
            _ => Ok(self.read_whole(file, large)),
        }
    }

    fn read_whole(&mut self, file: File, large: VecDeque<File>) -> Progress {
        self.coming.add(vec![file]);
        self.stage = OpenStage::Streaming(large);
        Progress::Going("Reading", Some(0.0))
    }

    fn stream_nifti(
        &mut self,
        platform: &dyn Platform,
        file: File,
        input: Box<dyn Read>,
        voxels: u64,
    ) -> Result<Progress, OpenError> {
        let large = self.fits(platform, voxels.saturating_mul(BYTES_PER_VOXEL))?;
        if large.is_some() || self.told.0 != DECODING {
            self.stage = OpenStage::Streaming(VecDeque::from([file]));
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
