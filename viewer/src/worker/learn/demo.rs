//! The task: three partially annotated sets of synthetic scans, a small network, and the paper's schedule in small.

use std::sync::Arc;

use attention_anatomy::anatomy::OrganSet;
use attention_anatomy::dataset::{Augmentation, DataConfig, PreparedCase};
use attention_anatomy::loss::{FocalNorm, LossWeights};
use attention_anatomy::network::{NetworkConfig, ORGAN_LOGIT};
use attention_anatomy::phantom::{Phantom, PhantomOptions, ScanSet};
use attention_anatomy::preprocess::InputConfig;
use attention_anatomy::train::{InputChoice, Phase, TrainingConfig};

use crate::worker::error::DemoError;
use crate::worker::protocol::LearnSettings;

/// The sets, each of which outlines its own organs only, though all scans show organs of their neighbours.
pub(super) const SETS: [ScanSet; 3] = ScanSet::PARTIAL;

/// Synthetic patients whose whole body and every organ is known; none of them is trained on.
const EVALUATION_PATIENTS: usize = 2;

/// Everything that makes the training small.
#[derive(Clone, Debug)]
pub(super) struct DemoTraining {
    /// Scans of each set.
    pub scans_of_set: usize,
    /// Pixel and slice distance.
    pub spacing_mm: f64,
    /// Pixels across and down.
    pub crop: usize,
    /// Channels of the first level.
    pub base: usize,
    /// Slices in a batch.
    pub batch: usize,
    /// Steps of region pre-training, of all losses, of Dice and region.
    pub steps: [u64; 3],
    /// Adam's rate in these phases.
    pub rates: [f64; 3],
    /// Steps between two evaluations.
    pub look_every: u64,
}

/// A synthetic scan.
#[derive(Debug)]
pub(super) struct Scan {
    /// As the trainer wants it.
    pub case: PreparedCase,
    /// Patient z of the lowest slice in mm.
    pub low_mm: f64,
    /// Patient z of lung apex, top of the heart, liver dome, middle of the kidneys.
    pub boundaries_mm: [f64; 4],
}

impl DemoTraining {
    /// What the panel trains: a step takes about a fifth of a second on one core of a server's processor. Larger rates than
    /// the paper's, because there are hundreds of steps instead of a hundred thousand.
    pub fn standard() -> Self {
        Self {
            scans_of_set: 5,
            spacing_mm: 9.3,
            crop: 48,
            base: 8,
            batch: 8,
            steps: [40, 200, 100],
            rates: [3e-3, 5e-3, 2e-3],
            look_every: 10,
        }
    }

    /// Scans to be made in all.
    pub fn scans(&self) -> usize {
        self.training_scans() + EVALUATION_PATIENTS
    }

    /// Scans to be learned from; they are made first.
    pub fn training_scans(&self) -> usize {
        self.scans_of_set * SETS.len()
    }

    fn input(&self) -> InputConfig {
        InputConfig {
            spacing_mm: Some(self.spacing_mm),
            crop: self.crop,
            slice_distance_mm: None,
            input_fwhm_mm: None,
            ..InputConfig::light()
        }
    }

    /// Makes scan number `n`. Every scan is of another patient.
    ///
    /// # Errors
    /// [`DemoError`]: a phantom or a scan of it that cannot be made.
    pub fn scan(&self, n: usize, settings: &LearnSettings) -> Result<Scan, DemoError> {
        let (index, set) = if n < self.training_scans() {
            (n % SETS.len(), SETS[n % SETS.len()])
        } else {
            (SETS.len(), ScanSet::WholeBody)
        };
        let options = PhantomOptions {
            seed: settings.seed.wrapping_mul(1000).wrapping_add(n as u64),
            set,
            // A little more than the crop, so that a patient off the centre is not cut.
            matrix: self.crop + self.crop / 8,
            pixel_mm: self.spacing_mm,
            slice_mm: self.spacing_mm,
            couch: false,
            ..PhantomOptions::default()
        };
        let phantom = Phantom::new(options)?;
        let (ct, labels) = phantom.volume()?;
        let boundaries_mm = phantom.region_boundaries_mm();
        let annotated: OrganSet = set.annotated();
        let case = PreparedCase::prepare(
            format!("{}/{n}", set.id()),
            index,
            Arc::new(ct),
            &labels,
            annotated,
            &self.input(),
            Some(boundaries_mm),
        )?;
        let low_mm = phantom.geometry().to_patient([0.0; 3])[2];
        Ok(Scan { case, low_mm, boundaries_mm })
    }

    /// The training. A plain U-Net has no region branch to pre-train: it begins with the losses of the segmentation and gets the
    /// same number of steps with them.
    pub fn config(&self, settings: &LearnSettings) -> TrainingConfig {
        let augmentation = Augmentation { shift_mm: 2.0 * self.spacing_mm, noise_hu: 10.0, ..Augmentation::default() };
        let weights = [
            ("regions", LossWeights { dice: 0.0, focal: 0.0, region: 1.0, ..LossWeights::default() }),
            ("all losses", LossWeights { dice: 1.0, focal: 1.0, region: 1.0, ..LossWeights::default() }),
            ("Dice and regions", LossWeights { dice: 1.0, focal: 0.0, region: 1.0, ..LossWeights::default() }),
        ];
        let phases = weights
            .into_iter()
            .zip(self.steps.into_iter().zip(self.rates))
            .map(|((name, loss), (epochs, learning_rate))| Phase {
                name: name.into(),
                epochs,
                learning_rate,
                final_learning_rate: None,
                loss,
                augmentation: augmentation.clone(),
            })
            .filter(|phase| settings.attention || phase.loss.segments())
            .collect();
        TrainingConfig {
            name: "demo".into(),
            seed: settings.seed,
            batch: self.batch,
            micro_batch: None,
            steps_per_epoch: 1,
            validate_every: self.look_every,
            validation_slices: 0,
            hpa: settings.hpa,
            focal_norm: FocalNorm::PresentClasses,
            boxes: false,
            average: None,
            mixed: true,
            organ_logit: ORGAN_LOGIT,
            network: NetworkConfig { base: self.base, levels: 4, stack: 5, attention: settings.attention },
            input: InputChoice::Explicit(self.input()),
            fold: None,
            region: None,
            data: SETS.map(|set| DataConfig::of(set.id())).into(),
            phases,
        }
    }
}

impl Scan {
    /// Patient z of slice `k` in mm.
    pub fn z_mm(&self, k: usize) -> f64 {
        self.low_mm + k as f64 * self.case.grid.slice_mm
    }

    /// The slice nearest to a height.
    pub fn slice_at(&self, z_mm: f64) -> usize {
        let k = ((z_mm - self.low_mm) / self.case.grid.slice_mm).round();
        k.clamp(0.0, self.case.grid.slices.saturating_sub(1) as f64) as usize
    }

    /// Whether the scan shows this height.
    pub fn reaches(&self, z_mm: f64) -> bool {
        (self.low_mm..=self.z_mm(self.case.grid.slices.saturating_sub(1))).contains(&z_mm)
    }
}
