//! What a reader should know of the results before looking at them.

use super::super::{CutByScan, OrganStatistics, ReportInput, Statistics};
use super::text::sentence;
use crate::anatomy::{Organ, Region};

/// An outline below this Dice on validation patients is pointed out.
pub const WEAK_DICE: f64 = 0.7;

/// Everything a reader should check first: what the run and the reader said, and what the results say themselves.
pub fn notes(seg: &ReportInput, statistics: &Statistics) -> Vec<String> {
    let mut notes: Vec<String> = seg.warnings().iter().map(|w| sentence(w)).collect();
    let list = |keep: &dyn Fn(&OrganStatistics) -> Option<String>| -> String {
        statistics.found().filter_map(keep).collect::<Vec<_>>().join(", ")
    };
    let weak = list(&|s| {
        let dice = seg.trained(s.organ)?.validation_dice?;
        (dice < WEAK_DICE).then(|| format!("{} ({dice:.2})", s.organ.name()))
    });
    if !weak.is_empty() {
        notes.push(format!("Outlines that were weak on validation patients (mean Dice below {WEAK_DICE:.2}): {weak}."));
    }
    let unmeasured = list(&|s| {
        let t = seg.trained(s.organ)?;
        t.validation_dice.is_none().then(|| s.organ.name().to_string())
    });
    if !unmeasured.is_empty() {
        notes.push(format!("Outlines whose quality was never measured on patients: {unmeasured}."));
    }
    let cut = list(&|s| (s.cut != CutByScan::No).then(|| format!("{} ({})", s.organ.name(), cut_text(s.cut))));
    if !cut.is_empty() {
        notes.push(format!("Reaches the end of the scan, so the volume may be incomplete: {cut}."));
    }
    let foreign = list(&|s| (!seg.is_enabled(s.organ)).then(|| s.organ.name().to_string()));
    if !foreign.is_empty() {
        notes.push(format!("In the label map, but not outlined by these weights: {foreign}."));
    }
    notes
}

/// The regions that surely cover at least 30 mm of the scan, or half of a short one, from the head down.
pub fn regions_seen(seg: &ReportInput) -> Vec<Region> {
    let slices = seg.ordered_slices();
    let (Some(first), Some(last)) = (slices.first(), slices.last()) else { return Vec::new() };
    let each = (last.position_mm - first.position_mm).abs() / slices.len() as f64;
    let covers = |r: &Region| {
        let count = slices.iter().filter(|s| s.most_likely_region().is_some_and(|(m, p)| m == *r && p >= 0.5)).count();
        count > 0 && (count as f64 * each >= 30.0 || 2 * count >= slices.len())
    };
    Region::ALL.into_iter().filter(covers).collect()
}

/// Whether an organ can lie in one of these regions; true where no region is known.
pub fn within_reach(regions: &[Region], organ: Organ) -> bool {
    regions.is_empty() || regions.iter().any(|&r| organ.can_occur_in(r))
}

/// Where the scan ends inside an organ, in words.
pub fn cut_text(cut: CutByScan) -> &'static str {
    match cut {
        CutByScan::No => "no",
        CutByScan::Inferior => "lower end",
        CutByScan::Superior => "upper end",
        CutByScan::Both => "both ends",
    }
}
