//! What has to be known to build a network.

use serde::{Deserialize, Serialize};

/// Width, depth and kind of a network. Stored with the weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Channels of the first level; every level down doubles them. 16 in `light` and `fine`, 32 in `paper`.
    pub base: usize,
    /// Levels of the encoder; the input is halved `levels - 1` times.
    pub levels: usize,
    /// Input channels: the slices of a stack.
    pub stack: usize,
    /// Whether the region branch is built (AttentionAnatomy) or not (plain U-Net).
    pub attention: bool,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { base: 16, levels: 5, stack: 5, attention: true }
    }
}

impl NetworkConfig {
    /// Channels of level `level` (0 is full resolution).
    pub fn channels(&self, level: usize) -> usize {
        self.base << level
    }

    /// The side that an input must be a multiple of.
    pub fn granularity(&self) -> usize {
        1 << (self.levels - 1)
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn validate(&self) -> Result<(), String> {
        if !(4..=128).contains(&self.base) {
            return Err(format!("network.base is {}; it must be between 4 and 128", self.base));
        }
        if !(2..=6).contains(&self.levels) {
            return Err(format!("network.levels is {}; it must be between 2 and 6", self.levels));
        }
        if self.stack.is_multiple_of(2) || self.stack > 15 {
            return Err(format!("network.stack is {}; it must be odd and at most 15", self.stack));
        }
        Ok(())
    }
}
