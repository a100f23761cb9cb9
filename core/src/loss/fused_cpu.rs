//! From logits to the sums that the losses are made of, in one pass, and back in another.
//!
//! Attention (equation 1), softmax over the classes, re-calibration (equation 4), and the sums of the batch Dice and of the focal
//! loss (equation 3) over voxels. Operation by operation each of these reads and writes 34 maps through memory.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};

/// Voxels taken at once, so that their classes stay in the nearest cache.
const BLOCK: usize = 128;
/// Sums that are kept side by side, as many as the longest vector has.
const LANES: usize = 16;
/// Probability of the background below which its logarithm is computed from the logits.
const SMALL: f32 = 1e-30;

/// What is known of some slices.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Label of every voxel, `[B, H, W]`.
    pub labels: Vec<u8>,
    /// w of equation (4), of every slice.
    pub weights: Vec<[bool; ORGAN_COUNT]>,
}

/// One number for each class.
pub type PerClass = [f32; CLASS_COUNT];

/// The sums over all voxels, by class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sums {
    /// Of p^.
    pub probability: PerClass,
    /// Of p^ where the class is true.
    pub intersection: PerClass,
    /// Of (1 - p^)^2 ln p^ where the class is true.
    pub focal: PerClass,
    /// Of ln p^ where the class is true.
    pub log: PerClass,
}

/// A block of voxels of one slice: softmax and what follows from it.
struct Block {
    /// Of each class; once [`softmax`](Self::softmax) is done its probability.
    p: [[f32; BLOCK]; CLASS_COUNT],
    /// The probability that re-calibration gives the background.
    background: [f32; BLOCK],
    /// The logarithm of the sum that the softmax divides by, with the largest logit.
    log_sum: [f32; BLOCK],
}

/// exp(x) of numbers that are not above 0, to the last bit or two (Cephes' polynomial), in a form of which vectors can be made. What
/// is not a number stays so.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Added to a small number, it leaves the nearest whole one in the last bits.
    const SHIFT: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    // ln 2 in two parts, the first of which has few bits.
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let p = 1.987_569_1e-4f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let y = (p * r).mul_add(r, r) + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(127);
    y * f32::from_bits(exponent << 23)
}

impl Block {
    fn new() -> Box<Self> {
        Box::new(Self { p: [[0.0; BLOCK]; CLASS_COUNT], background: [0.0; BLOCK], log_sum: [0.0; BLOCK] })
    }

    /// Reads `count` voxels from `at` and computes their probabilities; those behind the last are of no use.
    #[inline(always)]
    fn softmax(&mut self, slice: &Slice<'_>, at: usize, count: usize) {
        let mut most = [f32::NEG_INFINITY; BLOCK];
        for class in 0..CLASS_COUNT {
            let from = &slice.logits[class * slice.plane() + at..][..count];
            for ((z, from), most) in self.p[class].iter_mut().zip(from).zip(&mut most) {
                *z = from + slice.shift[class];
                *most = if *z > *most { *z } else { *most };
            }
        }
        let mut sum = [0.0; BLOCK];
        for p in &mut self.p {
            for n in 0..BLOCK {
                p[n] = exp(p[n] - most[n]);
                sum[n] += p[n];
            }
        }
        for n in 0..BLOCK {
            self.log_sum[n] = most[n] + sum[n].ln();
            sum[n] = 1.0 / sum[n];
        }
        self.background = [0.0; BLOCK];
        for (class, p) in self.p.iter_mut().enumerate() {
            for n in 0..BLOCK {
                p[n] *= sum[n];
            }
            if slice.given(class) {
                for n in 0..BLOCK {
                    self.background[n] += p[n];
                }
            }
        }
    }
}

/// One slice of a batch.
struct Slice<'a> {
    /// `[34, H, W]`.
    logits: &'a [f32],
    /// Added to the logits of each class.
    shift: &'a [f32],
    labels: &'a [u8],
    weights: &'a [bool; ORGAN_COUNT],
}

impl Slice<'_> {
    fn plane(&self) -> usize {
        self.labels.len()
    }

    /// Whether re-calibration gives a class to the background; the background itself is given too.
    #[inline(always)]
    fn given(&self, class: usize) -> bool {
        class == 0 || !self.weights[class - 1]
    }

    /// Whether a class has a probability of its own after re-calibration.
    #[inline(always)]
    fn counts(&self, class: usize) -> bool {
        class == 0 || self.weights[class - 1]
    }

    fn z(&self, class: usize, voxel: usize) -> f32 {
        self.logits[class * self.plane() + voxel] + self.shift[class]
    }

    /// The re-calibrated probability of a class at voxel `at + n`, and its logarithm.
    #[inline(always)]
    fn probability(&self, block: &Block, at: usize, n: usize, class: usize) -> (f32, f32) {
        if class != 0 {
            return (block.p[class][n], self.z(class, at + n) - block.log_sum[n]);
        }
        let p = block.background[n];
        (p, if p < SMALL { self.small_background(at + n, block.log_sum[n]).0 } else { p.ln() })
    }

    /// Of the background at a voxel where its probability is too small to be divided by: its logarithm, and the share that each
    /// class has in it.
    fn small_background(&self, voxel: usize, log_sum: f32) -> (f32, PerClass) {
        let classes = || (0..CLASS_COUNT).filter(|&class| self.given(class));
        let most = classes().map(|class| self.z(class, voxel)).fold(f32::NEG_INFINITY, f32::max);
        let mut shares = [0.0; CLASS_COUNT];
        for class in classes() {
            shares[class] = (self.z(class, voxel) - most).exp();
        }
        let sum: f32 = shares.iter().sum();
        (most + sum.ln() - log_sum, shares.map(|share| share / sum))
    }

    #[inline(always)]
    fn sums(&self) -> [[f64; CLASS_COUNT]; 4] {
        let [mut probability, mut intersection, mut focal, mut log] = [[0.0; CLASS_COUNT]; 4];
        let mut block = Block::new();
        for at in (0..self.plane()).step_by(BLOCK) {
            let count = BLOCK.min(self.plane() - at);
            block.softmax(self, at, count);
            probability[0] += sum(&block.background[..count]);
            for class in (1..CLASS_COUNT).filter(|&class| self.counts(class)) {
                probability[class] += sum(&block.p[class][..count]);
            }
            for (n, &label) in self.labels[at..at + count].iter().enumerate() {
                let class = usize::from(label);
                if self.counts(class) {
                    let (p, ln_p) = self.probability(&block, at, n, class);
                    intersection[class] += f64::from(p);
                    focal[class] += f64::from((1.0 - p) * (1.0 - p) * ln_p);
                    log[class] += f64::from(ln_p);
                }
            }
        }
        [probability, intersection, focal, log]
    }

    /// With D the gradient of the loss by the softmax' probabilities p, that by the logits is p (D - sum p D). D is the gradient by
    /// p^ of the class or, where equation (4) gives the class to the background, by p^ of the background.
    #[inline(always)]
    fn gradients(&self, by: &Sums, by_logits: &mut [f32], by_shift: &mut [f32]) {
        let plane = self.plane();
        let of_focal = by.focal.iter().any(|&by| by != 0.0);
        // D of each class wherever it is not the truth.
        let elsewhere: PerClass =
            std::array::from_fn(|class| by.probability[if self.given(class) { 0 } else { class }]);
        let mut shift_sums = [0.0f64; CLASS_COUNT];
        let mut block = Block::new();
        for at in (0..plane).step_by(BLOCK) {
            let count = BLOCK.min(plane - at);
            block.softmax(self, at, count);
            // What D has more where the background is the truth; what the true organ has more, times p; and sum p D.
            let [mut more, mut own, mut mean] = [[0.0f32; BLOCK]; 3];
            for (p, elsewhere) in block.p.iter().zip(elsewhere) {
                for n in 0..BLOCK {
                    mean[n] += p[n] * elsewhere;
                }
            }
            // Voxels of the background that would have to be divided by too small a number.
            let mut small = Vec::new();
            for (n, &label) in self.labels[at..at + count].iter().enumerate() {
                let class = usize::from(label);
                if !self.counts(class) {
                    continue;
                }
                let (p, ln_p) = self.probability(&block, at, n, class);
                let dice = p * by.intersection[class];
                let focal = match of_focal {
                    true => by.focal[class] * (1.0 - p) * ((1.0 - p) - 2.0 * p * ln_p),
                    false => 0.0,
                };
                // p times what D has more where the class is true.
                let gradient = dice + focal + by.log[class];
                mean[n] += gradient;
                if class != 0 {
                    own[n] = gradient;
                } else if p < SMALL {
                    small.push((n, gradient));
                } else {
                    more[n] = gradient / p;
                }
            }
            for (class, p) in block.p.iter().enumerate() {
                let mut gradient = [0.0; BLOCK];
                if self.given(class) {
                    for n in 0..BLOCK {
                        gradient[n] = p[n] * (elsewhere[class] + more[n] - mean[n]);
                    }
                } else {
                    for n in 0..BLOCK {
                        gradient[n] = p[n] * (elsewhere[class] - mean[n]);
                    }
                }
                by_logits[class * plane + at..][..count].copy_from_slice(&gradient[..count]);
                shift_sums[class] += sum(&gradient[..count]);
            }
            let mut add = |class: usize, n: usize, gradient: f32| {
                by_logits[class * plane + at + n] += gradient;
                shift_sums[class] += f64::from(gradient);
            };
            for (n, &label) in self.labels[at..at + count].iter().enumerate() {
                if own[n] != 0.0 {
                    add(usize::from(label), n, own[n]);
                }
            }
            for (n, gradient) in small {
                let (_, shares) = self.small_background(at + n, block.log_sum[n]);
                for (class, share) in shares.into_iter().enumerate().filter(|(_, share)| *share > 0.0) {
                    add(class, n, gradient * share);
                }
            }
        }
        for (to, sum) in by_shift.iter_mut().zip(shift_sums) {
            *to = sum as f32;
        }
    }
}

/// The slices of a batch, whose logits are `[B, 34, H, W]` and whose shifts `[B, 34]`.
fn slices<'a>(logits: &'a [f32], shift: &'a [f32], truth: &'a Truth) -> impl IndexedParallelIterator<Item = Slice<'a>> {
    let plane = truth.labels.len() / truth.weights.len();
    let values = logits.par_chunks_exact(CLASS_COUNT * plane).zip(shift.par_chunks_exact(CLASS_COUNT));
    let truths = truth.labels.par_chunks_exact(plane).zip(&truth.weights);
    values.zip(truths).map(|((logits, shift), (labels, weights))| Slice { logits, shift, labels, weights })
}

/// The sums of `logits` `[B, 34, H, W]` with `shift` `[B, 34]` added at every voxel.
pub fn forward(logits: &[f32], shift: &[f32], truth: &Truth) -> Sums {
    let of_slices: Vec<[[f64; CLASS_COUNT]; 4]> =
        slices(logits, shift, truth).map(|slice| Arch::new().dispatch(Forward(slice))).collect();
    let total =
        |which: usize| std::array::from_fn(|class| of_slices.iter().map(|s| s[which][class]).sum::<f64>() as f32);
    Sums { probability: total(0), intersection: total(1), focal: total(2), log: total(3) }
}

/// Gradients by logits and shift of a loss whose gradients by the sums are `by`.
pub fn gradients(logits: &[f32], shift: &[f32], truth: &Truth, by: &Sums) -> [Vec<f32>; 2] {
    let [mut by_logits, mut by_shift] = [logits, shift].map(|values| vec![0.0; values.len()]);
    let plane = truth.labels.len() / truth.weights.len();
    let results = by_logits.par_chunks_exact_mut(CLASS_COUNT * plane).zip(by_shift.par_chunks_exact_mut(CLASS_COUNT));
    results.zip(slices(logits, shift, truth)).for_each(|((by_logits, by_shift), slice)| {
        Arch::new().dispatch(Backward { slice, by, by_logits, by_shift });
    });
    [by_logits, by_shift]
}

// As types, not as closures: a closure of this length is compiled apart, without the processor's vectors.

struct Forward<'a>(Slice<'a>);

impl WithSimd for Forward<'_> {
    type Output = [[f64; CLASS_COUNT]; 4];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        self.0.sums()
    }
}

struct Backward<'a> {
    slice: Slice<'a>,
    by: &'a Sums,
    by_logits: &'a mut [f32],
    by_shift: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.slice.gradients(self.by, self.by_logits, self.by_shift);
    }
}

#[inline(always)]
fn sum(values: &[f32]) -> f64 {
    let mut sums = [0.0f32; LANES];
    let whole = values.chunks_exact(LANES);
    let rest: f32 = whole.remainder().iter().sum();
    for values in whole {
        for n in 0..LANES {
            sums[n] += values[n];
        }
    }
    f64::from(rest + sums.iter().sum::<f32>())
}
