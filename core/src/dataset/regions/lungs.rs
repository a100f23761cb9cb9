//! Where the lungs begin, seen from above, in a CT without lung labels.
//!
//! A scan of head and neck also has pairs of air-filled cavities that are no lungs (maxillary sinuses, mastoids, pockets
//! under a mask), and the airway in the middle. Lungs are told from them by what lies beside the midline, by the density
//! of lung tissue, by size further down or by reaching the end of the scan below shoulders, and by lying below
//! everything that only a head has.

use super::air::Cells;
use crate::parallel::map;
use crate::preprocess::Body;
use crate::volume::CtVolume;

/// A lung's share of a slice that counts, in cm2 on each side.
const BEGUN_CM2: f64 = 3.0;
/// Slices in a row that must have it.
const IN_A_ROW: usize = 3;
/// No other cavity is as large on both sides, in cm2.
const LARGE_CM2: f64 = 25.0;
/// The tip above the first slice that counts is followed down to this area, in cm2...
const TIP_CM2: f64 = 0.5;
/// ...and at most this far, in mm.
const TIP_MM: f64 = 20.0;
/// Shoulders are wider, heads are narrower, in mm.
const SHOULDERS_MM: f64 = 190.0;
/// The search works on pixels of about this size, in mm.
const CELL_MM: f64 = 2.5;

/// What the CT shows of the lungs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lungs {
    /// They begin in this slice, with more of the patient above.
    From(usize),
    /// The topmost slice already shows them; `large`, if both sides have far more than an apex.
    AtTop {
        /// Both sides have at least [`LARGE_CM2`].
        large: bool,
    },
    /// Something like a lung begins here, too little to be sure.
    Unclear(usize),
    /// None in view from this slice up.
    NoneFrom(usize),
    /// No slice shows enough of the patient to tell.
    Unseen,
}

/// Lung-like air of one slice.
#[derive(Clone, Copy, Debug, Default)]
struct SliceAir {
    /// cm2 beside the midline, towards lower and higher i.
    sides: [f64; 2],
    /// Width of the body in mm; 0 without body.
    body_mm: f64,
    /// The slice shows a whole section of the patient.
    whole: bool,
}

impl SliceAir {
    fn smaller(&self) -> f64 {
        self.sides[0].min(self.sides[1])
    }

    fn larger(&self) -> f64 {
        self.sides[0].max(self.sides[1])
    }
}

/// Looks for the lungs from the top of the scan downwards; `head_ends_at` is the lowest slice of an organ of the head.
pub(super) fn find(ct: &CtVolume, body: &Body, head_ends_at: Option<usize>) -> Lungs {
    let air = all_slices(ct, body);
    let Some(low) = air.iter().position(|s| s.whole) else { return Lungs::Unseen };
    let high = air.iter().rposition(|s| s.body_mm > 0.0).unwrap_or(low);
    let high_search = head_ends_at.map_or(high, |head| head.min(high));
    if high_search < low {
        return Lungs::Unseen;
    }
    search(&air, [low, high], high_search, |start| tip(ct, body, start, high))
}

/// `tip` follows the lungs of a slice upwards to where they end.
fn search(air: &[SliceAir], [low, high]: [usize; 2], high_search: usize, tip: impl Fn(usize) -> usize) -> Lungs {
    let begun = |k: usize| air[k].smaller() >= BEGUN_CM2;
    let mut k = high_search;
    // The next run of slices with air on both sides, [end, start].
    while let Some(start) = (low..=k).rev().find(|&k| begun(k)) {
        let end = (low..=start).rev().take_while(|&k| begun(k)).last().unwrap_or(start);
        let largest = (end..=start).map(|k| air[k].smaller()).fold(0.0, f64::max);
        let wide = air[start].body_mm >= SHOULDERS_MM;
        if start - end + 1 >= IN_A_ROW && (largest >= LARGE_CM2 || wide && end == low) {
            let first = tip(start);
            if first == high {
                return Lungs::AtTop { large: air[high].smaller() >= LARGE_CM2 };
            }
            return Lungs::From(first);
        }
        if end == low {
            break;
        }
        k = end - 1;
    }
    // One lung, or less than three slices of two.
    let wide = |k: usize| air[k].body_mm >= SHOULDERS_MM;
    let ends_in_air = (low..=high_search).take_while(|&k| wide(k) && air[k].larger() >= TIP_CM2).last();
    let one_sided = (low..=high_search).rev().find(|&k| air[k].larger() >= LARGE_CM2 && wide(k));
    match ends_in_air.max(one_sided) {
        Some(k) => Lungs::Unclear(k),
        None => Lungs::NoneFrom(low),
    }
}

fn all_slices(ct: &CtVolume, body: &Body) -> Vec<SliceAir> {
    map((0..ct.geometry.size[2]).collect(), |k| slice_air(ct, body, k))
}

fn slice_air(ct: &CtVolume, body: &Body, k: usize) -> SliceAir {
    let Some([[left, right], _]) = body.extent(k) else { return SliceAir::default() };
    let cells = Cells::new(ct, body, k, CELL_MM);
    let mut sides = [0.0; 2];
    for component in cells.components() {
        for side in 0..2 {
            sides[side] += component.sides[side];
        }
    }
    SliceAir { sides, body_mm: (right - left) * ct.geometry.spacing()[0], whole: cells.whole() }
}

/// Follows the larger piece of each side from slice `start` up to where it ends; the slice of the tip.
fn tip(ct: &CtVolume, body: &Body, start: usize, high: usize) -> usize {
    let mut lungs: Vec<usize> = Vec::new();
    let pieces = Cells::new(ct, body, start, CELL_MM).components();
    for side in 0..2 {
        if let Some(piece) = pieces.iter().max_by(|a, b| a.sides[side].total_cmp(&b.sides[side])) {
            lungs.extend(&piece.cells);
        }
    }
    let steps = (TIP_MM / ct.geometry.spacing()[2]) as usize;
    let mut tip = start;
    for k in start + 1..=(start + steps).min(high) {
        let below: std::collections::HashSet<usize> = lungs.drain(..).collect();
        for piece in Cells::new(ct, body, k, CELL_MM).components() {
            let shared = piece.cells.iter().any(|n| below.contains(n));
            if shared && piece.sides[0].max(piece.sides[1]) >= TIP_CM2 {
                lungs.extend(piece.cells);
            }
        }
        if lungs.is_empty() {
            break;
        }
        tip = k;
    }
    tip
}
