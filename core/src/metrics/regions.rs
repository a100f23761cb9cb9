//! How often the region branch is right, slice by slice.

use crate::anatomy::{REGION_COUNT, Region};
use serde::{Deserialize, Serialize};

/// Slices by the region that they show (rows) and the region that the network saw (columns).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionConfusion(pub [[usize; REGION_COUNT]; REGION_COUNT]);

impl RegionConfusion {
    /// Counts a slice.
    pub fn add(&mut self, truth: Region, seen: Region) {
        self.0[truth.index()][seen.index()] += 1;
    }

    /// Slices counted.
    pub fn total(&self) -> usize {
        self.0.iter().flatten().sum()
    }

    /// Share of the slices whose region was seen rightly; `None` without slices.
    pub fn accuracy(&self) -> Option<f64> {
        let right: usize = (0..REGION_COUNT).map(|r| self.0[r][r]).sum();
        (self.total() > 0).then(|| right as f64 / self.total() as f64)
    }

    /// The accuracy and the table; empty without slices.
    pub fn markdown(&self) -> String {
        let Some(accuracy) = self.accuracy() else { return String::new() };
        let mut text = format!(
            "Region accuracy {accuracy:.3} on {} slices whose region is known (rows: region, columns: network).\n\n| |",
            self.total()
        );
        for region in Region::ALL {
            text.push_str(&format!(" {} |", region.name()));
        }
        text.push_str(&format!("\n|{}\n", "---|".repeat(REGION_COUNT + 1)));
        for region in Region::ALL {
            let row: Vec<String> = self.0[region.index()].iter().map(ToString::to_string).collect();
            text.push_str(&format!("| {} | {} |\n", region.name(), row.join(" | ")));
        }
        text
    }
}
