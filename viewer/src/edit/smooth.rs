//! Smoothing: the organ is blurred with a Gaussian, and the level at which it has as many voxels as before is its new
//! surface.
//!
//! Cutting at one half would shrink every convex organ with each click. The level stays between 0.3 and 0.7, so that what
//! is thinner than the blur becomes thinner or goes, instead of being paid for by a swelling elsewhere; then the volume is
//! not kept.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::raster::Gaussian;

use super::mask::Mask;
use super::{LabelStore, PaintOver};

/// Between these the level of the new surface is looked for.
const LEVELS: [f32; 2] = [0.3, 0.7];
/// Steps of it.
const BINS: usize = 4096;

impl LabelStore {
    /// Smooths the surface of an organ with a Gaussian of standard deviation `sigma_mm`, within each axial slice or in
    /// space where `three_d`. Returns how many labels are others now.
    pub fn smooth(&mut self, organ: Organ, sigma_mm: f64, three_d: bool, over: PaintOver) -> usize {
        let spacing = self.geometry().spacing();
        let sigmas = if three_d { [sigma_mm; 3] } else { [sigma_mm, sigma_mm, 0.0] };
        let blurs: [Gaussian; 3] = std::array::from_fn(|a| Gaussian::new(sigmas[a] / spacing[a]));
        let margin: [usize; 3] = std::array::from_fn(|a| blurs[a].reach());
        let Some(mut mask) = Mask::of(self, organ, margin) else { return 0 };
        let mut values: Vec<f32> = mask.voxels.iter().map(|&v| f32::from(v)).collect();
        let [w, h, _] = mask.size;
        for (a, stride) in [1, w, w * h].into_iter().enumerate() {
            // Beyond the box the last value goes on: where the scan ends inside an organ, the organ is not rounded off.
            blurs[a].blur(&mut values, mask.size[a], stride);
        }
        let level = level(&values, mask.voxels.iter().filter(|v| **v != 0).count());
        for (voxel, value) in mask.voxels.iter_mut().zip(values) {
            *voxel = u8::from(value > level);
        }
        mask.put(self, organ, over, "smooth")
    }
}

/// The level above which there are `wanted` values, within [`LEVELS`].
fn level(values: &[f32], wanted: usize) -> f32 {
    let mut histogram = vec![0usize; BINS + 1];
    for v in values {
        histogram[(v.clamp(0.0, 1.0) * BINS as f32) as usize] += 1;
    }
    let mut above = 0;
    let bin = (0..=BINS).rev().find(|&bin| {
        above += histogram[bin];
        above >= wanted
    });
    (bin.unwrap_or(0) as f32 / BINS as f32).clamp(LEVELS[0], LEVELS[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::samples::{place, store};

    const SIZE: [usize; 3] = [48, 48, 16];
    const SPACING: [f64; 3] = [1.0, 1.0, 3.0];
    const LIVER: Organ = Organ::Liver;

    /// A ball of 18 mm; every fifth voxel near its surface is flipped.
    fn rough() -> (LabelStore, Vec<u8>) {
        let mut labels = store(SIZE, SPACING);
        let mut ball = Vec::new();
        for k in 0..SIZE[2] {
            labels.set(k, 0..48 * 48, |n, _| {
                let at = place(n + 48 * 48 * k, SIZE);
                let d =
                    (0..3).map(|a| ((at[a] as f64 - [23.5, 23.5, 7.5][a]) * SPACING[a]).powi(2)).sum::<f64>().sqrt();
                ball.push(if d <= 18.0 { LIVER.label() } else { 0 });
                let flip = (d - 18.0).abs() < 2.0 && (n * 7 + k * 3) % 5 == 0;
                ((d <= 18.0) != flip).then_some(LIVER.label())
            });
        }
        (labels, ball)
    }

    #[test]
    fn roughness_goes_and_the_volume_stays() {
        for three_d in [false, true] {
            let (mut labels, ball) = rough();
            let wrong = |labels: &LabelStore| labels.layer().voxels().iter().zip(&ball).filter(|(a, b)| a != b).count();
            let (rough_voxels, volume) = (wrong(&labels), labels.volume_ml(LIVER));
            labels.smooth(LIVER, 1.5, three_d, PaintOver::Background);
            assert!(
                wrong(&labels) * 3 < rough_voxels,
                "{} of {rough_voxels} still differ from the ball",
                wrong(&labels)
            );
            assert!((labels.volume_ml(LIVER) / volume - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn what_is_thinner_than_the_blur_goes_and_the_end_of_the_scan_does_not_round_off() {
        let mut labels = store([30, 30, 10], [1.0; 3]);
        for k in 0..10 {
            labels.set(k, 0..900, |n, _| {
                let (i, j) = (n % 30, n / 30);
                let block = (5..15).contains(&i) && (5..15).contains(&j);
                (block || (j == 10 && i < 25)).then_some(LIVER.label())
            });
        }
        labels.smooth(LIVER, 2.0, true, PaintOver::Background);
        assert_eq!(labels.layer().get([22, 10, 5]), 0);
        let on = labels.voxels_on_slices(LIVER);
        assert!(on.iter().all(|n| *n == on[0]), "{on:?}");
    }
}
