//! Where the lungs begin, seen from above, in a CT without lung labels.
//!
//! A scan of head and neck also has pairs of air-filled cavities that are no lungs (maxillary sinuses, mastoids, pockets
//! under a mask), and the airway in the middle. Lungs are told from them by what lies beside the midline, by the density
//! of lung tissue, by size further down or by reaching the end of the scan below shoulders, and by lying below
//! everything that only a head has.

use crate::preprocess::Body;
use crate::volume::CtVolume;

/// Air and lung are below, soft tissue above.
const AIR_BELOW_HU: i16 = -500;
/// Lung tissue is above in the mean; sinuses, the airway, gas in the bowel and the air of a room are below.
const LUNG_ABOVE_HU: f64 = -935.0;
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
/// Half the width of the middle that belongs to the airway, in mm.
const MIDDLE_MM: f64 = 12.0;
/// Shoulders are wider, heads are narrower, in mm.
const SHOULDERS_MM: f64 = 190.0;
/// A slice with less of the patient, in cm2, or with less than this share of it in one piece, was cut to contours: some
/// public sets blank everything outside structures and dose, and a lung that is not there says nothing.
const WHOLE_CM2: f64 = 60.0;
const WHOLE_SHARE: f64 = 0.75;
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
    let slices = 0..ct.geometry.size[2];
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        slices.into_par_iter().map(|k| slice_air(ct, body, k)).collect()
    }
    #[cfg(target_family = "wasm")]
    slices.map(|k| slice_air(ct, body, k)).collect()
}

/// A closed body of lung-like air in one slice.
struct Component {
    /// Cells of the search grid.
    cells: Vec<usize>,
    /// cm2 beside the midline, towards lower and higher i.
    sides: [f64; 2],
}

/// The search grid of one slice: every `step`-th pixel.
struct Cells<'a> {
    ct: &'a CtVolume,
    body: &'a Body,
    k: usize,
    step: [usize; 2],
    size: [usize; 2],
}

impl<'a> Cells<'a> {
    fn new(ct: &'a CtVolume, body: &'a Body, k: usize) -> Self {
        let spacing = ct.geometry.spacing();
        let step: [usize; 2] = std::array::from_fn(|a| ((CELL_MM / spacing[a]) as usize).max(1));
        Self { ct, body, k, step, size: std::array::from_fn(|a| ct.geometry.size[a].div_ceil(step[a])) }
    }

    fn count(&self) -> usize {
        self.size[0] * self.size[1]
    }

    fn pixel(&self, n: usize) -> [usize; 2] {
        [n % self.size[0] * self.step[0], n / self.size[0] * self.step[1]]
    }

    fn hu(&self, n: usize) -> i16 {
        let [i, j] = self.pixel(n);
        self.ct.slice(self.k)[i + self.ct.geometry.size[0] * j]
    }

    fn in_body(&self, n: usize) -> bool {
        let [i, j] = self.pixel(n);
        self.body.contains(i, j, self.k)
    }

    fn cm2(&self) -> f64 {
        let spacing = self.ct.geometry.spacing();
        spacing[0] * self.step[0] as f64 * spacing[1] * self.step[1] as f64 / 100.0
    }

    /// Takes all cells that are joined (by edges) to the seeds through open cells out of `open`, and returns them.
    fn take(&self, open: &mut [bool], seeds: Vec<usize>) -> Vec<usize> {
        let w = self.size[0];
        let mut joined = seeds;
        for &n in &joined {
            open[n] = false;
        }
        let mut at = 0;
        while let Some(&n) = joined.get(at) {
            at += 1;
            let x = n % w;
            let neighbours = [
                (x > 0).then(|| n - 1),
                (x + 1 < w).then_some(n + 1),
                n.checked_sub(w),
                (n + w < open.len()).then_some(n + w),
            ];
            for m in neighbours.into_iter().flatten() {
                if std::mem::take(&mut open[m]) {
                    joined.push(m);
                }
            }
        }
        joined
    }

    /// All pieces of the open cells.
    fn pieces(&self, mut open: Vec<bool>) -> Vec<Vec<usize>> {
        let mut pieces = Vec::new();
        for seed in 0..open.len() {
            if open[seed] {
                pieces.push(self.take(&mut open, vec![seed]));
            }
        }
        pieces
    }

    /// Whether this is a whole section of the patient.
    fn whole(&self) -> bool {
        let tissue = (0..self.count()).map(|n| self.hu(n) >= AIR_BELOW_HU && self.in_body(n)).collect();
        let pieces: Vec<usize> = self.pieces(tissue).iter().map(Vec::len).collect();
        let sum = pieces.iter().sum::<usize>() as f64;
        let largest = pieces.into_iter().max().unwrap_or(0) as f64;
        largest * self.cm2() >= WHOLE_CM2 && largest >= WHOLE_SHARE * sum
    }

    /// The closed bodies of lung-like air.
    fn components(&self) -> Vec<Component> {
        let mut air: Vec<bool> = (0..self.count()).map(|n| self.hu(n) < AIR_BELOW_HU).collect();
        // Air joined to the outside is none of the lungs'.
        let outside = (0..self.count()).filter(|&n| air[n] && !self.in_body(n)).collect();
        self.take(&mut air, outside);

        let middle = self.body.centre(self.k)[0];
        let column_mm = self.ct.geometry.spacing()[0];
        let lung_like = |cells: &Vec<usize>| {
            let mean = cells.iter().map(|&n| f64::from(self.hu(n))).sum::<f64>() / cells.len() as f64;
            mean > LUNG_ABOVE_HU
        };
        let with_sides = |cells: Vec<usize>| {
            let mut sides = [0.0; 2];
            for &n in &cells {
                let x = (self.pixel(n)[0] as f64 - middle) * column_mm;
                if x.abs() > MIDDLE_MM {
                    sides[usize::from(x > 0.0)] += self.cm2();
                }
            }
            Component { cells, sides }
        };
        self.pieces(air).into_iter().filter(lung_like).map(with_sides).collect()
    }
}

fn slice_air(ct: &CtVolume, body: &Body, k: usize) -> SliceAir {
    let Some([[left, right], _]) = body.extent(k) else { return SliceAir::default() };
    let cells = Cells::new(ct, body, k);
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
    let pieces = Cells::new(ct, body, start).components();
    for side in 0..2 {
        if let Some(piece) = pieces.iter().max_by(|a, b| a.sides[side].total_cmp(&b.sides[side])) {
            lungs.extend(&piece.cells);
        }
    }
    let steps = (TIP_MM / ct.geometry.spacing()[2]) as usize;
    let mut tip = start;
    for k in start + 1..=(start + steps).min(high) {
        let below: std::collections::HashSet<usize> = lungs.drain(..).collect();
        for piece in Cells::new(ct, body, k).components() {
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
