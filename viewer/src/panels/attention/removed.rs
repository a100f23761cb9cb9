//! Voxels that attention took away: what a plain U-Net of the same weights would have labelled besides.

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ};
use egui::{RichText, Ui};

use super::super::context::Context;
use super::super::widgets::{grouped, heading};
use crate::display::Overlay;
use crate::document::Study;

/// Below this part of the labelled voxels attention changes almost nothing.
const ALMOST_NOTHING: f64 = 0.001;

/// Voxels removed on a slice and in the volume, by organ.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    /// On the slice; `None` where it was not run or the network has no attention.
    pub slice: Option<[u32; ORGAN_COUNT]>,
    /// In all slices that were run.
    pub volume: u64,
    /// Voxels that the run gave an organ there, whatever was opened or edited over them since; `None` where a session does not say.
    pub drawn: Option<u64>,
}

impl Removed {
    /// Counts them; `None` where no slice has any count.
    pub fn count(study: &Study, slice: usize) -> Option<Self> {
        let counted = study.removed.iter().flatten();
        let volume = counted.fold(None, |sum: Option<u64>, counts| {
            Some(sum.unwrap_or(0) + counts.iter().map(|&n| u64::from(n)).sum::<u64>())
        })?;
        let counted = study.removed.iter().zip(&study.drawn).filter(|(removed, _)| removed.is_some());
        let drawn = counted.map(|(_, drawn)| drawn.map(u64::from)).sum();
        Some(Self { slice: study.removed.get(slice).copied().flatten(), volume, drawn })
    }

    /// What to say of the slice.
    pub fn on_slice(&self) -> String {
        let Some(counts) = self.slice else { return "On this slice nothing was counted.".to_string() };
        let mut organs: Vec<(Organ, u32)> =
            Organ::ALL.into_iter().map(|o| (o, counts[o.index()])).filter(|(_, n)| *n > 0).collect();
        organs.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let total: u64 = organs.iter().map(|(_, n)| u64::from(*n)).sum();
        if total == 0 {
            return "On this slice: none.".to_string();
        }
        let named: Vec<String> = organs
            .iter()
            .take(4)
            .map(|(o, n)| format!("{} {}", o.name().to_lowercase(), grouped((*n).into())))
            .collect();
        format!("On this slice: {} voxels ({}).", grouped(total), named.join(", "))
    }

    /// What to say of the volume.
    pub fn in_volume(&self) -> String {
        let part = self.drawn.map(|drawn| self.volume as f64 / drawn.max(1) as f64);
        let size = match (part, self.drawn) {
            (_, Some(0)) => "; the network drew none".to_string(),
            (Some(part), _) if part >= 1.0 => format!(", {part:.1} times as many as the network drew"),
            (Some(part), _) => format!(", {:.2} % of what the network drew", 100.0 * part),
            (None, _) => String::new(),
        };
        let of = format!("{} voxels{size}", grouped(self.volume));
        match part.is_some_and(|part| part < ALMOST_NOTHING) {
            true => format!("On this scan attention changes almost nothing: {of}."),
            false => format!("In the volume: {of}."),
        }
    }
}

/// Draws the counts and the switch of the overlay.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    let Some(study) = &cx.document.study else { return };
    let Some(removed) = Removed::count(study, cx.document.view.slice()) else { return };
    heading(ui, "Removed by attention");
    let mut on = cx.document.view.overlay == Overlay::RemovedByAttention;
    let hint = "Voxels that would carry a label if attention were off";
    if ui.checkbox(&mut on, "Show removed voxels").on_hover_text(hint).changed() {
        cx.document.view.overlay = if on { Overlay::RemovedByAttention } else { Overlay::None };
    }
    for text in [removed.on_slice(), removed.in_volume()] {
        ui.add(egui::Label::new(RichText::new(text).small()).wrap());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::ByteSlices;
    use crate::panels::tests::sample;

    #[test]
    fn a_change_below_a_thousandth_is_called_almost_nothing() {
        let mut counts = [0; ORGAN_COUNT];
        (counts[Organ::Liver.index()], counts[Organ::Heart.index()]) = (1200, 34);
        let some = Removed { slice: Some(counts), volume: 5000, drawn: Some(100_000) };
        assert_eq!(some.on_slice(), "On this slice: 1\u{2009}234 voxels (liver 1\u{2009}200, heart 34).");
        assert_eq!(some.in_volume(), "In the volume: 5\u{2009}000 voxels, 5.00 % of what the network drew.");
        let few = Removed { slice: Some([0; ORGAN_COUNT]), volume: 99, drawn: Some(100_000) };
        assert_eq!(few.on_slice(), "On this slice: none.");
        assert!(few.in_volume().contains("almost nothing: 99 voxels, 0.10 %"), "{}", few.in_volume());
        let first = Removed { slice: None, volume: 0, drawn: Some(0) };
        assert!(
            first.in_volume().ends_with("almost nothing: 0 voxels; the network drew none."),
            "{}",
            first.in_volume()
        );
        let more = Removed { slice: None, volume: 470, drawn: Some(200) };
        assert_eq!(more.in_volume(), "In the volume: 470 voxels, 2.4 times as many as the network drew.");
        let of_old_session = Removed { drawn: None, ..more };
        assert_eq!(of_old_session.in_volume(), "In the volume: 470 voxels.");
    }

    #[test]
    fn what_a_file_brings_and_a_hand_paints_is_not_what_the_network_drew() {
        let mut study = sample::study();
        let before = Removed::count(&study, 70).unwrap();
        let drawn = Organ::ALL.into_iter().map(|organ| study.labels.voxel_count(organ)).sum();
        assert_eq!((before.drawn, before.volume), (Some(drawn), 35 * 40));
        let [nx, ny, nz] = sample::SIZE;
        let lungs = ByteSlices::cut(&vec![Organ::LungLeft.label(); nx * ny * nz], nx * ny);
        study.labels.open_labels("theirs.nii.gz", lungs, None, Vec::new());
        study.labels.finish();
        assert_eq!(study.labels.voxel_count(Organ::LungLeft), (nx * ny * nz) as u64);
        assert_eq!(Removed::count(&study, 70), Some(before));
    }
}
