//! The truth of a batch: what the losses compare with, and what is counted of it.

use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};

/// The truth of a (micro-)batch.
#[derive(Clone, Debug)]
pub struct Target {
    /// Labels 0..=33 of the centre slices, `[B, H, W]`.
    pub labels: Vec<u8>,
    /// H and W.
    pub size: [usize; 2],
    /// Pixels of each slice's field beside these: air, hence background.
    pub outside: usize,
    /// w of equation (4) for every slice.
    pub weights: Vec<[bool; ORGAN_COUNT]>,
    /// Soft region targets; `None` in unknown bands.
    pub regions: Vec<Option<[f32; REGION_COUNT]>>,
}

impl Target {
    /// Number of slices.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Pixels of all fields that are left out.
    pub fn left_out(&self) -> u64 {
        (self.len() * self.outside) as u64
    }

    /// Whether there is no slice.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The organs that each slice shows.
    pub fn seen(&self) -> Vec<[bool; ORGAN_COUNT]> {
        let pixels = (self.size[0] * self.size[1]).max(1);
        let one = |labels: &[u8]| {
            let mut seen = [false; ORGAN_COUNT];
            for &label in labels.iter().filter(|&&label| label > 0) {
                seen[usize::from(label) - 1] = true;
            }
            seen
        };
        self.labels.chunks_exact(pixels).map(one).collect()
    }

    /// Slices `range` of this batch.
    pub fn narrow(&self, range: std::ops::Range<usize>) -> Self {
        let n = self.size[0] * self.size[1];
        Self {
            labels: self.labels[range.start * n..range.end * n].to_vec(),
            size: self.size,
            outside: self.outside,
            weights: self.weights[range.clone()].to_vec(),
            regions: self.regions[range].to_vec(),
        }
    }
}

/// What is counted over the whole batch before any micro-batch is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchCounts {
    /// Voxels of each class.
    pub voxels: [u64; CLASS_COUNT],
    /// Slices with a region target.
    pub known_regions: usize,
    /// Pairs of a slice and an organ of which it is known whether the one shows the other.
    pub known_organs: usize,
}

impl BatchCounts {
    /// Counts of a whole batch, on its whole fields.
    pub fn of(target: &Target) -> Self {
        let mut voxels = [0; CLASS_COUNT];
        voxels[0] = target.left_out();
        for &label in &target.labels {
            voxels[usize::from(label)] += 1;
        }
        Self {
            voxels,
            known_regions: target.regions.iter().flatten().count(),
            known_organs: target.weights.iter().flatten().filter(|&&known| known).count(),
        }
    }

    /// Classes that occur.
    pub fn present(&self) -> [bool; CLASS_COUNT] {
        self.voxels.map(|n| n > 0)
    }
}
