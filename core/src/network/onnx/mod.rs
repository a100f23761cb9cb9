//! The folded network as an ONNX file, so that any ONNX runtime gives this program's answer.
//!
//! Opset 17, f32. Input `image` `[N, S, H, W]`: stacks in `[0, 1]`, H and W multiples of
//! [`NetworkConfig::granularity`](super::NetworkConfig::granularity). Outputs:
//!
//! | name | shape | |
//! |---|---|---|
//! | `probabilities` | `[N, 34, H, W]` | softmax after attention, background first |
//! | `regions` | `[N, 5]` | region probabilities; not for a plain U-Net |
//! | `attention` | `[N, 33]` | z4, in units of the gauge where the weights have one; not for a plain U-Net |
//!
//! The description of the weights lies in the file's metadata under the same key as in a weights file. What is not in
//! the graph: organs outside `trained_organs` have to be given to the background before the largest is chosen.

mod proto;

use super::attention::EPSILON;
use super::gauge::AttentionGauge;
use super::weights::{METADATA_KEY, ModelInfo, WeightsError};
use super::{AttentionAnatomy, pytorch};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};
use proto::{Attribute, Dimension, Message};
use safetensors::SafeTensors;

/// Version of the operators that the graph uses.
const OPSET: u64 = 17;
/// Version of the file layout; the one that came with [`OPSET`].
const IR_VERSION: u64 = 8;

/// The bytes of an ONNX file. `network` in validation state, folded or not.
///
/// # Errors
/// [`WeightsError`] when the network is not the one that `info` describes.
pub fn write(network: &AttentionAnatomy, info: &ModelInfo) -> Result<Vec<u8>, WeightsError> {
    let description = serde_json::to_string(info).map_err(|e| WeightsError::Write(e.to_string()))?;
    // The gauge's bias goes with the head; what it does to z4 is in the graph.
    let folded = match &info.gauge {
        Some(gauge) => network.clone().with_gauge(gauge).fold(),
        None => network.clone().fold(),
    };
    let bytes = pytorch::write(&folded, info)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| WeightsError::Write(e.to_string()))?;
    let mut graph = Graph { tensors, nodes: Vec::new(), initializers: Vec::new() };
    let features = graph.encoder(info.network.levels)?;
    let mut outputs = Vec::new();
    let batch = Dimension::Free("batch");
    let plane = [Dimension::Free("height"), Dimension::Free("width")];
    let log_weights = match features.last().filter(|_| info.network.attention) {
        Some(deepest) => {
            outputs.push(proto::value("regions", &[batch, Dimension::Fixed(REGION_COUNT)]));
            outputs.push(proto::value("attention", &[batch, Dimension::Fixed(ORGAN_COUNT)]));
            Some(graph.region_branch(deepest, info.gauge.as_ref())?)
        }
        None => None,
    };
    let mut logits = graph.decoder(&features)?;
    if let Some(log_weights) = log_weights {
        logits = graph.add("Add", &[&logits, &log_weights], "modulated", &[]);
    }
    graph.add("Softmax", &[&logits], "probabilities", &[("axis", Attribute::Int(1))]);
    outputs.insert(0, proto::value("probabilities", &[batch, Dimension::Fixed(CLASS_COUNT), plane[0], plane[1]]));

    let image = proto::value("image", &[batch, Dimension::Fixed(info.network.stack), plane[0], plane[1]]);
    let graph = Message::default()
        .messages(1, &graph.nodes)
        .text(2, "AttentionAnatomy")
        .messages(5, &graph.initializers)
        .message(11, &image)
        .messages(12, &outputs);
    Ok(Message::default()
        .int(1, IR_VERSION)
        .text(2, "attention-anatomy")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph)
        .message(8, &Message::default().text(1, "").int(2, OPSET))
        .message(14, &Message::default().text(1, METADATA_KEY).text(2, &description))
        .finish())
}

/// A graph under construction. A value is named after the module that makes it.
struct Graph<'a> {
    /// The folded network in PyTorch's names and layout, which are those of ONNX.
    tensors: SafeTensors<'a>,
    nodes: Vec<Message>,
    initializers: Vec<Message>,
}

impl Graph<'_> {
    fn add(&mut self, operation: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute<'_>)]) -> String {
        self.nodes.push(proto::node(operation, inputs, output, attributes));
        output.to_string()
    }

    /// Puts a parameter into the file; its name and shape.
    fn parameter(&mut self, module: &str, name: &str) -> Result<(String, Vec<usize>), WeightsError> {
        let name = format!("{module}.{name}");
        let tensor = self.tensors.tensor(&name).map_err(|e| WeightsError::Mismatch(e.to_string()))?;
        self.initializers.push(proto::floats(&name, tensor.shape(), tensor.data()));
        Ok((name, tensor.shape().to_vec()))
    }

    /// A convolution that keeps the size at stride 1.
    fn convolution(&mut self, input: &str, module: &str, stride: u64) -> Result<String, WeightsError> {
        let (weight, shape) = self.parameter(module, "weight")?;
        let (bias, _) = self.parameter(module, "bias")?;
        let pad = shape.last().map_or(0, |kernel| kernel / 2) as u64;
        let (strides, pads) = ([stride; 2], [pad; 4]);
        let attributes = [("strides", Attribute::Ints(&strides)), ("pads", Attribute::Ints(&pads))];
        Ok(self.add("Conv", &[input, &weight, &bias], module, &attributes))
    }

    fn relu(&mut self, input: &str) -> String {
        self.add("Relu", &[input], &format!("{input}.relu"), &[])
    }

    fn block(&mut self, input: &str, module: &str, stride: u64) -> Result<String, WeightsError> {
        let first = self.convolution(input, &format!("{module}.first.conv"), stride)?;
        let first = self.relu(&first);
        let second = self.convolution(&first, &format!("{module}.second.conv"), 1)?;
        let shortcut = format!("{module}.shortcut.conv");
        let shortcut = match self.tensors.tensor(&format!("{shortcut}.weight")).is_ok() {
            true => self.convolution(input, &shortcut, stride)?,
            false => input.to_string(),
        };
        let sum = self.add("Add", &[&second, &shortcut], module, &[]);
        Ok(self.relu(&sum))
    }

    /// The features of every level, shallow first.
    fn encoder(&mut self, levels: usize) -> Result<Vec<String>, WeightsError> {
        let mut features: Vec<String> = Vec::with_capacity(levels);
        for level in 0..levels {
            let input = features.last().map_or("image", String::as_str).to_string();
            let stride = if level == 0 { 1 } else { 2 };
            features.push(self.block(&input, &format!("encoder.levels.{level}"), stride)?);
        }
        Ok(features)
    }

    /// The features of the encoder to z5.
    fn decoder(&mut self, features: &[String]) -> Result<String, WeightsError> {
        let mut rest = features.iter().rev();
        let mut x = rest.next().cloned().unwrap_or_default();
        for (step, skip) in rest.enumerate() {
            let module = format!("decoder.steps.{step}");
            let up = format!("{module}.up");
            let (weight, _) = self.parameter(&up, "weight")?;
            let (bias, _) = self.parameter(&up, "bias")?;
            let up = self.add("ConvTranspose", &[&x, &weight, &bias], &up, &[("strides", Attribute::Ints(&[2, 2]))]);
            let joined = self.add("Concat", &[&up, skip], &format!("{module}.joined"), &[("axis", Attribute::Int(1))]);
            x = self.block(&joined, &format!("{module}.block"), 1)?;
        }
        self.convolution(&x, "decoder.head", 1)
    }

    fn linear(&mut self, input: &str, module: &str) -> Result<String, WeightsError> {
        let (weight, _) = self.parameter(module, "weight")?;
        let (bias, _) = self.parameter(module, "bias")?;
        Ok(self.add("Gemm", &[input, &weight, &bias], module, &[("transB", Attribute::Int(1))]))
    }

    /// Makes `regions` and `attention`; returns ln(z4 + eps) as `[N, 34, 1, 1]`, 0 for the background.
    fn region_branch(&mut self, deepest: &str, gauge: Option<&AttentionGauge>) -> Result<String, WeightsError> {
        let x = self.convolution(deepest, "region.reduce.conv", 1)?;
        let x = self.relu(&x);
        let x = self.convolution(&x, "region.conv.conv", 1)?;
        let x = self.relu(&x);
        let x = self.add("GlobalAveragePool", &[&x], "region.pooled", &[]);
        let x = self.add("Flatten", &[&x], "region.flat", &[("axis", Attribute::Int(1))]);
        let x = self.linear(&x, "region.shared")?;
        let shared = self.relu(&x);
        let regions = self.linear(&shared, "region.region")?;
        self.add("Softmax", &[&regions], "regions", &[("axis", Attribute::Int(1))]);
        let attention = self.linear(&shared, "region.attention")?;
        match gauge {
            None => self.add("Sigmoid", &[&attention], "attention", &[]),
            Some(gauge) => {
                let trained = self.add("Sigmoid", &[&attention], "attention.trained", &[]);
                let (scale, offset) = gauge.line();
                for (name, values) in [("gauge.scale", scale), ("gauge.offset", offset)] {
                    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                    self.initializers.push(proto::floats(name, &[ORGAN_COUNT], &bytes));
                }
                let scaled = self.add("Mul", &[&trained, "gauge.scale"], "attention.scaled", &[]);
                self.add("Add", &[&scaled, "gauge.offset"], "attention", &[])
            }
        };

        self.initializers.push(proto::floats("epsilon", &[], &(EPSILON as f32).to_le_bytes()));
        self.initializers.push(proto::integers("background.pads", &[0, 1, 0, 0]));
        self.initializers.push(proto::integers("plane.axes", &[2, 3]));
        let shifted = self.add("Add", &["attention", "epsilon"], "attention.shifted", &[]);
        let logarithm = self.add("Log", &[&shifted], "attention.logarithm", &[]);
        let padded = self.add("Pad", &[&logarithm, "background.pads"], "attention.padded", &[]);
        Ok(self.add("Unsqueeze", &[&padded, "plane.axes"], "attention.weights", &[]))
    }
}

#[cfg(test)]
mod tests;
