//! Convolution and normalisation as operations of burn's CPU backend that can be differentiated.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::convolution::{self, Shape};
use super::normalisation::{self, Statistics};

/// Whether this tensor lies where these operations are done.
pub fn computes(x: &Tensor<4>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

/// As [`convolution::forward`], with gradients.
pub fn convolve(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Operations>::convolve(x.into_dispatch(), weight.into_dispatch(), stride))
}

/// [`normalisation::normalise`], and mean and variance of each channel.
pub fn normalise(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
    let (y, mean, variance) = <Dispatch as Operations>::normalise(x, gamma, beta, epsilon);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

#[backend_extension(Autodiff, Flex)]
trait Operations: Backend {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self>;
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// A tensor of the CPU backend.
pub type Values = FloatTensor<Flex>;

/// A tensor of these values.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Values {
    Values::from_data(TensorData::new(values, shape))
}

/// The values of a tensor that was made contiguous.
pub fn slice(tensor: &Values) -> &[f32] {
    tensor.as_slice().expect("f32, and contiguous")
}

fn shape_of(x: &Values, weight: &Values, stride: usize) -> Shape {
    let [[batch, from, height, width], [to, _, kernel, _]] = [x, weight].map(|tensor| tensor.shape().dims::<4>());
    Shape { batch, channels: [from, to], size: [height, width], kernel, stride }
}

/// Values of a plane: rows times columns.
fn plane(x: &Values) -> usize {
    let [_, _, height, width] = x.shape().dims();
    height * width
}

impl Operations for Flex {
    fn convolve(x: Values, weight: Values, stride: usize) -> Values {
        let shape = shape_of(&x, &weight, stride);
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        let [height, width] = shape.output();
        tensor(convolution::forward(shape, slice(&x), slice(&weight)), [shape.batch, shape.channels[1], height, width])
    }

    fn normalise(x: Values, gamma: Values, beta: Values, epsilon: f64) -> (Values, Values, Values) {
        let dims: [usize; 4] = x.shape().dims();
        let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.to_contiguous());
        let statistics = normalisation::statistics(slice(&x), dims[1], plane(&x));
        let y =
            normalisation::normalise(slice(&x), plane(&x), &statistics, slice(&gamma), slice(&beta), epsilon as f32);
        let of = |value: fn(&Statistics) -> f32| tensor(statistics.iter().map(value).collect(), [dims[1]]);
        (tensor(y, dims), of(|s| s.mean), of(|s| s.variance))
    }
}

impl<C: CheckpointStrategy> Operations for Autodiff<Flex, C> {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, stride: usize) -> FloatTensor<Self> {
        let prepared = Convolve.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        let y = Flex::convolve(x.clone(), weight.clone(), stride);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((x, weight, stride), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let prepared = Normalise.prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful();
        let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
        let (y, mean, variance) = Flex::normalise(x.clone(), gamma.clone(), beta.into_primitive(), epsilon);
        let statistics = (mean.clone(), variance.clone());
        let y = match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((x, gamma, statistics, epsilon), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }
}

#[derive(Debug)]
struct Convolve;

impl Backward<Flex, 2> for Convolve {
    type State = (Values, Values, usize);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([by_x, by_weight], (x, weight, stride)) = (ops.parents, ops.state);
        let shape = shape_of(&x, &weight, stride);
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        if let Some(node) = by_x {
            let dx = convolution::input_gradient(shape, slice(&dy), slice(&weight));
            gradients.register::<Flex>(node.id, tensor::<4>(dx, x.shape().dims()));
        }
        if let Some(node) = by_weight {
            let dw = convolution::weight_gradient(shape, slice(&x), slice(&dy));
            gradients.register::<Flex>(node.id, tensor::<4>(dw, weight.shape().dims()));
        }
    }
}

#[derive(Debug)]
struct Normalise;

impl Backward<Flex, 3> for Normalise {
    type State = (Values, Values, (Values, Values), f64);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (parents, (x, gamma, (mean, variance), epsilon)) = (ops.parents, ops.state);
        let dy = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [x, gamma] = [x, gamma].map(|tensor| tensor.to_contiguous());
        let statistics: Vec<Statistics> =
            slice(&mean).iter().zip(slice(&variance)).map(|(&mean, &variance)| Statistics { mean, variance }).collect();
        let [dx, dgamma, dbeta] =
            normalisation::gradients(slice(&x), slice(&dy), plane(&x), &statistics, slice(&gamma), epsilon as f32);
        let channels = [statistics.len()];
        let values = [tensor::<4>(dx, x.shape().dims()), tensor(dgamma, channels), tensor(dbeta, channels)];
        for (node, gradient) in parents.into_iter().zip(values) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}
