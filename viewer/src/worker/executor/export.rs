//! Files to be saved, as the command line writes them.

use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::formats::rtstruct::WriteOptions;
use attention_anatomy::infer::{Provenance, RunInfo, SliceAnatomy};
use attention_anatomy::report::{DicomSource, ReportInput, ResultFile, ResultFiles, TrainedOrgan};

use super::open_ct::OpenCt;
use super::segment::Segmenting;
use super::{Executor, Step};
use crate::edit::ByteSlices;
use crate::worker::error::ExportError;
use crate::worker::{Event, Export};

/// A file to be made.
pub(super) struct Exporting {
    pub(super) what: Export,
    pub(super) labels: ByteSlices,
    pub(super) notes: Vec<String>,
}

impl Executor {
    /// How the labels came about: those of the run under way, or of the last one.
    fn provenance<'a>(&'a self, study: &'a OpenCt) -> Option<&'a Provenance> {
        let session = self.run.as_ref().and_then(Segmenting::session);
        session.map(|session| session.provenance()).or(study.provenance.as_ref())
    }

    pub(super) fn step_exports(&mut self) -> Step {
        let Some(export) = self.exports.pop_front() else { return Step::Idle };
        self.events.push_back(match &self.study {
            None => Event::Failed("there is nothing to save; open a CT first".into()),
            Some(study) => match make(study, self.provenance(study), export) {
                Ok((name, bytes)) => Event::Exported { name, bytes },
                Err(error) => Event::Failed(error.to_string()),
            },
        });
        Step::Worked
    }
}

fn make(study: &OpenCt, provenance: Option<&Provenance>, export: Exporting) -> Result<(String, Vec<u8>), ExportError> {
    let ct = study.ct.as_ref();
    if export.labels.len() != ct.geometry.voxel_count() {
        return Err(ExportError::OtherCt);
    }
    let labels = ct.with_voxels(export.labels.to_vec());
    let mut run = match provenance {
        Some(provenance) => provenance.run_info(),
        None => RunInfo::by_hand(vec![study.name.clone()]),
    };
    // What the user's side knows comes first: who edited what.
    run.warnings.splice(0..0, export.notes);
    let slices: Vec<SliceAnatomy> = provenance.map_or(Vec::new(), Provenance::slices);
    let trained: Vec<TrainedOrgan> = provenance.map_or(Vec::new(), Provenance::trained);
    let segmentation = ReportInput { ct, labels: &labels, slices: &slices, trained: &trained, run: &run };
    let (file, edited) = file(export.what);
    let contours = WriteOptions { label: "AI contours".into(), ..WriteOptions::default() };
    let mut files = ResultFiles::single(segmentation);
    if let Some(series) = &study.series {
        files = files.with_dicom(DicomSource { series, contours: &contours, body: None, edited });
    }
    let bytes = files.bytes(file)?;
    Ok((file.name(), bytes))
}

/// The file, and the organs that the user has changed where it says so.
fn file(what: Export) -> (ResultFile, OrganSet) {
    let file = match what {
        Export::StructureSet { edited } => return (ResultFile::StructureSet, edited),
        Export::DicomSegmentation { edited } => return (ResultFile::DicomSegmentation, edited),
        Export::Labels { nrrd: false } => ResultFile::Labels,
        Export::Labels { nrrd: true } => ResultFile::LabelsNrrd,
        Export::StatisticsCsv => ResultFile::StatisticsCsv,
        Export::AttentionCsv => ResultFile::AttentionCsv,
        Export::AttentionJson => ResultFile::AttentionJson,
        Export::ReportHtml => ResultFile::Report,
    };
    (file, OrganSet::EMPTY)
}
