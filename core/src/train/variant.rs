//! A training that differs from another in one or two choices: what an ablation and trials compare.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::experiment::{self, TrainingRun};
use super::{ConfigError, TrainError, TrainingConfig};
use crate::anatomy::{OrganSet, UnknownOrgan};
use crate::artifacts::ArtifactStore;
use crate::dataset::{Augmentation, DataConfig, Hpa};
use crate::metrics::{Comparison, System};
use crate::network::count::multiply_adds;

/// What is different. Everything that is not given is as in the training that all variants come from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// As the tables call it.
    pub name: String,
    /// The variants that it is judged against, by name.
    #[serde(default)]
    pub against: Vec<String>,
    /// Whether there is a region branch. Where there is none, its pre-training and its loss fall away; the number of
    /// segmentation steps stays.
    pub attention: Option<bool>,
    /// How probabilities of organs that are not annotated are re-calibrated, equation (4).
    pub hpa: Option<Hpa>,
    /// Augmentation of all phases.
    pub augmentation: Option<Augmentation>,
    /// Whether every batch mixes the sets.
    pub mixed: Option<bool>,
    /// Whether batches are computed on boxes in place of whole fields.
    pub boxes: Option<bool>,
    /// Slices beyond either end of contours on which nothing is known, in all sets.
    pub open_ends: Option<usize>,
    /// Weight of the cross entropy over voxels, in all phases that segment.
    pub cross_entropy: Option<f64>,
    /// Weight of the cross entropy of attention on what a slice shows, in all phases.
    pub presence: Option<f64>,
    /// Where the logits of organs begin.
    pub organ_logit: Option<f64>,
    /// Steps that count as an epoch: a longer or shorter training.
    pub steps_per_epoch: Option<u64>,
    /// How often each set of the training is drawn, in its order.
    pub weights: Option<Vec<f64>>,
    /// Sets that are trained on besides.
    #[serde(default)]
    pub add: Vec<DataConfig>,
}

impl Variant {
    /// Name of its folder.
    pub fn id(&self) -> String {
        let plain: String = self.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
        plain.split_whitespace().collect::<Vec<_>>().join("-").to_ascii_lowercase()
    }

    /// The training, begun with `seed`.
    pub fn training(&self, base: &TrainingConfig, seed: u64) -> TrainingConfig {
        let mut config = base.clone();
        config.name = format!("{}, {}", base.name, self.name);
        config.seed = seed;
        config.network.attention = self.attention.unwrap_or(config.network.attention);
        config.hpa = self.hpa.unwrap_or(config.hpa);
        config.mixed = self.mixed.unwrap_or(config.mixed);
        config.boxes = self.boxes.unwrap_or(config.boxes);
        config.organ_logit = self.organ_logit.unwrap_or(config.organ_logit);
        config.steps_per_epoch = self.steps_per_epoch.unwrap_or(config.steps_per_epoch);
        for (set, weight) in config.data.iter_mut().zip(self.weights.iter().flatten()) {
            set.weight = *weight;
        }
        config.data.extend(self.add.iter().cloned());
        if let Some(slices) = self.open_ends {
            config.data.iter_mut().for_each(|set| set.open_ends = slices);
        }
        if let Some(augmentation) = &self.augmentation {
            config.phases.iter_mut().for_each(|phase| phase.augmentation = augmentation.clone());
        }
        for loss in config.phases.iter_mut().map(|phase| &mut phase.loss) {
            if loss.segments() {
                loss.cross_entropy = self.cross_entropy.unwrap_or(loss.cross_entropy);
            }
            loss.presence = self.presence.unwrap_or(loss.presence);
        }
        if !config.network.attention {
            config.without_regions();
        }
        config
    }

    /// The training with `seed`, in a folder of its own; of a fold, where `base` is of one.
    pub fn run(&self, base: &TrainingConfig, seed: u64) -> TrainingRun {
        let mut run = TrainingRun {
            name: format!("{}, seed {seed}", self.name),
            config: self.training(base, seed),
            folder: format!("{}/seed-{seed}", self.id()),
        };
        if let Some(fold) = base.fold {
            run.name.push_str(&format!(", fold {fold}"));
            run.folder.push_str(&format!("/{}", fold.folder()));
        }
        run
    }
}

/// The variants with what was measured of them, in all their runs: one for each of `repeats`, the same training with other seeds or
/// folds.
///
/// # Errors
/// [`TrainError::NotDone`].
pub fn systems(
    variants: &[Variant],
    base: &TrainingConfig,
    repeats: &[&TrainingConfig],
    store: &dyn ArtifactStore,
) -> Result<Vec<System>, TrainError> {
    let system = |variant: &Variant| {
        let runs: Vec<TrainingRun> = repeats.iter().map(|repeat| variant.run(repeat, repeat.seed)).collect();
        let config = variant.training(base, base.seed);
        Ok(System {
            name: variant.name.clone(),
            multiply_adds: multiply_adds(&config.network, config.input().crop).total(),
            runs: experiment::results(&runs, store)?,
            against: variant.against.iter().filter_map(|name| variants.iter().position(|v| v.name == *name)).collect(),
        })
    };
    variants.iter().map(system).collect()
}

/// A row of the paper's table.
#[derive(Clone, Copy, Debug)]
pub struct PaperRow {
    /// As the paper calls it.
    pub name: &'static str,
    /// The row that it is judged against.
    against: Option<&'static str>,
    attention: bool,
    recalibrated: bool,
}

/// The rows, in the paper's order.
pub const PAPER_ROWS: [PaperRow; 4] = [
    PaperRow { name: "Vanilla U-Net", against: None, attention: false, recalibrated: false },
    PaperRow { name: "Vanilla U-Net + HPA", against: Some("Vanilla U-Net"), attention: false, recalibrated: true },
    PaperRow { name: "AttentionAnatomy", against: Some("Vanilla U-Net"), attention: true, recalibrated: false },
    PaperRow { name: "AttentionAnatomy + HPA", against: Some("AttentionAnatomy"), attention: true, recalibrated: true },
];

impl PaperRow {
    /// The training of this row. All share encoder, data, seed and number of segmentation steps; where there is no region branch, its
    /// pre-training and its loss fall away.
    pub fn variant(&self) -> Variant {
        Variant {
            name: self.name.into(),
            against: self.against.into_iter().map(String::from).collect(),
            attention: Some(self.attention),
            hpa: (!self.recalibrated).then_some(Hpa::Off),
            ..Variant::default()
        }
    }
}

/// What is tried: a training file, seeds, variants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trials {
    /// The training file that the variants come from, relative to this one.
    pub training: String,
    /// Trainings of each variant.
    pub seeds: u64,
    /// The first seed, where it is not that of the training file.
    pub first_seed: Option<u64>,
    /// Organs whose mean Dice decides; all that are measured where none is named.
    #[serde(default)]
    pub organs: Vec<String>,
    /// The variants.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
}

/// Why a file of trials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrialsError {
    /// TOML of another layout.
    #[error("not a file of trials: {0}")]
    Parse(toml::de::Error),
    /// Nothing to do, or two variants in one folder.
    #[error("at least one seed and one [[variant]] are needed, each with a name of its own")]
    Names,
    /// Judged against nobody.
    #[error("variant `{variant}` is judged against `{other}`, and none has that name")]
    Against {
        /// Which variant.
        variant: String,
        /// The name that it gives.
        other: String,
    },
    /// Too few or too many weights.
    #[error("variant `{variant}`: weights must be one number for each of {sets} sets")]
    Weights {
        /// Which variant.
        variant: String,
        /// Sets of the training.
        sets: usize,
    },
    /// A training that makes no sense.
    #[error("variant `{variant}`: {error}")]
    Variant {
        /// Which variant.
        variant: String,
        /// What is wrong with it.
        error: ConfigError,
    },
}

impl Trials {
    /// Reads a file of trials; [`check`](Self::check) it with the training that it names.
    ///
    /// # Errors
    /// [`TrialsError::Parse`].
    pub fn parse(text: &str) -> Result<Self, TrialsError> {
        toml::from_str(text).map_err(TrialsError::Parse)
    }

    /// Checks everything with the training that the variants come from.
    ///
    /// # Errors
    /// [`TrialsError`].
    pub fn check(&self, base: &TrainingConfig) -> Result<(), TrialsError> {
        let ids: BTreeSet<String> = self.variants.iter().map(Variant::id).collect();
        if self.seeds == 0 || self.variants.is_empty() || ids.len() < self.variants.len() || ids.contains("") {
            return Err(TrialsError::Names);
        }
        for variant in &self.variants {
            let name = || variant.name.clone();
            if let Some(other) = variant.against.iter().find(|name| self.variants.iter().all(|v| v.name != **name)) {
                return Err(TrialsError::Against { variant: name(), other: other.clone() });
            }
            if variant.weights.as_ref().is_some_and(|weights| weights.len() != base.data.len()) {
                return Err(TrialsError::Weights { variant: name(), sets: base.data.len() });
            }
            variant
                .training(base, base.seed)
                .validate()
                .map_err(|error| TrialsError::Variant { variant: name(), error })?;
        }
        Ok(())
    }

    /// The seeds of the runs of each variant.
    pub fn seeds(&self, base: &TrainingConfig) -> Vec<u64> {
        let first = self.first_seed.unwrap_or(base.seed);
        (0..self.seeds).map(|n| first.wrapping_add(n)).collect()
    }

    /// All runs; those that share a seed, and with it the patients, come one after the other.
    pub fn runs(&self, base: &TrainingConfig) -> Vec<TrainingRun> {
        let of_seed = |seed: u64| self.variants.iter().map(move |variant| variant.run(base, seed));
        self.seeds(base).into_iter().flat_map(of_seed).collect()
    }

    /// The organs whose mean Dice decides, by id: these, or those of the file where none is given. `None`: all that are measured.
    ///
    /// # Errors
    /// An id that no organ has.
    pub fn deciding(&self, given: &[String]) -> Result<Option<OrganSet>, UnknownOrgan> {
        let ids = if given.is_empty() { &self.organs } else { given };
        (!ids.is_empty()).then(|| OrganSet::from_ids(ids)).transpose()
    }

    /// What the runs say together.
    ///
    /// # Errors
    /// [`TrainError::NotDone`].
    pub fn comparison(
        &self,
        base: &TrainingConfig,
        chosen: Option<OrganSet>,
        store: &dyn ArtifactStore,
    ) -> Result<Comparison, TrainError> {
        let mut subject = format!(
            "Variants of {}, trained alike: {} segmentation steps of {} slices each",
            base.name,
            base.segmentation_steps(),
            base.batch
        );
        for variant in &self.variants {
            let own = variant.training(base, base.seed).segmentation_steps();
            if own != base.segmentation_steps() {
                subject.push_str(&format!(", {}: {own}", variant.name));
            }
        }
        let repeats: Vec<TrainingConfig> =
            self.seeds(base).into_iter().map(|seed| TrainingConfig { seed, ..base.clone() }).collect();
        let systems = systems(&self.variants, base, &repeats.iter().collect::<Vec<_>>(), store)?;
        Ok(Comparison { subject: subject + ".", over: "seeds".into(), systems, chosen })
    }
}

#[cfg(test)]
mod tests;
