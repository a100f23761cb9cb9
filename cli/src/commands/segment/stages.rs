//! A segmentation in three stages: what was read is prepared, the network computes, results are written. For one scan they follow each
//! other; of a list each has a thread of its own, so that the network has the next scan while the last one is cleaned up and written.
//!
//! The network's stage stays with the [`Session`](super::Session), whose engine belongs to one thread.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::cohort::{InputKey, Request};
use attention_anatomy::formats::dicom::{Deidentifier, ExportError, SeriesInfo, can_refer};
use attention_anatomy::infer::{Model, OrganChoice, SegmentationSession, Segmented};
use attention_anatomy::parallel::map;
use attention_anatomy::preprocess::ModelSlices;
use attention_anatomy::report::{DicomSource, ReportInput, ResultFile, ResultFileError, ResultFiles};
use attention_anatomy::volume::{CtVolume, NotCt, require_ct};
use serde_json::{Map, Value};

use super::{DOUBTFUL, DicomFormat, Options, REQUEST, ReadCt, Summary};
use crate::output::Output;
use crate::{data, files, model, progress};

/// What is the same for all scans of a call, whatever computes.
pub struct Common {
    /// What was asked for.
    pub options: Options,
    /// The weights.
    pub model: Model,
    /// Organs that may be labelled.
    pub enabled: OrganSet,
}

/// What is known of a scan from its first stage to its last.
pub struct Scan {
    /// Name of its file.
    pub name: String,
    /// Seconds of work on it, without its reading.
    pub seconds: f64,
    /// What tells its files from others.
    pub key: InputKey,
    series: Option<SeriesInfo>,
    dicom_files: Vec<ResultFile>,
    pub ct: Arc<CtVolume>,
}

/// A scan for the network.
pub struct Prepared {
    /// As the network sees it.
    pub slices: ModelSlices,
    /// The scan.
    pub scan: Scan,
    /// Seconds of each stage so far.
    pub stages: Vec<(String, f64)>,
}

/// A scan of which all slices are labelled.
pub struct Computed {
    /// Labels as the network says.
    pub session: SegmentationSession,
    /// The scan.
    pub scan: Scan,
}

impl Common {
    /// Opens the weights.
    ///
    /// # Errors
    /// Weights or organs that cannot be used.
    pub fn open(options: Options) -> Result<Self> {
        let model = model::open(options.weights.as_deref())?;
        let choice = match (options.organs.is_empty(), options.all_organs) {
            (false, _) => OrganChoice::Named(&options.organs),
            (true, true) => OrganChoice::All,
            (true, false) => OrganChoice::Usual,
        };
        let enabled = choice.organs(&model.info).with_context(|| model.name.clone())?;
        Ok(Self { options, model, enabled })
    }

    /// Reads a scan and brings it to the model grid.
    ///
    /// # Errors
    /// As [`ReadCt::open`] and [`prepare`](Self::prepare).
    pub fn read(&self, input: &Path) -> Result<Prepared> {
        let read = ReadCt::open(input, &self.options.asked())?;
        self.prepare(read, &files::file_name(input)).with_context(|| input.display().to_string())
    }

    /// Brings a CT to the model grid, and says before the network runs what cannot be done with it.
    ///
    /// # Errors
    /// What is no CT in HU, and DICOM files that cannot be written of it.
    pub fn prepare(&self, read: ReadCt, name: &str) -> Result<Prepared> {
        let ReadCt { mut ct, series, key, seconds: read_seconds } = read;
        require_ct(&mut ct, self.options.assume_hu).map_err(|odd| match odd {
            NotCt::Values(_) => anyhow!("{odd}; or, if you know that they are HU, insist with --assume-hu"),
            NotCt::Modality(_) | NotCt::TooFew(_) | NotCt::TooSmall(_) => odd.into(),
        })?;
        for warning in &ct.warnings {
            progress::warn(&format!("{name}: {warning}"));
        }
        let (series, dicom_files) = self.dicom_files(&ct, series, name)?;
        if self.options.body && dicom_files.is_empty() {
            progress::warn(&format!(
                "{name}: BODY is not written: a label map has no number for it, and there is no RTSTRUCT or SEG; `convert --body` \
                 writes a mask of it beside a label map"
            ));
        }
        let clock = Instant::now();
        let ct = Arc::new(ct);
        let slices = ModelSlices::new(ct.clone(), &self.model.info.input)?;
        let seconds = clock.elapsed().as_secs_f64();
        let stages = vec![("read".to_string(), read_seconds), ("prepare".to_string(), seconds)];
        Ok(Prepared { slices, scan: Scan { name: name.into(), seconds, key, series, dicom_files, ct }, stages })
    }

    /// Cleans labels up and writes everything into `output`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, computed: Computed, mut output: Output) -> Result<Summary> {
        let Computed { session, scan: Scan { name, seconds, key, series, dicom_files, ct } } = computed;
        let clock = Instant::now();
        let Segmented { labels, body, provenance, doubt } = session.conclude();
        let (run, trained, slices) = (provenance.run_info(), provenance.trained(), provenance.slices());
        let segmentation = ReportInput { ct: &ct, labels: &labels, slices: &slices, trained: &trained, run: &run };
        // What the CT's reader and the device had to say was said when they did.
        let said = |warning: &&String| ct.warnings.contains(warning) || provenance.device_notes.contains(warning);
        for warning in segmentation.warnings().iter().filter(|warning| !said(warning)) {
            progress::warn(&format!("{name}: {warning}"));
        }
        let contours = self.options.contours.options("AI contours");
        let mut files = ResultFiles::of_folder(segmentation);
        if let Some(series) = &series {
            let body = self.options.body.then_some(&*body);
            files = files.with_dicom(DicomSource { series, contours: &contours, body, edited: OrganSet::EMPTY });
        }
        let deidentifier = self.options.deidentify.open()?;
        // What is always written at once; masks and DICOM files, which may be large, one after the other.
        let always = map(ResultFile::ALWAYS.to_vec(), |file| (file, files.bytes(file)));
        let others = files.all(self.options.organ_files).into_iter().chain(dicom_files);
        let others = others.filter(|file| !ResultFile::ALWAYS.contains(file)).map(|file| (file, files.bytes(file)));
        for (file, bytes) in always.into_iter().chain(others) {
            match bytes {
                Ok(bytes) if is_dicom(file) => output.stage(&file.name(), &without_patient(&deidentifier, bytes)?)?,
                Ok(bytes) => output.stage(&file.name(), &bytes)?,
                // Nothing was found, which the tables say.
                Err(ResultFileError::Dicom(ExportError::Empty)) => {
                    progress::warn(&format!("{name}: no organ was found, so {} was not written", file.name()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        // Results of an earlier run go now, masks of organs that this one has not found among them.
        let mut record: Map<String, Value> = serde_json::from_slice(&files.bytes(ResultFile::Run)?)?;
        record.insert(REQUEST.into(), serde_json::to_value(self.request(key)?)?);
        let shares = files.statistics()?.found().filter_map(|found| {
            let share = (doubt.share(found.organ)? * 1e4).round() / 1e4;
            Some((found.organ.id().to_string(), Value::from(share)))
        });
        record.insert(DOUBTFUL.into(), shares.collect::<Map<_, _>>().into());
        output.finish(record, |_| true)?;
        Ok(Summary {
            found: files.statistics()?.found().count(),
            known: self.enabled.len(),
            seconds: seconds + clock.elapsed().as_secs_f64(),
            network_seconds: run.seconds.iter().filter(|(stage, _)| stage == "segment").map(|(_, s)| s).sum(),
        })
    }

    /// What a result of this input is made from.
    ///
    /// # Errors
    /// Options that JSON cannot hold.
    pub fn request(&self, input: InputKey) -> Result<Request> {
        let options: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(&self.options)?)?;
        Ok(Request { input, weights: self.model.sha256.clone(), program: env!("CARGO_PKG_VERSION").into(), options })
    }

    /// The series to refer to, and the DICOM files to write; said before the work begins where that cannot be done.
    fn dicom_files(
        &self,
        ct: &CtVolume,
        series: Option<SeriesInfo>,
        name: &str,
    ) -> Result<(Option<SeriesInfo>, Vec<ResultFile>)> {
        let given = self
            .options
            .reference
            .as_deref()
            .map(|path| data::chosen_reference(path, &self.options.repairs.request(None)))
            .transpose()?;
        let series = given.map_or(series, |reference| reference.series);
        let wanted = DicomFormat::files(&self.options.format, series.is_some());
        if wanted.is_empty() {
            return Ok((series, wanted));
        }
        let Some(series) = series else {
            return Err(anyhow!("{} (--reference)", ResultFileError::NoSeries));
        };
        match can_refer(&series, &ct.geometry) {
            Ok(()) => Ok((Some(series), wanted)),
            // Nobody asked for it.
            Err(error) if self.options.format.is_empty() && self.options.reference.is_none() => {
                progress::warn(&format!("{name}: no RTSTRUCT is written: {error}"));
                Ok((None, Vec::new()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn is_dicom(file: ResultFile) -> bool {
    matches!(file, ResultFile::StructureSet | ResultFile::DicomSegmentation)
}

/// A DICOM file, without its patient where that was asked for.
fn without_patient(deidentifier: &Option<Deidentifier>, bytes: Vec<u8>) -> Result<Vec<u8>> {
    Ok(match deidentifier {
        Some(deidentifier) => deidentifier.apply(&bytes)?,
        None => bytes,
    })
}
