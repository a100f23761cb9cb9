//! What an image is, and what was drawn on it: a CT, a series with its structure sets, a label map with names or without.

use attention_anatomy::formats::dicom::{SeriesChoice, SeriesSurvey, Stored, stored};
use attention_anatomy::formats::structures::Structures;
use attention_anatomy::formats::{self, CtOrLabels, FormatError, ReadOptions};

use super::super::content::{Group, Named, Sorted};
use super::super::doubts::series_to_choose;
use super::{BYTES_PER_VOXEL, BYTES_READ, Found, OpenStage, Opening, Progress};
use crate::worker::error::{FileError, OpenError};
use crate::worker::platform::Platform;
use crate::worker::{OpenAnswer, OpenAs, OpenQuestion};

/// Voxels of an image by its header; `None` for DICOM, whose reader says it, and for what its reader will refuse.
pub(super) fn header_voxels(group: &Group) -> Option<u64> {
    let header = |(_, bytes): &Named| formats::read_header(bytes, &ReadOptions::default()).ok().flatten();
    if group.dicom { None } else { group.files.iter().find_map(header).map(|h| h.voxel_count()) }
}

impl Opening {
    pub(super) fn image(&mut self, platform: &dyn Platform, sorted: &mut Sorted) -> Result<Progress, OpenError> {
        let group = sorted.images.remove(0);
        if group.dicom {
            return self.dicom(platform, group, sorted);
        }
        let Group { files, eight_bit, .. } = group;
        let named = formats::says_names(&files);
        let edits = files.iter().find_map(|(_, bytes)| formats::kept_edits(bytes));
        // Unsigned bytes are always labels; of other images the values say it.
        let reference = self.as_what == OpenAs::Reference;
        let image = match (eight_bit || reference, named) {
            (true, true) if reference => formats::read_organs(files).map(CtOrLabels::Labels),
            (true, true) => {
                let structures = formats::read_structures(files, None).map_err(|e| OpenError::of(&self.name, e))?;
                return Ok(Progress::Found(Found::Labels { structures: Box::new(structures), edits }));
            }
            (true, false) => formats::read_labels(files).map(CtOrLabels::Labels),
            (false, true) => formats::read_ct_or_organs(files),
            (false, false) => formats::read_ct_or_labels(files),
        };
        let ct = match image.map_err(|e| OpenError::of(&self.name, e))? {
            CtOrLabels::Labels(labels) if named => {
                let structures = Box::new(Structures::of_organs(labels));
                return Ok(Progress::Found(Found::Labels { structures, edits }));
            }
            CtOrLabels::Labels(labels) => return Ok(Progress::Found(Found::Unnamed(Box::new(labels)))),
            CtOrLabels::Ct(ct) => ct,
        };
        if std::mem::replace(&mut self.has_ct, true) {
            return Err(OpenError::of(&self.name, FormatError::SeveralImages(2)));
        }
        Ok(Progress::Read(Box::new(ct)))
    }

    /// DICOM files: a series with what was drawn on it, or one of both.
    fn dicom(&mut self, platform: &dyn Platform, group: Group, sorted: &mut Sorted) -> Result<Progress, OpenError> {
        let is_drawn = |(_, bytes): &Named| matches!(stored(bytes), Some(Stored::StructureSet | Stored::Segmentation));
        let Group { files, mut slices, .. } = group;
        let has_images = !slices.is_empty() || files.iter().any(|(_, bytes)| stored(bytes) == Some(Stored::Image));
        let (mut drawn, files): (Vec<Named>, Vec<Named>) = files.into_iter().partition(is_drawn);
        let reference = self.as_what == OpenAs::Reference;
        if reference && drawn.is_empty() {
            return Err(OpenError::of(&self.name, FormatError::NoStructures));
        }
        if has_images && !reference || drawn.is_empty() {
            // What was drawn on it comes after it, in a group for each file.
            self.has_ct = true;
            let drawn = drawn.into_iter().map(|file| Group { files: vec![file], dicom: true, ..Group::default() });
            sorted.images.splice(0..0, drawn);
            slices.extend(files);
            let survey = SeriesSurvey::of(slices).map_err(|e| OpenError::of(&self.name, e))?;
            let rest = std::mem::take(sorted);
            if let Some(series) = series_to_choose(&survey) {
                self.stage = OpenStage::Choosing(Box::new(survey), rest);
                return Ok(self.asks(OpenQuestion::Series(series)));
            }
            return self.read_series(platform, survey, SeriesChoice::Best, rest);
        }
        // Several that came together: one is shown.
        let more = sorted.images.extract_if(.., |g| g.dicom).flat_map(|g| g.files);
        drawn.extend(more);
        let chosen = match (drawn.len(), self.answer.take()) {
            (1, _) => 0,
            (_, Some(OpenAnswer::Structures(Some(place)))) if place < drawn.len() => place,
            (_, Some(_)) => return Ok(Progress::Going("Reading headers", None)),
            _ => {
                let titles = drawn.iter().map(|(name, bytes)| formats::structures_title(name, bytes)).collect();
                sorted.images.insert(0, Group { files: drawn, dicom: true, ..Group::default() });
                return Ok(self.asks(OpenQuestion::Structures(titles)));
            }
        };
        let (name, bytes) = drawn.swap_remove(chosen);
        let beside = if reference { files } else { Vec::new() };
        let all = std::iter::once((name.clone(), bytes)).chain(beside).collect();
        match formats::read_structures(all, self.reference.as_ref()) {
            Ok(found) => Ok(Progress::Found(Found::Labels { structures: Box::new(found), edits: None })),
            // The scan itself is open by now.
            Err(error) if self.has_ct => Ok(Progress::Found(Found::LeftOut(OpenError::of(&name, error)))),
            Err(error) => Err(OpenError::of(&self.name, error)),
        }
    }

    pub(super) fn read_series(
        &mut self,
        platform: &dyn Platform,
        survey: SeriesSurvey,
        choice: SeriesChoice,
        rest: Sorted,
    ) -> Result<Progress, OpenError> {
        let place = match &choice {
            SeriesChoice::Listed(number) => number.checked_sub(1),
            _ => survey.best().map(|(place, _)| place),
        };
        if let Some((place, problem)) = place.and_then(|at| Some((at, survey.series().get(at)?.problem.clone()?)))
            && let Some(repair) = self.repairs.lacks(&problem)
        {
            self.repairs = self.repairs.and(repair);
            self.stage = OpenStage::Repairing(Box::new(survey), place, rest);
            return Ok(self.asks(OpenQuestion::Repair { problem: problem.to_string(), repair }));
        }
        let reader = survey.read(choice).map_err(|e| OpenError::of(&self.name, e))?;
        let voxels = reader.size().iter().fold(1u64, |count, &n| count.saturating_mul(n as u64));
        let needed = reader.bytes().saturating_add(voxels.saturating_mul(BYTES_PER_VOXEL - BYTES_READ));
        self.stage = OpenStage::Series(Box::new(reader), rest);
        // The reader holds the files: a yes goes on with it.
        let large = self.fits(platform, needed)?;
        Ok(large.unwrap_or(Progress::Going("Decoding", Some(0.0))))
    }

    /// The user has said which series is meant, or that it is to be mended.
    pub(super) fn go_on_with_series(&mut self, platform: &dyn Platform) -> Result<Progress, OpenError> {
        let answer = self.answer.take();
        match std::mem::replace(&mut self.stage, OpenStage::Reading) {
            OpenStage::Choosing(survey, rest) => {
                let choice = match answer {
                    Some(OpenAnswer::Series(place)) => SeriesChoice::Listed(place + 1),
                    _ => SeriesChoice::Best,
                };
                self.read_series(platform, *survey, choice, rest)
            }
            OpenStage::Repairing(survey, place, rest) => {
                let survey = survey.repaired(self.repairs).map_err(|e| OpenError::of(&self.name, e))?;
                self.read_series(platform, survey, SeriesChoice::Listed(place + 1), rest)
            }
            _ => Ok(Progress::Done),
        }
    }

    /// What the user said of the names of a label map.
    pub(super) fn answer_about_names(&mut self) -> Result<Option<Found>, OpenError> {
        if self.unnamed.is_none() || self.answer.is_none() {
            return Ok(None);
        }
        let (Some(labels), Some(answer)) = (self.unnamed.take(), self.answer.take()) else { return Ok(None) };
        let structures = match answer {
            OpenAnswer::NamesAreRight => Structures::of_organs(*labels),
            _ if self.as_what == OpenAs::Reference => return Err(OpenError::of(&self.name, FileError::NotNamed)),
            _ => Structures::by_number(*labels),
        };
        Ok(Some(Found::Labels { structures: Box::new(structures), edits: None }))
    }

    /// Whether labels or structures come after the CT.
    pub(super) fn labels_follow(&self) -> bool {
        matches!(&self.stage, OpenStage::Applying(rest) if !rest.images.is_empty() || !rest.sessions.is_empty())
    }
}
