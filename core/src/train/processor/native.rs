//! The layers by their static plan; attention and losses, which come after them, by burn.

use std::time::Duration;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients as BurnGradients, Tensor, TensorData};

use web_time::Instant;

use crate::anatomy::CLASS_COUNT;
use crate::kernels::training::{Features, Kind, Outputs, Parameter, Parameters, Spent, TrainingPlan};
use crate::network::{AttentionAnatomy, NetworkOutput};
use crate::train::adam::Gradients;

/// The layers of a network in training.
#[derive(Debug)]
pub struct Layers {
    plan: TrainingPlan,
    device: Device,
    /// What the last pass gave, for burn to differentiate by.
    leaves: [Option<Tensor<4>>; 2],
    gradients: Gradients,
    /// When the last pass forward ended.
    since: Instant,
}

impl Layers {
    /// Those for a device that differentiates, if it is this processor.
    pub fn for_device(device: &Device) -> Option<Self> {
        (device.clone().inner() == Device::flex()).then(|| Self {
            plan: TrainingPlan::default(),
            device: device.clone(),
            leaves: [None, None],
            gradients: Gradients::new(),
            since: Instant::now(),
        })
    }

    /// Takes the weights of a step.
    pub fn load(&mut self, network: &AttentionAnatomy) {
        let mut collect = Collect { path: Vec::new(), found: Parameters::new() };
        network.visit(&mut collect);
        self.plan.load(&collect.found, network.epsilon());
        self.leaves = [None, None];
    }

    /// What the network says of a batch, in training: its statistics go into the running ones.
    ///
    /// # Shapes
    /// `stacks` are of `shape`: slices, channels, rows, columns.
    pub fn forward(
        &mut self,
        network: &AttentionAnatomy,
        stacks: &[f32],
        shape: [usize; 4],
        segments: bool,
    ) -> NetworkOutput {
        let [slices, _, height, width] = shape;
        let Outputs { logits, features, statistics } = self.plan.forward(stacks, slices, [height, width], segments);
        network.update_statistics(statistics.into_iter().map(|found| (found.name, [found.mean, found.variance])));
        let leaf = |values: Vec<f32>, shape: [usize; 4]| {
            Tensor::<4>::from_data(TensorData::new(values, shape), &self.device).require_grad()
        };
        let features = features.map(|Features { shape, values }| leaf(values, shape));
        let logits = logits.map(|values| leaf(values, [slices, CLASS_COUNT, height, width]));
        self.leaves = [logits.clone(), features.clone()];
        self.since = Instant::now();
        NetworkOutput {
            logits: logits.unwrap_or_else(|| Tensor::zeros([slices, 1, 1, 1], &self.device)),
            region: features.and_then(|features| network.region_of(features)),
        }
    }

    /// Goes on from the gradients by what [`forward`](Self::forward) returned.
    pub fn backward(&mut self, gradients: &mut BurnGradients) {
        let leaves = std::mem::take(&mut self.leaves);
        let [by_logits, by_features] = leaves.map(|leaf| {
            let by = leaf?.grad_remove(gradients)?;
            by.into_data().try_into_vec::<f32>().ok()
        });
        self.plan.note(Kind::Losses, self.since.elapsed());
        self.plan.backward(by_logits.as_deref(), by_features.as_deref(), &mut self.gradients);
    }

    /// The gradients of all passes since the last time of asking.
    pub fn gradients(&mut self) -> Gradients {
        std::mem::take(&mut self.gradients)
    }

    /// Is told what the update of the weights took.
    pub fn updated(&self, time: Duration) {
        self.plan.note(Kind::Optimiser, time);
    }

    /// Where the time went since the last time of asking, of all threads together.
    pub fn spent(&self) -> Vec<(Kind, Spent)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.plan.spent(kind))).collect()
    }
}

/// All tensors of a network by name.
struct Collect {
    path: Vec<String>,
    found: Parameters,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let shape = tensor.dims().to_vec();
        let values = tensor.into_data().try_into_vec().expect("the parameters of a training are f32");
        self.found.insert(self.path.join("."), Parameter { shape, values });
    }
}
