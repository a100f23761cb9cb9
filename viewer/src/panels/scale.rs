//! Attention on a linear or a logarithmic scale.
//!
//! What weighs an organ is the logarithm of its attention (equation 1), and trained weights may use nothing but the range
//! from 0.0001 to 0.1: on a linear scale all of that looks like zero. Unless the user has chosen, the scale is the
//! logarithmic one where no value of the study reaches [`FAINT`].

use attention_anatomy::anatomy::OrganSet;

use crate::document::Study;

/// How attention is laid out between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As it is.
    Linear,
    /// Four decades, from [`FLOOR`] to 1.
    Log,
}

/// Where the logarithmic scale begins.
pub const FLOOR: f32 = 1e-4;
/// A study whose values are all smaller is shown on the logarithmic scale.
const FAINT: f32 = 0.2;

impl Scale {
    /// The scale that shows this study best.
    pub fn best_for(study: &Study, known: OrganSet) -> Self {
        let values = study.anatomy.iter().flatten().filter_map(|a| a.attention);
        let mut largest = None::<f32>;
        for attention in values {
            for organ in known.iter() {
                largest = Some(largest.unwrap_or(0.0).max(attention[organ.index()]));
            }
        }
        if largest.is_some_and(|v| v < FAINT) { Self::Log } else { Self::Linear }
    }

    /// Where a value lies, 0 to 1.
    pub fn place(self, value: f32) -> f32 {
        match self {
            Self::Linear => value.clamp(0.0, 1.0),
            Self::Log => (1.0 - value.clamp(FLOOR, 1.0).log10() / FLOOR.log10()).clamp(0.0, 1.0),
        }
    }

    /// The value at a place; the lower end is nothing at all.
    pub fn value(self, place: f32) -> f32 {
        match self {
            Self::Linear => place,
            Self::Log if place <= 0.0 => 0.0,
            Self::Log => 10f32.powf((1.0 - place) * FLOOR.log10()),
        }
    }

    /// What stands at the lower end of a legend.
    pub fn lower_end(self) -> &'static str {
        match self {
            Self::Linear => "0",
            Self::Log => "1e-4",
        }
    }
}

/// A value in as many digits as it needs.
pub fn number(value: f32) -> String {
    if value >= 0.0995 || value == 0.0 { format!("{value:.2}") } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_its_value_belong_together_on_both_scales() {
        for scale in [Scale::Linear, Scale::Log] {
            for value in [1.0, 0.5, 0.03, 0.0007] {
                assert!((scale.value(scale.place(value)) / value - 1.0).abs() < 1e-4, "{scale:?} {value}");
            }
            assert_eq!((scale.place(0.0), scale.value(0.0), scale.value(1.0)), (0.0, 0.0, 1.0));
        }
        assert!((Scale::Log.place(0.01) - 0.5).abs() < 1e-6, "halfway through four decades");
    }

    #[test]
    fn faint_attention_is_shown_by_its_logarithm() {
        use crate::panels::tests::sample;
        let mut study = sample::study();
        assert_eq!(Scale::best_for(&study, OrganSet::ALL), Scale::Linear);
        for anatomy in study.anatomy.iter_mut().flatten() {
            anatomy.attention = anatomy.attention.map(|a| a.map(|v| v / 10.0));
        }
        assert_eq!(Scale::best_for(&study, OrganSet::ALL), Scale::Log);
        assert_eq!((number(0.97), number(0.0007), number(0.0)), ("0.97".into(), "0.0007".into(), "0.00".into()));
    }
}
