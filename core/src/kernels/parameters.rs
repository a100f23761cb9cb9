//! Tensors of a network as numbers, for whoever computes its layers without a tensor library.

use std::collections::BTreeMap;

/// A tensor of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub values: Vec<f32>,
}

/// All tensors of the network, by name.
pub type Parameters = BTreeMap<String, Parameter>;
