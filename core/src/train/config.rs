//! Everything that defines a training, in one TOML file.

use serde::{Deserialize, Serialize};

use crate::anatomy::{OrganSet, Region};
use crate::dataset::{Augmentation, DataConfig, Fold, Hpa, SplitSpec};
use crate::loss::{FocalNorm, LossWeights};
use crate::network::{NetworkConfig, ORGAN_LOGIT};
use crate::preprocess::InputConfig;

/// A training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// Name of the model that comes out.
    pub name: String,
    /// Seed of everything random: weights, split, order, augmentation.
    pub seed: u64,
    /// Slices in a batch.
    pub batch: usize,
    /// Slices computed at once; a batch of more is accumulated exactly. The whole batch when absent.
    pub micro_batch: Option<usize>,
    /// Optimiser steps in an epoch.
    pub steps_per_epoch: u64,
    /// Steps between two validations (and checkpoints).
    pub validate_every: u64,
    /// Most slices that a validation during training looks at.
    #[serde(default = "default_validation_slices")]
    pub validation_slices: usize,
    /// What makes re-calibration weights 1.
    #[serde(default)]
    pub hpa: Hpa,
    /// What the focal loss is divided by.
    #[serde(default)]
    pub focal_norm: FocalNorm,
    /// Whether a batch is computed on boxes of one size around what its slices show, in place of whole fields.
    #[serde(default)]
    pub boxes: bool,
    /// What stays of a moving average of the weights at each step, such as 0.999; none is kept where absent.
    pub average: Option<f64>,
    /// Whether every batch mixes the sets; each batch is of one set otherwise.
    #[serde(default = "default_mixed")]
    pub mixed: bool,
    /// Where the logits of organs begin.
    #[serde(default = "default_organ_logit")]
    pub organ_logit: f64,
    /// The network.
    #[serde(default)]
    pub network: NetworkConfig,
    /// How images are presented.
    pub input: InputChoice,
    /// The fold whose patients are held out, instead of `validation_patients` of each set. `crossval` writes it.
    pub fold: Option<Fold>,
    /// Train on slices of this body region alone; on all where absent.
    pub region: Option<Region>,
    /// The sets.
    pub data: Vec<DataConfig>,
    /// The schedule.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
}

fn default_validation_slices() -> usize {
    400
}

fn default_mixed() -> bool {
    true
}

fn default_organ_logit() -> f64 {
    ORGAN_LOGIT
}

/// A named preset, or every number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum InputChoice {
    /// `{ preset = "light" | "fine" | "paper" }`.
    Preset {
        /// The name.
        preset: Preset,
    },
    /// All of [`InputConfig`].
    Explicit(InputConfig),
}

/// Names of the presets of [`InputConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// 3 mm, 160 pixels.
    Light,
    /// 1.5 mm, 320 pixels.
    Fine,
    /// Native pixels, 320.
    Paper,
}

/// A part of the schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// For people.
    pub name: String,
    /// How long.
    pub epochs: u64,
    /// Adam's learning rate, at the beginning.
    pub learning_rate: f64,
    /// The rate that it falls to over the phase, by half a cosine; constant where absent.
    pub final_learning_rate: Option<f64>,
    /// alpha, beta, gamma.
    pub loss: LossWeights,
    /// What is done to the samples.
    #[serde(default)]
    pub augmentation: Augmentation,
}

/// Why a training file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// TOML of another layout.
    #[error("the training file cannot be read: {0}")]
    Parse(toml::de::Error),
    /// A value that makes no sense.
    #[error("the training file is not usable: {0}")]
    Value(String),
}

impl TrainingConfig {
    /// Reads and checks a training file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        // Editors of Windows put a byte order mark first.
        let config: Self = toml::from_str(text.trim_start_matches('\u{feff}')).map_err(ConfigError::Parse)?;
        config.validate()?;
        Ok(config)
    }

    /// Checks that all values make sense together.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check().map_err(ConfigError::Value)
    }

    fn check(&self) -> Result<(), String> {
        self.network.validate()?;
        let input = self.input();
        input.validate().map_err(|e| e.to_string())?;
        if input.stack != self.network.stack {
            return Err(format!("network.stack is {}, the input has {} slices", self.network.stack, input.stack));
        }
        if !input.crop.is_multiple_of(self.network.granularity()) {
            return Err(format!("a crop of {} pixels cannot be halved {} times", input.crop, self.network.levels - 1));
        }
        if self.batch == 0 || self.micro_batch == Some(0) || self.steps_per_epoch == 0 || self.validate_every == 0 {
            return Err("batch, micro_batch, steps_per_epoch and validate_every must be at least 1".into());
        }
        if !(-20.0..=20.0).contains(&self.organ_logit) {
            return Err(format!("organ_logit is {}; it must be between -20 and 20", self.organ_logit));
        }
        if self.average.is_some_and(|kept| !(0.0..1.0).contains(&kept)) {
            return Err("average must be at least 0 and below 1; leave it out where no average is wanted".into());
        }
        if let Some(Fold { index, of }) = self.fold
            && (of < 2 || !(1..=of).contains(&index))
        {
            return Err(format!("fold {index} of {of} does not exist; folds count from 1, and there are at least 2"));
        }
        let epochs = self.phases.iter().try_fold(0u64, |sum, p| sum.checked_add(p.epochs));
        if epochs.and_then(|n| n.checked_mul(self.steps_per_epoch)).is_none() {
            return Err("the schedule has more steps than can be counted".into());
        }
        if self.phases.is_empty() || self.total_steps() == 0 {
            return Err("there is no [[phase]] with at least one epoch".into());
        }
        for phase in &self.phases {
            let rate = phase.learning_rate;
            if !(rate.is_finite() && rate > 0.0) {
                return Err(format!("phase `{}`: learning_rate is {rate}", phase.name));
            }
            if let Some(last) = phase.final_learning_rate
                && !(0.0..=rate).contains(&last)
            {
                return Err(format!(
                    "phase `{}`: final_learning_rate is {last}; it must be between 0 and learning_rate",
                    phase.name
                ));
            }
            let weights = phase.loss.all();
            if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f64>() == 0.0 {
                return Err(format!("phase `{}`: loss weights must be at least 0, and one above 0", phase.name));
            }
            phase.augmentation.check().map_err(|e| format!("phase `{}`: {e}", phase.name))?;
            if !phase.loss.segments() && !self.network.attention {
                return Err(format!(
                    "phase `{}` trains only the region branch, which network.attention = false does not build",
                    phase.name
                ));
            }
        }
        for data in &self.data {
            data.used(OrganSet::ALL).map_err(|e| format!("data.organs of {}: {e}", data.manifest))?;
        }
        if self.data.iter().any(|d| !d.weight.is_finite() || d.weight < 0.0) {
            return Err("data.weight must be at least 0".into());
        }
        Ok(())
    }

    /// The input, whichever way it was given.
    pub fn input(&self) -> InputConfig {
        match &self.input {
            InputChoice::Preset { preset: Preset::Light } => InputConfig::light(),
            InputChoice::Preset { preset: Preset::Fine } => InputConfig::fine(),
            InputChoice::Preset { preset: Preset::Paper } => InputConfig::paper(),
            InputChoice::Explicit(input) => input.clone(),
        }
    }

    /// Whether two trainings hold out the same patients: same seed, same fold, same sets, same numbers.
    pub fn same_split(&self, other: &Self) -> bool {
        let split = |c: &Self| c.data.iter().map(|d| (d.manifest.clone(), d.validation_patients)).collect::<Vec<_>>();
        (self.seed, self.fold) == (other.seed, other.fold) && split(self) == split(other)
    }

    /// What decides who is held out.
    pub fn split_spec(&self) -> SplitSpec {
        SplitSpec { seed: self.seed, fold: self.fold }
    }

    /// Leaves out what only a region branch is there for: its pre-training and its loss. The number of segmentation steps stays.
    pub fn without_regions(&mut self) {
        self.phases.retain(|phase| phase.loss.segments());
        self.phases.iter_mut().for_each(|phase| (phase.loss.region, phase.loss.presence) = (0.0, 0.0));
    }

    /// Name of each phase, and the step at which it ends.
    pub fn phase_ends(&self) -> Vec<(String, u64)> {
        let mut end = 0;
        let phase = |phase: &Phase| {
            end += phase.epochs * self.steps_per_epoch;
            (phase.name.clone(), end)
        };
        self.phases.iter().map(phase).collect()
    }

    /// Steps of the whole schedule.
    pub fn total_steps(&self) -> u64 {
        self.phases.iter().map(|p| p.epochs).sum::<u64>() * self.steps_per_epoch
    }

    /// Steps in which the network learns to segment.
    pub fn segmentation_steps(&self) -> u64 {
        self.phases.iter().filter(|p| p.loss.segments()).map(|p| p.epochs).sum::<u64>() * self.steps_per_epoch
    }

    /// Adam's learning rate in step `step` (0 is the first).
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        let (phase, index) = self.phase_at(step);
        let Some(last) = phase.final_learning_rate else { return phase.learning_rate };
        let before: u64 = self.phases[..index].iter().map(|p| p.epochs).sum::<u64>() * self.steps_per_epoch;
        let done = (step - before) as f64 / (phase.epochs * self.steps_per_epoch) as f64;
        last + (phase.learning_rate - last) * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
    }

    /// The phase of step `step` (0 is the first) and its index; the last phase beyond the end.
    pub fn phase_at(&self, step: u64) -> (&Phase, usize) {
        let mut end = 0;
        for (n, phase) in self.phases.iter().enumerate() {
            end += phase.epochs * self.steps_per_epoch;
            if step < end {
                return (phase, n);
            }
        }
        let last = self.phases.len() - 1;
        (&self.phases[last], last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(name: &str) -> TrainingConfig {
        let path = format!("{}/../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        TrainingConfig::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_rate_falls_by_half_a_cosine_over_its_phase_alone() {
        let mut config = shipped("paper");
        config.phases[1].final_learning_rate = Some(1e-4);
        let (start, end) = (20 * config.steps_per_epoch, 50 * config.steps_per_epoch);
        let close = |step: u64, rate: f64| (config.learning_rate_at(step) - rate).abs() < 1e-6;
        assert!(close(start - 1, 1e-3) && close(start, 1e-3));
        assert!(close((start + end) / 2, 5.5e-4) && close((3 * start + end) / 4, 1e-4 + 9e-4 * 0.853_553_4));
        assert!(close(end - 1, 1e-4) && close(end, 5e-4), "the next phase has its own");
        config.phases[1].final_learning_rate = Some(2e-3);
        assert!(config.validate().unwrap_err().to_string().contains("final_learning_rate"));
    }

    #[test]
    fn the_shipped_training_files_are_valid_and_the_paper_has_its_schedule() {
        for name in ["light", "fine", "light_without_btcv", "paper", "quick", "small"] {
            assert_eq!(shipped(name).name, name);
        }
        let paper = shipped("paper");
        let at = |epoch: u64| {
            let (phase, _) = paper.phase_at(epoch * paper.steps_per_epoch);
            (phase.learning_rate, phase.loss.dice, phase.loss.focal, phase.loss.region)
        };
        assert_eq!(paper.total_steps(), 100 * paper.steps_per_epoch);
        assert_eq!((at(0), at(19)), ((1e-3, 0.0, 0.0, 1.0), (1e-3, 0.0, 0.0, 1.0)));
        assert_eq!((at(20), at(49)), ((1e-3, 1.0, 1.0, 1.0), (1e-3, 1.0, 1.0, 1.0)));
        assert_eq!((at(50), at(69)), ((5e-4, 1.0, 0.0, 1.0), (5e-4, 1.0, 0.0, 1.0)));
        assert_eq!((at(70), at(99)), ((1e-4, 1.0, 0.0, 0.0), (1e-4, 1.0, 0.0, 0.0)));
        assert!(paper.phase_at(70 * paper.steps_per_epoch).0.augmentation.elastic.is_some());
    }
}
