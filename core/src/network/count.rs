//! Multiply-adds of a network, counted in closed form layer by layer.
//!
//! The paper's promise is that attention is nearly free; the test below holds the region branch to 1.02 % of the plain
//! U-Net, the paper's figure. The bench divides by these counts to give a floor for milliseconds per slice.

use super::NetworkConfig;
use super::region::BRANCH_CHANNELS;
use crate::anatomy::{CLASS_COUNT, ORGAN_COUNT, REGION_COUNT};

/// Multiply-adds for one slice, convolutions and fully connected layers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiplyAdds {
    /// Of the encoder.
    pub encoder: u64,
    /// Of the decoder and the head.
    pub decoder: u64,
    /// Of region classifier and attention; 0 without attention.
    pub branch: u64,
}

impl MultiplyAdds {
    /// The plain U-Net.
    pub fn unet(&self) -> u64 {
        self.encoder + self.decoder
    }

    /// What it takes to tell the region alone.
    pub fn classifier(&self) -> u64 {
        self.encoder + self.branch
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.unet() + self.branch
    }
}

fn residual(input: u64, output: u64, changes: bool, pixels: u64) -> u64 {
    (9 * input * output + 9 * output * output + if changes { input * output } else { 0 }) * pixels
}

/// Counts for a `side` x `side` input.
pub fn multiply_adds(config: &NetworkConfig, side: usize) -> MultiplyAdds {
    let pixels = |level: usize| ((side >> level) as u64).pow(2);
    let channels = |level: usize| config.channels(level) as u64;
    let (mut encoder, mut decoder) = (0, 0);
    for level in 0..config.levels {
        let input = if level == 0 { config.stack as u64 } else { channels(level - 1) };
        encoder += residual(input, channels(level), input != channels(level) || level > 0, pixels(level));
    }
    for level in 0..config.levels - 1 {
        // Each output pixel of the 2x2 stride-2 transposed convolution receives exactly one input pixel.
        decoder += channels(level + 1) * channels(level) * pixels(level);
        decoder += residual(2 * channels(level), channels(level), true, pixels(level));
    }
    decoder += channels(0) * CLASS_COUNT as u64 * pixels(0);
    let branch = if config.attention {
        let width = BRANCH_CHANNELS as u64;
        let deepest = config.levels - 1;
        (channels(deepest) * width + 9 * width * width) * pixels(deepest)
            + width * width
            + width * (REGION_COUNT + ORGAN_COUNT) as u64
    } else {
        0
    };
    MultiplyAdds { encoder, decoder, branch }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_branch_costs_at_most_the_papers_1_02_percent() {
        for (base, side) in [(16, 160), (16, 320), (32, 320)] {
            let config = NetworkConfig { base, ..NetworkConfig::default() };
            let count = multiply_adds(&config, side);
            let share = count.branch as f64 / count.unet() as f64;
            assert!(share > 0.0 && share <= 0.0102, "base {base}, {side}: {:.3} %", share * 100.0);
        }
    }

    #[test]
    fn the_counts_are_those_of_the_design() {
        // DESIGN: 2.55, 10.2 and 40 GFLOP (two per multiply-add) for light, fine and paper.
        for (base, side, gflop, tolerance) in [(16, 160, 2.55, 0.02), (16, 320, 10.2, 0.05), (32, 320, 40.0, 1.0)] {
            let config = NetworkConfig { base, ..NetworkConfig::default() };
            let counted = multiply_adds(&config, side).total() as f64 * 2e-9;
            assert!((counted - gflop).abs() < tolerance, "base {base}, {side}: {counted:.3} GFLOP");
        }
    }
}
