//! Voxels, HU and place of every organ, kept up to date with every changed voxel.
//!
//! Counting a whole-body label map takes a tenth of a second, and the organ list shows volumes in every frame while a run
//! delivers slices: so the sums follow the changes instead of being counted again.

use attention_anatomy::anatomy::ORGAN_COUNT;

/// Sums over all voxels of an organ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Number of voxels.
    pub voxels: u64,
    /// Sum of HU.
    pub hu: i64,
    /// Sums of i, j and k.
    pub index: [u64; 3],
}

/// The sums of all organs, and their voxels on every slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tallies {
    sums: [Sums; ORGAN_COUNT],
    /// `[organ * nz + k]`.
    on_slice: Vec<u32>,
    slices: usize,
}

impl Tallies {
    /// Of a volume of `slices` slices without organs.
    pub fn new(slices: usize) -> Self {
        Self { sums: [Sums::default(); ORGAN_COUNT], on_slice: vec![0; ORGAN_COUNT * slices], slices }
    }

    /// A voxel of `hu` changes its label.
    pub fn change(&mut self, at: [usize; 3], hu: i16, from: u8, to: u8) {
        if let Some(organ) = usize::from(from).checked_sub(1).filter(|&o| o < ORGAN_COUNT) {
            let sums = &mut self.sums[organ];
            sums.voxels -= 1;
            sums.hu -= i64::from(hu);
            for a in 0..3 {
                sums.index[a] -= at[a] as u64;
            }
            self.on_slice[organ * self.slices + at[2]] -= 1;
        }
        if let Some(organ) = usize::from(to).checked_sub(1).filter(|&o| o < ORGAN_COUNT) {
            let sums = &mut self.sums[organ];
            sums.voxels += 1;
            sums.hu += i64::from(hu);
            for a in 0..3 {
                sums.index[a] += at[a] as u64;
            }
            self.on_slice[organ * self.slices + at[2]] += 1;
        }
    }

    /// The sums of the organ with this index.
    pub fn sums(&self, organ: usize) -> Sums {
        self.sums[organ]
    }

    /// Voxels of the organ with this index on every slice.
    pub fn on_slices(&self, organ: usize) -> &[u32] {
        &self.on_slice[organ * self.slices..(organ + 1) * self.slices]
    }
}
