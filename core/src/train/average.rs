//! A moving average of the weights (Polyak and Juditsky, 1992), beside the weights that are trained.
//!
//! It follows the last steps, not the last one, and so is quieter where the rate does not fall to nothing. The statistics of its
//! normalisations belong to none of the networks that it was averaged from: [`Trainer::averaged`](super::Trainer::averaged) finds them anew.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::network::AttentionAnatomy;
use crate::network::weights::WeightsError;

/// Batches that the statistics are found from: with the 0.1 that each of them moves them by, nothing is left of what they were.
pub const STATISTICS_BATCHES: u64 = 100;

/// The average so far.
#[derive(Clone, Debug, Default)]
pub struct Average {
    /// Of every tensor of the network, by its path, flattened.
    pub values: BTreeMap<String, Tensor<1>>,
    /// Steps that went into it.
    pub updates: u32,
}

impl Average {
    /// Takes the weights of a step, of a network in validation state: of the average, `decay` stays, or less while there are few steps in it.
    pub fn update(&mut self, network: &AttentionAnatomy, decay: f64) {
        let steps = f64::from(self.updates);
        let kept = decay.min((1.0 + steps) / (10.0 + steps));
        network.visit(&mut Follow { average: self, kept, path: Vec::new() });
        self.updates += 1;
    }

    /// `network` with the averaged weights.
    ///
    /// # Errors
    /// [`WeightsError::Mismatch`] where they are those of another network.
    pub fn applied(&self, network: AttentionAnatomy) -> Result<AttentionAnatomy, WeightsError> {
        let mut put = Put { average: self, path: Vec::new(), missing: None };
        let network = network.map(&mut put);
        match put.missing {
            None => Ok(network),
            Some(path) => Err(WeightsError::Mismatch(format!("the moving average has no `{path}` of this network"))),
        }
    }
}

struct Follow<'a> {
    average: &'a mut Average,
    kept: f64,
    path: Vec<String>,
}

impl ModuleVisitor for Follow<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (path, now) = (self.path.join("."), param.val().flatten::<1>(0, D - 1));
        let average = match self.average.values.remove(&path) {
            None => now,
            Some(before) => before * self.kept + now * (1.0 - self.kept),
        };
        self.average.values.insert(path, average);
    }
}

struct Put<'a> {
    average: &'a Average,
    path: Vec<String>,
    /// The first tensor that the average lacks, or has in another size.
    missing: Option<String>,
}

impl ModuleMapper for Put<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let shape = param.val().shape();
        let Some(values) =
            self.average.values.get(&path).filter(|values| values.shape().num_elements() == shape.num_elements())
        else {
            self.missing.get_or_insert(path);
            return param;
        };
        let (id, _, mapper) = param.consume();
        let tensor = Tensor::from_inner(values.clone().reshape(shape)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests;
