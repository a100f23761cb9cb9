//! Dice of held-out slices while training: cheap, on the model grid, over a fixed choice of slices.
//!
//! It tells when to stop and which checkpoint is best. The figures that are published come from whole volumes on the
//! scan's own grid, through the same path as inference.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::layers::Layers;
use super::predict::{predict, predictions};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, Organ, OrganSet};
use crate::dataset::{Augmentation, Hpa, PreparedCase, SliceRef, make_batch};
use crate::network::AttentionAnatomy;
use crate::preprocess::InputConfig;

/// What held-out slices say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ValidationReport {
    /// Slices looked at.
    pub slices: usize,
    /// Dice over all looked-at slices that annotate an organ, `None` where none does.
    pub dice: Vec<(String, Option<f64>)>,
    /// Mean of the Dice values there are.
    pub mean_dice: Option<f64>,
    /// Share of slices with a known region whose most likely region is the true one.
    pub region_accuracy: Option<f64>,
}

/// At most `limit` slices, evenly spread over all usable slices of `cases`.
fn choose(cases: &[PreparedCase], limit: usize) -> Vec<SliceRef> {
    let all: Vec<SliceRef> = cases
        .iter()
        .enumerate()
        .flat_map(|(case, c)| c.usable.iter().map(move |&slice| SliceRef { case, slice, seed: 0 }))
        .collect();
    let n = limit.min(all.len());
    (0..n).map(|i| all[i * all.len() / n]).collect()
}

/// Runs `network` (validation state) on held-out slices, at most `limit`, by `layers` of a training where they compute on a GPU. Organs
/// outside `trained` are never drawn, as in inference.
///
/// # Errors
/// [`TrainError::Device`]: it gives no answer.
pub(super) async fn validate(
    layers: Option<&Layers>,
    network: &AttentionAnatomy,
    cases: &[PreparedCase],
    input: &InputConfig,
    trained: OrganSet,
    limit: usize,
    device: &Device,
) -> Result<ValidationReport, TrainError> {
    let slices = choose(cases, limit);
    let folded = network.clone().fold();
    let pixels = input.crop * input.crop;
    let mut counts = [[0u64; 3]; CLASS_COUNT];
    let (mut right, mut known) = (0usize, 0usize);
    for chunk in slices.chunks(8) {
        let batch = make_batch(cases, chunk, input, Hpa::Off, &Augmentation::default());
        let shape = [chunk.len(), input.stack, input.crop, input.crop];
        let by_layers = layers.map_or(Ok(None), |layers| layers.infer(network, &batch.stacks, shape));
        let found = match by_layers.map_err(|error| TrainError::Device(error.to_string()))? {
            Some(output) => predictions(output, &batch, trained).await,
            None => predict(&folded, &batch, trained, device).await,
        };
        let found = found.map_err(|error| TrainError::Device(error.to_string()))?;
        let truth = batch.target.labels.chunks_exact(pixels);
        for ((r, truth), guess) in chunk.iter().zip(truth).zip(found.labels.chunks_exact(pixels)) {
            let evaluable = &cases[r.case].evaluable[r.slice];
            for (&t, &g) in truth.iter().zip(guess) {
                let (t, g) = (usize::from(t), usize::from(g));
                if t > 0 && evaluable[t - 1] {
                    counts[t][1] += 1;
                    counts[t][0] += u64::from(g == t);
                }
                if g > 0 && evaluable[g - 1] {
                    counts[g][2] += 1;
                }
            }
        }
        let arg_max = |row: &[f32]| (1..row.len()).fold(0, |best, r| if row[r] > row[best] { r } else { best });
        for (row, target) in found.regions.iter().flatten().zip(&batch.target.regions) {
            if let Some(target) = target {
                known += 1;
                right += usize::from(arg_max(row) == arg_max(target));
            }
        }
    }
    let dice: Vec<(String, Option<f64>)> = (0..ORGAN_COUNT)
        .map(|c| {
            let [both, truth, guess] = counts[c + 1];
            let value = (truth > 0).then(|| 2.0 * both as f64 / (truth + guess) as f64);
            (Organ::ALL[c].id().to_string(), value)
        })
        .collect();
    let there: Vec<f64> = dice.iter().filter_map(|d| d.1).collect();
    Ok(ValidationReport {
        slices: slices.len(),
        mean_dice: (!there.is_empty()).then(|| there.iter().sum::<f64>() / there.len() as f64),
        dice,
        region_accuracy: (known > 0).then(|| right as f64 / known as f64),
    })
}
