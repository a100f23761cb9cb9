//! A body as a painter sees it: a list of solids, later ones over earlier ones.
//!
//! Painting makes masks disjoint without any Boolean geometry. Every pixel carries the zone that it belongs to; a part may be
//! confined to zones already there (vessels to the lungs, the liver to the belly), which is how neighbours give way to
//! each other. Labels are cut at the surface, HU are blended over one pixel: that is the partial volume of a CT.

use super::shapes::{Section, Shape};
use super::texture::{Fill, Pattern, hash};
use crate::anatomy::{ORGAN_COUNT, Organ};

/// What a pixel belongs to: an organ's label, or one of [`zone`].
pub(super) type Zone = u8;

/// Zones that are no organs.
pub(super) mod zone {
    use super::Zone;
    /// Outside the body.
    pub const AIR: Zone = 0;
    /// Soft tissue.
    pub const TISSUE: Zone = 40;
    /// Bone that is no organ of the 33.
    pub const BONE: Zone = 41;
    /// Brain, without the parts that are organs.
    pub const BRAIN: Zone = 42;
    /// Within the ribs: what is not lung is mediastinum.
    pub const CHEST: Zone = 43;
    /// Below the diaphragm, within the abdominal wall.
    pub const BELLY: Zone = 44;
}

/// Zones that a part may be painted on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zones(u64);

impl Zones {
    pub const ANY: Self = Self(u64::MAX);
    /// Everything but the air around the body.
    pub const BODY: Self = Self(u64::MAX - 1);

    pub const fn of(zones: &[Zone]) -> Self {
        let (mut bits, mut n) = (0, 0);
        while n < zones.len() {
            bits |= 1 << zones[n];
            n += 1;
        }
        Self(bits)
    }

    pub const fn organs(organs: &[Organ]) -> Self {
        let (mut bits, mut n) = (0, 0);
        while n < organs.len() {
            bits |= 1 << organs[n] as u64;
            n += 1;
        }
        Self(bits)
    }

    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn contains(self, zone: Zone) -> bool {
        self.0 >> zone & 1 == 1
    }
}

/// A solid with its look.
#[derive(Clone, Debug)]
pub(super) struct Part {
    shape: Shape,
    fill: Fill,
    zone: Option<Zone>,
    within: Zones,
    inset: f32,
    lumps: f32,
    seed: u32,
}

impl Part {
    /// Pixels become this organ.
    pub fn organ(&mut self, organ: Organ) -> &mut Self {
        self.zone(organ.label())
    }

    /// Pixels become this zone.
    pub fn zone(&mut self, zone: Zone) -> &mut Self {
        self.zone = Some(zone);
        self
    }

    /// Pixels stay what they are and only look different.
    pub fn detail(&mut self) -> &mut Self {
        self.zone = None;
        self
    }

    /// Paints only on these zones.
    pub fn within(&mut self, zones: Zones) -> &mut Self {
        self.within = zones;
        self
    }

    /// The surface lies so many mm deeper.
    pub fn inset(&mut self, mm: f32) -> &mut Self {
        self.inset = mm;
        self
    }

    /// Bumps and dents of up to so many mm.
    pub fn lumps(&mut self, mm: f32) -> &mut Self {
        self.lumps = mm;
        self
    }
}

/// The parts of a body in painting order.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    parts: Vec<Part>,
    seed: u32,
}

const CORTEX: Fill = Fill::new(1050.0, 60.0, 5.0);
const MARROW: Fill = Fill::new(260.0, 60.0, 3.0);

impl Scene {
    pub fn new(seed: u32) -> Self {
        Self { parts: Vec::new(), seed }
    }

    /// Adds soft tissue, inside the body; the part's methods make it something else.
    pub fn add(&mut self, shape: Shape, fill: Fill) -> &mut Part {
        let seed = hash(self.seed ^ (self.parts.len() as u32).wrapping_mul(0x51ed_270b));
        let n = self.parts.len();
        self.parts.push(Part {
            shape,
            fill,
            zone: Some(zone::TISSUE),
            within: Zones::BODY,
            inset: 0.0,
            lumps: 0.0,
            seed,
        });
        &mut self.parts[n]
    }

    /// Adds bones that are one: a cortex `cortex_mm` thick around marrow, with no cortex where they overlap.
    pub fn bones(&mut self, shapes: &[Shape], zone: Zone, cortex_mm: f32) {
        for shape in shapes {
            self.add(shape.clone(), CORTEX).zone(zone);
        }
        for shape in shapes {
            self.add(shape.clone(), MARROW).detail().within(Zones::of(&[zone])).inset(cortex_mm);
        }
    }

    /// Paints the plane at height `z`.
    pub fn paint(&self, z: f32, plane: &Plane, hu: &mut [f32], zones: &mut [Zone]) {
        for part in &self.parts {
            if let Some(section) = part.shape.section(z) {
                part.paint(&section, z, plane, hu, zones);
            }
        }
    }
}

impl Part {
    fn paint(&self, section: &Section, z: f32, plane: &Plane, hu: &mut [f32], zones: &mut [Zone]) {
        let b = section.bounds();
        let grow = self.lumps - self.inset.min(0.0);
        let (columns, rows) = plane.pixels([b[0] - grow, b[1] + grow, b[2] - grow, b[3] + grow]);
        // Bumps fade towards tips, which so stay where the shape says they are.
        let lumps = self.lumps.min(0.2 * (b[1] - b[0]).min(b[3] - b[2]) / 2.0);
        let softness = 1.0 / plane.blur_mm;
        for j in rows {
            let row = j * plane.size[0];
            for n in row + columns.start..row + columns.end {
                if !self.within.contains(zones[n]) {
                    continue;
                }
                let [x, y] = plane.points[n];
                let mut d = section.distance(x, y) + self.inset;
                if lumps > 0.0 && d.abs() < lumps + 3.0 {
                    let wave = |v: f32, k: u32| (v / 17.0 + hash(self.seed.wrapping_add(k)) as f32 * 1e-9).sin();
                    d += lumps * 0.5 * (wave(x, 1) * wave(z, 2) + wave(y, 3) * wave(x + z, 4));
                }
                let share = 0.5 - d * softness;
                if share <= 0.0 {
                    continue;
                }
                hu[n] += share.min(1.0) * (self.fill.at([x, y, z], d, self.seed) - hu[n]);
                if d < 0.0
                    && let Some(zone) = self.zone
                {
                    zones[n] = zone;
                }
            }
        }
    }
}

/// The label of a zone: the organ, or 0.
pub(super) fn label(zone: Zone) -> u8 {
    if usize::from(zone) <= ORGAN_COUNT { zone } else { 0 }
}

/// The pixels of a slice as points of the body at rest.
#[derive(Debug)]
pub(super) struct Plane {
    /// Columns and rows.
    pub size: [usize; 2],
    /// `[x, y]` of every pixel.
    pub points: Vec<[f32; 2]>,
    /// Width over which a surface is blurred, in mm.
    pub blur_mm: f32,
    /// Column = `to_pixel[0] . (x, y, 1)`, row = `to_pixel[1] . (x, y, 1)`, without the warp.
    pub to_pixel: [[f32; 3]; 2],
    /// Pixels that the warp moves a point by at most.
    pub slack: f32,
}

impl Plane {
    /// The columns and rows that may show the box `[x0, x1, y0, y1]`.
    fn pixels(&self, [x0, x1, y0, y1]: [f32; 4]) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let range = |row: [f32; 3], limit: usize| {
            let spread = |a: f32, low: f32, high: f32| if a >= 0.0 { (a * low, a * high) } else { (a * high, a * low) };
            let ((ax, bx), (ay, by)) = (spread(row[0], x0, x1), spread(row[1], y0, y1));
            let low = (ax + ay + row[2] - self.slack).floor().clamp(0.0, limit as f32);
            let high = (bx + by + row[2] + self.slack + 1.0).ceil().clamp(0.0, limit as f32);
            low as usize..(high as usize).max(low as usize)
        };
        (range(self.to_pixel[0], self.size[0]), range(self.to_pixel[1], self.size[1]))
    }
}

/// A wall of `mm` and so many HU around what a fill shows.
pub(super) const fn walled(fill: Fill, hu: f32, mm: f32) -> Fill {
    fill.with(Pattern::Rim(hu, mm))
}
