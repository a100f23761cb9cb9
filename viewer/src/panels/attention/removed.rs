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
    /// Labelled voxels of the volume.
    pub labelled: u64,
}

impl Removed {
    /// Counts them; `None` where no slice has any count.
    pub fn count(study: &Study, slice: usize) -> Option<Self> {
        let counted = study.removed.iter().flatten();
        let volume = counted.fold(None, |sum: Option<u64>, counts| {
            Some(sum.unwrap_or(0) + counts.iter().map(|&n| u64::from(n)).sum::<u64>())
        })?;
        let labelled = Organ::ALL.into_iter().map(|o| study.labels.voxel_count(o)).sum();
        Some(Self { slice: study.removed.get(slice).copied().flatten(), volume, labelled })
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
        let part = self.volume as f64 / self.labelled.max(1) as f64;
        let size = match self.labelled {
            0 => "; none is labelled".to_string(),
            _ if part >= 1.0 => format!(", {part:.1} times as many as are labelled"),
            _ => format!(", {:.2} % of what is labelled", 100.0 * part),
        };
        let of = format!("{} voxels{size}", grouped(self.volume));
        match part < ALMOST_NOTHING {
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

    #[test]
    fn a_change_below_a_thousandth_is_called_almost_nothing() {
        let mut counts = [0; ORGAN_COUNT];
        (counts[Organ::Liver.index()], counts[Organ::Heart.index()]) = (1200, 34);
        let some = Removed { slice: Some(counts), volume: 5000, labelled: 100_000 };
        assert_eq!(some.on_slice(), "On this slice: 1\u{2009}234 voxels (liver 1\u{2009}200, heart 34).");
        assert_eq!(some.in_volume(), "In the volume: 5\u{2009}000 voxels, 5.00 % of what is labelled.");
        let few = Removed { slice: Some([0; ORGAN_COUNT]), volume: 99, labelled: 100_000 };
        assert_eq!(few.on_slice(), "On this slice: none.");
        assert!(few.in_volume().contains("almost nothing: 99 voxels, 0.10 %"), "{}", few.in_volume());
        let first = Removed { slice: None, volume: 0, labelled: 0 };
        assert!(first.in_volume().ends_with("almost nothing: 0 voxels; none is labelled."), "{}", first.in_volume());
        let more = Removed { slice: None, volume: 470, labelled: 200 };
        assert_eq!(more.in_volume(), "In the volume: 470 voxels, 2.4 times as many as are labelled.");
    }
}
