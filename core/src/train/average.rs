//! A moving average of the weights (Polyak and Juditsky, 1992), beside the weights that are trained.
//!
//! It follows the last steps, not the last one, and so is quieter where the rate does not fall to nothing. The statistics of its
//! normalisations belong to none of the networks that it was averaged from: [`Trainer::averaged`] finds them anew.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use super::{StepError, Trainer};
use crate::dataset::Batch;
use crate::network::AttentionAnatomy;
use crate::network::weights::WeightsError;

/// Batches that the statistics are found from: with the 0.1 that each of them moves them by, nothing is left of what they were.
pub const STATISTICS_BATCHES: u64 = 100;

/// The average so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Average {
    /// Of every tensor of the network, by its path, flattened.
    pub values: BTreeMap<String, Vec<f32>>,
    /// Steps that went into it.
    pub updates: u32,
}

impl Average {
    /// Takes the weights of a step: of the average, `decay` stays, or less while there are few steps in it.
    pub fn update(&mut self, network: &AttentionAnatomy, decay: f64) {
        let steps = f64::from(self.updates);
        let kept = decay.min((1.0 + steps) / (10.0 + steps)) as f32;
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

impl Trainer {
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

struct Follow<'a> {
    average: &'a mut Average,
    kept: f32,
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
        let now = param.val().into_data().try_into_vec::<f32>().expect("the parameters of a training are f32");
        match self.average.values.get_mut(&self.path.join(".")) {
            None => drop(self.average.values.insert(self.path.join("."), now)),
            Some(before) => {
                for (before, now) in before.iter_mut().zip(now) {
                    *before = *before * self.kept + now * (1.0 - self.kept);
                }
            }
        }
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
        let Some(values) = self.average.values.get(&path).filter(|values| values.len() == shape.num_elements()) else {
            self.missing.get_or_insert(path);
            return param;
        };
        let (id, tensor, mapper) = param.consume();
        let values = TensorData::new(values.clone(), shape);
        let tensor = Tensor::from_inner(Tensor::from_data(values, &tensor.inner().device())).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests;
