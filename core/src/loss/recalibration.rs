//! Equation (4), half-annotated re-calibration: p^_n(c) = p_n(c) w(c), and what is masked goes to the background,
//! p^_n(bg) = p_n(bg) + sum_c p_n(c) (1 - w(c)).
//!
//! w is per slice: 1 where organ c is annotated here or cannot occur in this slice's region, else 0. So a voxel that
//! the network calls "kidney" in a scan where nobody drew kidneys counts as a correct background voxel, and an organ
//! is neither punished nor rewarded where its truth is unknown.
//!
//! In log space: ln p^(bg) = logsumexp(background and masked logits) - logsumexp(all logits). Logarithms of organs are
//! only meant where w = 1; where w = 0 they are set to 0, and no truth ever points there.

use burn::tensor::{Tensor, TensorData, activation::log_softmax};

use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT};

/// Added to a logit that takes no part in a logsumexp; exp of it is exactly 0 in f32.
const EXCLUDED: f32 = -1e9;

/// p^ and its logarithm, both `[B, 34, H, W]`.
#[derive(Debug, Clone)]
pub struct Recalibrated {
    /// p^; exactly 0 where w = 0.
    pub probability: Tensor<4>,
    /// ln p^; 0 (not minus infinity) where w = 0.
    pub log_probability: Tensor<4>,
}

/// p^ of z5' (after attention); `weights[b][c]` is w of organ c in slice b.
///
/// # Shapes
/// `[B, 34, H, W]` to twice the same.
pub fn recalibrate(logits: Tensor<4>, weights: &[[bool; ORGAN_COUNT]]) -> Recalibrated {
    let [batch, classes, height, width] = logits.dims();
    assert_eq!((batch, classes), (weights.len(), CLASS_COUNT), "one row of weights for each slice");
    let device = logits.device();
    let log_p = log_softmax(logits, 1);
    if weights.iter().flatten().all(|&w| w) {
        return Recalibrated { probability: log_p.clone().exp(), log_probability: log_p };
    }
    let organ_mask: Vec<f32> = weights.iter().flatten().map(|&w| f32::from(u8::from(w))).collect();
    let excluded: Vec<f32> = weights
        .iter()
        .flat_map(|row| std::iter::once(0.0).chain(row.iter().map(|&w| if w { EXCLUDED } else { 0.0 })))
        .collect();
    let organ_mask = Tensor::<4>::from_data(TensorData::new(organ_mask, [batch, ORGAN_COUNT, 1, 1]), &device);
    let excluded = Tensor::<4>::from_data(TensorData::new(excluded, [batch, CLASS_COUNT, 1, 1]), &device);

    // logsumexp over the background and the masked organs. The largest term is at most 0 and may be far below; shift by
    // it (as a constant: the shift cancels in value and gradient).
    let joined = log_p.clone() + excluded;
    let shift = joined.clone().detach().max_dim(1);
    let background = (joined - shift.clone()).exp().sum_dim(1).log() + shift;
    let organs = log_p.narrow(1, 1, ORGAN_COUNT);
    let probability = Tensor::cat(vec![background.clone().exp(), organs.clone().exp() * organ_mask.clone()], 1);
    let log_probability = Tensor::cat(vec![background, organs * organ_mask], 1);
    debug_assert_eq!(probability.dims(), [batch, CLASS_COUNT, height, width]);
    Recalibrated { probability, log_probability }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn values(t: Tensor<4>) -> Vec<f32> {
        t.into_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn masked_probability_moves_to_the_background_and_nothing_is_lost() {
        let device = Device::flex();
        let logits = Tensor::<4>::random([2, CLASS_COUNT, 2, 3], Distribution::Normal(0.0, 3.0), &device);
        let mut weights = [[true; ORGAN_COUNT]; 2];
        weights[0][4] = false;
        weights[0][17] = false;
        weights[1] = [false; ORGAN_COUNT];
        weights[1][32] = true;
        let plain = values(burn::tensor::activation::softmax(logits.clone(), 1));
        let got = recalibrate(logits, &weights);
        let (p, lp) = (values(got.probability), values(got.log_probability));
        for b in 0..2 {
            for n in 0..6 {
                let at = |c: usize| (b * CLASS_COUNT + c) * 6 + n;
                let mut background = f64::from(plain[at(0)]);
                for c in 0..ORGAN_COUNT {
                    let expected = if weights[b][c] { plain[at(c + 1)] } else { 0.0 };
                    assert!((p[at(c + 1)] - expected).abs() < 1e-6);
                    if weights[b][c] {
                        assert!((lp[at(c + 1)] - plain[at(c + 1)].ln()).abs() < 1e-3);
                    } else {
                        background += f64::from(plain[at(c + 1)]);
                        assert_eq!(lp[at(c + 1)], 0.0);
                    }
                }
                assert!((f64::from(p[at(0)]) - background).abs() < 1e-5, "equation (4) for the background");
                assert!((f64::from(lp[at(0)]) - background.ln()).abs() < 1e-4);
                let sum: f32 = (0..CLASS_COUNT).map(|c| p[at(c)]).sum();
                assert!((sum - 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn far_apart_logits_stay_finite() {
        let device = Device::flex();
        let mut z = vec![-200.0f32; CLASS_COUNT];
        z[5] = 200.0;
        let logits = Tensor::<4>::from_data(TensorData::new(z, [1, CLASS_COUNT, 1, 1]), &device);
        let mut weights = [[true; ORGAN_COUNT]];
        weights[0][9] = false;
        let got = recalibrate(logits.clone(), &weights);
        assert!(values(got.log_probability).iter().all(|v| v.is_finite()));
        weights[0][4] = false;
        let got = recalibrate(logits, &weights);
        assert!((values(got.probability)[0] - 1.0).abs() < 1e-6, "the masked winner is background");
    }
}
