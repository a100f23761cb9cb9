//! The trainer: phases, optimiser, checkpoints, validation.
//!
//! [`Trainer::step`] does one optimiser step and returns what happened; whoever drives it (command line, a panel in the
//! viewer, a test) decides what to do between two steps. Nothing here reads a file or prints. In a browser, where nobody
//! may wait for a GPU, [`Trainer::step_async`] and [`predict`] are what one uses.
//!
//! | file | what |
//! |---|---|
//! | `config.rs` | everything that defines a training, as TOML |
//! | `session.rs` | a training while it runs, for whoever drives it |
//! | `persistent.rs` | its checkpoints, log and weights, and how one that was killed goes on |
//! | `experiment.rs` | trainings that are measured: folds, seeds |
//! | `variant.rs` | a training that differs in one or two choices |
//! | `router.rs` | the paper's table, and a region router beside it |
//! | `error.rs` | why a training cannot begin or go on |
//! | `adam.rs` | Adam with its state in plain sight |
//! | `average.rs` | a moving average of the weights |
//! | `start.rs` | start weights that the seed alone determines |
//! | `checkpoint.rs` | one SafeTensors file: network, optimiser, step |
//! | `log.rs` | the lines of `metrics.jsonl` |
//! | `layers/` | the layers of a step on this processor, or on a GPU by kernels of our own |
//! | `predict.rs` | labels, regions and attention of a batch of slices |
//! | `gauge.rs` | the height of attention on slices that show an organ |
//! | `validation.rs` | Dice of held-out slices while training |

pub mod adam;
pub mod average;
pub mod checkpoint;
pub mod config;
mod error;
#[cfg(not(target_family = "wasm"))]
pub mod experiment;
pub mod gauge;
mod layers;
pub mod log;
pub mod persistent;
pub mod predict;
#[cfg(not(target_family = "wasm"))]
pub mod router;
#[cfg(test)]
mod samples;
pub mod session;
pub mod start;
pub mod tasks;
pub mod validation;
#[cfg(not(target_family = "wasm"))]
pub mod variant;

pub use checkpoint::CheckpointError;
pub use config::{ConfigError, InputChoice, Phase, TrainingConfig};
pub use error::TrainError;
#[cfg(not(target_family = "wasm"))]
pub use experiment::{Experiment, ExperimentSetup, TrainingData, TrainingRun};
pub use gauge::measure_gauge;
pub use log::{LogLine, Validation};
pub use persistent::{PersistentSession, StartWeights, TrainingTask};
pub use predict::{SlicePredictions, predict};
#[cfg(not(target_family = "wasm"))]
pub use router::Ablation;
pub use session::{Advance, Cohort, Ended, Session, TrainEvent};
pub use tasks::{Choice, Part, PlannedTask};
pub use validation::ValidationReport;
#[cfg(not(target_family = "wasm"))]
pub use variant::{PAPER_ROWS, PaperRow, Trials, TrialsError, Variant};

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use web_time::Instant;

use crate::dataset::{Batch, BatchCounts, PreparedCase, Sampler, make_batch};
#[cfg(not(target_family = "wasm"))]
use crate::kernels::training::{Kind, Spent};
use crate::kernels::wgsl::GpuError;
use crate::loss::batch_dice::{DiceSums, batch_dice};
use crate::loss::total::dice_sums;
use crate::loss::{LossParts, total};
use crate::network::weights::{self, ModelInfo, WeightsError};
use crate::network::{AttentionAnatomy, NetworkOutput};
use crate::preprocess::AIR_HU;
use adam::Adam;
use average::Average;
use layers::Layers;
pub use layers::TrainingDevice;

/// A training in progress.
#[derive(Debug)]
pub struct Trainer {
    config: TrainingConfig,
    network: AttentionAnatomy,
    adam: Adam,
    /// Where the training file asks for one.
    average: Option<Average>,
    /// What it was begun on.
    on: TrainingDevice,
    /// The tensor library's, which differentiates.
    device: Device,
    step: u64,
    /// What computes the layers in place of burn, on a device for which there is something.
    layers: Option<Layers>,
}

/// What one step did. Terms that the phase does not use are `None`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct StepReport {
    /// The step that was done, from 1.
    pub step: u64,
    /// Name of its phase.
    pub phase: String,
    /// Learning rate.
    pub learning_rate: f64,
    /// Batch Dice loss.
    pub dice: Option<f32>,
    /// Focal loss.
    pub focal: Option<f32>,
    /// Region cross entropy.
    pub region: Option<f32>,
    /// Cross entropy over voxels.
    #[serde(default)]
    pub cross_entropy: Option<f32>,
    /// Cross entropy of attention.
    #[serde(default)]
    pub presence: Option<f32>,
    /// Weighted sum.
    pub total: f32,
}

/// Why a step failed. The trainer is not to be used any more: batch statistics may hold what is not a number.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Loss is not a number.
    #[error(
        "the loss of step {0} is not a number; the last checkpoint is kept: lower `learning_rate` in the training file, or look at the data, and go on with the same command"
    )]
    NotFinite(u64),
    /// The device does not answer.
    #[error("the device gave no answer in step {step} ({reason}); go on from the last checkpoint")]
    Read {
        /// The step.
        step: u64,
        /// What the device said.
        reason: String,
    },
}

impl Trainer {
    /// A new training on `device`.
    pub fn new(config: TrainingConfig, device: impl Into<TrainingDevice>) -> Self {
        let on = device.into();
        let device = on.tensors.clone().autodiff();
        let network = start::seeded(config.network.init(&device), config.seed, config.organ_logit);
        let layers = Layers::for_device(&on, &device);
        let average = config.average.map(|_| Average::default());
        Self { config, network, adam: Adam::default(), average, on, device, step: 0, layers }
    }

    /// A new training that begins with the weights of another one, its optimiser afresh.
    ///
    /// # Errors
    /// [`WeightsError`], also where the file describes another network or another input than `config`.
    pub fn starting_from(
        config: TrainingConfig,
        weights: &[u8],
        device: impl Into<TrainingDevice>,
    ) -> Result<(Self, ModelInfo), WeightsError> {
        let mut trainer = Self::new(config, device);
        let (network, info) = weights::read(weights, &trainer.device)?;
        if info.network != trainer.config.network || info.input != trainer.config.input() {
            return Err(WeightsError::Mismatch(
                "the training file asks for another network or another input than these weights were made for".into(),
            ));
        }
        trainer.network = network;
        Ok((trainer, info))
    }

    /// A training as a checkpoint left it. `config` must describe the same network.
    ///
    /// # Errors
    /// [`CheckpointError`]: not a checkpoint, a damaged one, or one of another network.
    pub fn resume(
        config: TrainingConfig,
        checkpoint: &[u8],
        device: impl Into<TrainingDevice>,
    ) -> Result<Self, CheckpointError> {
        let mut trainer = Self::new(config, device);
        let restored = checkpoint::restore(checkpoint, &mut trainer.network)?;
        (trainer.adam, trainer.step) = (restored.adam, restored.step);
        if let (Some(average), Some(before)) = (&mut trainer.average, restored.average) {
            *average = before;
        }
        Ok(trainer)
    }

    /// The bytes of a checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::NotFinite`] where weights or moments are no numbers; else what the device or the writer says.
    pub fn checkpoint(&self) -> Result<Vec<u8>, CheckpointError> {
        checkpoint::write(&self.network.valid(), &self.adam, self.average.as_ref(), self.step, &self.config)
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Whether the schedule has ended.
    pub fn finished(&self) -> bool {
        self.step >= self.config.total_steps()
    }

    /// The configuration.
    pub fn config(&self) -> &TrainingConfig {
        &self.config
    }

    /// The network in validation state: batch statistics settled, no gradients.
    pub fn network(&self) -> AttentionAnatomy {
        self.network.valid().within(None)
    }

    /// Where the time of the steps since the last time of asking went, where they are computed by the processor's own plan: nanoseconds
    /// of all threads together, and multiply-adds.
    #[cfg(not(target_family = "wasm"))]
    pub fn spent(&self) -> Option<Vec<(Kind, Spent)>> {
        self.layers.as_ref().and_then(Layers::spent)
    }

    /// Bytes on a GPU that computes the layers by kernels of our own; `None` elsewhere.
    #[cfg(not(target_family = "wasm"))]
    pub fn device_bytes(&self) -> Option<u64> {
        self.layers.as_ref().and_then(Layers::device_bytes)
    }

    /// The batch of step number `step` (0 is the first). A pure function, so that a loader may work ahead.
    pub fn batch(config: &TrainingConfig, cases: &[PreparedCase], sampler: &Sampler, step: u64) -> Batch {
        let (phase, _) = config.phase_at(step);
        let slices = sampler.draw(cases, step, config.batch);
        let batch = make_batch(cases, &slices, &config.input(), config.hpa, &phase.augmentation);
        if config.boxes { batch.on_boxes(&config.input(), config.network.granularity()) } else { batch }
    }

    fn forward(
        &mut self,
        stacks: &[f32],
        slices: usize,
        [height, width]: [usize; 2],
        segments: bool,
    ) -> Result<NetworkOutput, GpuError> {
        let shape = [slices, self.config.network.stack, height, width];
        if let Some(layers) = &mut self.layers {
            return layers.forward(&self.network, stacks, shape, segments);
        }
        let x = Tensor::<4>::from_data(TensorData::new(stacks.to_vec(), shape), &self.device);
        if segments {
            return Ok(self.network.forward(x));
        }
        // Pre-training: the decoder is not run, so there are no logits to speak of.
        let region = self.network.forward_region(x);
        Ok(NetworkOutput { logits: Tensor::zeros([slices, 1, 1, 1], &self.device), elsewhere: None, region })
    }

    /// Tells the region branch what lies around boxes; nothing does around whole fields.
    async fn surround(&mut self, batch: &Batch) -> Result<(), String> {
        let outside = if batch.target.outside == 0 {
            if !self.network.is_within() {
                return Ok(());
            }
            None
        } else {
            let input = self.config.input();
            let (stack, side, air) = (input.stack, input.crop, input.intensity(AIR_HU));
            let by_layers = self.layers.as_mut().map_or(Ok(None), |layers| layers.air(stack, side, air));
            match by_layers.map_err(|e| e.to_string())? {
                Some(outside) => Some(outside),
                None => {
                    let found = self.network.valid().air(stack, side, f64::from(air)).await;
                    found.map_err(|e| e.to_string())?
                }
            }
        };
        self.network = self.network.clone().within(outside);
        Ok(())
    }

    /// [`step_async`](Self::step_async) for where one may wait.
    ///
    /// # Errors
    /// As there.
    #[cfg(not(target_family = "wasm"))]
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, StepError> {
        pollster::block_on(self.step_async(batch))
    }

    /// One optimiser step on `batch`, in as many micro-batches as the configuration asks for. All that it reports is read
    /// from the device at once, behind the last of its work.
    ///
    /// # Errors
    /// [`StepError`]; dropping the future before its end is as bad.
    pub async fn step_async(&mut self, batch: &Batch) -> Result<StepReport, StepError> {
        let (phase, _) = self.config.phase_at(self.step);
        let phase = phase.clone();
        let loss = phase.loss;
        let learning_rate = self.config.learning_rate_at(self.step);
        let step = self.step + 1;
        let lost = |reason: String| StepError::Read { step, reason };
        let counts = BatchCounts::of(&batch.target);
        let (slices, size) = (batch.target.len(), batch.target.size);
        if let Some(layers) = &mut self.layers {
            layers.load(&self.network).map_err(|e| lost(e.to_string()))?;
        }
        self.surround(batch).await.map_err(lost)?;
        let micro = self.config.micro_batch.unwrap_or(slices).clamp(1, slices);
        let per_slice = batch.stacks.len() / slices;
        let ranges: Vec<_> = (0..slices).step_by(micro).map(|a| a..(a + micro).min(slices)).collect();
        let cut = |r: &std::ops::Range<usize>| &batch.stacks[r.start * per_slice..r.end * per_slice];

        let mut whole: Option<DiceSums> = None;
        for r in ranges.iter().filter(|_| ranges.len() > 1 && loss.dice != 0.0) {
            let output = self.forward(cut(r), r.len(), size, true).map_err(|e| lost(e.to_string()))?;
            let sums = dice_sums(&output, &batch.target.narrow(r.clone())).detach();
            whole = Some(match whole {
                Some(others) => others.plus(sums),
                None => sums,
            });
        }

        let mut gradients = GradientsAccumulator::new();
        let mut terms = [false; LossParts::COUNT];
        let mut values: Vec<Tensor<1>> = Vec::new();
        for r in &ranges {
            let output = self.forward(cut(r), r.len(), size, loss.segments()).map_err(|e| lost(e.to_string()))?;
            let target = batch.target.narrow(r.clone());
            let parts = total(&output, &target, &counts, &loss, self.config.focal_norm, whole.as_ref());
            let of_parts = parts.terms();
            terms = of_parts.map(Option::is_some);
            values.extend(of_parts.into_iter().flatten().chain([&parts.total]).map(|t| t.clone().inner()));
            let mut of_part = parts.total.backward();
            if let Some(layers) = &mut self.layers {
                layers.backward(&mut of_part).map_err(|e| lost(e.to_string()))?;
            }
            let of_part = GradientsParams::from_grads(of_part, &self.network);
            gradients.accumulate(&self.network, of_part);
        }
        let accumulated = whole.is_some();
        values.extend(whole.map(|sums| batch_dice(sums, &counts.present()).inner()));
        let clock = Instant::now();
        let plain = self.layers.as_mut().map_or(Ok(adam::Gradients::new()), Layers::gradients);
        let plain = plain.map_err(|e| lost(e.to_string()))?;
        self.network = self.adam.step(self.network.clone(), gradients.grads(), plain, learning_rate);
        if let (Some(average), Some(decay)) = (&mut self.average, self.config.average) {
            average.update(&self.network.valid(), decay);
        }
        self.layers.iter().for_each(|layers| layers.updated(clock.elapsed()));

        let values = Tensor::cat(values, 0).into_data_async().await.map_err(|e| lost(e.to_string()))?;
        let values = values.try_to_vec::<f32>().map_err(|e| lost(format!("{e:?}")))?;
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or(f32::NAN);
        let mut sums = [None; LossParts::COUNT];
        let mut sum = 0.0;
        for _ in &ranges {
            for (at, _) in sums.iter_mut().zip(terms).filter(|(_, there)| *there) {
                *at = Some(at.unwrap_or(0.0) + next());
            }
            sum += next();
        }
        if !sum.is_finite() {
            return Err(StepError::NotFinite(self.step + 1));
        }
        if let (true, Some(dice)) = (accumulated, sums[0].as_mut()) {
            // The surrogate is right in gradient only; report the loss itself.
            let surrogate = std::mem::replace(dice, next());
            sum += (f64::from(*dice - surrogate) * loss.dice) as f32;
        }
        self.step += 1;
        Ok(StepReport {
            step: self.step,
            phase: phase.name,
            learning_rate,
            dice: sums[0],
            focal: sums[1],
            region: sums[2],
            cross_entropy: sums[3],
            presence: sums[4],
            total: sum,
        })
    }

    /// The moving average of the weights as a network in validation state, its batch statistics found anew from `batches`; `None` where
    /// the training file asks for none, or no step was done.
    ///
    /// # Errors
    /// [`StepError::Read`]: the device does not answer.
    pub async fn averaged(
        &self,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<Option<AttentionAnatomy>, StepError> {
        let Some(average) = self.average.as_ref().filter(|average| average.updates > 0) else { return Ok(None) };
        let lost = |reason: String| StepError::Read { step: self.step, reason };
        // In place of the trained network a copy, whose statistics are its own.
        let copy = Self::new(self.config.clone(), self.on.clone());
        let network = average.applied(copy.network.clone()).map_err(|e| lost(e.to_string()))?;
        let mut copy = Self { network, ..copy };
        for batch in batches {
            if let Some(layers) = &mut copy.layers {
                layers.load(&copy.network).map_err(|e| lost(e.to_string()))?;
            }
            copy.surround(&batch).await.map_err(lost)?;
            let output = copy.forward(&batch.stacks, batch.target.len(), batch.target.size, true);
            output.map_err(|e| lost(e.to_string()))?;
        }
        Ok(Some(copy.network()))
    }
}

#[cfg(test)]
mod tests;
