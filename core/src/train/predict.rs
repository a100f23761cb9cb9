//! What a network in training says of held-out slices: the same rules as inference, a batch at once, on the model grid.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, Organ, OrganSet, REGION_COUNT};
use crate::dataset::Batch;
use crate::loss::recalibrate;
use crate::loss::total::modulated;
use crate::network::{AttentionAnatomy, NetworkOutput};

/// What the network says of some slices, as inference would say it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlicePredictions {
    /// Labels `[B, crop, crop]`.
    pub labels: Vec<u8>,
    /// Region probabilities of every slice; `None` for a plain U-Net.
    pub regions: Option<Vec<[f32; REGION_COUNT]>>,
    /// z4 of every slice; `None` for a plain U-Net.
    pub attention: Option<Vec<[f32; ORGAN_COUNT]>>,
}

/// Runs `network` (validation state) on the slices of `batch`. Organs outside `trained` are never drawn, as in inference.
///
/// # Errors
/// The device gives no answer.
pub async fn predict(
    network: &AttentionAnatomy,
    batch: &Batch,
    trained: OrganSet,
    device: &Device,
) -> Result<SlicePredictions, ExecutionError> {
    let slices = batch.target.len();
    let [height, width] = batch.target.size;
    let pixels = height * width;
    let stack = batch.stacks.len() / (slices * pixels).max(1);
    let x = TensorData::new(batch.stacks.clone(), [slices, stack, height, width]);
    predictions(network.forward(Tensor::<4>::from_data(x, device)), batch, trained).await
}

/// What a network's output says of the slices of `batch`. Organs outside `trained` are never drawn, as in inference.
///
/// # Errors
/// The device gives no answer.
pub(super) async fn predictions(
    output: NetworkOutput,
    batch: &Batch,
    trained: OrganSet,
) -> Result<SlicePredictions, ExecutionError> {
    let slices = batch.target.len();
    let [height, width] = batch.target.size;
    let pixels = height * width;
    let learned: [bool; ORGAN_COUNT] = std::array::from_fn(|c| trained.contains(Organ::ALL[c]));
    // As at inference: what was never learned gives its probability to the background before anything is chosen.
    let p = recalibrate(modulated(&output), &vec![learned; slices]).probability;
    let mut result = SlicePredictions::default();
    if let Some(region) = output.region {
        result.regions = Some(rows(softmax(region.regions, 1)).await?);
        result.attention = Some(rows(region.attention).await?);
    }
    let p = p.into_data_async().await?.try_to_vec::<f32>().unwrap_or_default();
    let classes: Vec<usize> = std::iter::once(0).chain(trained.iter().map(|o| usize::from(o.label()))).collect();
    result.labels = vec![0; slices * pixels];
    for (labels, p) in result.labels.chunks_exact_mut(pixels).zip(p.chunks_exact(CLASS_COUNT * pixels)) {
        for (n, label) in labels.iter_mut().enumerate() {
            let mut best = 0;
            for &c in &classes {
                if p[c * pixels + n] > p[best * pixels + n] {
                    best = c;
                }
            }
            *label = best as u8;
        }
    }
    Ok(result)
}

pub(super) async fn rows<const N: usize>(tensor: Tensor<2>) -> Result<Vec<[f32; N]>, ExecutionError> {
    let values = tensor.into_data_async().await?.try_to_vec::<f32>().unwrap_or_default();
    Ok(values.as_chunks::<N>().0.to_vec())
}
