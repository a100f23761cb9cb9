//! The layers by their static plan, on the processor or on a GPU of our own; attention and what the losses make of sums over voxels,
//! which come after them, by burn on the processor. The sums themselves are computed where the logits are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burn::module::Module;
use burn::tensor::{Device, Gradients as BurnGradients, Tensor, TensorData};

use web_time::Instant;

use super::TrainingDevice;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};
use crate::kernels::parameters::Parameters;
use crate::kernels::training::{Features, Kind, Outputs, Spent, TrainingPlan};
use crate::kernels::voxels::{VoxelLosses, VoxelSums};
use crate::kernels::wgsl::training::GpuTrainingPlan;
use crate::kernels::wgsl::{Gpu, GpuError};
use crate::network::region::Outside;
use crate::network::{AttentionAnatomy, NetworkOutput};
use crate::train::adam::Gradients;

/// Who computes them.
#[derive(Debug)]
enum Plan {
    Processor(Box<TrainingPlan>),
    /// Its memory is taken with the first weights.
    Gpu(Gpu, Option<Arc<OnGpu>>),
}

/// What a pass and the losses after it work with in turns.
#[derive(Debug)]
struct OnGpu(Mutex<State>);

#[derive(Debug)]
struct State {
    plan: GpuTrainingPlan,
    /// Why the losses have no numbers.
    failed: Option<GpuError>,
}

impl OnGpu {
    fn new(gpu: &Gpu) -> Result<Self, GpuError> {
        Ok(Self(Mutex::new(State { plan: GpuTrainingPlan::new(gpu)?, failed: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VoxelLosses for OnGpu {
    fn sums(&self, shift: &[f32], labels: &[u8], weights: &[[bool; ORGAN_COUNT]]) -> VoxelSums {
        let mut state = self.state();
        state.plan.loss_sums(shift, labels, weights).unwrap_or_else(|error| {
            state.failed = Some(error);
            [[f32::NAN; CLASS_COUNT]; 4]
        })
    }

    fn gradients(&self, by: &VoxelSums) -> Vec<f32> {
        let mut state = self.state();
        state.plan.loss_gradients(by).unwrap_or_else(|error| {
            state.failed = Some(error);
            Vec::new()
        })
    }
}

impl Plan {
    fn load(&mut self, parameters: &Parameters, epsilon: f64) -> Result<(), GpuError> {
        match self {
            Self::Processor(plan) => plan.load(parameters, epsilon),
            Self::Gpu(gpu, plan) => {
                let plan = match plan {
                    Some(plan) => plan,
                    None => plan.insert(Arc::new(OnGpu::new(gpu)?)),
                };
                plan.state().plan.load(parameters, epsilon);
            }
        }
        Ok(())
    }

    /// None but the processor's has one.
    fn clock(&self) -> Option<&TrainingPlan> {
        match self {
            Self::Processor(plan) => Some(plan),
            Self::Gpu(..) => None,
        }
    }
}

/// The layers of a network in training.
#[derive(Debug)]
pub struct Layers {
    plan: Plan,
    device: Device,
    /// What the last pass gave, for burn to differentiate by.
    leaves: [Option<Tensor<4>>; 2],
    gradients: Gradients,
    /// When the last pass forward ended.
    since: Instant,
}

impl Layers {
    /// Those for a device, if it is not one of burn's own; `tensors` is its tensor library's, and differentiates.
    pub fn for_device(on: &TrainingDevice, tensors: &Device) -> Option<Self> {
        if tensors.clone().inner() != Device::flex() {
            return None;
        }
        let plan = match &on.gpu {
            Some(gpu) => Plan::Gpu(gpu.clone(), None),
            None => Plan::Processor(Box::default()),
        };
        let (leaves, gradients) = ([None, None], Gradients::new());
        Some(Self { plan, device: tensors.clone(), leaves, gradients, since: Instant::now() })
    }

    /// Takes the weights of a step.
    ///
    /// # Errors
    /// [`GpuError`] where a GPU fails.
    pub fn load(&mut self, network: &AttentionAnatomy) -> Result<(), GpuError> {
        self.leaves = [None, None];
        // In validation state running statistics are up to date.
        self.plan.load(&network.valid().parameters(), network.epsilon())
    }

    /// What the region branch sees of a field of air of `stack` slices of `side` x `side` pixels with intensity `air`; `None` for whom
    /// the network is to be asked.
    ///
    /// # Errors
    /// [`GpuError`] where a GPU fails.
    pub fn air(&mut self, stack: usize, side: usize, air: f32) -> Result<Option<Outside>, GpuError> {
        let Plan::Gpu(_, Some(plan)) = &self.plan else { return Ok(None) };
        let found = plan.state().plan.mean_of(air, stack, side)?;
        Ok(found.map(|(air, positions)| Outside { air, positions }))
    }

    /// What `network`, one of the same layers in validation state, says of a batch; `None` for whom it is to be asked itself.
    ///
    /// # Shapes
    /// `stacks` are of `shape`: slices, channels, rows, columns.
    ///
    /// # Errors
    /// [`GpuError`] where a GPU fails.
    pub fn infer(
        &self,
        network: &AttentionAnatomy,
        stacks: &[f32],
        shape: [usize; 4],
    ) -> Result<Option<NetworkOutput>, GpuError> {
        let Plan::Gpu(gpu, plan) = &self.plan else { return Ok(None) };
        let plan = match plan {
            Some(plan) => plan.clone(),
            None => Arc::new(OnGpu::new(gpu)?),
        };
        let [slices, _, height, width] = shape;
        let mut state = plan.state();
        state.plan.load(&network.parameters(), network.epsilon());
        let Outputs { logits, features, .. } = match state.plan.infer(stacks, slices, [height, width]) {
            // More slices at once than fit, or larger ones: those of a training do.
            Err(GpuError::Batch { .. } | GpuError::Slice { .. }) => return Ok(None),
            found => found?,
        };
        let device = self.device.clone().inner();
        let tensor = |values: Vec<f32>, shape| Tensor::<4>::from_data(TensorData::new(values, shape), &device);
        Ok(Some(NetworkOutput {
            logits: tensor(logits.unwrap_or_default(), [slices, CLASS_COUNT, height, width]),
            elsewhere: None,
            region: features.and_then(|Features { shape, values }| network.region_of(tensor(values, shape))),
        }))
    }

    /// What the network says of a batch, in training: its statistics go into the running ones.
    ///
    /// # Shapes
    /// `stacks` are of `shape`: slices, channels, rows, columns.
    ///
    /// # Errors
    /// [`GpuError`] where a GPU fails.
    pub fn forward(
        &mut self,
        network: &AttentionAnatomy,
        stacks: &[f32],
        shape: [usize; 4],
        segments: bool,
    ) -> Result<NetworkOutput, GpuError> {
        let [slices, _, height, width] = shape;
        let (outputs, elsewhere) = match &mut self.plan {
            Plan::Processor(plan) => (plan.forward(stacks, slices, [height, width], segments), None),
            Plan::Gpu(gpu, plan) => {
                let plan = plan.as_ref().ok_or_else(|| GpuError::Lost(gpu.name().into()))?;
                let outputs = plan.state().plan.forward(stacks, slices, [height, width], segments)?;
                let elsewhere: Arc<dyn VoxelLosses> = plan.clone();
                (outputs, segments.then_some(elsewhere))
            }
        };
        let Outputs { logits, features, statistics } = outputs;
        network.update_statistics(statistics.into_iter().map(|found| (found.name, [found.mean, found.variance])));
        let leaf = |values: Vec<f32>, shape: [usize; 4]| {
            Tensor::<4>::from_data(TensorData::new(values, shape), &self.device).require_grad()
        };
        let features = features.map(|Features { shape, values }| leaf(values, shape));
        let logits = logits.map(|values| leaf(values, [slices, CLASS_COUNT, height, width]));
        self.leaves = [logits.clone(), features.clone()];
        self.since = Instant::now();
        Ok(NetworkOutput {
            logits: logits.unwrap_or_else(|| Tensor::zeros([slices, 1, 1, 1], &self.device)),
            elsewhere,
            region: features.and_then(|features| network.region_of(features)),
        })
    }

    /// Goes on from the gradients by what [`forward`](Self::forward) returned.
    ///
    /// # Errors
    /// [`GpuError`] where a GPU fails.
    pub fn backward(&mut self, gradients: &mut BurnGradients) -> Result<(), GpuError> {
        let leaves = std::mem::take(&mut self.leaves);
        let [by_logits, by_features] = leaves.map(|leaf| {
            let by = leaf?.grad_remove(gradients)?;
            by.into_data().try_into_vec::<f32>().ok()
        });
        match &mut self.plan {
            Plan::Processor(plan) => {
                plan.note(Kind::Losses, self.since.elapsed());
                plan.backward(by_logits.as_deref(), by_features.as_deref(), &mut self.gradients);
            }
            Plan::Gpu(_, Some(plan)) => {
                let mut state = plan.state();
                if let Some(failed) = state.failed.take() {
                    return Err(failed);
                }
                state.plan.backward(None, by_features.as_deref());
            }
            Plan::Gpu(gpu, None) => return Err(GpuError::Lost(gpu.name().into())),
        }
        Ok(())
    }

    /// The gradients of all passes since the last time of asking.
    ///
    /// # Errors
    /// [`GpuError`] where a GPU fails.
    pub fn gradients(&mut self) -> Result<Gradients, GpuError> {
        match &self.plan {
            Plan::Gpu(_, Some(plan)) => plan.state().plan.gradients(),
            _ => Ok(std::mem::take(&mut self.gradients)),
        }
    }

    /// Is told what the update of the weights took.
    pub fn updated(&self, time: Duration) {
        self.plan.clock().iter().for_each(|plan| plan.note(Kind::Optimiser, time));
    }

    /// Where the time went since the last time of asking, of all threads together; `None` on a GPU.
    pub fn spent(&self) -> Option<Vec<(Kind, Spent)>> {
        self.plan.clock().map(|plan| Kind::ALL.into_iter().map(|kind| (kind, plan.spent(kind))).collect())
    }

    /// Bytes that a GPU has for it; `None` on the processor.
    pub fn device_bytes(&self) -> Option<u64> {
        match &self.plan {
            Plan::Processor(_) => None,
            Plan::Gpu(_, plan) => Some(plan.as_ref().map_or(0, |plan| plan.state().plan.bytes())),
        }
    }
}
