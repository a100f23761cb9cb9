//! The convolution as an operation on tensors of burn's CPU backend.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::convolution::{self, Shape};

/// Whether this tensor lies on the processor, be it in a graph.
pub fn computes(x: &Tensor<4>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

/// [`convolution::forward`] of tensors on the processor that are in no graph.
///
/// # Shapes
/// `x` `[B, from, H, W]`, `weight` `[to, from, k, k]`; the result `[B, to, rows, columns]` of [`Shape::output`].
pub fn convolve(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    let ([batch, from, height, width], [to, _, kernel, _], device) = (x.dims(), weight.dims(), x.device());
    let shape = Shape { batch, channels: [from, to], size: [height, width], kernel, stride };
    let [x, weight] = [x, weight].map(|tensor| tensor.into_data().try_into_vec::<f32>().expect("f32"));
    let [height, width] = shape.output();
    let y = TensorData::new(convolution::forward(shape, &x, &weight), [batch, to, height, width]);
    Tensor::from_data(y, &device)
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
