//! The CT that is open, with everything that belongs to it.

use std::ops::Range;
use std::sync::Arc;

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, OrganSet};
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::metrics::OrganMetrics;
use attention_anatomy::preprocess::scanned_slices;
use attention_anatomy::volume::{CtVolume, Geometry};

use super::archive::Origin;
use super::margins::Margins;
use crate::edit::{ByteLayer, LabelStore};
use crate::session::{CtKey, SESSION_NAME};
use crate::worker::AboutScan;

/// Files that the worker calls alike for every study.
const CONTENTS: [&str; 5] = ["statistics.csv", "attention.csv", "attention.json", "report.html", SESSION_NAME];
/// Most letters of a study's description in the name of a file.
const LONGEST_STEM: usize = 60;

/// The name of a scan's file without what says its format.
fn without_extension(name: &str) -> &str {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".nii", ".nrrd", ".nhdr", ".zip", ".dcm", ".img", ".hdr"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}

/// A CT with its labels.
#[derive(Debug)]
pub struct Study {
    /// File or folder it came from. Never written to a log: it may name the patient.
    pub name: String,
    /// Whose scan it is, where its files say so. Never written to a log.
    pub about: Option<Box<AboutScan>>,
    /// HU in canonical order.
    pub ct: Arc<CtVolume>,
    /// Its slices from the first to the last that show anything.
    pub scanned: Range<usize>,
    /// What tells the CT from others.
    pub key: CtKey,
    /// The labels: the single truth, changed by the run and by hand.
    pub labels: LabelStore,
    /// What the network says of each slice, by canonical slice; `None` where it has not been run.
    pub anatomy: Vec<Option<SliceAnatomy>>,
    /// How far ahead of the runner-up the winning class is, 0 to 255 for 0 to 1, by voxel. 255 where nothing was run.
    pub margin: Margins,
    /// Voxels of each organ that attention took away, by canonical slice; `None` where it has not been run.
    pub removed: Vec<Option<[u32; ORGAN_COUNT]>>,
    /// Voxels that the run gave an organ, by canonical slice, whatever was opened or edited over them since; `None` where it has not been
    /// run.
    pub drawn: Vec<Option<u32>>,
    /// Organs that the run labelled.
    pub enabled: OrganSet,
    /// A second label map to compare with.
    pub reference: Option<Reference>,
    /// The what-if that is shown instead of the network's own labels on one slice.
    pub what_if: Option<WhatIf>,
    /// The archive that it came from.
    pub origin: Option<Origin>,
    /// Number of the study: a texture drawn for another one is out of date.
    pub number: u64,
}

/// A second label map on the grid of the CT.
#[derive(Debug)]
pub struct Reference {
    /// Where it came from.
    pub name: String,
    /// Its labels.
    pub labels: ByteLayer,
    /// Metrics of every organ against it; empty until they are measured.
    pub metrics: Vec<Option<OrganMetrics>>,
    /// Number of the question whose answer the metrics are, or will be.
    pub asked: Option<u64>,
    /// Revision of the study's labels that the question was asked of.
    pub revision: u64,
}

/// Another attention vector on one slice, and the labels that it would give.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatIf {
    /// Canonical slice.
    pub slice: usize,
    /// The vector that was asked for last; all ones is attention switched off.
    pub attention: [f32; ORGAN_COUNT],
    /// Number of the question that is under way.
    pub asked: u64,
    /// What the network says of the slice by its own attention, before any clean-up: asked for first.
    pub own: Option<Vec<u8>>,
    /// What it says under the vector, before any clean-up.
    pub answer: Option<Vec<u8>>,
    /// The network's labels, changed where the vector changes what it says. Once the answer is there.
    pub labels: Option<Vec<u8>>,
    /// What it says under the vector where that is something else; background elsewhere.
    pub differing: Option<Vec<u8>>,
    /// The revision of the labels that these follow.
    pub revision: u64,
}

impl Study {
    /// Organs that the picture of an axial slice outlines; under a what-if, those of the what-if.
    pub fn outlined_on(&self, slice: usize) -> OrganSet {
        let asked = self.what_if.as_ref().filter(|what_if| what_if.slice == slice);
        match asked.and_then(|what_if| what_if.labels.as_deref()) {
            Some(labels) => labels.iter().filter_map(|&label| Organ::from_label(label)).collect(),
            None => {
                let is_there = |organ| self.labels.voxels_on_slices(organ).get(slice).is_some_and(|&voxels| voxels > 0);
                Organ::ALL.into_iter().filter(|&organ| is_there(organ)).collect()
            }
        }
    }

    /// Keeps how much the run drew on a slice.
    pub(super) fn note_drawn(&mut self, slice: usize, labels: &[u8]) {
        if let Some(drawn) = self.drawn.get_mut(slice) {
            *drawn = Some(labels.iter().filter(|&&label| Organ::from_label(label).is_some()).count() as u32);
        }
    }

    /// A CT that was just opened, without labels.
    pub fn new(number: u64, name: String, ct: Arc<CtVolume>, key: CtKey) -> Self {
        let size = ct.geometry.size;
        Self {
            name,
            about: None,
            labels: LabelStore::new(ct.clone()),
            anatomy: vec![None; size[2]],
            margin: Margins::new(size),
            removed: vec![None; size[2]],
            drawn: vec![None; size[2]],
            enabled: OrganSet::EMPTY,
            reference: None,
            what_if: None,
            origin: None,
            scanned: scanned_slices(&ct),
            ct,
            key,
            number,
        }
    }

    /// One for tests.
    #[cfg(test)]
    pub(crate) fn of_ct(number: u64, name: String, ct: Arc<CtVolume>) -> Self {
        let key = CtKey::of(&ct);
        Self::new(number, name, ct, key)
    }

    /// What it is called: after its series or its study, else after its file.
    pub fn title(&self) -> &str {
        self.about.as_ref().map(|about| about.title()).filter(|title| !title.is_empty()).unwrap_or(&self.name)
    }

    /// The name under which a file with `content` of this study is offered for saving:
    /// `thorax-routine-2024-02-29-labels.nii.gz`. It holds study and content, and never the patient's name or number.
    pub fn file_name(&self, content: &str) -> String {
        let date = self.about.as_ref().map_or("", |about| &about.study_date);
        let title = match self.about.as_ref().map(|about| about.title()).filter(|title| !title.is_empty()) {
            Some(title) => title,
            None => without_extension(&self.name),
        };
        let words = |text: &str| {
            text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join("-")
        };
        let stem: String = words(title).chars().take(LONGEST_STEM).collect();
        let parts = [stem, words(date), content.to_owned()];
        parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("-")
    }

    /// The name under which a file is offered that the worker has made: after the study, but for what was named in a dialog.
    pub fn name_of_file(&self, made: &str) -> String {
        let is_content = CONTENTS.contains(&made);
        if is_content { self.file_name(made.trim_start_matches("attention-anatomy-")) } else { made.to_owned() }
    }

    /// The canonical grid.
    pub fn geometry(&self) -> &Geometry {
        &self.ct.geometry
    }

    /// Patient S (LPS z) of the centre of slice `k`, mm.
    pub fn slice_mm(&self, k: usize) -> f64 {
        self.geometry().slice_mm(k)
    }

    /// What the network says of the slice that was run nearest to `k`, at most two slices away.
    pub fn anatomy_near(&self, k: usize) -> Option<&SliceAnatomy> {
        [0isize, 1, -1, 2, -2].into_iter().find_map(|d| self.anatomy.get(k.checked_add_signed(d)?)?.as_ref())
    }

    /// A number that changes with what the network says of the slices.
    pub fn anatomy_revision(&self) -> u64 {
        let mut hash = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut take = |bits: u32| hash = (hash ^ u64::from(bits)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        for anatomy in self.anatomy.iter().flatten() {
            take(anatomy.slice as u32);
            anatomy.regions.iter().chain(anatomy.attention.iter().flatten()).for_each(|v| take(v.to_bits()));
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::ct;

    #[test]
    fn files_are_named_after_study_and_content_and_never_after_the_patient() {
        let mut study = Study::of_ct(1, "neck chest.nii.gz".into(), ct([2; 3], [1.0; 3]));
        assert_eq!(study.file_name("labels.nii.gz"), "neck-chest-labels.nii.gz");
        study.about = Some(Box::new(AboutScan {
            patient: "Yamada, Tarou".into(),
            id: "007".into(),
            study_date: "2024-02-29".into(),
            series: "Thorax  3.0/B31f".into(),
            ..AboutScan::default()
        }));
        assert_eq!(study.file_name("report.html"), "Thorax-3-0-B31f-2024-02-29-report.html");
        study.about = Some(Box::default());
        assert_eq!(study.file_name("session.json"), "neck-chest-session.json");
    }
}
