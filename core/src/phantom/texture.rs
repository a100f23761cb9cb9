//! What tissue looks like: base HU, grain, layers, and the random numbers behind them.
//!
//! All randomness is a hash of where and whose, never of when: a voxel is the same whatever was drawn before it.

/// A well-mixed 32-bit hash.
#[inline]
pub(super) fn hash(n: u32) -> u32 {
    let mut h = n.wrapping_mul(0x9e37_79b1);
    h = (h ^ (h >> 15)).wrapping_mul(0x85eb_ca77);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae3d);
    h ^ (h >> 16)
}

/// Nearly normal with standard deviation 1: the sum of the four bytes of a hash.
#[inline]
pub(super) fn normal(n: u32) -> f32 {
    let sum: u32 = hash(n).to_le_bytes().into_iter().map(u32::from).sum();
    (sum as f32 - 510.0) / 147.8
}

/// Smooth noise from -1 to 1 with features about 1 unit wide.
#[inline]
pub(super) fn noise(x: f32, y: f32, z: f32, seed: u32) -> f32 {
    let (fx, fy, fz) = (x.floor(), y.floor(), z.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty, tz) = (ease(x - fx), ease(y - fy), ease(z - fz));
    let base = (fx as i32 as u32)
        .wrapping_mul(0x8da6_b343)
        .wrapping_add((fy as i32 as u32).wrapping_mul(0xd816_3841))
        .wrapping_add((fz as i32 as u32).wrapping_mul(0xcb1a_b31f))
        .wrapping_add(seed);
    let corner = |dx: u32, dy: u32, dz: u32| {
        let n = base
            .wrapping_add(dx.wrapping_mul(0x8da6_b343))
            .wrapping_add(dy.wrapping_mul(0xd816_3841))
            .wrapping_add(dz.wrapping_mul(0xcb1a_b31f));
        (hash(n) >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let row = |dy, dz| {
        let a = corner(0, dy, dz);
        a + tx * (corner(1, dy, dz) - a)
    };
    let plane = |dz| {
        let a = row(0, dz);
        a + ty * (row(1, dz) - a)
    };
    let a = plane(0);
    a + tz * (plane(1) - a)
}

/// How the inside of a solid looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    /// Mean in HU.
    pub hu: f32,
    /// Standard deviation, roughly, of the grain in HU.
    pub grain: f32,
    /// Size of the grain in mm.
    pub grain_mm: f32,
    /// What makes it more than grain.
    pub pattern: Pattern,
}

/// Gas in a cavity of the body.
pub(super) const AIR: Fill = Fill::new(-990.0, 0.0, 5.0);

/// Patterns of tissue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    /// Grain alone.
    Plain,
    /// An outer layer: its HU and thickness.
    Rim(f32, f32),
    /// Thin sheets of fat, about this far apart.
    Striated(f32),
    /// Grey matter folded around white matter, with cerebrospinal fluid in the folds.
    Folded,
    /// Air cells in bone, so far apart.
    Cells(f32),
    /// Denser towards the back by this many HU over 200 mm, as lungs are on the couch.
    Dependent(f32),
    /// A wall of 4 mm, fluid below and gas above a level (y) inside.
    Level(f32),
    /// A wall of 3 mm around lumps of gas and stool.
    Stool,
}

impl Fill {
    pub const fn new(hu: f32, grain: f32, grain_mm: f32) -> Self {
        Self { hu, grain, grain_mm, pattern: Pattern::Plain }
    }

    pub const fn with(mut self, pattern: Pattern) -> Self {
        self.pattern = pattern;
        self
    }

    /// HU at a point whose signed distance to the surface is `d`.
    #[inline]
    pub fn at(&self, p: [f32; 3], d: f32, seed: u32) -> f32 {
        let [x, y, z] = p;
        let mut hu = self.hu;
        let grain = |size: f32, salt: u32| noise(x / size, y / size, z / size, seed.wrapping_add(salt));
        match self.pattern {
            Pattern::Plain => {}
            Pattern::Rim(rim, mm) => {
                let t = ((-d - mm + 0.6) / 1.2).clamp(0.0, 1.0);
                hu = rim + t * (hu - rim);
            }
            Pattern::Striated(mm) => {
                // Sheets follow the surface of a smooth field: no lines in one direction, as fibres have none in a slice.
                // A second field breaks them up.
                let sheet = 1.0 - (grain(mm, 7) / 0.1).abs();
                if sheet > 0.0 {
                    hu -= 100.0 * sheet * (0.2 + 2.0 * grain(1.7 * mm, 9)).clamp(0.0, 1.0);
                }
            }
            Pattern::Folded => {
                let fold = grain(11.0, 3);
                let depth = -d - 5.0 - 9.0 * fold.abs();
                hu += 10.0 * (1.0 - (depth / 3.0 + 0.5).clamp(0.0, 1.0));
                let groove = (1.0 - (fold / 0.12).abs()).max(0.0) * ((16.0 + d) / 8.0).clamp(0.0, 1.0);
                hu -= 24.0 * groove;
            }
            Pattern::Cells(mm) => {
                let cell = grain(mm, 11);
                hu += 900.0 * (cell / 0.5).clamp(-1.0, 1.0) - 100.0;
            }
            Pattern::Dependent(slope) => hu += slope * y / 200.0,
            Pattern::Level(level) => {
                if d < -4.0 {
                    let content = if y < level { -960.0 } else { 15.0 + 25.0 * grain(9.0, 5) };
                    hu += ((-d - 4.0) / 1.5).clamp(0.0, 1.0) * (content - hu);
                }
            }
            Pattern::Stool => {
                if d < -3.0 {
                    let lump = grain(7.0, 5);
                    let content = if lump > 0.15 { -700.0 * ((lump - 0.15) / 0.2).min(1.0) } else { -10.0 };
                    hu += ((-d - 3.0) / 1.5).clamp(0.0, 1.0) * (content - hu);
                }
            }
        }
        if self.grain > 0.0 { hu + 2.0 * self.grain * grain(self.grain_mm, 0) } else { hu }
    }
}
