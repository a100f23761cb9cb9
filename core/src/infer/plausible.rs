//! What anatomy says of an organ in a scan, whatever a network draws there: on which side it lies, how small it may be, above what.
//!
//! Bounds are of the contours of 312 scans (openkbp, openkbp_rest, deepmind_openkbp, btcv_synapse, thorax_ccby, pancreas_ct_cbct), and wide:
//! there the middle of each of 644 paired organs lies on its own side of the body's, by 16 mm and more.

use super::pieces::Bounds;
use crate::anatomy::{Organ, Side};
use crate::preprocess::Body;

/// Volume from which on anything may be an organ, or what a scan shows of one.
pub(super) const LEAST_ML: f64 = 0.1;
/// What an organ has at least of the smallest one that was contoured, if the scan shows all of it.
const LEAST_OF_SMALLEST: f64 = 0.05;
/// How far over the middle of the body a paired organ may lie, mm.
const OVER_THE_MIDDLE_MM: f64 = 15.0;
/// A larynx of less says nothing of what is above it.
pub(super) const LARYNX_ML: f64 = 2.0;

/// The body of a scan, and which organs can lie where in it.
pub(super) struct Plausible<'a> {
    body: &'a Body,
    spacing_mm: [f64; 3],
    /// The first and the last slice that shows the body.
    ends: [usize; 2],
}

impl<'a> Plausible<'a> {
    pub fn new(body: &'a Body, spacing_mm: [f64; 3]) -> Self {
        let shown = || (0..body.size()[2]).filter(|&k| body.bounds(k).is_some());
        Self { body, spacing_mm, ends: [shown().next(), shown().next_back()].map(Option::unwrap_or_default) }
    }

    /// Whether the middle of a box lies where the organ's can, as far as left and right go.
    pub fn is_on_its_side(&self, organ: Organ, bounds: &Bounds) -> bool {
        // On the canonical grid i runs to the patient's left.
        let towards = match organ.side() {
            Side::Left => 1.0,
            Side::Right => -1.0,
            Side::Midline | Side::Unpaired => return true,
        };
        let middle = |axis: usize| (bounds[axis][0] + bounds[axis][1]) as f64 / 2.0;
        let off = (middle(0) - self.body.centre(middle(2) as usize)[0]) * self.spacing_mm[0];
        off * towards >= -OVER_THE_MIDDLE_MM
    }

    /// What an organ between these bounds must measure, ml.
    pub fn least_ml(&self, organ: Organ, bounds: &Bounds) -> f64 {
        let ([low, high], [first, last]) = (bounds[2], self.ends);
        // Where the scan ends, any part of it may be in it.
        if low <= first + 1 || high + 1 >= last {
            LEAST_ML
        } else {
            (LEAST_OF_SMALLEST * smallest_ml(organ)).max(LEAST_ML)
        }
    }
}

/// Whether all of an organ lies above the middle of the larynx.
pub(super) fn is_above_larynx(organ: Organ) -> bool {
    use Organ as O;
    matches!(
        organ,
        O::BrainStem
            | O::EarLeft
            | O::EarRight
            | O::EyeLeft
            | O::EyeRight
            | O::Hypophysis
            | O::TemporalLobeLeft
            | O::TemporalLobeRight
            | O::TmjLeft
            | O::TmjRight
    )
}

/// The smallest contour of an organ that does not reach an end of its scan, ml; of organs that nobody contoured nothing is asked.
fn smallest_ml(organ: Organ) -> f64 {
    use Organ as O;
    match organ {
        O::BrainStem | O::SpinalCord => 5.3,
        O::EyeLeft | O::EyeRight => 5.0,
        O::Larynx => 2.0,
        O::Mandible => 24.6,
        O::ParotidLeft | O::ParotidRight => 5.2,
        O::SubmandibularGlandLeft | O::SubmandibularGlandRight => 4.5,
        O::Trachea => 11.2,
        O::LungLeft | O::LungRight => 259.0,
        O::Esophagus => 3.1,
        O::Gallbladder => 5.2,
        O::KidneyLeft | O::KidneyRight => 84.7,
        O::Liver => 1226.0,
        O::Pancreas => 57.7,
        O::Spleen => 78.9,
        O::Stomach => 163.0,
        _ => 0.0,
    }
}
