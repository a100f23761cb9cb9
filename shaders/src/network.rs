//! The kernels of the network, one file each; sizes are put in when a variant is asked for. Bindings and limits: `shaders/README.md`.

use crate::template::expand;

const STORED_F32: &str = include_str!("../network/stored_f32.wgsl");
const STORED_F16: &str = include_str!("../network/stored_f16.wgsl");
const LAYER: &str = include_str!("../network/layer.wgsl");
const RESAMPLE: &str = include_str!("../network/resample.wgsl");
const ORDER: &str = include_str!("../training/order.wgsl");
const LOSSES: &str = include_str!("../training/losses.wgsl");

/// How weights and maps lie in memory. Whatever is added up is f32, and so are parts of sums and all that follows the last maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stored {
    /// 32 bits, on every device.
    #[default]
    F32,
    /// 16 bits, where a device has `shader-f16`.
    F16,
}

impl Stored {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Bytes of a number.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// What stands before kernels that read or write maps or weights.
    fn head(self) -> &'static str {
        match self {
            Self::F32 => STORED_F32,
            Self::F16 => STORED_F16,
        }
    }
}

/// What a workgroup of `convolution_tiles.wgsl` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tiles {
    /// Pixels, a multiple of 32.
    pub pixels: u32,
    /// Channels, a multiple of 16.
    pub outputs: u32,
}

impl Tiles {
    /// Many pixels, few channels: the upper levels.
    pub const WIDE: Self = Self { pixels: 128, outputs: 32 };
    /// As many of both.
    pub const SQUARE: Self = Self { pixels: 64, outputs: 64 };
    /// Few pixels: the lowest levels.
    pub const NARROW: Self = Self { pixels: 32, outputs: 64 };

    /// All that there are.
    pub const ALL: [Self; 3] = [Self::WIDE, Self::SQUARE, Self::NARROW];

    /// Threads of a workgroup: each makes eight pixels by four channels.
    pub const fn threads(self) -> u32 {
        self.pixels / 8 * (self.outputs / 4)
    }
}

/// What a thread of `convolution_direct.wgsl` makes. More of both would take less reading and longer to compile: on lavapipe 8 by 16 are
/// compiled in 0.6 s and computed at 8.4 GFLOP/s with a core, 16 by 16 in 1.4 s at 9.3.
pub mod direct {
    /// Pixels.
    pub const PIXELS: u32 = 8;
    /// Groups of four channels.
    pub const GROUPS: u32 = 4;
    /// Threads of a workgroup: few, so that small layers are enough for some cores.
    pub const THREADS: u32 = 16;
}

/// What a workgroup of `weight_gradient.wgsl` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductTiles {
    /// Rows (channels under taps) in groups of four, a multiple of 4.
    pub rows4: u32,
    /// Channels of the gradients in groups of four, a multiple of 4.
    pub outputs4: u32,
}

impl ProductTiles {
    /// For sixteen channels.
    pub const TALL: Self = Self { rows4: 32, outputs4: 4 };
    /// For more.
    pub const BROAD: Self = Self { rows4: 16, outputs4: 8 };

    /// All that there are.
    pub const ALL: [Self; 2] = [Self::TALL, Self::BROAD];
}

/// Workgroups in a row where there may be more of them than one dimension takes.
pub const ROW: u32 = 32_768;

/// Rows of zeros that weights need after their last one: a tile reads sixteen of them, whatever is left.
pub const SPARE_ROWS: usize = 16;

/// Slices that are resampled at once at most, a multiple of 4.
pub const MOST_RESAMPLED: u32 = 16;

/// A kernel of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kernel {
    /// Slices of a CT to the model grid: down the columns.
    ResampleDown,
    /// And across the rows.
    ResampleAcross,
    /// Slices of the model grid to maps.
    Stack,
    /// Planes to maps.
    Input,
    /// Sums of convolutions as a product of matrices.
    ConvolutionTiles(Tiles),
    /// Sums of convolutions at stride 1 to sixteen channels.
    ConvolutionHalo,
    /// Sums of convolutions, every thread for itself.
    ConvolutionDirect,
    /// The second pass of sums that were split.
    AddParts,
    /// The end of the region branch.
    Region,
    /// Head, softmax, attention.
    Probabilities,
    /// The largest on the input matrix.
    Labels,
    /// What attention takes away.
    Removed,
    /// Maps to planes.
    Planes,
    /// Gradients by the weights of a convolution.
    WeightGradient(ProductTiles),
    /// The second pass of what several workgroups found.
    AddGradients,
    /// Sums of channels and of their squares.
    Moments,
    /// From these to a normalisation.
    Statistics,
    /// Normalisation, shortcut, ReLU.
    Activate,
    /// Back through the ReLU, and sums of channels.
    Slopes,
    /// From these to the gradients of a normalisation's parameters.
    NormGradient,
    /// Back through the normalisation.
    BeforeNorm,
    /// Sums over voxels that losses are made of.
    LossSums,
    /// From the gradients by these to those by the logits.
    LossGradients,
    /// Parameters in the order of the kernels.
    Pack,
    /// Their gradients, back in the order of the parameters.
    Unpack,
}

impl Kernel {
    /// What inference does not need: all variants for a training.
    pub fn training() -> Vec<Self> {
        let others = [
            Self::Planes,
            Self::AddGradients,
            Self::Moments,
            Self::Statistics,
            Self::Activate,
            Self::Slopes,
            Self::NormGradient,
            Self::BeforeNorm,
            Self::LossSums,
            Self::LossGradients,
            Self::Pack,
            Self::Unpack,
        ];
        ProductTiles::ALL.map(Self::WeightGradient).into_iter().chain(others).collect()
    }

    /// All variants for inference.
    pub fn inference() -> Vec<Self> {
        let tiles = Tiles::ALL.map(Self::ConvolutionTiles);
        let others = [
            Self::ResampleDown,
            Self::ResampleAcross,
            Self::Stack,
            Self::Input,
            Self::ConvolutionHalo,
            Self::ConvolutionDirect,
            Self::AddParts,
            Self::Region,
            Self::Probabilities,
            Self::Labels,
            Self::Removed,
        ];
        tiles.into_iter().chain(others).collect()
    }

    /// For messages and debuggers.
    pub fn name(self) -> String {
        match self {
            Self::ResampleDown => "resampling down".into(),
            Self::ResampleAcross => "resampling across".into(),
            Self::Stack => "stack".into(),
            Self::Input => "input".into(),
            Self::ConvolutionTiles(Tiles { pixels, outputs }) => {
                format!("convolution in tiles of {pixels} x {outputs}")
            }
            Self::ConvolutionHalo => "convolution to 16 channels".into(),
            Self::ConvolutionDirect => "convolution, every thread for itself".into(),
            Self::AddParts => "second pass of split sums".into(),
            Self::Region => "region branch".into(),
            Self::Probabilities => "probabilities".into(),
            Self::Labels => "labels".into(),
            Self::Removed => "what attention takes away".into(),
            Self::Planes => "planes".into(),
            Self::WeightGradient(ProductTiles { rows4, outputs4 }) => {
                format!("weight gradient in tiles of {} x {}", 4 * rows4, 4 * outputs4)
            }
            Self::AddGradients => "second pass of gradients".into(),
            Self::Moments => "moments".into(),
            Self::Statistics => "statistics".into(),
            Self::Activate => "normalisation and ReLU".into(),
            Self::Slopes => "back through the ReLU".into(),
            Self::NormGradient => "gradients of a normalisation".into(),
            Self::BeforeNorm => "back through the normalisation".into(),
            Self::LossSums => "sums of the losses".into(),
            Self::LossGradients => "gradients of the losses".into(),
            Self::Pack => "weights in the order of the kernels".into(),
            Self::Unpack => "gradients in the order of the parameters".into(),
        }
    }

    /// Its WGSL for weights and maps that are `stored` so, which only kernels of inference can tell; the entry point is `main`.
    pub fn source(self, stored: Stored) -> String {
        let layer = |body: &str, constants: &[(&str, u32)]| expand(&[stored.head(), LAYER, body].concat(), constants);
        let maps = |body: &str| expand(&[stored.head(), body].concat(), &[]);
        match self {
            Self::ResampleDown => resample(include_str!("../network/resample_down.wgsl")),
            Self::ResampleAcross => resample(include_str!("../network/resample_across.wgsl")),
            Self::Stack => maps(include_str!("../network/stack.wgsl")),
            Self::Input => maps(include_str!("../network/input.wgsl")),
            Self::ConvolutionTiles(tiles) => {
                let (threads, groups) = (tiles.threads(), tiles.outputs / 4);
                let constants = [
                    ("TM", tiles.pixels),
                    ("TN4", groups),
                    ("THREADS", threads),
                    // One more, so that the four channels of a pixel lie in different banks.
                    ("PITCH", tiles.pixels + 1),
                    ("LOADS", 4 * tiles.pixels / threads),
                    ("QUARTER", threads / 4),
                    ("WEIGHT_LOADS", 16 * groups / threads),
                    ("ROWS", tiles.pixels / 8),
                ];
                layer(include_str!("../network/convolution_tiles.wgsl"), &constants)
            }
            Self::ConvolutionHalo => layer(include_str!("../network/convolution_halo.wgsl"), &[]),
            Self::ConvolutionDirect => {
                let constants = [
                    ("PIXELS", direct::PIXELS),
                    ("LAST", direct::PIXELS - 1),
                    ("GROUPS", direct::GROUPS),
                    ("THREADS", direct::THREADS),
                ];
                layer(include_str!("../network/convolution_direct.wgsl"), &constants)
            }
            Self::AddParts => layer(include_str!("../network/add_parts.wgsl"), &[]),
            Self::Region => maps(include_str!("../network/region.wgsl")),
            Self::Probabilities => maps(include_str!("../network/probabilities.wgsl")),
            Self::Labels => expand(include_str!("../network/labels.wgsl"), &[]),
            Self::Removed => expand(include_str!("../network/removed.wgsl"), &[]),
            Self::Planes => expand(include_str!("../training/planes.wgsl"), &[]),
            Self::WeightGradient(ProductTiles { rows4, outputs4 }) => {
                let constants = [
                    ("TM4", rows4),
                    ("TN4", outputs4),
                    ("HALF", rows4 / 2),
                    // One more, so that the sixteen positions of a group of rows lie in different banks.
                    ("PITCH", rows4 + 1),
                    ("LOADS", rows4 / 4),
                    ("GRADIENT_LOADS", outputs4 / 4),
                ];
                expand(include_str!("../training/weight_gradient.wgsl"), &constants)
            }
            Self::AddGradients => expand(include_str!("../training/add_gradients.wgsl"), &[]),
            Self::Moments => expand(include_str!("../training/moments.wgsl"), &[]),
            Self::Statistics => expand(include_str!("../training/statistics.wgsl"), &[]),
            Self::Activate => expand(include_str!("../training/activate.wgsl"), &[("ROW", ROW)]),
            Self::Slopes => expand(include_str!("../training/slopes.wgsl"), &[]),
            Self::NormGradient => expand(include_str!("../training/norm_gradient.wgsl"), &[]),
            Self::BeforeNorm => expand(include_str!("../training/before_norm.wgsl"), &[("ROW", ROW)]),
            Self::LossSums => expand(&[LOSSES, include_str!("../training/loss_sums.wgsl")].concat(), &[]),
            Self::Pack => expand(&[ORDER, include_str!("../training/pack.wgsl")].concat(), &[("ROW", ROW)]),
            Self::Unpack => expand(&[ORDER, include_str!("../training/unpack.wgsl")].concat(), &[("ROW", ROW)]),
            Self::LossGradients => expand(&[LOSSES, include_str!("../training/loss_gradients.wgsl")].concat(), &[]),
        }
    }
}

fn resample(body: &str) -> String {
    expand(&[RESAMPLE, body].concat(), &[("PLACES4", MOST_RESAMPLED / 4)])
}
