//! From the network's softmax to the probabilities that labels are chosen from.
//!
//! Equation (1) equals weighting the softmax by z4 and renormalising, so attention is applied here, on the host, where a
//! what-if can apply another one to the same numbers. Then organs that the weights never learned (or that are
//! switched off) give their probability to the background, as in equation (4), before anything is chosen.

use serde::{Deserialize, Serialize};

use super::tile::{TilePlace, bounds};
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, OrganSet, REGION_COUNT};
use crate::kernels::floats;
use crate::network::attention::EPSILON;

/// Softmax of z5 of one tile, before attention.
#[derive(Clone, Debug, PartialEq)]
pub struct TileSoftmax {
    /// The box that it covers, and the field around it.
    pub place: TilePlace,
    /// `[34, rows, columns]` of the box.
    pub values: Vec<f32>,
}

/// What the network says of a slice, with nothing applied yet.
#[derive(Clone, Debug, PartialEq)]
pub struct RawPrediction {
    /// Slice number in the volume.
    pub slice: usize,
    /// One or several tiles.
    pub tiles: Vec<TileSoftmax>,
    /// z4; `None` for a plain U-Net.
    pub attention: Option<[f32; ORGAN_COUNT]>,
    /// Region probabilities; `None` for a plain U-Net.
    pub regions: Option<[f32; REGION_COUNT]>,
}

/// Probabilities of a slice on the model grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicePrediction {
    /// Slice number in the volume.
    pub slice: usize,
    /// Top left model pixel `[x, y]` of the area.
    pub origin: [i64; 2],
    /// Width and height in model pixels.
    pub size: [usize; 2],
    /// Classes that may win somewhere, background (0) first; all others are nowhere above [`NEGLIGIBLE`].
    pub classes: Vec<u8>,
    /// `[classes, h, w]`.
    #[serde(with = "floats")]
    pub probabilities: Vec<f32>,
    /// z4 as applied; `None` for a plain U-Net.
    #[serde(with = "floats::optional")]
    pub attention: Option<[f32; ORGAN_COUNT]>,
    /// Region probabilities; `None` for a plain U-Net.
    pub regions: Option<[f32; REGION_COUNT]>,
}

/// A class that stays below this everywhere cannot be the largest of 34, not even between pixels.
pub const NEGLIGIBLE: f32 = 1.0 / CLASS_COUNT as f32 - 1e-3;

impl RawPrediction {
    /// Probabilities under `attention` (the network's own where `None`), with everything outside `drawn` moved to the
    /// background.
    pub fn finish(&self, attention: Option<&[f32; ORGAN_COUNT]>, enabled: OrganSet) -> SlicePrediction {
        let attention = attention.copied().or(self.attention);
        let weights = class_weights(attention.as_ref());
        let organs: Vec<u8> = enabled.iter().map(|o| o.label()).collect();
        let (origin, size) = bounds(self.tiles.iter().map(|tile| &tile.place));
        let area = size[0] * size[1];
        let mut all = vec![0.0f32; (1 + organs.len()) * area];
        let mut covered = vec![0.0f32; area];
        for tile in &self.tiles {
            let within = tile.place.within;
            let ([width, height], at) = (within.size, tile.place.origin());
            let n = within.pixels();
            let mut scale = vec![0.0f32; n];
            for c in 0..CLASS_COUNT {
                for (s, v) in scale.iter_mut().zip(&tile.values[c * n..(c + 1) * n]) {
                    *s += weights[c] * v;
                }
            }
            for y in 0..height {
                for x in 0..width {
                    let from = y * width + x;
                    let to = (y + (at[1] - origin[1]) as usize) * size[0] + x + (at[0] - origin[0]) as usize;
                    // Where tiles overlap, each counts the more the further inside its field the pixel lies.
                    let inside = if self.tiles.len() == 1 {
                        1.0
                    } else {
                        let depth = |v: usize| v.min(within.field - 1 - v);
                        (1 + depth(x + within.offset[0]).min(depth(y + within.offset[1]))) as f32
                    };
                    covered[to] += inside;
                    let factor = inside / scale[from].max(f32::MIN_POSITIVE);
                    let mut organs_sum = 0.0;
                    for (slot, &organ) in organs.iter().enumerate() {
                        let c = usize::from(organ);
                        let p = weights[c] * tile.values[c * n + from] * factor;
                        all[(slot + 1) * area + to] += p;
                        organs_sum += p;
                    }
                    // Background and everything that is not drawn.
                    all[to] += inside - organs_sum;
                }
            }
        }
        // Outside all tiles (corners between tiles) there is background only.
        for (n, covered) in covered.iter().enumerate() {
            if *covered == 0.0 {
                all[n] = 1.0;
            } else if *covered != 1.0 {
                for slot in 0..=organs.len() {
                    all[slot * area + n] /= covered;
                }
            }
        }
        let mut classes = vec![0u8];
        let mut probabilities: Vec<f32> = all[..area].to_vec();
        for (slot, &organ) in organs.iter().enumerate() {
            let map = &all[(slot + 1) * area..(slot + 2) * area];
            if map.iter().any(|&p| p >= NEGLIGIBLE) {
                classes.push(organ);
                probabilities.extend_from_slice(map);
            }
        }
        SlicePrediction { slice: self.slice, origin, size, classes, probabilities, attention, regions: self.regions }
    }
}

/// What attention weighs the softmax of each class with: the background by 1, an organ by z4 + eps.
pub(super) fn class_weights(attention: Option<&[f32; ORGAN_COUNT]>) -> [f32; CLASS_COUNT] {
    let mut weights = [1.0; CLASS_COUNT];
    if let Some(z4) = attention {
        for (w, z) in weights[1..].iter_mut().zip(z4) {
            *w = z + EPSILON as f32;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anatomy::Organ;
    use crate::preprocess::FieldBox;

    fn tile(origin: [i64; 2], crop: usize, pixel: &[(usize, f32)]) -> TileSoftmax {
        let n = crop * crop;
        let mut values = vec![0.0; CLASS_COUNT * n];
        for &(c, p) in pixel {
            values[c * n..(c + 1) * n].fill(p);
        }
        TileSoftmax { place: TilePlace { field: origin, within: FieldBox::whole(crop) }, values }
    }

    fn raw(tiles: Vec<TileSoftmax>, attention: Option<[f32; ORGAN_COUNT]>) -> RawPrediction {
        RawPrediction { slice: 3, tiles, attention, regions: None }
    }

    #[test]
    fn an_organ_that_was_never_learned_becomes_background_before_anything_is_chosen() {
        // Background 0.3, heart 0.45, liver 0.25: without heart the background wins, although liver > 0.
        let (heart, liver) = (Organ::Heart, Organ::Liver);
        let pixel = [(0, 0.3), (usize::from(heart.label()), 0.45), (usize::from(liver.label()), 0.25)];
        let raw = raw(vec![tile([0, 0], 2, &pixel)], None);
        let enabled: OrganSet = [liver].into_iter().collect();
        let p = raw.finish(None, enabled);
        assert_eq!(p.classes, [0, liver.label()]);
        assert!((p.probabilities[0] - 0.75).abs() < 1e-6 && (p.probabilities[4] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn attention_weighs_and_renormalises() {
        let (heart, liver) = (Organ::Heart, Organ::Liver);
        let pixel = [(0, 0.2), (usize::from(heart.label()), 0.5), (usize::from(liver.label()), 0.3)];
        let mut z4 = [1.0; ORGAN_COUNT];
        z4[heart.index()] = 0.1;
        let p = raw(vec![tile([0, 0], 1, &pixel)], Some(z4)).finish(None, OrganSet::ALL);
        let sum = 0.2 + 0.05 + 0.3;
        assert_eq!(p.classes, [0, heart.label(), liver.label()]);
        for (got, expected) in p.probabilities.iter().zip([0.2 / sum, 0.05 / sum, 0.3 / sum]) {
            assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        }
        let what_if = raw(vec![tile([0, 0], 1, &pixel)], Some(z4)).finish(Some(&[1.0; ORGAN_COUNT]), OrganSet::ALL);
        assert!((what_if.probabilities[1] - 0.5).abs() < 1e-4);
    }

    #[test]
    fn overlapping_tiles_join_without_a_seam() {
        let liver = usize::from(Organ::Liver.label());
        let same = [(0, 0.4), (liver, 0.6)];
        let p = raw(vec![tile([-2, 1], 8, &same), tile([2, 1], 8, &same)], None).finish(None, OrganSet::ALL);
        assert_eq!((p.origin, p.size), ([-2, 1], [12, 8]));
        assert!(p.probabilities[..96].iter().all(|v| (v - 0.4).abs() < 1e-5));
        assert!(p.probabilities[96..].iter().all(|v| (v - 0.6).abs() < 1e-5));
    }
}
