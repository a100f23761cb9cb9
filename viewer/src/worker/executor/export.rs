//! Files to be saved, as the command line writes them.

use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::formats::archive;
use attention_anatomy::formats::dicom::{Deidentifier, Uids};
use attention_anatomy::formats::rtstruct::WriteOptions;
use attention_anatomy::formats::structures::OtherStructure;
use attention_anatomy::infer::{Provenance, RunInfo, SliceAnatomy};
use attention_anatomy::report::{DicomSource, ReportInput, ResultFile, ResultFileError, ResultFiles, TrainedOrgan};
use attention_anatomy::volume::{NotCt, check_is_ct};

use super::open_ct::OpenCt;
use super::segment::Segmenting;
use super::{Executor, Step};
use crate::edit::{ByteSlices, Extra};
use crate::session;
use crate::worker::error::ExportError;
use crate::worker::{Event, Export, Identifiers, StructureExport, StructureFormat};

/// The folder, in an archive with a label map, of structures that have no number in it.
const MASKS: &str = "structures";

/// A file to be made.
pub(super) struct Exporting {
    pub(super) what: Export,
    pub(super) labels: ByteSlices,
    pub(super) notes: Vec<String>,
    pub(super) opened_from: Option<String>,
}

impl Executor {
    pub(super) fn step_exports(&mut self) -> Step {
        let Some(export) = self.exports.pop_front() else { return Step::Idle };
        let made = self.file_of(export);
        self.events.push_back(match made {
            Ok((name, bytes)) => Event::Exported { name, bytes },
            Err(error) => Event::Failed(error.to_string()),
        });
        Step::Worked
    }

    /// A file of the open study, under its name.
    pub(super) fn file_of(&mut self, export: Exporting) -> Result<(String, Vec<u8>), ExportError> {
        // How the labels came about: those of the run under way, or of the last one.
        let session = self.run.as_ref().and_then(Segmenting::session);
        let own = session.map(|session| session.provenance().clone());
        let study = self.study.as_mut().ok_or(ExportError::NoStudy)?;
        let provenance = own.or_else(|| study.provenance.clone());
        make(study, provenance.as_ref(), export)
    }
}

fn make(
    study: &mut OpenCt,
    provenance: Option<&Provenance>,
    export: Exporting,
) -> Result<(String, Vec<u8>), ExportError> {
    let Exporting { what, labels, notes, opened_from } = export;
    let ct = study.ct.clone();
    if labels.len() != ct.geometry.voxel_count() {
        return Err(ExportError::OtherCt);
    }
    let mut labels = ct.with_voxels(labels.to_vec());
    // What a file brought was not drawn here, whatever ran before.
    let provenance = provenance.filter(|_| opened_from.is_none());
    let mut run = match (provenance, &opened_from) {
        (Some(provenance), _) => provenance.run_info(),
        (None, None) => RunInfo::by_hand(vec![study.name.clone()]),
        (None, Some(file)) => RunInfo::opened(vec![study.name.clone(), file.clone()]),
    };
    if provenance.is_some_and(|provenance| provenance.assume_hu)
        && let Err(NotCt::Values(odd)) = check_is_ct(&ct)
    {
        run.warnings.push(odd.taken_anyway());
    }
    // What the user's side knows comes first: who edited what.
    run.warnings.splice(0..0, notes);
    let slices: Vec<SliceAnatomy> = provenance.map_or(Vec::new(), Provenance::slices);
    let trained: Vec<TrainedOrgan> = provenance.map_or(Vec::new(), Provenance::trained);
    let (file, structures) = match what {
        Export::StatisticsCsv => (ResultFile::StatisticsCsv, None),
        Export::AttentionCsv => (ResultFile::AttentionCsv, None),
        Export::AttentionJson => (ResultFile::AttentionJson, None),
        Export::ReportHtml => (ResultFile::Report, None),
        Export::Structures(structures) => (file_of(structures.format), Some(structures)),
    };
    let name = structures.as_ref().map_or_else(|| file.name(), |s| s.file_name.clone());
    let is_label_map = structures.as_ref().is_some_and(|s| !s.format.is_dicom());
    let deidentify = structures.as_ref().filter(|s| s.format.is_dicom()).and_then(|s| s.deidentify);
    let body = structures.as_ref().filter(|s| s.body && s.format.is_dicom()).map(|_| study.body());
    let (mut edits, mut others, mut edited) = (None, Vec::new(), OrganSet::EMPTY);
    let mut contours = WriteOptions { label: "AI contours".into(), ..WriteOptions::default() };
    if let Some(structures) = structures {
        let StructureExport { organs, edited: changed, extras, beneath, smooth, label, .. } = *structures;
        let left_out = |label: u8| Organ::from_label(label).is_some_and(|organ| !organs.contains(organ));
        labels.voxels.iter_mut().filter(|label| left_out(**label)).for_each(|label| *label = 0);
        edits = beneath.map(|beneath| session::pack(&beneath));
        others = extras.iter().map(other).collect();
        edited = changed;
        contours = WriteOptions { smooth, label, ..contours };
    }
    let segmentation = ReportInput { ct: &ct, labels: &labels, slices: &slices, trained: &trained, run: &run };
    let mut files = ResultFiles::single(segmentation).with_edits(edits.as_deref()).with_others(&others);
    if opened_from.is_some() {
        files = files.drawn_elsewhere();
    }
    if let Some(series) = &study.series {
        files = files.with_dicom(DicomSource { series, contours: &contours, body: body.as_deref(), edited });
    }
    let bytes = files.bytes(file)?;
    if is_label_map && !others.is_empty() {
        // An empty map beside them would only be in the way.
        let organs = labels.voxels.iter().any(|&label| label != 0).then(|| (file.name(), bytes));
        let masks = files.masks_of_others()?.into_iter();
        let all: Vec<(String, Vec<u8>)> =
            organs.into_iter().chain(masks.map(|(name, bytes)| (format!("{MASKS}/{name}.nii.gz"), bytes))).collect();
        return Ok((name, archive::zip(&all)?));
    }
    let uids = deidentify.map(|identifiers| match identifiers {
        Identifiers::Replaced => Uids::Replace,
        Identifiers::Kept => Uids::Keep,
    });
    Ok(match uids {
        Some(uids) => (name, Deidentifier::new(uids).and_then(|d| d.apply(&bytes)).map_err(ResultFileError::from)?),
        None => (name, bytes),
    })
}

fn file_of(format: StructureFormat) -> ResultFile {
    match format {
        StructureFormat::StructureSet => ResultFile::StructureSet,
        StructureFormat::Segmentation => ResultFile::DicomSegmentation,
        StructureFormat::Nifti => ResultFile::Labels,
        StructureFormat::Nrrd => ResultFile::LabelsNrrd,
    }
}

fn other(extra: &Extra) -> OtherStructure {
    OtherStructure {
        name: extra.name.clone(),
        colour: Some(extra.colour),
        interpreted_type: extra.interpreted_type.clone(),
        voxels: extra.runs.iter().map(|[start, end]| *start as usize..*end as usize).collect(),
    }
}
