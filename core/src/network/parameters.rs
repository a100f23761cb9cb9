//! All tensors of a network as numbers, for whoever computes the layers by other means than burn.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::kernels::parameters::{Parameter, Parameters};

/// All tensors of a network by name.
#[derive(Debug, Default)]
pub struct Collect {
    path: Vec<String>,
    /// What was found.
    pub found: Parameters,
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
