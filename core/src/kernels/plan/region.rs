//! The end of the region branch: global average pooling, three fully connected layers, softmax and sigmoid.

use serde::{Deserialize, Serialize};

use super::blocked::{BLOCK, BORDER, Maps};
use super::error::PlanError;
use crate::anatomy::{ORGAN_COUNT, REGION_COUNT};
use crate::kernels::floats;

/// What the branch says of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionAnswer {
    /// Region probabilities.
    pub regions: [f32; REGION_COUNT],
    /// z4, on the line that was asked for.
    #[serde(with = "floats")]
    pub attention: [f32; ORGAN_COUNT],
}

/// Scale and offset of each organ's attention z4: scale z4 + offset is given in its place.
pub type AttentionLine = ([f32; ORGAN_COUNT], [f32; ORGAN_COUNT]);

/// A fully connected layer, `[out, in]`.
#[derive(Clone, Debug)]
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let of = |(row, bias): (&[f32], &f32)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + bias;
        self.weight.chunks_exact(x.len()).zip(&self.bias).map(of).collect()
    }
}

/// The three layers of the region branch.
#[derive(Clone, Debug)]
pub struct RegionLayers {
    shared: Layer,
    region: Layer,
    attention: Layer,
    line: AttentionLine,
}

impl RegionLayers {
    /// Weight `[out, in]` and bias of the shared layer on `channels`, of the region's and of the attention's; attention as it is where
    /// there is no `line`.
    ///
    /// # Errors
    /// Sizes that do not fit.
    pub fn new(
        channels: usize,
        layers: [(Vec<f32>, Vec<f32>); 3],
        line: Option<AttentionLine>,
    ) -> Result<Self, PlanError> {
        let [shared, region, attention] = layers.map(|(weight, bias)| Layer { weight, bias });
        let fits = |layer: &Layer, inputs: usize, outputs: usize| {
            layer.bias.len() == outputs && layer.weight.len() == inputs * outputs
        };
        let width = shared.bias.len();
        if channels == 0
            || width == 0
            || !fits(&shared, channels, width)
            || !fits(&region, width, REGION_COUNT)
            || !fits(&attention, width, ORGAN_COUNT)
        {
            return Err(PlanError::Tensor("the region branch's layers do not fit each other".into()));
        }
        let line = line.unwrap_or(([1.0; ORGAN_COUNT], [0.0; ORGAN_COUNT]));
        Ok(Self { shared, region, attention, line })
    }

    /// Outputs of the shared layer.
    pub fn width(&self) -> usize {
        self.shared.bias.len()
    }

    /// Weight `[out, in]` and bias of the shared layer, of the region's and of the attention's, then scale and offset of each
    /// organ's attention.
    pub fn parameters(&self) -> [&[f32]; 8] {
        let [shared, region, attention] = [&self.shared, &self.region, &self.attention].map(|l| [&l.weight, &l.bias]);
        let (scale, offset) = &self.line;
        [shared[0], shared[1], region[0], region[1], attention[0], attention[1], &scale[..], &offset[..]]
    }

    /// From the branch's last maps, of a part of the field where `around` has air's maps of all of it, and the row and column at
    /// which the part begins: the mean is always that of the field, on which the layers were trained.
    pub fn run(&self, maps: Maps<'_>, around: Option<(Maps<'_>, [usize; 2])>) -> RegionAnswer {
        let shape = maps.part.shape;
        let mut pooled = sums(maps, [0; 2], shape.size);
        let mut field = shape.size;
        if let Some((air, first)) = around {
            field = air.part.shape.size;
            let (all, here) = (sums(air, [0; 2], field), sums(air, first, shape.size));
            pooled.iter_mut().zip(all.iter().zip(here)).for_each(|(sum, (all, here))| *sum += all - here);
        }
        pooled.truncate(shape.channels);
        pooled.iter_mut().for_each(|sum| *sum /= (field[0] * field[1]) as f32);
        let mut x = self.shared.apply(&pooled);
        x.iter_mut().for_each(|v| *v = v.max(0.0));
        let logits = self.region.apply(&x);
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let regions: [f32; REGION_COUNT] = std::array::from_fn(|n| (logits[n] - largest).exp());
        let sum: f32 = regions.iter().sum();
        let attention = self.attention.apply(&x);
        let (scale, offset) = &self.line;
        RegionAnswer {
            regions: regions.map(|v| v / sum),
            attention: std::array::from_fn(|n| scale[n] / (1.0 + (-attention[n]).exp()) + offset[n]),
        }
    }
}

/// Of each channel the sum over `size` rows and columns from `first`.
fn sums(maps: Maps<'_>, first: [usize; 2], size: [usize; 2]) -> Vec<f32> {
    let mut pooled = vec![0.0f32; maps.part.shape.blocks() * BLOCK];
    for (block, sums) in pooled.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
        for row in first[0]..first[0] + size[0] {
            for pixel in &maps.row(block, row + BORDER).as_chunks::<BLOCK>().0[BORDER + first[1]..][..size[1]] {
                sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            }
        }
    }
    pooled
}
