//! The files of a segmentation: which there are, what they are called, and what is in them.
//!
//! The command line writes all of them into a folder, the viewer makes the one that is asked for; both from here. A further format is a
//! further [`ResultFile`]: its name, its bytes, and whether [`ResultFiles::all`] has it.

use std::sync::OnceLock;

use super::{ReportError, ReportInput, Statistics};
use super::{attention_csv, attention_json, report_html, run_manifest_json, statistics_csv};
use crate::anatomy::{Organ, OrganSet};
use crate::formats::dicom::{Author, Derivation, ExportError, Moment, SeriesInfo, new_uid};
use crate::formats::nifti::{self, NiftiError};
use crate::formats::nrrd::{self, NrrdError};
use crate::formats::structures::{Drawn, Layers, OtherStructure, Structure};
use crate::formats::{EDITS_KEY, edits_comment, rtstruct, seg, write_masks};
use crate::preprocess::Body;

/// A file of a segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultFile {
    /// The label map as NIfTI.
    Labels,
    /// The label map as NRRD.
    LabelsNrrd,
    /// The mask of one organ as NIfTI.
    Mask(Organ),
    /// Volume, HU and extent of every organ.
    StatisticsCsv,
    /// Regions and attention of every slice.
    AttentionCsv,
    /// The same as JSON.
    AttentionJson,
    /// One HTML page for people.
    Report,
    /// The record of the run.
    Run,
    /// An RT Structure Set, for planning systems.
    StructureSet,
    /// A DICOM Segmentation, for archives.
    DicomSegmentation,
}

/// Why a file cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ResultFileError {
    /// What it says cannot be said.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A label map.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// A label map.
    #[error(transparent)]
    Nrrd(#[from] NrrdError),
    /// A CT without slices that DICOM could refer to.
    #[error(
        "RTSTRUCT and SEG refer to the slices of a DICOM series, and this CT is none; take the DICOM series itself, or name the one \
         that it was made from"
    )]
    NoSeries,
    /// A DICOM file.
    #[error(transparent)]
    Dicom(#[from] ExportError),
}

impl ResultFile {
    /// What is written of every CT, beside the record.
    pub const ALWAYS: [Self; 5] =
        [Self::Labels, Self::AttentionCsv, Self::AttentionJson, Self::StatisticsCsv, Self::Report];

    /// All names that [`ResultFiles::all`] may have.
    pub fn names(masks: bool) -> Vec<String> {
        let masks = Organ::ALL.into_iter().filter(|_| masks).map(Self::Mask);
        Self::ALWAYS.into_iter().chain(masks).map(Self::name).collect()
    }

    /// Its name in the folder of a result.
    pub fn name(self) -> String {
        match self {
            Self::Labels => "labels.nii.gz".into(),
            Self::LabelsNrrd => "labels.nrrd".into(),
            Self::Mask(organ) => format!("organs/{}.nii.gz", organ.id()),
            Self::StatisticsCsv => "statistics.csv".into(),
            Self::AttentionCsv => "attention.csv".into(),
            Self::AttentionJson => "attention.json".into(),
            Self::Report => "report.html".into(),
            Self::Run => "run.json".into(),
            Self::StructureSet => "structures.dcm".into(),
            Self::DicomSegmentation => "segmentation.dcm".into(),
        }
    }
}

/// What DICOM files need besides labels.
#[derive(Clone, Copy, Debug)]
pub struct DicomSource<'a> {
    /// The series that the CT is, or was made from.
    pub series: &'a SeriesInfo,
    /// How contours are written.
    pub contours: &'a rtstruct::WriteOptions,
    /// The body, where its outline is to be written, too.
    pub body: Option<&'a Body>,
    /// Organs that a person has changed.
    pub edited: OrganSet,
}

/// What the header of a label map says that lies beside a record of its run, which says the rest.
const BESIDE_ITS_RECORD: &str = "AttentionAnatomy labels, not a medical device";

/// Makes the files of a segmentation.
#[derive(Debug)]
pub struct ResultFiles<'a> {
    segmentation: ReportInput<'a>,
    /// What the headers of label maps say, at most 80 bytes of it in NIfTI.
    description: String,
    dicom: Option<DicomSource<'a>>,
    /// What a label map keeps of the edits in it.
    edits: Option<&'a str>,
    /// Structures that are none of the 33 organs: in DICOM files, and beside a label map.
    others: &'a [OtherStructure],
    /// Whether the labels were opened from a file: how they came about nobody says.
    drawn_elsewhere: bool,
    statistics: OnceLock<Result<Statistics, ReportError>>,
}

impl<'a> ResultFiles<'a> {
    /// Files that lie beside each other, `run.json` among them.
    pub fn of_folder(segmentation: ReportInput<'a>) -> Self {
        Self::described(segmentation, BESIDE_ITS_RECORD.into())
    }

    fn described(segmentation: ReportInput<'a>, description: String) -> Self {
        Self {
            segmentation,
            description,
            dicom: None,
            edits: None,
            others: &[],
            drawn_elsewhere: false,
            statistics: OnceLock::new(),
        }
    }

    /// Files that go their way alone: the header of a label map names the weights, after what must not be cut off.
    pub fn single(segmentation: ReportInput<'a>) -> Self {
        let run = segmentation.run;
        let description = match run.weights_sha256.get(..12) {
            Some(hash) => format!("Not a medical device. AttentionAnatomy, {} {hash}", run.weights_name),
            None => "Not a medical device. AttentionAnatomy, by hand".into(),
        };
        Self::described(segmentation, description)
    }

    /// With what label maps keep of the edits in them, a text that [`kept_edits`](crate::formats::kept_edits) gives back.
    pub fn with_edits(self, edits: Option<&'a str>) -> Self {
        Self { edits, ..self }
    }

    /// With structures that are none of the 33 organs, in DICOM files and as masks.
    pub fn with_others(self, others: &'a [OtherStructure]) -> Self {
        Self { others, ..self }
    }

    /// Of labels that were opened from a file, so that nobody says how they came about, but for what was edited.
    pub fn drawn_elsewhere(self) -> Self {
        Self { drawn_elsewhere: true, ..self }
    }

    /// With DICOM files that refer to a series.
    pub fn with_dicom(self, source: DicomSource<'a>) -> Self {
        Self { dicom: Some(source), ..self }
    }

    /// What was measured of the labels.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn statistics(&self) -> Result<&Statistics, ReportError> {
        // Who comes while they are measured waits for them.
        self.statistics.get_or_init(|| Statistics::measure(&self.segmentation)).as_ref().map_err(Clone::clone)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`ResultFileError`].
    pub fn bytes(&self, output: ResultFile) -> Result<Vec<u8>, ResultFileError> {
        let seg = &self.segmentation;
        Ok(match output {
            ResultFile::Labels => {
                let comment = self.edits.map(edits_comment);
                nifti::write_organs(seg.labels, &self.description, comment.as_deref())?
            }
            ResultFile::LabelsNrrd => {
                let note = self.edits.map(|edits| (EDITS_KEY, edits));
                nrrd::write_organs(seg.labels, &self.description, note)?
            }
            ResultFile::Mask(organ) => {
                let mask = seg.labels.voxels.iter().map(|&label| u8::from(label == organ.label())).collect();
                nifti::write_labels(&seg.labels.with_voxels(mask), organ.name())?
            }
            ResultFile::StatisticsCsv => statistics_csv(seg, self.statistics()?).into_bytes(),
            ResultFile::AttentionCsv => attention_csv(seg).into_bytes(),
            ResultFile::AttentionJson => attention_json(seg).into_bytes(),
            ResultFile::Report => report_html(seg, self.statistics()?)?.into_bytes(),
            ResultFile::Run => run_manifest_json(seg, self.statistics()?).into_bytes(),
            ResultFile::StructureSet | ResultFile::DicomSegmentation => self.dicom(output)?,
        })
    }

    /// Masks of the structures that are none of the 33 organs, for whom a label map has no number: a part of a file name, and the file.
    ///
    /// # Errors
    /// [`ResultFileError::Nifti`].
    pub fn masks_of_others(&self) -> Result<Vec<(String, Vec<u8>)>, ResultFileError> {
        Ok(write_masks(self.segmentation.labels, self.others)?)
    }

    fn dicom(&self, output: ResultFile) -> Result<Vec<u8>, ResultFileError> {
        let source = self.dicom.as_ref().ok_or(ResultFileError::NoSeries)?;
        let (labels, run) = (self.segmentation.labels, self.segmentation.run);
        let hash = run.weights_sha256.get(..12);
        let drawn = |organ: Organ| match (hash, source.edited.contains(organ)) {
            (None, true) if self.drawn_elsewhere => Drawn::Semiautomatic,
            (None, false) if self.drawn_elsewhere => Drawn::Unknown,
            (None, _) => Drawn::Manual,
            (Some(_), true) => Drawn::Semiautomatic,
            (Some(_), false) => Drawn::Automatic,
        };
        let body = source.body.map(|body| body.mask());
        let mut structures = Structure::organs(labels, drawn);
        let layers = Layers::of(self.others, labels.voxels.len());
        structures.extend(layers.structures(self.others, Drawn::Unknown));
        structures.extend(body.as_deref().map(Structure::body));
        let author = Author {
            version: run.program_version.clone(),
            weights: hash.map(|hash| format!("{} {hash}", run.weights_name)),
        };
        let (moment, mut uid) = (Moment::now(), new_uid);
        let made = Derivation { series: source.series, author: &author, moment, new_uid: &mut uid };
        let geometry = &labels.geometry;
        Ok(match output {
            ResultFile::DicomSegmentation => seg::write(&structures, geometry, made)?,
            _ => rtstruct::write(&structures, geometry, source.contours, made)?,
        })
    }

    /// What is written beside the record, with one mask for each organ that was found if `masks` are asked for.
    pub fn all(&self, masks: bool) -> Vec<ResultFile> {
        let present = if masks { OrganSet::of_labels(&self.segmentation.labels.voxels) } else { OrganSet::EMPTY };
        let shown = present.iter().filter(|organ| self.segmentation.is_enabled(*organ));
        let masks = shown.map(ResultFile::Mask);
        ResultFile::ALWAYS.into_iter().chain(masks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{run, trained};
    use super::*;
    use crate::formats;
    use crate::infer::RunInfo;
    use crate::volume::{CtVolume, Geometry, LabelVolume, Modality, Volume};

    fn volumes() -> (CtVolume, LabelVolume) {
        let geometry = Geometry::axial([8, 8, 4], [1.0, 1.0, 2.0], [0.0; 3]).unwrap();
        let ct = Volume::from_stored(geometry, vec![40i16; 256], Modality::Ct).unwrap();
        let mut labels = vec![0u8; 256];
        labels[100..140].fill(Organ::Liver.label());
        labels[10..14].fill(Organ::Heart.label());
        let labels = ct.with_voxels(labels);
        (ct, labels)
    }

    #[test]
    fn a_mask_is_written_of_what_was_to_be_drawn_and_was_found() {
        let (ct, labels) = volumes();
        let (trained, run) = (trained(&["liver", "spleen"]), run());
        let segmentation = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let files = ResultFiles::of_folder(segmentation);
        let names = |masks| files.all(masks).into_iter().map(ResultFile::name).collect::<Vec<_>>();
        // The heart is in the labels and was not to be drawn; the spleen was and is not there.
        assert_eq!(names(true)[5..], ["organs/liver.nii.gz"]);
        assert_eq!((names(false).len(), ResultFile::names(false)), (5, names(false)));
        assert!(names(true).iter().all(|name| ResultFile::names(true).contains(name)));
        let mask = files.bytes(ResultFile::Mask(Organ::Liver)).unwrap();
        let mask = formats::read_labels(vec![("m".into(), mask)]).unwrap();
        assert_eq!(mask.voxels.iter().map(|&v| usize::from(v)).sum::<usize>(), 40);
        let record: serde_json::Value = serde_json::from_slice(&files.bytes(ResultFile::Run).unwrap()).unwrap();
        assert_eq!(record["weights"]["sha256"], run.weights_sha256);
        for file in files.all(false) {
            assert!(!files.bytes(file).unwrap().is_empty());
        }
    }

    #[test]
    fn dicom_files_are_read_back_and_say_what_was_edited() {
        let (ct, labels) = volumes();
        let (trained, run) = (trained(&["liver", "heart"]), run());
        let segmentation = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let plain = ResultFiles::of_folder(segmentation);
        assert!(matches!(plain.bytes(ResultFile::StructureSet), Err(ResultFileError::NoSeries)));
        let series = formats::analytic::series(&ct.stored);
        let (contours, body) = (rtstruct::WriteOptions::default(), Body::find(&ct));
        let edited = [Organ::Heart].into_iter().collect();
        let source = DicomSource { series: &series, contours: &contours, body: Some(&body), edited };
        let files = plain.with_dicom(source);
        let reference = formats::Reference::of(&ct, Some(&series));
        for file in [ResultFile::StructureSet, ResultFile::DicomSegmentation] {
            let bytes = files.bytes(file).unwrap();
            let found = formats::read_structures(vec![(file.name(), bytes.clone())], Some(&reference)).unwrap();
            assert_eq!(found.labels.voxels, labels.voxels);
            assert_eq!(found.others.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["BODY"]);
            let object = String::from_utf8_lossy(&bytes).into_owned();
            assert!(object.contains("SEMIAUTOMATIC") && object.contains(&run.weights_sha256[..12]));
        }
    }

    #[test]
    fn structures_that_overlap_come_back_as_they_were() {
        let (ct, labels) = volumes();
        let (trained, run) = (trained(&["liver", "heart"]), run());
        let segmentation = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let other = |name: &str, voxels: Vec<std::ops::Range<usize>>| OtherStructure {
            name: name.into(),
            colour: Some([9, 8, 7]),
            interpreted_type: "PTV".into(),
            voxels,
        };
        // A plane apart, one in the liver, one around both, which overlaps all.
        let others = [
            other("A", vec![20..22, 28..30]),
            other("GTV", std::iter::once(104..106).collect()),
            other("PTV", vec![20..24, 28..32, 100..120]),
        ];
        let layers = Layers::of(&others, 256);
        let written = layers.structures(&others, Drawn::Unknown);
        let same_map = |a: usize, b: usize| std::ptr::eq(written[a].labels, written[b].labels);
        assert!(same_map(0, 1) && !same_map(1, 2) && written[0].label != written[1].label);
        let series = formats::analytic::series(&ct.stored);
        let contours = rtstruct::WriteOptions::default();
        let source = DicomSource { series: &series, contours: &contours, body: None, edited: OrganSet::EMPTY };
        let files = ResultFiles::single(segmentation).with_others(&others).drawn_elsewhere().with_dicom(source);
        let reference = formats::Reference::of(&ct, Some(&series));
        for file in [ResultFile::StructureSet, ResultFile::DicomSegmentation] {
            let bytes = files.bytes(file).unwrap();
            let found = formats::read_structures(vec![(file.name(), bytes)], Some(&reference)).unwrap();
            assert_eq!(found.labels.voxels, labels.voxels);
            let voxels = |o: &OtherStructure| (o.name.clone(), o.mask(256));
            assert_eq!(
                found.others.iter().map(voxels).collect::<Vec<_>>(),
                others.iter().map(voxels).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_label_map_that_travels_alone_names_its_weights_and_one_in_its_folder_need_not() {
        let (ct, labels) = volumes();
        let (trained, run, hand) = (trained(&["liver"]), run(), RunInfo::by_hand(vec!["ct".into()]));
        let of = |run| ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run };
        let said = |outputs: &ResultFiles<'_>, output| {
            let bytes = outputs.bytes(output).unwrap();
            formats::read_header(&bytes, &Default::default()).unwrap().unwrap().description
        };
        for output in [ResultFile::Labels, ResultFile::LabelsNrrd] {
            let alone = said(&ResultFiles::single(of(&run)), output);
            assert!(alone.starts_with("Not a medical device.") && alone.contains(&run.weights_name), "{alone}");
            assert!(alone.contains(&run.weights_sha256[..12]), "{alone}");
            assert!(said(&ResultFiles::single(of(&hand)), output).contains("by hand"));
            assert_eq!(said(&ResultFiles::of_folder(of(&run)), output), BESIDE_ITS_RECORD);
        }
    }
}
