//! The labels as they are at a moment, shared with the worker: for files, and for tools that work on whole organs.

use std::ops::Range;
use std::sync::Arc;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::volume::CtVolume;

use super::extras::Extra;
use super::history::Change;
use super::interpolate::Between;
use super::labels::{LabelStore, take_edits_off};
use super::packed_slice::PackedSlice;
use super::settings::PaintOver;
use super::slices::ByteSlices;

/// The labels at a moment. Taking one costs a pointer for each slice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSnapshot {
    /// As they are drawn.
    pub labels: ByteSlices,
    /// The network's label beneath every edited voxel of a slice, [`super::NOT_EDITED`] elsewhere; `None` for slices
    /// without edits.
    pub under: Vec<Option<Arc<[u8]>>>,
    /// Structures that are none of the 33 organs.
    pub extras: Vec<Arc<Extra>>,
}

/// A tool for an organ as a whole.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum OrganTool {
    /// Outlines it between slices.
    Interpolate(Between),
    /// Takes all but its largest piece away.
    LargestComponent,
    /// Fills what it encloses.
    FillHoles,
    /// Smooths its surface with a Gaussian of this standard deviation, micrometres.
    Smooth(u32),
    /// Makes it another organ, or background, on these slices.
    Reassign(Option<Organ>, Range<usize>),
}

/// A tool, what it works on, and how.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OrganEdit {
    /// Which tool.
    pub tool: OrganTool,
    /// The organ.
    pub organ: Organ,
    /// In space rather than slice by slice.
    pub three_d: bool,
    /// What painting may change.
    pub over: PaintOver,
}

impl OrganEdit {
    /// What it is, for people.
    pub fn name(&self) -> &'static str {
        match &self.tool {
            OrganTool::Interpolate(_) => "interpolate",
            OrganTool::LargestComponent => "largest component",
            OrganTool::FillHoles => "fill holes",
            OrganTool::Smooth(_) => "smooth",
            OrganTool::Reassign(Some(_), _) => "reassign",
            OrganTool::Reassign(None, _) => "clear",
        }
    }
}

impl LabelStore {
    /// The labels as they are now.
    pub fn snapshot(&self) -> LabelSnapshot {
        LabelSnapshot { extras: self.extras().to_vec(), ..self.snapshot_of(|_| true) }
    }

    /// Those of some slices; the others are background without edits.
    pub(super) fn snapshot_of(&self, wanted: impl Fn(usize) -> bool) -> LabelSnapshot {
        let [nx, ny, nz] = self.layer().size();
        let background = Arc::new(PackedSlice::of(&vec![0; nx * ny]));
        let all = self.layer().share();
        let labels = all.slices().iter().enumerate().map(|(k, slice)| if wanted(k) { slice } else { &background });
        let labels = ByteSlices::new(labels.cloned().collect());
        let under = (0..nz).map(|k| self.shared_under(k).filter(|_| wanted(k))).collect();
        LabelSnapshot { labels, under, extras: Vec::new() }
    }

    /// Only what was edited by hand; slices without edits are background.
    pub fn snapshot_of_edits(&self) -> LabelSnapshot {
        let extras = self.extras().iter().filter(|extra| extra.edited).cloned().collect();
        LabelSnapshot { extras, ..self.snapshot_of(|k| self.under_edits(k).is_some()) }
    }

    /// What a tool for an organ as a whole has to know.
    pub fn snapshot_for(&self, edit: &OrganEdit) -> LabelSnapshot {
        let Some((first, last)) = self.first_last_slice(edit.organ) else { return self.snapshot_of(|_| false) };
        // Three standard deviations of the Gaussian, and one slice more.
        let reach = match edit.tool {
            OrganTool::Smooth(micrometres) => {
                (3.0 * f64::from(micrometres) / 1000.0 / self.geometry().spacing()[2]).ceil() as usize + 1
            }
            _ => 1,
        };
        self.snapshot_of(|k| (first.saturating_sub(reach)..=last + reach).contains(&k))
    }

    /// Voxels of the slices that an organ reaches: what a tool may have to look through.
    pub fn reach_of(&self, organ: Organ) -> usize {
        let [nx, ny, _] = self.layer().size();
        self.first_last_slice(organ).map_or(0, |(first, last)| (last - first + 1) * nx * ny)
    }

    /// Uses a tool for an organ as a whole, at once. Returns how many labels are others now.
    pub fn perform(&mut self, edit: &OrganEdit) -> usize {
        let OrganEdit { tool, organ, three_d, over } = edit;
        match tool {
            OrganTool::Interpolate(between) => self.interpolate(*organ, *between, *over),
            OrganTool::LargestComponent => self.largest_component(*organ),
            OrganTool::FillHoles => self.fill_holes(*organ, *three_d, *over),
            OrganTool::Smooth(micrometres) => self.smooth(*organ, f64::from(*micrometres) / 1000.0, *three_d, *over),
            OrganTool::Reassign(to, slices) => self.reassign(*organ, *to, slices.clone()),
        }
    }
}

impl LabelSnapshot {
    /// What lies beneath every edited voxel, [`super::NOT_EDITED`] elsewhere; `None` where nothing was edited.
    pub fn beneath(&self) -> Option<ByteSlices> {
        let area = self.labels.slices().first().map_or(0, |slice| slice.len());
        let none = Arc::new(PackedSlice::of(&vec![super::NOT_EDITED; area]));
        let packed = |under: &Option<Arc<[u8]>>| under.as_ref().map(|under| Arc::new(PackedSlice::of(under)));
        let slices = self.under.iter().map(|under| packed(under).unwrap_or_else(|| none.clone())).collect();
        self.under.iter().any(Option::is_some).then(|| ByteSlices::new(slices))
    }

    /// The network's labels of a slice, without the edits over them.
    pub fn network_slice(&self, k: usize) -> Vec<u8> {
        let mut labels = self.labels.slice(k);
        if let Some(Some(under)) = self.under.get(k) {
            take_edits_off(&mut labels, under);
        }
        labels
    }

    /// What a tool changes in these labels of a CT; `None` where they do not belong to it.
    pub fn changes(&self, ct: Arc<CtVolume>, edit: &OrganEdit) -> Option<Vec<Change>> {
        let mut labels = LabelStore::from_snapshot(ct, self)?;
        labels.perform(edit);
        Some(labels.take_last_changes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::{ct, store};
    use crate::edit::{Dab, EditSettings, Ink};

    #[test]
    fn a_tool_changes_a_snapshot_as_it_changes_the_labels() {
        let (size, spacing) = ([20, 20, 9], [1.0, 1.0, 2.0]);
        let tools = [
            OrganTool::Interpolate(Between::Gaps),
            OrganTool::Interpolate(Between::Edited),
            OrganTool::LargestComponent,
            OrganTool::FillHoles,
            OrganTool::Smooth(1500),
            OrganTool::Reassign(Some(Organ::Spleen), 2..5),
            OrganTool::Reassign(None, 0..9),
        ];
        for tool in tools {
            let mut labels = store(size, spacing);
            for k in [1, 2, 6] {
                labels.apply_run_slice(k, &(0..400).map(|n| if n % 20 < 8 { 27 } else { 0 }).collect::<Vec<u8>>());
            }
            for (at, ink) in [([4.0, 4.0, 2.0], Ink::Erase(None)), ([12.0, 9.0, 6.0], Ink::Paint(Organ::ALL[26]))] {
                labels.stroke(&Dab { way: [at; 2], radius_mm: 2.5, plane: None }, ink, &EditSettings::default());
            }
            let edit = OrganEdit { tool, organ: Organ::ALL[26], three_d: true, over: PaintOver::Background };
            let changes = labels.snapshot_for(&edit).changes(ct(size, spacing), &edit).unwrap();
            labels.await_changes(1, edit.name());
            let before = labels.layer().voxels();
            labels.apply_changes(1, changes);
            let (found, changed) = (labels.layer().voxels(), labels.take_finished());
            if changed != Some(0) {
                labels.undo();
            }
            assert_eq!(labels.layer().voxels(), before);
            assert_eq!((Some(labels.perform(&edit)), labels.layer().voxels()), (changed, found), "{edit:?}");
            labels.check();
        }
    }
}
