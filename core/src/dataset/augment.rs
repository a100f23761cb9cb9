//! Random changes to a sample: geometry on HU and labels together, intensity on HU alone.
//!
//! Never a left-right mirror: 16 of the 33 organs come in sides, and a mirrored patient has the liver on the left.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::preprocess::AIR_HU;

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
    /// 2-D elastic deformation.
    pub elastic: Option<Elastic>,
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
            ("elastic.sigma_mm", elastic.sigma_mm, 100.0),
            ("elastic.grid_mm", elastic.grid_mm, 1000.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(format!("augmentation.{name} is {value}; it must be between 0 and {most}"));
            }
        }
        Ok(())
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

/// A standard normal number (Box and Muller).
pub(crate) fn normal(rng: &mut Pcg64) -> f32 {
    let u: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    let v: f64 = rng.random();
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
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
            elastic: Some(Elastic { sigma_mm: 4.0, grid_mm: 30.0 }),
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
}
