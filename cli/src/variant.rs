//! A training that differs from another in one or two choices: what `ablation` and `trials` compare.

use std::path::Path;

use anyhow::Result;
use attention_anatomy::dataset::{Augmentation, DataConfig, Hpa};
use attention_anatomy::metrics::System;
use attention_anatomy::network::count::multiply_adds;
use attention_anatomy::train::TrainingConfig;
use serde::Deserialize;

use crate::experiment::{self, Run};

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
    /// Re-calibration.
    pub hpa: Option<Hpa>,
    /// Augmentation of all phases.
    pub augmentation: Option<Augmentation>,
    /// Whether every batch mixes the sets.
    pub mixed: Option<bool>,
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
        config.organ_logit = self.organ_logit.unwrap_or(config.organ_logit);
        config.steps_per_epoch = self.steps_per_epoch.unwrap_or(config.steps_per_epoch);
        for (set, weight) in config.data.iter_mut().zip(self.weights.iter().flatten()) {
            set.weight = *weight;
        }
        config.data.extend(self.add.iter().cloned());
        if let Some(augmentation) = &self.augmentation {
            config.phases.iter_mut().for_each(|phase| phase.augmentation = augmentation.clone());
        }
        if !config.network.attention {
            config.phases.retain(|phase| phase.loss.segments());
            config.phases.iter_mut().for_each(|phase| phase.loss.region = 0.0);
        }
        config
    }

    /// The training with `seed`, in a folder of its own.
    pub fn run(&self, base: &TrainingConfig, seed: u64, output: &Path) -> Run {
        Run {
            name: format!("{}, seed {seed}", self.name),
            config: self.training(base, seed),
            folder: output.join(self.id()).join(format!("seed-{seed}")),
        }
    }
}

/// The variants with what was measured of them, in all their runs.
pub fn systems(variants: &[Variant], base: &TrainingConfig, seeds: &[u64], output: &Path) -> Result<Vec<System>> {
    let system = |variant: &Variant| {
        let runs: Vec<Run> = seeds.iter().map(|&seed| variant.run(base, seed, output)).collect();
        let config = &runs[0].config;
        Ok(System {
            name: variant.name.clone(),
            multiply_adds: multiply_adds(&config.network, config.input().crop).total(),
            runs: experiment::results(&runs)?,
            against: variant.against.iter().filter_map(|name| variants.iter().position(|v| v.name == *name)).collect(),
        })
    };
    variants.iter().map(system).collect()
}
