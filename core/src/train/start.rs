//! The weights that a training starts from, as the seed alone determines them.
//!
//! A device's own random numbers differ from device to device and are shared by all threads of a process. Drawn here, by
//! the path of each parameter, two trainings of one seed start alike on any device; and one with attention shares the
//! start of its encoder and decoder with one without, so that a comparison compares what it says.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::network::AttentionAnatomy;
use crate::random::{hash, normal};

/// Standard deviation of the attention layer's weights, as the network declares it.
const ATTENTION_STD: f64 = 0.01;

/// `network` with all its random numbers drawn anew, each from the distribution that its layer declares: convolutions
/// before a normalisation He-normal, other layers uniform in +- 1 / sqrt(fan in). The logits of organs begin at `organ_logit`, that
/// of the background at 0; other constants stay.
pub fn seeded(network: AttentionAnatomy, seed: u64, organ_logit: f64) -> AttentionAnatomy {
    network.map(&mut Draw { seed, organ_logit, path: Vec::new(), fan_in: 1 })
}

struct Draw {
    seed: u64,
    organ_logit: f64,
    path: Vec<String>,
    /// Of the last weight: the bias of a layer follows its weight.
    fan_in: usize,
}

impl ModuleMapper for Draw {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let attention = path.starts_with("region.attention.");
        let is_weight = path.ends_with(".weight");
        if path == "decoder.head.bias" {
            return param.map(|tensor| {
                let mut values = vec![self.organ_logit as f32; tensor.shape().num_elements()];
                values[0] = 0.0;
                put(values, tensor)
            });
        }
        if !is_weight && (attention || !path.ends_with(".bias")) {
            return param;
        }
        param.map(|tensor| {
            let dims = tensor.dims();
            if is_weight {
                // Convolutions [out, in, h, w], transposed ones [in, out, h, w] with burn's fan in of the second axis,
                // linear layers [in, out].
                self.fan_in = if D == 2 { dims[0] } else { dims[1..].iter().product() };
            }
            let bound = 1.0 / (self.fan_in as f64).sqrt();
            let mut rng = Pcg64::seed_from_u64(hash(self.seed, &path));
            let n: usize = dims.iter().product();
            let values: Vec<f32> = if attention || path.ends_with(".conv.weight") {
                let std = if attention { ATTENTION_STD } else { std::f64::consts::SQRT_2 * bound };
                (0..n).map(|_| std as f32 * normal(&mut rng)).collect()
            } else {
                (0..n).map(|_| rng.random_range(-bound..=bound) as f32).collect()
            };
            put(values, tensor)
        })
    }
}

/// `values` in the place of `tensor`.
fn put<const D: usize>(values: Vec<f32>, tensor: Tensor<D>) -> Tensor<D> {
    let fresh = Tensor::from_data(TensorData::new(values, tensor.shape()), &tensor.device());
    if tensor.is_require_grad() { fresh.require_grad() } else { fresh }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::module::ModuleVisitor;
    use burn::tensor::Device;

    use super::*;
    use crate::network::{NetworkConfig, ORGAN_LOGIT};

    #[derive(Default)]
    struct Collect {
        path: Vec<String>,
        values: BTreeMap<String, Vec<f32>>,
    }

    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.values.insert(self.path.join("."), param.val().into_data().try_to_vec::<f32>().unwrap());
        }
    }

    fn start(attention: bool, seed: u64) -> BTreeMap<String, Vec<f32>> {
        let config = NetworkConfig { base: 8, levels: 3, stack: 5, attention };
        let mut collect = Collect::default();
        seeded(config.init(&Device::flex().autodiff()), seed, ORGAN_LOGIT).visit(&mut collect);
        collect.values
    }

    #[test]
    fn the_seed_alone_decides_and_attention_shares_the_rest_of_the_network() {
        let with = start(true, 3);
        assert_eq!(with, start(true, 3));
        let plain = start(false, 3);
        assert!(plain.len() > 30 && plain.iter().all(|(path, values)| with[path] == *values));
        assert!(start(false, 4).iter().any(|(path, values)| plain[path] != *values));
    }

    #[test]
    fn every_layer_keeps_the_spread_that_it_declares() {
        let own = {
            let config = NetworkConfig { base: 8, levels: 3, stack: 5, attention: true };
            let mut collect = Collect::default();
            config.init(&Device::flex()).visit(&mut collect);
            collect.values
        };
        let spread = |v: &[f32]| (v.iter().map(|x| x * x).sum::<f32>() / v.len() as f32).sqrt();
        for (path, drawn) in start(true, 11) {
            let (a, b) = (spread(&own[&path]), spread(&drawn));
            // Two samples of n numbers of one distribution.
            let tolerance = 4.0 * (a + b) / (2.0 * drawn.len() as f32).sqrt();
            assert!((a - b).abs() <= tolerance, "{path}: {a} as the layer draws, {b} here");
        }
    }
}
