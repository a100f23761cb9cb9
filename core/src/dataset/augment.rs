//! Random changes to a sample: geometry on HU and labels together, intensity on HU alone.
//!
//! A left-right mirror exchanges the sides of the 16 organs that have one, and is for slices of the head and neck alone ([`PreparedCase::may_be_mirrored`]):
//! a mirrored trunk has the liver on the left.
//!
//! [`PreparedCase::may_be_mirrored`]: super::PreparedCase::may_be_mirrored

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::anatomy::{ORGAN_COUNT, Organ};
use crate::preprocess::AIR_HU;
use crate::random::{hash, normal};
use crate::raster::Gaussian;

/// How far samples are changed. All zero by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Shift of the crop in-plane, uniform up to this many mm either way.
    pub shift_mm: f64,
    /// In-plane rotation, uniform up to this many degrees either way.
    pub rotation_degrees: f64,
    /// In-plane scale, uniform in 1 +- this.
    pub scale: f64,
    /// Shift of all HU, uniform up to this either way.
    pub hu_shift: f64,
    /// Standard deviation of Gaussian noise in HU (itself uniform from 0 to this).
    pub noise_hu: f64,
    /// Probability that HU are clipped to an abdominal window [-125, 275] as some public sets are, so that the window
    /// of a set cannot be told from its images.
    pub window_dropout: f64,
    /// In-plane blur: width (FWHM) of a Gaussian, uniform from 0 to this many mm.
    pub blur_mm: f64,
    /// Blur along z, as thicker slices have it: every channel gives up to this share to each of its neighbours.
    pub thick_slices: f64,
    /// Contrast agent: what HU from 40 to 300 have above 40 is multiplied by 1 +- this.
    pub contrast: f64,
    /// 2-D elastic deformation.
    pub elastic: Option<Elastic>,
    /// Probability that a slice that may be is mirrored left to right, its organs changing sides.
    pub mirror: f64,
}

/// Smooth random displacement: cubic B-spline over a grid of normally distributed control points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Standard deviation of a control point's displacement in mm.
    pub sigma_mm: f64,
    /// Distance of control points in mm.
    pub grid_mm: f64,
}

/// What a contrast agent changes: from unenhanced blood to bone.
const CONTRAST_HU: [f32; 2] = [40.0, 300.0];

impl Augmentation {
    /// Checks the numbers.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        let elastic = self.elastic.clone().unwrap_or(Elastic { sigma_mm: 0.0, grid_mm: 30.0 });
        for (name, value, most) in [
            ("shift_mm", self.shift_mm, 200.0),
            ("rotation_degrees", self.rotation_degrees, 180.0),
            ("scale", self.scale, 0.9),
            ("hu_shift", self.hu_shift, 1000.0),
            ("noise_hu", self.noise_hu, 1000.0),
            ("window_dropout", self.window_dropout, 1.0),
            ("blur_mm", self.blur_mm, 20.0),
            ("thick_slices", self.thick_slices, 1.0 / 3.0),
            ("contrast", self.contrast, 1.0),
            ("mirror", self.mirror, 1.0),
            ("elastic.sigma_mm", elastic.sigma_mm, 100.0),
            ("elastic.grid_mm", elastic.grid_mm, 1000.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(format!("augmentation.{name} is {value}; it must be between 0 and {most}"));
            }
        }
        Ok(())
    }

    /// Whether the sample of `seed` is mirrored, where it may be.
    pub fn mirrors(&self, seed: u64) -> bool {
        self.mirror > 0.0 && Pcg64::seed_from_u64(hash(seed, "mirror")).random_bool(self.mirror)
    }

    fn moves(&self) -> bool {
        self.shift_mm > 0.0 || self.rotation_degrees > 0.0 || self.scale > 0.0 || self.elastic.is_some()
    }

    /// Changes a sample in place. `stack` is `[channels, crop, crop]` HU, `labels` `[crop, crop]`; all channels move
    /// alike. `pixel_mm` is the model pixel.
    pub fn apply(&self, stack: &mut [f32], labels: &mut [u8], crop: usize, pixel_mm: f64, seed: u64) {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut uniform = |limit: f64| if limit > 0.0 { rng.random_range(-limit..=limit) } else { 0.0 };
        let (angle, scale) = (uniform(self.rotation_degrees).to_radians(), 1.0 + uniform(self.scale));
        let shift = [uniform(self.shift_mm), uniform(self.shift_mm)];
        let hu_shift = uniform(self.hu_shift) as f32;
        let noise = uniform(self.noise_hu).abs() as f32;
        let clip = self.window_dropout > 0.0 && rng.random_bool(self.window_dropout.min(1.0));
        if self.moves() {
            let elastic = self.elastic.as_ref().map(|e| Displacement::random(e, crop, pixel_mm, &mut rng));
            let middle = (crop as f64 - 1.0) / 2.0;
            let (sin, cos) = (angle.sin() / scale, angle.cos() / scale);
            let source = stack.to_vec();
            let source_labels = labels.to_vec();
            for y in 0..crop {
                for x in 0..crop {
                    let (u, v) = (x as f64 - middle, y as f64 - middle);
                    let mut sx = cos * u - sin * v + middle + shift[0] / pixel_mm;
                    let mut sy = sin * u + cos * v + middle + shift[1] / pixel_mm;
                    if let Some(field) = &elastic {
                        let [dx, dy] = field.at(x as f64, y as f64);
                        sx += dx;
                        sy += dy;
                    }
                    let n = y * crop + x;
                    for (out, from) in stack.chunks_exact_mut(crop * crop).zip(source.chunks_exact(crop * crop)) {
                        out[n] = bilinear(from, crop, sx, sy);
                    }
                    let (rx, ry) = (sx.round(), sy.round());
                    let inside = rx >= 0.0 && ry >= 0.0 && rx < crop as f64 && ry < crop as f64;
                    labels[n] = if inside { source_labels[ry as usize * crop + rx as usize] } else { 0 };
                }
            }
        }
        let mut up_to = |most: f64| if most > 0.0 { rng.random_range(0.0..=most) } else { 0.0 };
        let (blur, share) = (up_to(self.blur_mm), up_to(self.thick_slices));
        if blur > 0.0 {
            for channel in stack.chunks_exact_mut(crop * crop) {
                blur_slice(channel, crop, blur / pixel_mm);
            }
        }
        if share > 0.0 {
            blur_along_z(stack, crop * crop, share as f32);
        }
        if self.contrast > 0.0 {
            let factor = 1.0 + rng.random_range(-self.contrast..=self.contrast) as f32;
            for v in stack.iter_mut().filter(|v| (CONTRAST_HU[0]..CONTRAST_HU[1]).contains(*v)) {
                // Enhanced or not, vessels and organs stay below bone.
                *v = (CONTRAST_HU[0] + (*v - CONTRAST_HU[0]) * factor).min(CONTRAST_HU[1]);
            }
        }
        if clip {
            // What such sets do to their images: below the window everything but the air around the body is -125.
            for v in stack.iter_mut() {
                *v = if *v < -800.0 { *v } else { v.clamp(-125.0, 275.0) };
            }
        }
        if hu_shift != 0.0 || noise > 0.0 {
            for v in stack.iter_mut() {
                if *v > AIR_HU + 1.0 {
                    *v += hu_shift + if noise > 0.0 { noise * normal(&mut rng) } else { 0.0 };
                }
            }
        }
    }
}

/// Mirrors a sample left to right: every row of `stack` and `labels` (`crop` pixels each) turns around, and organs change sides.
pub fn mirror_sample(stack: &mut [f32], labels: &mut [u8], crop: usize) {
    stack.chunks_exact_mut(crop).for_each(<[f32]>::reverse);
    labels.chunks_exact_mut(crop).for_each(<[u8]>::reverse);
    for label in labels {
        *label = Organ::from_label(*label).and_then(Organ::mirror).map_or(*label, Organ::label);
    }
}

/// What is said of each organ, for a mirrored sample: of each that has a side what is said of the other one.
pub fn mirror_organs<T: Copy>(of: [T; ORGAN_COUNT]) -> [T; ORGAN_COUNT] {
    std::array::from_fn(|c| of[Organ::ALL[c].mirror().map_or(c, Organ::index)])
}

/// Gaussian blur of a square image by a width (FWHM) in pixels; edges are repeated.
fn blur_slice(image: &mut [f32], side: usize, fwhm: f64) {
    let gaussian = Gaussian::new(fwhm / (8.0 * std::f64::consts::LN_2).sqrt());
    gaussian.blur(image, side, 1);
    gaussian.blur(image, side, side);
}

/// Every channel becomes a mean of itself and its neighbours, which have `share` each; the ends have one neighbour.
fn blur_along_z(stack: &mut [f32], pixels: usize, share: f32) {
    let source = stack.to_vec();
    let channels = source.len() / pixels;
    for c in 0..channels {
        let (below, above) = (c.saturating_sub(1) * pixels, (c + 1).min(channels - 1) * pixels);
        for n in 0..pixels {
            stack[c * pixels + n] =
                (1.0 - 2.0 * share) * source[c * pixels + n] + share * (source[below + n] + source[above + n]);
        }
    }
}

fn bilinear(image: &[f32], side: usize, x: f64, y: f64) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ax, ay) = ((x - fx) as f32, (y - fy) as f32);
    let at = |i: f64, j: f64| {
        if i < 0.0 || j < 0.0 || i >= side as f64 || j >= side as f64 {
            AIR_HU
        } else {
            image[j as usize * side + i as usize]
        }
    };
    let top = at(fx, fy) * (1.0 - ax) + at(fx + 1.0, fy) * ax;
    let bottom = at(fx, fy + 1.0) * (1.0 - ax) + at(fx + 1.0, fy + 1.0) * ax;
    top * (1.0 - ay) + bottom * ay
}

/// A displacement field in pixels.
struct Displacement {
    columns: usize,
    step: f64,
    control: Vec<[f64; 2]>,
}

impl Displacement {
    fn random(elastic: &Elastic, crop: usize, pixel_mm: f64, rng: &mut Pcg64) -> Self {
        let step = (elastic.grid_mm / pixel_mm).max(2.0);
        // One control point before the first pixel and two after the last: a cubic spline reaches that far.
        let columns = (crop as f64 / step).ceil() as usize + 4;
        let sigma = elastic.sigma_mm / pixel_mm;
        let control =
            (0..columns * columns).map(|_| [f64::from(normal(rng)) * sigma, f64::from(normal(rng)) * sigma]).collect();
        Self { columns, step, control }
    }

    fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let split = |v: f64| {
            let cell = (v / self.step).floor();
            (cell as usize, v / self.step - cell)
        };
        let spline = |t: f64| {
            let s = 1.0 - t;
            [
                s * s * s / 6.0,
                (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
                (3.0 * s * s * s - 6.0 * s * s + 4.0) / 6.0,
                t * t * t / 6.0,
            ]
        };
        let ((cx, tx), (cy, ty)) = (split(x), split(y));
        let (wx, wy) = (spline(tx), spline(ty));
        let mut sum = [0.0; 2];
        for (j, wy) in wy.iter().enumerate() {
            for (i, wx) in wx.iter().enumerate() {
                let c = self.control[(cy + j) * self.columns + cx + i];
                sum[0] += wx * wy * c[0];
                sum[1] += wx * wy * c[1];
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROP: usize = 32;

    fn sample() -> (Vec<f32>, Vec<u8>) {
        let mut stack = vec![AIR_HU; 2 * CROP * CROP];
        let mut labels = vec![0; CROP * CROP];
        for y in 8..24 {
            for x in 4..14 {
                stack[y * CROP + x] = 50.0;
                stack[CROP * CROP + y * CROP + x] = 50.0;
                labels[y * CROP + x] = 30;
            }
        }
        (stack, labels)
    }

    fn strong() -> Augmentation {
        Augmentation {
            shift_mm: 9.0,
            rotation_degrees: 15.0,
            scale: 0.1,
            hu_shift: 20.0,
            noise_hu: 10.0,
            window_dropout: 0.5,
            blur_mm: 4.0,
            thick_slices: 0.3,
            contrast: 0.4,
            elastic: Some(Elastic { sigma_mm: 4.0, grid_mm: 30.0 }),
            mirror: 0.0,
        }
    }

    #[test]
    fn no_augmentation_changes_nothing_and_a_seed_repeats_itself() {
        let (mut stack, mut labels) = sample();
        Augmentation::default().apply(&mut stack, &mut labels, CROP, 3.0, 5);
        assert_eq!((stack, labels), sample());
        let run = |seed| {
            let (mut stack, mut labels) = sample();
            strong().apply(&mut stack, &mut labels, CROP, 3.0, seed);
            (stack, labels)
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }

    #[test]
    fn labels_move_with_the_image_and_left_stays_left() {
        for seed in 0..40 {
            let (mut stack, mut labels) = sample();
            strong().apply(&mut stack, &mut labels, CROP, 3.0, seed);
            let (mut agree, mut organ, mut sum_x) = (0, 0, 0);
            for n in 0..CROP * CROP {
                if labels[n] == 30 {
                    organ += 1;
                    sum_x += n % CROP;
                    agree += usize::from(stack[n] > -500.0);
                }
            }
            assert!(organ > 80, "seed {seed}: the organ is still there");
            assert!(agree as f64 > 0.97 * f64::from(organ), "seed {seed}: {agree} of {organ} lie on tissue");
            assert!(sum_x / (organ as usize) < CROP / 2, "seed {seed}: the organ changed sides");
        }
    }

    #[test]
    fn a_mirrored_parotid_is_the_other_one_and_stays_on_its_side_of_the_patient() {
        let (mut stack, mut labels) = sample();
        let [left, right, stem] = [Organ::ParotidLeft, Organ::ParotidRight, Organ::BrainStem].map(Organ::label);
        labels.iter_mut().filter(|label| **label > 0).for_each(|label| *label = left);
        labels[0] = stem;
        let (before, tissue) = (labels.clone(), stack.clone());
        mirror_sample(&mut stack, &mut labels, CROP);
        assert_eq!((labels[8 * CROP + CROP - 1 - 4], labels[CROP - 1], labels[8 * CROP + 4]), (right, stem, 0));
        assert!(labels.iter().zip(&stack).all(|(label, hu)| *label != right || *hu == 50.0));
        mirror_sample(&mut stack, &mut labels, CROP);
        assert_eq!((labels, stack), (before, tissue));

        let mut known = [false; ORGAN_COUNT];
        known[Organ::ParotidLeft.index()] = true;
        known[Organ::Larynx.index()] = true;
        let mirrored = mirror_organs(known);
        let [l, r, larynx] = [Organ::ParotidLeft, Organ::ParotidRight, Organ::Larynx].map(|o| mirrored[o.index()]);
        assert_eq!([l, r, larynx], [false, true, true]);
    }

    #[test]
    fn every_second_sample_is_mirrored_where_half_of_them_shall_be_and_none_by_default() {
        let half = Augmentation { mirror: 0.5, ..Augmentation::default() };
        let count = (0..1000).filter(|&seed| half.mirrors(seed)).count();
        assert!((420..580).contains(&count), "{count}");
        assert!((0..1000).all(|seed| !Augmentation::default().mirrors(seed)));
    }

    #[test]
    fn blur_has_the_width_that_it_says_and_keeps_the_mean() {
        let mut image = vec![0.0f32; CROP * CROP];
        image[16 * CROP + 16] = 1000.0;
        blur_slice(&mut image, CROP, 4.0);
        let (sum, peak) = (image.iter().sum::<f32>(), image[16 * CROP + 16]);
        assert!((sum - 1000.0).abs() < 0.1, "{sum}");
        // Half the peak at half the width, in both directions.
        for n in [14, 18] {
            assert!(
                (image[16 * CROP + n] / peak - 0.5).abs() < 0.01 && (image[n * CROP + 16] / peak - 0.5).abs() < 0.01
            );
        }
        let mut flat = vec![-1000.0f32; CROP * CROP];
        blur_slice(&mut flat, CROP, 3.0);
        assert!(flat.iter().all(|v| (v + 1000.0).abs() < 1e-2));
    }

    #[test]
    fn thick_slices_share_with_their_neighbours() {
        let mut stack = [0.0, 90.0, 0.0, 0.0, 30.0];
        blur_along_z(&mut stack, 1, 1.0 / 3.0);
        for (got, expected) in stack.iter().zip([30.0, 30.0, 30.0, 10.0, 20.0]) {
            assert!((got - expected).abs() < 1e-4, "{stack:?}");
        }
    }

    #[test]
    fn a_contrast_agent_changes_neither_fat_nor_bone() {
        let hu = [-100.0, 20.0, 140.0, 700.0];
        let mut seen = Vec::new();
        for seed in 0..20 {
            let mut stack = hu.to_vec();
            let contrast = Augmentation { contrast: 0.5, ..Augmentation::default() };
            contrast.apply(&mut stack, &mut [0; 4], 2, 3.0, seed);
            assert_eq!([stack[0], stack[1], stack[3]], [hu[0], hu[1], hu[3]]);
            assert!((90.0..=190.0).contains(&stack[2]));
            seen.push(stack[2]);
        }
        assert!(seen.iter().any(|v| *v < 120.0) && seen.iter().any(|v| *v > 160.0));
    }
}
