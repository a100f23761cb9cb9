//! Which slices make the batch of a step.
//!
//! A pure function of seed and step: a resumed training sees the same slices as one that was never stopped, with no
//! state to store. Every batch mixes the sources in fixed proportions (a network that sees one source per batch learns
//! the batch's statistics), and slices that show annotated organs are preferred, so that a short organ is seen.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::PreparedCase;
use crate::anatomy::Organ;
use crate::random::hash;

/// A slice to be put in a batch, and the seed of its augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRef {
    /// Index of the case.
    pub case: usize,
    /// Slice of the case.
    pub slice: usize,
    /// Seed of everything random about this sample.
    pub seed: u64,
}

/// Draws slices.
#[derive(Debug, Clone)]
pub struct Sampler {
    seed: u64,
    mixed: bool,
    sets: Vec<SetOfCases>,
}

#[derive(Debug, Clone)]
struct SetOfCases {
    weight: f64,
    cases: Vec<usize>,
}

/// Part of the samples that is drawn among slices showing a chosen annotated organ; the rest is drawn among all slices.
const ORGAN_SHARE: f64 = 0.7;

impl Sampler {
    /// `set_weights[s]` is the share of set s in every batch, or if not `mixed` of the batches; sets without cases are left out.
    pub fn new(cases: &[PreparedCase], set_weights: &[f64], mixed: bool, seed: u64) -> Self {
        let sets = set_weights
            .iter()
            .enumerate()
            .map(|(s, &weight)| SetOfCases {
                weight,
                cases: (0..cases.len()).filter(|&c| cases[c].set == s && !cases[c].usable.is_empty()).collect(),
            })
            .filter(|s| s.weight > 0.0 && !s.cases.is_empty())
            .collect();
        Self { seed, mixed, sets }
    }

    /// Whether there is nothing to draw from.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The slices of step `step`.
    pub fn draw(&self, cases: &[PreparedCase], step: u64, batch: usize) -> Vec<SliceRef> {
        let mut rng = Pcg64::seed_from_u64(hash(self.seed, &format!("step {step}")));
        let total: f64 = self.sets.iter().map(|s| s.weight).sum();
        // Systematic sampling: with one random offset, every set gets its share of this very batch up to one slice.
        let offset: f64 = rng.random();
        (0..batch)
            .map(|n| {
                let place = if self.mixed { (n as f64 + offset) / batch as f64 } else { offset };
                let mut at = place * total;
                let set = self
                    .sets
                    .iter()
                    .find(|s| {
                        at -= s.weight;
                        at < 0.0
                    })
                    .unwrap_or(&self.sets[self.sets.len() - 1]);
                let case = set.cases[rng.random_range(0..set.cases.len())];
                SliceRef { case, slice: choose_slice(&cases[case], &mut rng), seed: rng.random() }
            })
            .collect()
    }
}

fn choose_slice(case: &PreparedCase, rng: &mut Pcg64) -> usize {
    let organs: Vec<Organ> = Organ::ALL.into_iter().filter(|o| !case.organ_slices[o.index()].is_empty()).collect();
    let pool = if !organs.is_empty() && rng.random_bool(ORGAN_SHARE) {
        &case.organ_slices[organs[rng.random_range(0..organs.len())].index()]
    } else {
        &case.usable
    };
    pool[rng.random_range(0..pool.len())]
}
