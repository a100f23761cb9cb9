//! Everything that is wrong with the images among the files of a folder. A reader stops at the first thing that it cannot use, or does not
//! look at a series that it does not read; here every file and every series is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::error::DicomError;
use super::reader::volume_of;
use super::repairs::{Repair, Repairs};
use super::series::{ImageFile, Series, SeriesInfo};
use super::survey::{Survey, copies_among, headers, hounsfield_doubt, survey_of};
use super::{can_refer, pixels};
use crate::formats::finding::{Finding, Weight};
use crate::volume::{Modality, check_values, empty_slices};

/// Slices further apart than this show small organs on one or two slices, mm.
const COARSE_MM: f64 = 5.05;
/// Files that are named for one kind of fault; more are counted.
const NAMED: usize = 3;

/// What was found, and the series that are there.
pub(in crate::formats) struct Checked {
    pub(in crate::formats) findings: Vec<Finding>,
    pub(in crate::formats) series: Vec<SeriesInfo>,
}

/// Looks at all images among the files.
pub(in crate::formats) fn check(files: &[(String, Vec<u8>)]) -> Checked {
    let mut findings = Vec::new();
    // The others are surveyed without the damaged ones.
    let mut damaged: BTreeMap<&str, DicomError> = BTreeMap::new();
    let mut kinds = Vec::with_capacity(files.len());
    for ((name, _), read) in files.iter().zip(headers(files)) {
        let kind = match read {
            Ok(kind) => Some(kind),
            Err(reason) => {
                damaged.insert(name, DicomError::Damaged { file: name.clone(), reason });
                None
            }
        };
        kinds.push((name.as_str(), kind));
    }
    findings.extend(damaged.values().map(|error| Finding::new(Weight::Wrong, "", error)));
    match survey_of(kinds, &copies_among(files), Repairs::default()) {
        Ok(survey) => {
            findings.extend(survey.notes.iter().map(|(weight, note)| Finding::new(*weight, "", note)));
            for (n, series) in survey.series.iter().enumerate() {
                one_series(files, &survey, n, series, &mut findings);
            }
            Checked { findings, series: survey.series.into_iter().map(|s| s.info).collect() }
        }
        // No image among them: who asked for structures alone is told by whoever looks at those.
        Err(_) => Checked { findings, series: Vec::new() },
    }
}

/// How a series is called.
fn called(n: usize, info: &SeriesInfo) -> String {
    let described = if info.description.is_empty() { String::new() } else { format!(" \"{}\"", info.description) };
    format!("series {} ({}{described}, {} slices)", n + 1, info.modality, info.slices)
}

fn one_series(files: &[(String, Vec<u8>)], survey: &Survey, n: usize, series: &Series, findings: &mut Vec<Finding>) {
    let info = &series.info;
    let about = called(n, info);
    let mut found = |weight, sentence: &dyn ToString| findings.push(Finding::new(weight, &about, sentence.to_string()));
    let members: Vec<&ImageFile> = survey.images.iter().filter(|i| i.header.series_uid == info.uid).collect();
    identifiers(&members, info, &mut found);
    // The same fault in every file is one fault.
    let mut faults: BTreeMap<String, (DicomError, usize)> = BTreeMap::new();
    for image in &members {
        if let Err(error) = pixels::check(&image.header, &image.name) {
            let kind = error.to_string().replace(&image.name, "");
            faults.entry(kind).or_insert((error, 0)).1 += 1;
        }
    }
    for (error, count) in faults.values() {
        let more = if *count > 1 { format!("; so are {} more files", count - 1) } else { String::new() };
        found(Weight::Wrong, &format!("{error}{more}"));
    }
    let is_scout = !series.is_axial || members.iter().all(|i| i.header.is_localizer());
    match &series.stack {
        Err(error) if is_scout => found(Weight::Note, &format!("is no volume: {error}")),
        Err(_) => {}
        Ok(_) => series.notes.iter().for_each(|note| found(Weight::Doubt, note)),
    }
    if let Modality::Other(modality) = &info.modality {
        found(Weight::Note, &format!("is {modality}, and only CT is outlined"));
    }
    if is_scout {
        return;
    }
    if let Err(error) = &series.stack {
        findings.push(Finding { repair: Repair::of(error), ..Finding::new(Weight::Wrong, &about, error) });
        return;
    }
    if !faults.is_empty() {
        return;
    }
    if let Some(grid) = &info.grid
        && let Ok((axes, _)) = grid.canonical_axes()
        && let Err(error) = can_refer(info, &grid.permuted(&axes))
    {
        found(Weight::Doubt, &format!("no RTSTRUCT or SEG can be written for it: {error}"));
    }
    let step = series.step_mm();
    if step.is_finite() && step > COARSE_MM {
        found(Weight::Doubt, &format!("its slices are {step:.1} mm apart; small organs show on one or two of them"));
    }
    if info.slices < 3 {
        found(Weight::Doubt, &format!("has {} slices, and at least 3 are needed to outline organs", info.slices));
    }
    found_in_voxels(files, survey, series, &mut found);
}

/// Whether the slices agree on what they belong to.
fn identifiers(members: &[&ImageFile], info: &SeriesInfo, found: &mut dyn FnMut(Weight, &dyn ToString)) {
    let distinct = |of: fn(&ImageFile) -> &str| members.iter().map(|i| of(i)).collect::<BTreeSet<_>>().len();
    let studies = distinct(|i| &i.header.study_uid);
    if studies > 1 {
        found(
            Weight::Wrong,
            &format!("its slices are of {studies} studies (StudyInstanceUID); export it again from one acquisition"),
        );
    }
    if distinct(|i| &i.header.patient_position) > 1 {
        found(Weight::Doubt, &"its slices name several patient positions; check left and right");
    }
    if info.modality == Modality::Ct && info.patient_position.is_empty() {
        found(Weight::Note, &"does not say how the patient lay (PatientPosition); the directions of its slices tell");
    }
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for image in members.iter().filter(|i| !i.header.sop_instance_uid.is_empty()) {
        seen.entry(&image.header.sop_instance_uid).or_default().push(&image.name);
    }
    let twice: Vec<&str> = seen.values().filter(|names| names.len() > 1).flatten().copied().collect();
    if !twice.is_empty() {
        found(
            Weight::Wrong,
            &format!(
                "{} files have the SOP Instance UID of another file with other content ({}); archives keep only one of them",
                twice.len(),
                named(&twice)
            ),
        );
    }
}

fn named(names: &[&str]) -> String {
    let mut told = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        told.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    told
}

/// What the pixels tell once they are decoded.
fn found_in_voxels(
    files: &[(String, Vec<u8>)],
    survey: &Survey,
    series: &Series,
    found: &mut dyn FnMut(Weight, &dyn ToString),
) {
    let volume = match volume_of(survey, series, files) {
        Ok(volume) => volume,
        Err(error) => return found(Weight::Wrong, &error),
    };
    // What was said of the series stands there already.
    for warning in volume.warnings.iter().filter(|w| !series.notes.contains(w)) {
        found(Weight::Doubt, warning);
    }
    if series.info.modality == Modality::Ct && hounsfield_doubt(&survey.images, series).is_none() {
        if let Err(odd) = check_values(&volume) {
            found(Weight::Wrong, &odd);
        }
        if let Some(said) = empty_slices(&volume) {
            found(Weight::Doubt, &said);
        }
    }
}
