//! Which kernel computes which shape on which kind of device: the one table, and nothing is tried out at run time.
//!
//! No real GPU has been at hand to measure it. The numbers follow from what such devices have: a discrete GPU some fifty to a
//! hundred and fifty cores that each want several workgroups, an integrated one a tenth of that. Where a layer has fewer tiles than
//! that (10 x 10 and 20 x 20 pixels), its sums are split. A software adapter compiles every kernel with LLVM, a third of a second
//! each, and has two to sixteen cores: it gets the fewest kernels, and one for all convolutions without workgroup memory and barriers,
//! with which the same sums take it three times as long; nothing is split, and f16 would have to be taken apart and put together number
//! by number.

use attention_anatomy_shaders::network::{Kernel, Tiles, direct};

use super::weights::LANES;

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// For people.
    pub name: &'static str,
    /// Tiles, in the order in which they are tried; where there are none, every thread computes for itself.
    tiles: &'static [Tiles],
    /// Workgroups that keep it busy.
    busy: u32,
    /// Parts that sums are split into at most.
    most_parts: u32,
    /// Slices that are under way at once where one is waited for.
    pub depth: usize,
    /// Whether it gains by weights and maps of half as many bytes, where it has f16: what is short there is the way to memory.
    pub halves: bool,
    /// Multiply-adds of a submission of several slices: some ten milliseconds, so that what draws on the same device need not wait.
    work_together: u64,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub kernel: Kernel,
    /// More than one: a second pass adds them up.
    pub parts: u32,
}

impl Choice {
    /// Workgroups for sums in `n4` groups of four channels at each pixel of a grid of so many columns and rows, of so many slices.
    pub fn groups(&self, [columns, rows]: [usize; 2], n4: usize, slices: usize) -> [usize; 3] {
        let pixels = columns * rows;
        match self.kernel {
            Kernel::ConvolutionTiles(Tiles { pixels: high, outputs: wide }) => {
                let [high, wide] = [high, wide].map(|n| n as usize);
                [pixels.div_ceil(high), (n4 * LANES).div_ceil(wide), slices * self.parts as usize]
            }
            Kernel::ConvolutionDirect => {
                let [of_pixels, of_groups, each] =
                    [direct::PIXELS, direct::GROUPS, direct::THREADS].map(|n| n as usize);
                let threads = pixels.div_ceil(of_pixels) * n4.div_ceil(of_groups);
                [threads.div_ceil(each), 1, slices]
            }
            _ => [columns.div_ceil(32), rows.div_ceil(16), slices],
        }
    }
}

/// Slices of a submission at most: more save the host nothing that counts, and a cancel, or a slice asked for meanwhile, waits for them.
const MOST_TOGETHER: u64 = 4;

/// Steps of sixteen channels that a part has at least: less would be all reading and writing.
const LEAST_CHUNKS: u32 = 8;

impl Tuning {
    /// Many cores.
    pub const DISCRETE: Self = Self {
        name: "discrete",
        tiles: &[Tiles::WIDE, Tiles::SQUARE, Tiles::NARROW],
        busy: 256,
        most_parts: 16,
        depth: 3,
        halves: true,
        work_together: 48_000_000_000,
    };
    /// A few cores.
    pub const INTEGRATED: Self =
        Self { name: "integrated", busy: 48, most_parts: 8, work_together: 6_000_000_000, ..Self::DISCRETE };
    /// The processor in the guise of a GPU.
    pub const SOFTWARE: Self =
        Self { name: "software", tiles: &[], busy: 1, most_parts: 1, depth: 2, halves: false, work_together: 0 };

    /// All kinds.
    pub const ALL: [Self; 3] = [Self::DISCRETE, Self::INTEGRATED, Self::SOFTWARE];

    /// What fits an adapter. A browser does not say what it has: then nothing is taken for granted.
    pub fn of(info: &wgpu::AdapterInfo) -> Self {
        match info.device_type {
            wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu => Self::DISCRETE,
            wgpu::DeviceType::Cpu => Self::SOFTWARE,
            wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::Other => Self::INTEGRATED,
        }
    }

    /// Those that use, between them, every kernel that this one uses, on fields however small: for a check.
    pub fn to_check(self) -> Vec<Self> {
        let mut both = vec![self, Self { busy: 1, ..self }];
        both.dedup();
        both
    }

    /// Slices of so many multiply-adds that make a submission where nobody waits for one of them.
    pub fn together(&self, multiply_adds: u64) -> usize {
        (self.work_together / multiply_adds.max(1)).clamp(1, MOST_TOGETHER) as usize
    }

    /// Workgroups that keep it busy.
    pub(super) fn busy(&self) -> u32 {
        self.busy
    }

    /// The kernels that it needs.
    pub fn kernels(&self) -> Vec<Kernel> {
        let direct = self.tiles.is_empty();
        let wanted = |kernel: &Kernel| match kernel {
            Kernel::ConvolutionTiles(tiles) => self.tiles.contains(tiles),
            Kernel::ConvolutionHalo => !direct,
            Kernel::ConvolutionDirect => direct,
            Kernel::AddParts => self.most_parts > 1,
            _ => true,
        };
        Kernel::inference().into_iter().filter(wanted).collect()
    }

    /// For sums of `chunks` steps each, `outputs` of them at each of `pixels`; `simple`: all at stride 1, one pixel of the output
    /// each.
    pub(super) fn choose(&self, pixels: u32, outputs: u32, chunks: u32, simple: bool) -> Choice {
        if self.tiles.is_empty() {
            return Choice { kernel: Kernel::ConvolutionDirect, parts: 1 };
        }
        if simple && outputs == 16 {
            return Choice { kernel: Kernel::ConvolutionHalo, parts: 1 };
        }
        let count = |tiles: &Tiles| pixels.div_ceil(tiles.pixels) * outputs.div_ceil(tiles.outputs);
        let fits = |tiles: &&Tiles| count(tiles) >= self.busy && (outputs > 32 || tiles.outputs <= 32);
        let smallest = || if outputs <= 32 { self.tiles.first() } else { self.tiles.last() };
        let tiles = self.tiles.iter().skip(usize::from(outputs > 32 && self.tiles.len() > 1)).find(fits);
        let tiles = tiles.or_else(smallest).copied().unwrap_or(Tiles::WIDE);
        let parts = (self.busy / count(&tiles).max(1)).min(chunks / LEAST_CHUNKS).clamp(1, self.most_parts);
        Choice { kernel: Kernel::ConvolutionTiles(tiles), parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_tiles_are_split_and_many_are_not() {
        let tiles = |choice: Choice| match choice.kernel {
            Kernel::ConvolutionTiles(tiles) => tiles,
            other => panic!("{other:?}"),
        };
        // 10 x 10 pixels, 256 channels of 256.
        let deep = Tuning::DISCRETE.choose(100, 256, 144, true);
        assert_eq!((tiles(deep), deep.parts), (Tiles::NARROW, 16));
        // 80 x 80 pixels, 32 channels; 160 x 160 of the preset `paper`.
        assert_eq!(Tuning::INTEGRATED.choose(6400, 32, 18, true).parts, 1);
        assert_eq!(tiles(Tuning::DISCRETE.choose(25_600, 64, 36, true)), Tiles::SQUARE);
        assert_eq!(Tuning::DISCRETE.choose(25_600, 16, 9, true).kernel, Kernel::ConvolutionHalo);
        assert_eq!(tiles(Tuning::DISCRETE.choose(25_600, 16, 9, false)), Tiles::WIDE);
        for (pixels, outputs) in [(1, 4), (100, 256), (25_600, 32)] {
            let choice = Tuning::SOFTWARE.choose(pixels, outputs, 144, true);
            assert_eq!((choice.kernel, choice.parts), (Kernel::ConvolutionDirect, 1));
        }
    }

    #[test]
    fn every_sum_is_made_once_and_by_as_few_workgroups_as_hold_it() {
        let groups = |tuning: Tuning, grid: [usize; 2], n4: usize| {
            tuning.choose((grid[0] * grid[1]) as u32, (4 * n4) as u32, 144, true).groups(grid, n4, 3)
        };
        // Eight pixels of sixteen channels a thread, sixteen threads a workgroup; a tile; 32 x 16 pixels.
        assert_eq!(groups(Tuning::SOFTWARE, [10, 10], 64), [13, 1, 3]);
        assert_eq!(groups(Tuning::SOFTWARE, [1, 1], 1), [1, 1, 3]);
        assert_eq!(groups(Tuning::SOFTWARE, [160, 160], 9), [600, 1, 3]);
        assert_eq!(groups(Tuning::DISCRETE, [10, 10], 64), [4, 4, 48]);
        assert_eq!(groups(Tuning::DISCRETE, [33, 16], 4), [2, 1, 3]);
    }

    #[test]
    fn slices_share_a_submission_as_far_as_it_stays_short() {
        // `light`, `fine`, `paper`, and a toy.
        let [light, fine, paper] = [1_270_000_000, 5_100_000_000, 20_300_000_000];
        let of = |tuning: Tuning| [light, fine, paper, 1000, 0].map(|work| tuning.together(work));
        assert_eq!(of(Tuning::DISCRETE), [4, 4, 2, 4, 4]);
        assert_eq!(of(Tuning::INTEGRATED), [4, 1, 1, 4, 4]);
        assert_eq!(of(Tuning::SOFTWARE), [1; 5]);
    }

    #[test]
    fn every_kernel_that_is_chosen_is_one_that_is_built() {
        for tuning in Tuning::ALL {
            let built = tuning.kernels();
            for pixels in [1, 25, 100, 400, 1600, 6400, 25_600, 102_400] {
                for outputs in [4, 8, 16, 20, 32, 64, 128, 256, 512] {
                    let choice = tuning.choose(pixels, outputs, 100, true);
                    assert!(built.contains(&choice.kernel) && choice.parts >= 1);
                    assert!(choice.parts == 1 || built.contains(&Kernel::AddParts));
                }
            }
        }
    }
}
