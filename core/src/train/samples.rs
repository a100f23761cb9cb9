//! A training of a second, for the tests of this folder.

use super::{InputChoice, Phase, TrainingConfig, TrainingData};
use crate::anatomy::Organ;
use crate::dataset::samples::{Files, data};
use crate::dataset::{Augmentation, Hpa, Prepared};
use crate::loss::{FocalNorm, LossWeights};
use crate::network::{NetworkConfig, ORGAN_LOGIT};
use crate::preprocess::InputConfig;

/// Four steps: one of regions, three of all losses; looked at every second one.
pub fn config() -> TrainingConfig {
    let phase = |name: &str, epochs, loss| Phase {
        name: name.into(),
        epochs,
        learning_rate: 3e-3,
        final_learning_rate: None,
        loss,
        augmentation: Augmentation { shift_mm: 6.0, noise_hu: 5.0, ..Augmentation::default() },
    };
    TrainingConfig {
        name: "test".into(),
        seed: 7,
        batch: 2,
        micro_batch: None,
        steps_per_epoch: 1,
        validate_every: 2,
        validation_slices: 6,
        hpa: Hpa::SourceRegion,
        focal_norm: FocalNorm::PresentClasses,
        boxes: false,
        average: None,
        mixed: true,
        organ_logit: ORGAN_LOGIT,
        network: NetworkConfig { base: 4, levels: 3, stack: 5, attention: true },
        input: InputChoice::Explicit(InputConfig { crop: 48, ..InputConfig::light() }),
        fold: None,
        region: None,
        data: vec![data(Organ::Liver), data(Organ::Spleen)],
        phases: vec![
            phase("regions", 1, LossWeights { dice: 0.0, focal: 0.0, region: 1.0, ..LossWeights::default() }),
            phase("joint", 3, LossWeights { dice: 1.0, focal: 1.0, region: 1.0, ..LossWeights::default() }),
        ],
    }
}

/// What the configuration names, prepared.
pub fn loaded(config: &TrainingConfig) -> TrainingData {
    TrainingData::load(config, &Files::two_sets(), &mut Prepared::default(), &mut |_| {}).unwrap()
}
