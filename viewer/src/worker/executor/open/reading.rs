//! Files that come, and those that come out of archives: slices of DICOM are decoded as soon as they are there.

use std::collections::VecDeque;

use attention_anatomy::formats::{self, Format, MAX_UNPACKED, archive};

use super::super::arrived::Decoding;
use super::{OpenStage, Opening, Progress};
use crate::worker::OpenAs;
use crate::worker::error::OpenError;
use crate::worker::platform::Platform;

impl Opening {
    /// Which slices are decoded when they come: none where no scan is to be opened.
    pub(super) fn decoding(&self) -> Decoding {
        match self.as_what {
            OpenAs::Whatever => Decoding::NoLarger,
            OpenAs::Weights | OpenAs::Reference => Decoding::None,
        }
    }

    /// Some files.
    pub(super) fn read(&mut self) -> Result<Progress, OpenError> {
        let mut files = Vec::new();
        let some = self.coming.take_into(&mut files)?;
        let decoding = self.decoding();
        files.into_iter().for_each(|file| self.arrived.add(file, decoding));
        let left = self.coming.count();
        if left == 0 {
            let (packed, files) = std::mem::take(&mut self.arrived.files)
                .into_iter()
                .partition(|(_, bytes)| formats::sniff(bytes) == Some(Format::Zip));
            self.arrived.files = files;
            self.stage = OpenStage::Unpacking(VecDeque::from(packed));
            return Ok(Progress::Going("Unpacking", None));
        }
        let come = self.arrived.len();
        let part = come as f32 / (come + left) as f32;
        Ok(if some { Progress::Going("Reading", Some(part)) } else { Progress::Waiting })
    }

    /// The next archive.
    pub(super) fn unpack(&mut self, platform: &dyn Platform) -> Result<Progress, OpenError> {
        let OpenStage::Unpacking(packed) = &mut self.stage else { return Ok(Progress::Done) };
        let Some((name, bytes)) = packed.pop_front() else {
            self.stage = OpenStage::Sorting;
            return Ok(Progress::Going("Reading headers", None));
        };
        let limit = if self.even_if_large { MAX_UNPACKED } else { MAX_UNPACKED.min(platform.memory_limit()) };
        let (files, declared) = archive::declared(&bytes);
        self.arrived.slices.expect(self.arrived.len() + files, declared.min(limit));
        let decoding = self.decoding();
        archive::unzip_each(&bytes, limit, |name, bytes| self.arrived.add((name, bytes), decoding))
            .map_err(|e| OpenError::of(&name, e))?;
        self.unpacked = true;
        Ok(Progress::Going("Unpacking", None))
    }
}
