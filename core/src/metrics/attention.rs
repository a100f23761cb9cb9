//! What attention changes: the labels with the network's attention vector beside those with a vector of ones.
//!
//! The attention vector may learn to be 1 everywhere, and then a network with attention is a plain U-Net with a
//! decoration. So the effect is counted on whole volumes, and where it is too small to matter that is said in words.

use crate::anatomy::{ORGAN_COUNT, Organ};
use serde::{Deserialize, Serialize};

/// Share of the labelled voxels below which attention has no effect worth the name.
pub const NEGLIGIBLE_SHARE: f64 = 1e-3;

/// Voxels of one organ, with attention and without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganChange {
    /// Labelled so with attention.
    pub with: u64,
    /// Labelled so without.
    pub without: u64,
    /// Labelled so in exactly one of the two.
    pub changed: u64,
}

/// What attention changes in one or several volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionEffect {
    /// By organ index.
    pub organs: Vec<OrganChange>,
    /// Voxels whose label differs.
    pub changed: u64,
    /// Voxels that either labels as some organ.
    pub labelled: u64,
}

impl Default for AttentionEffect {
    fn default() -> Self {
        Self { organs: vec![OrganChange::default(); ORGAN_COUNT], changed: 0, labelled: 0 }
    }
}

impl AttentionEffect {
    /// Counts one more volume, given its labels with attention and without.
    pub fn add(&mut self, with: &[u8], without: &[u8]) {
        let organ = |label: u8| usize::from(label).checked_sub(1).filter(|&n| n < ORGAN_COUNT);
        for (&a, &b) in with.iter().zip(without) {
            if a == 0 && b == 0 {
                continue;
            }
            self.labelled += 1;
            let changed = u64::from(a != b);
            self.changed += changed;
            if let Some(n) = organ(a) {
                self.organs[n].with += 1;
                self.organs[n].changed += changed;
            }
            if let Some(n) = organ(b) {
                self.organs[n].without += 1;
                self.organs[n].changed += changed;
            }
        }
    }

    /// Changed voxels per labelled voxel; 0 where nothing is labelled.
    pub fn share(&self) -> f64 {
        if self.labelled == 0 { 0.0 } else { self.changed as f64 / self.labelled as f64 }
    }

    /// The finding in one sentence.
    pub fn verdict(&self) -> String {
        let share = 100.0 * self.share();
        let counts = format!("{} of {} labelled voxels ({share:.3} %)", self.changed, self.labelled);
        if self.share() < NEGLIGIBLE_SHARE {
            format!(
                "Attention has no real effect here: switching it off changes {counts}, less than {} %.",
                100.0 * NEGLIGIBLE_SHARE
            )
        } else {
            format!("Attention is real: switching it off changes {counts}.")
        }
    }

    /// The sentence and a table of the organs that occur.
    pub fn markdown(&self) -> String {
        let mut text =
            format!("{}\n\n| organ | voxels with attention | without | changed |\n|---|---|---|---|\n", self.verdict());
        for organ in Organ::ALL {
            let OrganChange { with, without, changed } = self.organs[organ.index()];
            if with + without > 0 {
                text.push_str(&format!("| {} | {with} | {without} | {changed} |\n", organ.name()));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_voxel_is_counted_once_and_for_both_its_organs() {
        let (liver, heart) = (Organ::Liver, Organ::Heart);
        let (l, h) = (liver.label(), heart.label());
        let mut effect = AttentionEffect::default();
        effect.add(&[0, l, l, h, 0], &[0, l, h, h, h]);
        assert_eq!((effect.changed, effect.labelled), (2, 4));
        assert_eq!(effect.organs[liver.index()], OrganChange { with: 2, without: 1, changed: 1 });
        assert_eq!(effect.organs[heart.index()], OrganChange { with: 1, without: 3, changed: 2 });
        assert!(effect.verdict().contains("2 of 4 labelled voxels (50.000 %)"), "{}", effect.verdict());
        assert_eq!(effect.markdown().lines().filter(|line| line.starts_with("| ")).count(), 3);
    }

    #[test]
    fn an_effect_below_a_thousandth_is_called_none() {
        let l = Organ::Liver.label();
        let with = vec![l; 10_000];
        let verdict = |changed: usize| {
            let mut effect = AttentionEffect::default();
            let without: Vec<u8> = (0..with.len()).map(|n| if n < changed { 0 } else { l }).collect();
            effect.add(&with, &without);
            effect.verdict()
        };
        assert!(verdict(9).starts_with("Attention has no real effect"), "{}", verdict(9));
        assert!(verdict(10).starts_with("Attention is real"), "{}", verdict(10));
        assert!(AttentionEffect::default().verdict().starts_with("Attention has no real effect"));
    }
}
