//! The gauge of attention: how high z4 is, which training leaves open.
//!
//! Multiplying z4(c) by k and lowering organ c's bias in the head by ln k gives the same outputs, so the height of z4 is an
//! accident of the start: the same outlines came with 0.0009 on slices full of an organ. Whatever sets attention to 1 (attention
//! switched off, "what if", "removed by attention") would measure that accident. So after training, for each organ, the attention on
//! training slices that show the organ is looked at, and one of them, m(c), becomes the unit:
//!
//! ```text
//! z4'(c) = (z4(c) + eps) / m(c) - eps          z5'(c) = z5(c) + ln m(c)          m(c) = quantile(z4(c)) + eps
//! ```
//!
//! 1 is then "as on a slice that shows the organ", 0 "ruled out". ln(z4' + eps) + z5' = ln(z4 + eps) + z5 for every z4: equation (1) gives
//! the same outputs, to rounding, with any m. Nothing is clamped, so z4' may be a little above 1.
//!
//! The unit is the median over the slices that show the organ. Their maximum would keep z4' below 1, but is the height of a single
//! slice: where one is ten times as high as all others, all others would read 0.1.
//!
//! The file keeps the tensors as they were trained, and the gauge in the description: an f16 bias lowered by seven would lose what the
//! softmax needs, and training goes on from what was trained.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::attention::EPSILON;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, Organ};

/// The part of the slices that show an organ whose attention is below its unit.
pub const QUANTILE: f64 = 0.5;
/// Fewest slices from which a unit is taken.
pub const LEAST_SLICES: usize = 10;

/// The unit of one organ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrganGauge {
    /// Which organ.
    pub organ: Organ,
    /// m(c): z4 + eps that counts as 1, in (0, 1 + eps].
    pub unit: f64,
    /// Training slices that show the organ, from which it was taken.
    pub slices: usize,
}

/// The units of all organs that were seen often enough; all others keep z4 as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionGauge {
    /// By organ.
    pub organs: Vec<OrganGauge>,
}

impl AttentionGauge {
    /// Takes the units from z4 on slices that show each organ, by organ index.
    pub fn fit(shown: &[Vec<f32>; ORGAN_COUNT]) -> Self {
        let organs = Organ::ALL.into_iter().filter_map(|organ| {
            let mut values = shown[organ.index()].clone();
            if values.len() < LEAST_SLICES {
                return None;
            }
            values.sort_by(f32::total_cmp);
            let at = ((values.len() - 1) as f64 * QUANTILE).round() as usize;
            Some(OrganGauge { organ, unit: f64::from(values[at]) + EPSILON, slices: values.len() })
        });
        Self { organs: organs.collect() }
    }

    /// Checks the numbers of a gauge from a file.
    ///
    /// # Errors
    /// One sentence that names the organ.
    pub fn validate(&self) -> Result<(), String> {
        match self.organs.iter().find(|o| !(o.unit.is_finite() && o.unit > 0.0 && o.unit <= 1.0 + 2.0 * EPSILON)) {
            Some(wrong) => Err(format!("the unit of attention of {} is {}", wrong.organ.name(), wrong.unit)),
            None => Ok(()),
        }
    }

    /// m(c) by organ index, 1 for organs without a unit.
    pub fn units(&self) -> [f64; ORGAN_COUNT] {
        let mut units = [1.0; ORGAN_COUNT];
        for organ in &self.organs {
            units[organ.organ.index()] = organ.unit;
        }
        units
    }

    /// What is added to the head's bias, `[34]`: ln m(c), 0 for background.
    pub fn bias(&self) -> [f32; CLASS_COUNT] {
        let mut bias = [0.0; CLASS_COUNT];
        for (b, unit) in bias[1..].iter_mut().zip(self.units()) {
            *b = unit.ln() as f32;
        }
        bias
    }

    /// z4 to z4': scale and offset, `[33]` each, so that z4' = scale z4 + offset.
    pub fn line(&self) -> ([f32; ORGAN_COUNT], [f32; ORGAN_COUNT]) {
        let units = self.units();
        (units.map(|m| (1.0 / m) as f32), units.map(|m| (EPSILON / m - EPSILON) as f32))
    }

    /// z4 to z4' of a batch, `[B, 33]`.
    pub(super) fn apply(&self, attention: Tensor<2>) -> Tensor<2> {
        let device = attention.device();
        let (scale, offset) = self.line();
        attention * row(scale, &device) + row(offset, &device)
    }
}

fn row(values: [f32; ORGAN_COUNT], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, ORGAN_COUNT]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_median_of_slices_that_show_the_organ_and_few_slices_give_none() {
        let mut shown: [Vec<f32>; ORGAN_COUNT] = std::array::from_fn(|_| Vec::new());
        shown[Organ::Liver.index()] = (0..21).rev().map(|n| 1e-3 * n as f32).collect();
        shown[Organ::Spleen.index()] = vec![0.5; LEAST_SLICES - 1];
        let gauge = AttentionGauge::fit(&shown);
        assert_eq!(gauge.organs.len(), 1);
        let liver = gauge.organs[0];
        assert_eq!((liver.organ, liver.slices), (Organ::Liver, 21));
        assert!((liver.unit - (1e-2 + EPSILON)).abs() < 1e-9);
        gauge.validate().unwrap();
        for unit in [0.0, f64::NAN, 1.1] {
            let wrong = AttentionGauge { organs: vec![OrganGauge { unit, ..liver }] };
            assert!(wrong.validate().unwrap_err().contains("Liver"));
        }
    }

    #[test]
    fn the_weights_of_equation_1_stay_as_they_are() {
        // exp of both sides, in f64: (z4' + eps) m = z4 + eps, also for an organ that is ruled out.
        let liver = OrganGauge { organ: Organ::Liver, unit: 2e-4, slices: 50 };
        let gauge = AttentionGauge { organs: vec![liver] };
        let c = Organ::Liver.index();
        let (scale, offset) = gauge.line();
        for z4 in [0.0, 1e-7, 2e-4 - EPSILON, 0.3] {
            let gauged = f64::from(scale[c]) * z4 + f64::from(offset[c]);
            let weight = (gauged + EPSILON) * f64::from(gauge.bias()[c + 1]).exp();
            assert!((weight / (z4 + EPSILON) - 1.0).abs() < 2e-6, "{z4}: {weight}");
        }
        // The unit itself reads 1, and organs without a unit keep their attention.
        assert!((f64::from(scale[c]) * (2e-4 - EPSILON) + f64::from(offset[c]) - 1.0).abs() < 2e-6);
        assert_eq!((scale[0], offset[0], gauge.bias()[1], gauge.bias()[0]), (1.0, 0.0, 0.0, 0.0));
    }
}
