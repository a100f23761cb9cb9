//! What the user is asked before something is shown: which of several series, and whether a label map that nothing names has the
//! numbers of the anatomy table.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::formats::dicom::{Repair, SeriesInfo, SeriesSurvey};
use attention_anatomy::preprocess::doubts_of_numbers;
use attention_anatomy::volume::LabelVolume;

use super::{Executor, content};
use crate::worker::error::OpenError;
use crate::worker::{DoubtfulOrgan, OpenQuestion, SeriesEntry};

/// A picture of a series is at most so wide and high.
const PICTURE: usize = 128;
/// So many series get a picture; decoding one takes some milliseconds.
const PICTURES: usize = 40;
/// A series with fewer slices is no volume that anybody chooses: scouts, dose pages.
const FEWEST: usize = 2;

/// The series of which the user has to choose one; `None` where there is no choice.
pub(super) fn series_to_choose(survey: &SeriesSurvey) -> Option<Vec<SeriesEntry>> {
    let series = survey.series();
    let is_repairable = |s: &SeriesInfo| s.problem.as_ref().is_some_and(|problem| Repair::of(problem).is_some());
    let volumes = series.iter().filter(|s| s.slices >= FEWEST && s.problem.is_none()).count();
    let repairable = series.iter().filter(|s| s.slices >= FEWEST && is_repairable(s)).count();
    let best = survey.best();
    let best_can = best.as_ref().is_some_and(|(at, _)| series.get(*at).is_some_and(|s| s.problem.is_none()));
    // One volume alone is read without a question, unless something else suits better and cannot be read.
    if volumes < 2 && (best_can || volumes == 0 && repairable < 2) {
        return None;
    }
    let entry = |(place, info): (usize, &SeriesInfo)| {
        let picture = (place < PICTURES).then(|| survey.preview(place, PICTURE)).flatten();
        let (picture_size, picture) = picture.unwrap_or_default();
        // As scanners mark a scout (PS3.3 C.8.2.1.1.1).
        let is_scout = info.image_type.iter().any(|part| part == "LOCALIZER");
        let modality = if is_scout { format!("{} localizer", info.modality) } else { info.modality.to_string() };
        let fallback = || info.number.map_or_else(|| format!("series {}", place + 1), |n| format!("series {n}"));
        SeriesEntry {
            description: Some(info.description.clone()).filter(|d| !d.is_empty()).unwrap_or_else(fallback),
            modality,
            number: info.number,
            size: [info.slices, info.size[0], info.size[1]],
            spacing: info.spacing,
            kernel: info.kernel.clone(),
            problem: info.problem.as_ref().map(ToString::to_string),
            repairable: is_repairable(info),
            best: best.as_ref().filter(|(at, _)| *at == place).map(|(_, why)| why.clone()),
            picture_size,
            picture,
        }
    };
    Some(series.into_iter().enumerate().map(entry).collect())
}

impl Executor {
    /// What is asked of a label map that nothing names.
    ///
    /// # Errors
    /// Where there is no CT, or the map lies elsewhere.
    pub(super) fn ask_about_names(&self, labels: &LabelVolume) -> Result<OpenQuestion, OpenError> {
        let name = self.opening.as_ref().map_or_else(String::new, |opening| opening.name().to_owned());
        let ct = self.study.as_ref().map(|study| &study.ct);
        content::check_grid(&labels.geometry, ct.map(|ct| &ct.geometry)).map_err(|e| OpenError::of(&name, e))?;
        let organs = ct.map_or(Vec::new(), |ct| doubts_of_numbers(ct, &labels.voxels));
        let organ = |found: attention_anatomy::preprocess::NumberDoubts| DoubtfulOrgan {
            label: found.label,
            organ: Organ::from_label(found.label).map_or_else(|| "no organ".into(), |organ| organ.name().into()),
            volume_ml: found.volume_ml,
            median_hu: f64::from(found.median_hu),
            doubts: found.doubts,
        };
        Ok(OpenQuestion::Names { name, organs: organs.into_iter().map(organ).collect() })
    }
}
