//! Everything that is wrong with what somebody has: a series, a structure set, a label map, a folder of all of these. Readers refuse with
//! one sentence; who sends scans to others, or wonders why a planning system refuses a file, wants all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::dicom::{self, SeriesChoice, SeriesInfo, Stored};
use super::finding::{Finding, Weight};
use super::open::{self, Opened, classify};
use super::rtstruct::{self, StructureSet};
use super::structures::{SeriesLink, Structures, TargetGrid};
use super::{CtOrLabels, seg};
use crate::anatomy::{Organ, OrganSet};
use crate::volume::{check_values, empty_slices};

/// Names that are longer than this are cut by some planning systems (TG-263, section 5).
const LONGEST_NAME: usize = 16;

/// Looks at what a user has, as [`read_ct`](super::read_ct) and [`read_structures`](super::read_structures) would open it, and says all
/// that is wrong with it, what matters most first. Nothing in it is a patient's data.
pub fn check(files: Vec<(String, Vec<u8>)>) -> Vec<Finding> {
    let mut findings = match classify(files) {
        Err(error) => vec![Finding::new(Weight::Wrong, "", error)],
        Ok((Opened::Dicom(files), _)) => in_dicom(&files),
        Ok((opened, beside)) => image(open::ct_or_organs(opened, &beside)),
    };
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    findings
}

/// One image that is no DICOM.
fn image(read: Result<CtOrLabels, open::FormatError>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match read {
        Err(error) => findings.push(Finding::new(Weight::Wrong, "", error)),
        Ok(CtOrLabels::Ct(ct)) => {
            findings.extend(ct.warnings.iter().map(|w| Finding::new(Weight::Doubt, "", w)));
            findings.extend(check_values(&ct).err().map(|odd| Finding::new(Weight::Wrong, "", odd)));
            findings.extend(empty_slices(&ct).map(|said| Finding::new(Weight::Doubt, "", said)));
        }
        Ok(CtOrLabels::Labels(labels)) => {
            findings.extend(labels.warnings.iter().map(|w| Finding::new(Weight::Doubt, "", w)));
            if labels.voxels.iter().all(|&label| label == 0) {
                findings.push(Finding::new(Weight::Doubt, "", "no voxel of the label map belongs to an organ"));
            }
        }
    }
    findings
}

fn in_dicom(files: &[(String, Vec<u8>)]) -> Vec<Finding> {
    let kinds: Vec<Option<Stored>> = files.iter().map(|(_, bytes)| dicom::stored(bytes)).collect();
    let checked = dicom::check(files);
    let mut findings = checked.findings;
    let series = checked.series;
    for ((name, bytes), kind) in files.iter().zip(&kinds) {
        match kind {
            Some(Stored::StructureSet) => structure_set(name, bytes, files, &series, &mut findings),
            Some(Stored::Segmentation) => segmentation(name, bytes, &series, &mut findings),
            _ => {}
        }
    }
    let nothing = series.is_empty() && !findings.iter().any(|f| f.weight == Weight::Wrong);
    let drawn = kinds.iter().any(|kind| matches!(kind, Some(Stored::StructureSet | Stored::Segmentation)));
    if nothing && !drawn {
        let error = dicom::list_series(files).err().map(|e| e.to_string()).unwrap_or_default();
        findings.push(Finding::new(Weight::Wrong, "", error));
    }
    findings
}

/// The series of a list with this UID that forms a volume.
fn usable<'a>(series: &'a [SeriesInfo], uids: &[String]) -> Option<&'a SeriesInfo> {
    series.iter().find(|s| uids.contains(&s.uid) && s.grid.is_some())
}

fn structure_set(
    name: &str,
    bytes: &[u8],
    files: &[(String, Vec<u8>)],
    series: &[SeriesInfo],
    findings: &mut Vec<Finding>,
) {
    let mut found = |weight, sentence: String| findings.push(Finding::new(weight, name, sentence));
    let set = match rtstruct::read(bytes) {
        Ok(set) => set,
        Err(error) => return found(Weight::Wrong, error.to_string()),
    };
    names(&set, &mut found);
    if set.series_uids.is_empty() {
        found(Weight::Doubt, "names no series that it was drawn on".into());
    }
    let own = usable(series, &set.series_uids);
    if own.is_none() && !set.series_uids.is_empty() {
        let sentence = match series.iter().find(|s| set.series_uids.contains(&s.uid)) {
            Some(_) => "the series that it was drawn on forms no volume, so its contours were not looked at",
            None if series.is_empty() => {
                "the series that it was drawn on is not among the files, so its contours were not held against the slices"
            }
            None => "the series that it was drawn on is not among the files; another one is",
        };
        found(Weight::Doubt, sentence.into());
    }
    // Drawn on another series, coordinates decide.
    let best = || dicom::find_series(files, SeriesChoice::Best).ok();
    let Some(on) = own.cloned().or_else(best) else {
        set.warnings.iter().for_each(|w| found(Weight::Doubt, w.clone()));
        return;
    };
    if let Some(grid) = on.grid.clone().and_then(|grid| TargetGrid::new(grid).ok()) {
        match rtstruct::structures(&set, &grid, Some(&SeriesLink::from(&on))) {
            Err(error) => found(Weight::Wrong, error.to_string()),
            Ok(drawn) => voxels(&drawn, &mut found),
        }
    }
}

/// What is to be said of the structures themselves.
fn names(set: &StructureSet, found: &mut dyn FnMut(Weight, String)) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    set.rois.iter().for_each(|roi| *seen.entry(&roi.name).or_default() += 1);
    for (name, count) in seen.iter().filter(|(_, count)| **count > 1) {
        found(
            Weight::Doubt,
            format!("{count} structures are named {name}; planning systems keep one of them or refuse"),
        );
    }
    let empty: Vec<&str> = set.rois.iter().filter(|r| r.contours.is_empty()).map(|r| r.name.as_str()).collect();
    if !empty.is_empty() {
        found(Weight::Doubt, format!("structures without a contour: {}", empty.join(", ")));
    }
    let long: Vec<&str> = seen.keys().copied().filter(|name| name.chars().count() > LONGEST_NAME).collect();
    if !long.is_empty() {
        found(
            Weight::Note,
            format!(
                "names of more than {LONGEST_NAME} characters, which some planning systems cut: {}",
                long.join(", ")
            ),
        );
    }
    let organs = set.rois.iter().filter_map(|roi| Some((roi.name.as_str(), Organ::from_name(&roi.name)?)));
    let nonstandard: BTreeSet<String> = organs
        .filter(|(name, organ)| *name != organ.tg263())
        .map(|(name, organ)| format!("{name} ({})", organ.tg263()))
        .collect();
    if !nonstandard.is_empty() {
        let list: Vec<String> = nonstandard.into_iter().collect();
        found(Weight::Note, format!("organs that TG-263 calls otherwise: {}", list.join(", ")));
    }
    let others: Vec<&str> =
        set.rois.iter().filter(|r| Organ::from_name(&r.name).is_none()).map(|r| r.name.as_str()).collect();
    if !others.is_empty() {
        found(Weight::Note, format!("not one of the 33 organs, and kept by name: {}", others.join(", ")));
    }
}

fn segmentation(name: &str, bytes: &[u8], series: &[SeriesInfo], findings: &mut Vec<Finding>) {
    let mut found = |weight, sentence: String| findings.push(Finding::new(weight, name, sentence));
    let read = match seg::read(bytes) {
        Ok(read) => read,
        Err(error) => return found(Weight::Wrong, error.to_string()),
    };
    let empty: Vec<&str> = read.segments.iter().filter(|s| s.frames.is_empty()).map(|s| s.label.as_str()).collect();
    if !empty.is_empty() {
        found(Weight::Doubt, format!("segments without a pixel: {}", empty.join(", ")));
    }
    // Of a series in the same frame of reference, if there is one; else on its own grid.
    let on = series.iter().find(|s| s.grid.is_some() && s.frame_of_reference_uid == read.frame_of_reference_uid);
    let grid = on.and_then(|s| s.grid.clone()).and_then(|grid| TargetGrid::new(grid).ok());
    if on.is_none() && !series.is_empty() {
        found(Weight::Doubt, "lies in another frame of reference than the series among the files".into());
    }
    match seg::structures(&read, grid.as_ref(), on.map(SeriesLink::from).as_ref()) {
        Err(error) => found(Weight::Wrong, error.to_string()),
        Ok(drawn) => voxels(&drawn, &mut found),
    }
}

/// What is to be said of structures on the slices.
fn voxels(drawn: &Structures, found: &mut dyn FnMut(Weight, String)) {
    drawn.warnings.iter().for_each(|w| found(Weight::Doubt, w.clone()));
    let labels = &drawn.labels;
    let [nx, ny, nz] = labels.geometry.size;
    let [first, last] = [0, nz - 1].map(|k| OrganSet::of_labels(labels.slice(k)));
    let plane = nx * ny;
    let at_an_end = Organ::ALL.into_iter().filter(|&organ| first.contains(organ) || last.contains(organ));
    let cut = at_an_end.map(|organ| organ.tg263().to_owned());
    let reaches = |run: &std::ops::Range<usize>| run.start < plane || run.end > plane * (nz - 1);
    let others = drawn.others.iter().filter(|o| o.interpreted_type != "EXTERNAL" && o.voxels.iter().any(reaches));
    let cut: Vec<String> = cut.chain(others.map(|o| o.name.clone())).collect();
    if nz > 1 && !cut.is_empty() {
        found(
            Weight::Doubt,
            format!(
                "structures that reach the first or last slice of the scan, which may cut them: {}",
                cut.join(", ")
            ),
        );
    }
    let seen = OrganSet::of_labels(&labels.voxels);
    let gone: Vec<&str> = drawn.organs.iter().filter(|o| !seen.contains(*o)).map(|o| o.tg263()).collect();
    if !gone.is_empty() {
        found(Weight::Doubt, format!("organs without a voxel on the slices: {}", gone.join(", ")));
    }
}
