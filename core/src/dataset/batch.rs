//! The stacks and targets of a batch.

use super::augment::{mirror_organs, mirror_sample};
use super::{Augmentation, Hpa, PreparedCase, SliceRef, Target};
use crate::parallel::map;
use crate::preprocess::{AIR_HU, FieldBox, InputConfig, crop_stack_hu};

/// A batch on the host.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[B, S, H, W]` intensities in `[0, 1]`, of the fields or of boxes within them.
    pub stacks: Vec<f32>,
    /// Labels, re-calibration weights, region targets.
    pub target: Target,
}

/// Cuts, augments and stacks the given slices, on all cores where there are threads.
pub fn make_batch(
    cases: &[PreparedCase],
    slices: &[SliceRef],
    input: &InputConfig,
    hpa: Hpa,
    augmentation: &Augmentation,
) -> Batch {
    let crop = input.crop;
    let one = |r: &SliceRef| {
        let case = &cases[r.case];
        let origin = case.origins[r.slice];
        let mut stack = crop_stack_hu(|n| &case.hu[n], &case.grid, input, r.slice, origin);
        let mut labels = crop_labels(&case.labels[r.slice], case.grid.size, crop, origin);
        augmentation.apply(&mut stack, &mut labels, crop, case.grid.spacing_mm[0], r.seed);
        let mut weights = case.weights(r.slice, hpa);
        if case.may_be_mirrored(r.slice) && augmentation.mirrors(r.seed) {
            mirror_sample(&mut stack, &mut labels, crop);
            weights = mirror_organs(weights);
        }
        for v in &mut stack {
            *v = input.intensity(*v);
        }
        (stack, labels, weights)
    };
    let mut batch = Batch {
        stacks: Vec::with_capacity(slices.len() * input.stack * crop * crop),
        target: Target {
            labels: Vec::with_capacity(slices.len() * crop * crop),
            size: [crop, crop],
            outside: 0,
            weights: Vec::with_capacity(slices.len()),
            regions: slices.iter().map(|r| cases[r.case].regions[r.slice]).collect(),
        },
    };
    for (stack, labels, weights) in map(slices.iter().collect(), one) {
        batch.stacks.extend(stack);
        batch.target.labels.extend(labels);
        batch.target.weights.push(weights);
    }
    batch
}

impl Batch {
    /// The same slices on boxes of one size, the smallest on multiples of `granularity` in which there is room for what each slice
    /// shows, with a margin; each lies around the middle of that. All that is left out is air and unlabelled.
    pub fn on_boxes(self, input: &InputConfig, granularity: usize) -> Self {
        let (crop, whole) = (input.crop, FieldBox::whole(input.crop));
        let (slices, air) = (self.target.len(), input.intensity(AIR_HU));
        let stacks = || self.stacks.chunks_exact(self.stacks.len() / slices.max(1));
        let labels = || self.target.labels.chunks_exact(crop * crop);
        let seen: Vec<FieldBox> = stacks()
            .zip(labels())
            .map(|(stack, labels)| {
                let seen = FieldBox::around(stack, crop, air);
                if labels.iter().all(|&label| label == 0) {
                    return seen;
                }
                let labelled: Vec<f32> = labels.iter().map(|&label| f32::from(label)).collect();
                seen.hull(&FieldBox::around(&labelled, crop, 0.0))
            })
            .collect();
        let side = |axis: usize| {
            let most = seen.iter().map(|seen| seen.size[axis]).max().unwrap_or(crop);
            most.next_multiple_of(granularity).min(crop)
        };
        let size = [side(0), side(1)];
        let boxes: Vec<FieldBox> = seen.iter().map(|seen| seen.grown_to(size)).collect();
        Self {
            stacks: stacks().zip(&boxes).flat_map(|(stack, b)| b.cut(stack, &whole, air)).collect(),
            target: Target {
                labels: labels().zip(&boxes).flat_map(|(labels, b)| b.cut(labels, &whole, 0)).collect(),
                size: [size[1], size[0]],
                outside: crop * crop - size[0] * size[1],
                ..self.target
            },
        }
    }
}

/// Labels `[crop, crop]` from `[h, w]` labels; 0 outside the field of view.
pub fn crop_labels(labels: &[u8], size: [usize; 2], crop: usize, origin: [i64; 2]) -> Vec<u8> {
    let [width, height] = size;
    let mut out = vec![0; crop * crop];
    for y in 0..crop {
        let sy = origin[1] + y as i64;
        if sy < 0 || sy >= height as i64 {
            continue;
        }
        for x in 0..crop {
            let sx = origin[0] + x as i64;
            if sx >= 0 && sx < width as i64 {
                out[y * crop + x] = labels[sy as usize * width + sx as usize];
            }
        }
    }
    out
}
