//! What a run says besides labels: the network's view of every slice, and how the run came about.

use serde::{Deserialize, Serialize};

use crate::anatomy::{ORGAN_COUNT, REGION_COUNT, Region};

/// What the network says about one axial slice as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct SliceAnatomy {
    /// Canonical slice number k; 0 is the most inferior.
    pub slice: usize,
    /// Patient S (LPS z) of the slice's centre in mm.
    pub position_mm: f64,
    /// Probability of each region, in the order of [`Region::ALL`]. All zero when the network has no region branch.
    pub regions: [f32; REGION_COUNT],
    /// Attention of each organ, in the order of [`Organ::ALL`](crate::anatomy::Organ::ALL); `None` for a plain U-Net.
    pub attention: Option<[f32; ORGAN_COUNT]>,
}

impl SliceAnatomy {
    /// The most likely region and its probability; `None` when the network has no region branch.
    pub fn most_likely_region(&self) -> Option<(Region, f32)> {
        let mut best: Option<(Region, f32)> = None;
        for region in Region::ALL {
            let p = self.regions[region.index()];
            if p.is_finite() && p > best.map_or(0.0, |(_, b)| b) {
                best = Some((region, p));
            }
        }
        best
    }

    /// The regions' probabilities as `columns` cells side by side, of which each region has its share, from the head down; cells
    /// are `None` when the network has no region branch.
    pub fn region_cells(&self, columns: usize) -> impl Iterator<Item = Option<Region>> {
        let share = self.regions.map(|p| if p.is_finite() { p } else { 0.0 });
        let total: f32 = share.iter().sum();
        (0..columns).map(move |column| {
            let place = (column as f32 + 0.5) / columns as f32 * total;
            let mut sum = 0.0;
            Region::ALL.into_iter().find(|r| {
                sum += share[r.index()];
                place < sum
            })
        })
    }
}

/// How a run came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the program.
    pub program_version: String,
    /// Name of the weights.
    pub weights_name: String,
    /// SHA-256 of the weights file, hexadecimal.
    pub weights_sha256: String,
    /// The network in words.
    pub architecture: String,
    /// The device that computed, in words.
    pub device: String,
    /// Names of the input files.
    pub inputs: Vec<String>,
    /// When the run started, RFC 3339.
    pub started: String,
    /// Seconds that each stage took, in order.
    pub seconds: Vec<(String, f64)>,
    /// What the user should know about this run. One sentence each.
    pub warnings: Vec<String>,
    /// Options that change the result, as name and value.
    pub options: Vec<(String, String)>,
}
