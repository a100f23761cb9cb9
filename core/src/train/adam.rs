//! Adam (Kingma and Ba, 2015), with its moments under the names of the parameters.
//!
//! burn's own optimiser restores its state onto the default device, which on a machine without a GPU adapter does not
//! exist; and a checkpoint that names every moment after its parameter can be checked against the network it is for.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};

use crate::network::AttentionAnatomy;

/// Gradients by the path of the parameter, flattened.
pub type Gradients = BTreeMap<String, Vec<f32>>;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// First and second moment of one parameter, flattened, and how often it was updated.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Running mean of the gradient.
    pub first: Tensor<1>,
    /// Running mean of its square.
    pub second: Tensor<1>,
    /// Updates so far. Parameters start at different times: the decoder rests during pre-training.
    pub updates: u32,
}

/// The optimiser: moments by parameter path.
#[derive(Debug, Clone, Default)]
pub struct Adam {
    /// Moments of every parameter that was ever updated.
    pub moments: BTreeMap<String, Moments>,
}

impl Adam {
    /// One update of every parameter that has a gradient, from burn or among the `plain` ones.
    pub fn step(
        &mut self,
        network: AttentionAnatomy,
        gradients: GradientsParams,
        plain: Gradients,
        rate: f64,
    ) -> AttentionAnatomy {
        network.map(&mut Update { adam: self, gradients, plain, rate, path: Vec::new() })
    }

    /// A moment tensor from stored numbers.
    pub fn moment(values: Vec<f32>, device: &Device) -> Tensor<1> {
        let n = values.len();
        Tensor::from_data(TensorData::new(values, [n]), &device.clone().inner())
    }
}

struct Update<'a> {
    adam: &'a mut Adam,
    gradients: GradientsParams,
    plain: Gradients,
    rate: f64,
    path: Vec<String>,
}

impl Update<'_> {
    /// The same, of a parameter on this processor: every number is read and written once.
    fn in_one_pass<const D: usize>(
        &mut self,
        path: String,
        gradient: &[f32],
        param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = tensor.inner();
        let (shape, device) = (tensor.shape(), tensor.device());
        let plain = |data: TensorData| data.try_into_vec::<f32>().expect("the parameters of a training are f32");
        let zeros = || vec![0.0; gradient.len()];
        let (mut first, mut second, updates) = match self.adam.moments.remove(&path) {
            Some(m) => (plain(m.first.into_data()), plain(m.second.into_data()), m.updates + 1),
            None => (zeros(), zeros(), 1),
        };
        let mut values = plain(tensor.into_data());
        let [mean, deviation] = [BETA_1, BETA_2].map(|beta| (1.0 / (1.0 - beta.powi(updates as i32))) as f32);
        let [beta_1, beta_2, epsilon, rate] = [BETA_1, BETA_2, EPSILON, self.rate].map(|number| number as f32);
        let [new_1, new_2] = [BETA_1, BETA_2].map(|beta| (1.0 - beta) as f32);
        for (((value, gradient), first), second) in values.iter_mut().zip(gradient).zip(&mut first).zip(&mut second) {
            *first = *first * beta_1 + gradient * new_1;
            *second = *second * beta_2 + gradient * gradient * new_2;
            *value -= *first * mean / ((*second * deviation).sqrt() + epsilon) * rate;
        }
        let moments = Moments { first: Adam::moment(first, &device), second: Adam::moment(second, &device), updates };
        self.adam.moments.insert(path, moments);
        let tensor = Tensor::from_inner(Tensor::from_data(TensorData::new(values, shape), &device)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        if let Some(gradient) = self.plain.remove(&path) {
            return self.in_one_pass(path, &gradient, param);
        }
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return param };
        let (id, tensor, mapper) = param.consume();
        let tensor = tensor.inner();
        let shape = tensor.shape();
        let gradient: Tensor<1> = gradient.flatten(0, D - 1);
        let moments = self.adam.moments.remove(&path);
        let (first, second, updates) = match moments {
            Some(m) => (m.first, m.second, m.updates + 1),
            None => (gradient.zeros_like(), gradient.zeros_like(), 1),
        };
        let first = first * BETA_1 + gradient.clone() * (1.0 - BETA_1);
        let second = second * BETA_2 + gradient.square() * (1.0 - BETA_2);
        let t = updates as i32;
        let mean = first.clone() / (1.0 - BETA_1.powi(t));
        let deviation = (second.clone() / (1.0 - BETA_2.powi(t))).sqrt() + EPSILON;
        let delta: Tensor<D> = (mean / deviation * self.rate).reshape(shape);
        self.adam.moments.insert(path, Moments { first, second, updates });
        let tensor = Tensor::from_inner(tensor - delta).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}
