//! Measures, after a training, the height of attention that means "this slice shows the organ": see
//! [`AttentionGauge`].

use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use super::predict::rows;
use crate::anatomy::ORGAN_COUNT;
use crate::dataset::{Augmentation, Hpa, PreparedCase, SliceRef, make_batch};
use crate::network::AttentionAnatomy;
use crate::network::gauge::AttentionGauge;
use crate::preprocess::InputConfig;

/// Most slices of one organ that are looked at: a median moves little with more.
const SLICES: usize = 200;
/// Slices run at once.
const BATCH: usize = 8;

/// Slices of `cases` that show each organ, at most [`SLICES`] of them, evenly spread over all, by case and slice.
fn choose(cases: &[PreparedCase]) -> Vec<(usize, usize)> {
    let mut chosen = Vec::new();
    for organ in 0..ORGAN_COUNT {
        let all: Vec<(usize, usize)> = cases
            .iter()
            .enumerate()
            .flat_map(|(case, c)| c.organ_slices[organ].iter().map(move |&slice| (case, slice)))
            .collect();
        let n = SLICES.min(all.len());
        chosen.extend((0..n).map(|i| all[i * all.len() / n]));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// The gauge of `network` (validation state, without a gauge) on the cases that it was trained on; `None` for a plain U-Net.
///
/// # Errors
/// The device gives no answer.
pub async fn measure_gauge(
    network: &AttentionAnatomy,
    cases: &[PreparedCase],
    input: &InputConfig,
    device: &Device,
) -> Result<Option<AttentionGauge>, ExecutionError> {
    let network = network.clone().fold();
    let mut shown: [Vec<f32>; ORGAN_COUNT] = std::array::from_fn(|_| Vec::new());
    for chunk in choose(cases).chunks(BATCH) {
        let slices: Vec<SliceRef> = chunk.iter().map(|&(case, slice)| SliceRef { case, slice, seed: 0 }).collect();
        let batch = make_batch(cases, &slices, input, Hpa::Off, &Augmentation::default());
        let shape = [slices.len(), input.stack, input.crop, input.crop];
        let Some(region) = network.forward_region(Tensor::<4>::from_data(TensorData::new(batch.stacks, shape), device))
        else {
            return Ok(None);
        };
        for (&(case, slice), z4) in chunk.iter().zip(rows::<ORGAN_COUNT>(region.attention).await?) {
            for (organ, values) in shown.iter_mut().enumerate() {
                if cases[case].organ_slices[organ].binary_search(&slice).is_ok() {
                    values.push(z4[organ]);
                }
            }
        }
    }
    Ok(Some(AttentionGauge::fit(&shown)))
}
