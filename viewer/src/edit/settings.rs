//! How the tools work, as the panel sets it.

use attention_anatomy::anatomy::Organ;

/// What painting may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PaintOver {
    /// Only background: other organs are protected.
    #[default]
    Background,
    /// Other organs too.
    Everything,
}

impl PaintOver {
    /// Whether a voxel of this label may become `organ`.
    pub fn allows(self, label: u8, organ: Organ) -> bool {
        self == Self::Everything || label == 0 || label == organ.label()
    }
}

/// Range of HU to which the sliders go.
pub const HU_LIMITS: [i16; 2] = [-1024, 3071];

/// Radius of the brush, mm: the smallest, and the largest.
pub const RADIUS_MM: [f32; 2] = [0.5, 60.0];

/// How the tools work.
#[derive(Clone, Debug, PartialEq)]
pub struct EditSettings {
    /// Whether the brush is a ball rather than a disc in the plane of the view, and whether holes are filled and surfaces
    /// smoothed in space rather than slice by slice.
    pub three_d: bool,
    /// Whether brush, eraser and fill change only voxels within `hu`.
    pub limit_hu: bool,
    /// Smallest and largest HU of that range.
    pub hu: [i16; 2],
    /// What painting may change.
    pub over: PaintOver,
    /// Whether the eraser takes every organ rather than the selected one.
    pub erase_all: bool,
    /// Whether clearing and reassigning change the axial slice on screen only.
    pub this_slice: bool,
    /// Standard deviation of the Gaussian that smooths, mm.
    pub smooth_mm: f64,
    /// The organ to which voxels are reassigned.
    pub reassign_to: Option<Organ>,
}

impl Default for EditSettings {
    fn default() -> Self {
        Self {
            three_d: false,
            limit_hu: false,
            hu: [-150, 250],
            over: PaintOver::default(),
            erase_all: false,
            this_slice: false,
            smooth_mm: 2.0,
            reassign_to: None,
        }
    }
}

impl EditSettings {
    /// Whether brush, eraser and fill may change a voxel of this HU.
    pub fn takes(&self, hu: i16) -> bool {
        !self.limit_hu || (self.hu[0]..=self.hu[1]).contains(&hu)
    }
}
