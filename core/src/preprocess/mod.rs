//! From a CT volume to what the network sees: the one path of training, command line, desktop and browser.
//!
//! Public data sets differ in couch, air, pixel size and slice distance, and a network learns such fingerprints
//! instead of anatomy. So every source is brought to the same look by the same steps, in this order: everything
//! outside the [`Body`] becomes -1000 HU, a slice is low-passed and sampled on the [`ModelGrid`], five slices at fixed
//! distances make a stack around the body's centre, and one piecewise-linear curve turns HU into [0, 1].
//!
//! ```text
//! CtVolume --Body::find--> mask, centre of every slice
//!     \--ModelSlices::slice_hu(k)--> [h, w] HU --stack(k, origin)--> [5, crop, crop] in [0, 1] --FieldBox::around--> what is not air
//! ```
//!
//! Slices are made when asked for and only a few are kept, so that a volume of any length streams. Training, which
//! keeps model-grid slices on disk, uses [`crop_stack`] and [`stack_weights`] on them: [`ModelSlices`] calls the same.

mod bits;
mod body;
mod cells;
mod doubts;
mod field_box;
mod inplane;
mod intensity;
mod labels;
mod outside;
mod slices;
mod stack;

pub use body::{Body, scanned_slices};
pub use doubts::{NumberDoubts, doubts_of_numbers};
pub use field_box::FieldBox;
pub use inplane::{InPlaneFilter, ModelGrid};
pub use labels::labels_on_grid;
pub use outside::OutsideAir;
pub use slices::ModelSlices;
pub use stack::{Blend, Centres, crop_stack, crop_stack_hu, stack_weights};

use serde::{Deserialize, Serialize};

/// HU of air: what lies outside the body or outside the field of view.
pub const AIR_HU: f32 = -1000.0;

/// Why a configuration or a volume cannot be preprocessed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PreprocessError {
    /// A value of [`InputConfig`] makes no sense.
    #[error("input setting `{name}`: {problem}")]
    Config {
        /// The field.
        name: &'static str,
        /// What is wrong with it, and what is accepted.
        problem: String,
    },
    /// The field of view would need an absurd number of model pixels.
    #[error(
        "the field of view of {0:.0} x {1:.0} mm is larger than any CT scanner's at {2} mm model pixels; check the pixel spacing of the image"
    )]
    FieldOfView(f64, f64, f64),
}

/// How images are presented to a network. Stored with the weights: weights and input belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// In-plane model pixel in mm; `None`: the pixels of the image (preset `paper`).
    pub spacing_mm: Option<f64>,
    /// Side of the square crop in model pixels; a multiple of 16, the encoder halves it four times.
    pub crop: usize,
    /// Distance in mm of neighbouring slices in a stack; `None`: the slices of the image.
    pub slice_distance_mm: Option<f64>,
    /// Finer images are low-passed in-plane to this full width at half maximum in mm before sampling. `None`: only as
    /// far as the model pixel demands.
    pub input_fwhm_mm: Option<f64>,
    /// Slices in a stack, odd; the middle one is segmented.
    pub stack: usize,
    /// Knots `[HU, intensity]` of the piecewise-linear intensity curve; HU strictly rising, intensity within [0, 1].
    pub hu_knots: Vec<[f64; 2]>,
}

impl InputConfig {
    /// The shipped preset: 3 mm pixels, 480 mm crop, 3 mm slices, everything low-passed to 4 mm.
    pub fn light() -> Self {
        Self {
            spacing_mm: Some(3.0),
            crop: 160,
            slice_distance_mm: Some(3.0),
            input_fwhm_mm: Some(4.0),
            stack: 5,
            hu_knots: intensity::DEFAULT_KNOTS.to_vec(),
        }
    }

    /// For sharp data and phantoms: 1.5 mm pixels, 480 mm crop, 2.5 mm slices.
    pub fn fine() -> Self {
        Self { spacing_mm: Some(1.5), crop: 320, slice_distance_mm: Some(2.5), input_fwhm_mm: None, ..Self::light() }
    }

    /// The paper's reproduction: pixels and slices as they are, 320-pixel crop.
    pub fn paper() -> Self {
        Self { spacing_mm: None, crop: 320, slice_distance_mm: None, input_fwhm_mm: None, ..Self::light() }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`PreprocessError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let fail = |name, problem| Err(PreprocessError::Config { name, problem });
        for (name, value) in [
            ("spacing_mm", self.spacing_mm),
            ("slice_distance_mm", self.slice_distance_mm),
            ("input_fwhm_mm", self.input_fwhm_mm),
        ] {
            if let Some(mm) = value
                && !(0.1..=30.0).contains(&mm)
            {
                return fail(name, format!("{mm} mm; it must lie between 0.1 and 30 mm"));
            }
        }
        if !self.crop.is_multiple_of(16) || !(16..=2048).contains(&self.crop) {
            return fail("crop", format!("{} pixels; it must be a multiple of 16 between 16 and 2048", self.crop));
        }
        if self.stack % 2 != 1 || self.stack > 31 {
            return fail("stack", format!("{} slices; it must be an odd number up to 31", self.stack));
        }
        if self.hu_knots.len() < 2 {
            return fail("hu_knots", format!("{} knots; at least 2 are needed", self.hu_knots.len()));
        }
        if let Some(knot) = self.hu_knots.iter().find(|k| !k[0].is_finite() || !(0.0..=1.0).contains(&k[1])) {
            return fail("hu_knots", format!("knot {knot:?}; HU must be finite and the intensity within [0, 1]"));
        }
        if let Some(pair) = self.hu_knots.windows(2).find(|p| p[1][0] <= p[0][0] || p[1][1] < p[0][1]) {
            return fail(
                "hu_knots",
                format!("{:?} after {:?}; HU must rise and the intensity must not fall", pair[1], pair[0]),
            );
        }
        Ok(())
    }

    /// Intensity in [0, 1] of a value in HU.
    pub fn intensity(&self, hu: f32) -> f32 {
        intensity::piecewise_linear(&self.hu_knots, hu)
    }

    /// The HU between which the intensity curve tells values apart; outside it is constant.
    pub fn hu_range(&self) -> [f32; 2] {
        match (self.hu_knots.first(), self.hu_knots.last()) {
            (Some(first), Some(last)) => [first[0] as f32, last[0] as f32],
            _ => [AIR_HU, AIR_HU],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_valid_and_survive_being_stored() {
        for preset in [InputConfig::light(), InputConfig::fine(), InputConfig::paper()] {
            preset.validate().unwrap();
            let text = serde_json::to_string(&preset).unwrap();
            assert_eq!(serde_json::from_str::<InputConfig>(&text).unwrap(), preset);
        }
        assert!(
            serde_json::from_str::<InputConfig>(r#"{"crop": 160, "stack": 5, "hu_knots": [], "typo": 1}"#).is_err()
        );
    }

    #[test]
    fn senseless_settings_are_refused_by_name() {
        let wrong = |change: fn(&mut InputConfig)| {
            let mut config = InputConfig::light();
            change(&mut config);
            match config.validate() {
                Err(PreprocessError::Config { name, .. }) => name,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(wrong(|c| c.spacing_mm = Some(0.0)), "spacing_mm");
        assert_eq!(wrong(|c| c.slice_distance_mm = Some(f64::NAN)), "slice_distance_mm");
        assert_eq!(wrong(|c| c.input_fwhm_mm = Some(-4.0)), "input_fwhm_mm");
        assert_eq!(wrong(|c| c.crop = 150), "crop");
        assert_eq!(wrong(|c| c.crop = 0), "crop");
        assert_eq!(wrong(|c| c.stack = 4), "stack");
        assert_eq!(wrong(|c| c.hu_knots = vec![[0.0, 0.0]]), "hu_knots");
        assert_eq!(wrong(|c| c.hu_knots = vec![[0.0, 0.0], [0.0, 1.0]]), "hu_knots");
        assert_eq!(wrong(|c| c.hu_knots = vec![[0.0, 0.0], [1.0, 2.0]]), "hu_knots");
    }
}
