//! Files to be saved, as the command line writes them.

use std::sync::Arc;
use std::time::SystemTime;

use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::formats::{nifti, nrrd};
use attention_anatomy::infer::{RunInfo, SliceAnatomy, removal_warning};
use attention_anatomy::report::{self, Segmentation, Statistics, TrainedOrgan};

use super::study::{Record, Study};
use super::{Job, Step};
use crate::worker::{Event, Export};

/// A file to be made.
pub(super) struct Exporting {
    pub(super) what: Export,
    pub(super) labels: Arc<[u8]>,
    pub(super) notes: Vec<String>,
}

impl Job {
    pub(super) fn step_exports(&mut self) -> Step {
        let Some(export) = self.exports.pop_front() else { return Step::Idle };
        self.events.push_back(match &self.study {
            None => Event::Failed("there is nothing to save; open a CT first".into()),
            Some(study) => match make(study, export) {
                Ok((name, bytes)) => Event::Exported { name: name.into(), bytes },
                Err(message) => Event::Failed(message),
            },
        });
        Step::Worked
    }
}

fn make(study: &Study, export: Exporting) -> Result<(&'static str, Vec<u8>), String> {
    let ct = study.ct.as_ref();
    if export.labels.len() != ct.geometry.voxel_count() {
        return Err("the labels do not belong to the open CT; save again".into());
    }
    let labels = ct.with_voxels(export.labels.to_vec());
    let record = study.record.as_ref();
    let run = run_info(study, export.notes);
    let description = match record {
        Some(Record { weights, .. }) => {
            let hash = weights.sha256.get(..12).unwrap_or_default();
            format!("Not a medical device. AttentionAnatomy, {} {hash}", weights.name)
        }
        None => "Not a medical device. AttentionAnatomy, by hand".to_string(),
    };
    match export.what {
        Export::Labels { nrrd: false } => {
            let bytes = nifti::write_labels(&labels, &description).map_err(|e| e.to_string())?;
            return Ok(("labels.nii.gz", bytes));
        }
        Export::Labels { nrrd: true } => {
            let bytes = nrrd::write_labels(&labels, &description).map_err(|e| e.to_string())?;
            return Ok(("labels.nrrd", bytes));
        }
        _ => {}
    }
    let slices: Vec<SliceAnatomy> = record.iter().flat_map(|r| r.anatomy.values().cloned()).collect();
    let drawn = record.map_or(OrganSet::EMPTY, |r| r.drawn);
    let trained: Vec<TrainedOrgan> = record
        .iter()
        .flat_map(|r| &r.weights.info.trained_organs)
        .map(|t| TrainedOrgan { enabled: drawn.contains(t.organ), ..t.clone() })
        .collect();
    let segmentation = Segmentation { ct, labels: &labels, slices: &slices, trained: &trained, run: &run };
    let statistics = || Statistics::measure(&segmentation).map_err(|e| e.to_string());
    Ok(match export.what {
        Export::StatisticsCsv => ("statistics.csv", report::statistics_csv(&segmentation, &statistics()?).into_bytes()),
        Export::AttentionCsv => ("attention.csv", report::attention_csv(&segmentation).into_bytes()),
        Export::AttentionJson => ("attention.json", report::attention_json(&segmentation).into_bytes()),
        Export::ReportHtml | Export::Labels { .. } => {
            let page = report::report_html(&segmentation, &statistics()?).map_err(|e| e.to_string())?;
            ("report.html", page.into_bytes())
        }
    })
}

/// How the labels came about, as far as the worker knows it; the notes are what the user's side knows.
fn run_info(study: &Study, notes: Vec<String>) -> RunInfo {
    let mut info = RunInfo {
        program_version: env!("CARGO_PKG_VERSION").into(),
        inputs: vec![study.name.clone()],
        warnings: notes,
        ..RunInfo::default()
    };
    let Some(record) = &study.record else {
        let none = "none: no network was run on this scan";
        return RunInfo { weights_name: none.into(), device: none.into(), architecture: none.into(), ..info };
    };
    let [done, total] = record.done;
    if done < total {
        info.warnings.push(format!("only {done} of {total} slices were segmented"));
    }
    info.warnings.extend(removal_warning(record.removed, study.ct.geometry.voxel_ml()));
    info.warnings.extend(record.notes.iter().cloned());
    RunInfo {
        weights_name: record.weights.name.clone(),
        weights_sha256: record.weights.sha256.clone(),
        architecture: record.weights.info.architecture(),
        device: record.device.clone(),
        started: humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + record.started).to_string(),
        seconds: record.seconds.clone(),
        options: vec![("clean-up".into(), if record.cleanup { "on" } else { "off" }.into())],
        ..info
    }
}
