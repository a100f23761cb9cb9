//! What differs from one patient to the next: size, pose, fat, sex, contrast, and how each organ departs from the atlas.
//!
//! Every difference is drawn by its own name from the seed, so that adding one changes no other.

use super::scene::Plane;
use super::shapes::Shape;
use super::texture::hash;

/// How long after the injection of contrast medium the scan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContrastPhase {
    /// No contrast medium.
    Native,
    /// Arteries and the cortex of the kidneys are bright.
    Arterial,
    /// Veins, liver and kidneys are bright.
    Venous,
}

/// HU of what takes up contrast medium.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blood {
    pub artery: f32,
    pub vein: f32,
    pub myocardium: f32,
    pub liver: f32,
    pub spleen: f32,
    pub pancreas: f32,
    pub kidney_cortex: f32,
    pub kidney: f32,
    pub gland: f32,
    pub muscle: f32,
    pub wall: f32,
}

/// A patient.
#[derive(Clone, Debug)]
pub(super) struct Patient {
    seed: u64,
    pub phase: ContrastPhase,
    pub arms: bool,
    pub breasts: bool,
    /// Thickness of the fat under the skin of the belly, in mm.
    pub fat_mm: f32,
    scale_z: f32,
    body: [f32; 2],
    head: f32,
    turn: f32,
    head_turn: f32,
    shift: [f32; 2],
    neck: [f32; 2],
    lean: f32,
    warp: f32,
    phases: [f32; 4],
}

/// Heights between which the neck blends the head's pose into the body's.
const NECK: [f32; 2] = [0.0, 90.0];

impl Patient {
    pub fn new(seed: u64) -> Self {
        let u = |name: &str, low: f32, high: f32| between(seed, name, low, high);
        let size = u("size", 0.92, 1.08);
        let flat = u("flatness", 0.95, 1.05);
        let phase = u("contrast", 0.0, 3.0);
        Self {
            seed,
            phase: match phase {
                p if p < 1.0 => ContrastPhase::Native,
                p if p < 1.6 => ContrastPhase::Arterial,
                _ => ContrastPhase::Venous,
            },
            arms: u("arms", 0.0, 1.0) < 0.5,
            breasts: u("sex", 0.0, 1.0) < 0.5,
            fat_mm: 7.0 + 24.0 * u("fat", 0.0, 1.0).powi(2),
            scale_z: size * u("height", 0.96, 1.04),
            body: [size * flat, size / flat],
            head: u("head", 0.94, 1.05),
            turn: u("turn", -4.0, 4.0).to_radians(),
            head_turn: u("head turn", -6.0, 6.0).to_radians(),
            shift: [u("couch x", -6.0, 6.0), u("couch y", -6.0, 6.0)],
            neck: [u("neck x", -5.0, 5.0), u("neck y", -10.0, 8.0)],
            lean: u("lean", -5.0, 5.0),
            warp: u("warp", 1.0, 3.0),
            phases: std::array::from_fn(|n| u(&format!("warp {n}"), 0.0, std::f32::consts::TAU)),
        }
    }

    /// A 32-bit seed of something with a name.
    pub fn seed(&self, name: &str) -> u32 {
        seeded(self.seed, name)
    }

    /// A number of this patient, uniform between two bounds.
    pub fn between(&self, name: &str, low: f32, high: f32) -> f32 {
        between(self.seed, name, low, high)
    }

    /// The organ of this patient: moved by up to `mm` along each axis and up to `share` larger or smaller than the atlas says.
    pub fn vary(&self, name: &str, shape: Shape, mm: f32, share: f32) -> Shape {
        let by = ["x", "y", "z"].map(|axis| self.between(&format!("{name} {axis}"), -mm, mm));
        shape.grown(1.0 + self.between(&format!("{name} size"), -share, share)).moved(by)
    }

    /// y of the couch top in the scanner: just behind the back.
    pub fn couch_y(&self) -> f32 {
        self.shift[1] + self.body[1] * (114.0 + 0.7 * self.fat_mm)
    }

    /// Height in the body at rest from patient z, in mm.
    pub fn to_rest(&self, z_mm: f64) -> f32 {
        (z_mm / f64::from(self.scale_z)) as f32
    }

    /// Patient z in mm from height in the body at rest.
    pub fn to_patient(&self, z: f32) -> f64 {
        f64::from(z) * f64::from(self.scale_z)
    }

    /// HU of what takes up contrast medium.
    pub fn blood(&self) -> Blood {
        let (artery, vein, myocardium, liver, spleen, pancreas, cortex, kidney, gland, muscle, wall) = match self.phase
        {
            ContrastPhase::Native => (42.0, 40.0, 44.0, 57.0, 48.0, 40.0, 33.0, 31.0, 42.0, 52.0, 40.0),
            ContrastPhase::Arterial => (270.0, 120.0, 95.0, 72.0, 118.0, 98.0, 185.0, 95.0, 85.0, 58.0, 70.0),
            ContrastPhase::Venous => (155.0, 150.0, 105.0, 112.0, 122.0, 100.0, 190.0, 170.0, 80.0, 62.0, 75.0),
        };
        let own = |name: &str, hu: f32| hu * self.between(name, 0.9, 1.1);
        Blood {
            artery: own("arteries", artery),
            vein: own("veins", vein),
            myocardium: own("myocardium", myocardium),
            liver: own("liver HU", liver),
            spleen: own("spleen HU", spleen),
            pancreas: own("pancreas HU", pancreas),
            kidney_cortex: own("kidney HU", cortex),
            kidney: own("kidney HU", kidney),
            gland: own("gland HU", gland),
            muscle,
            wall,
        }
    }

    /// The pixels of a slice at patient height `z_mm` as points of the body at rest; `origin` is the centre of the first pixel in the scanner.
    pub fn plane(&self, z_mm: f64, size: [usize; 2], pixel_mm: f32, origin: [f32; 2], slice_mm: f32) -> Plane {
        let z = self.to_rest(z_mm);
        let t = ((z - NECK[0]) / (NECK[1] - NECK[0])).clamp(0.0, 1.0);
        let head = t * t * (3.0 - 2.0 * t);
        let blend = |body: f32, of_head: f32| body + head * (of_head - body);
        let scale = self.body.map(|s| blend(s, self.head));
        let (sin, cos) = (self.turn + head * self.head_turn).sin_cos();
        let centre = [
            self.shift[0] + head * self.neck[0] + self.lean * (z / 130.0 + self.phases[3]).sin(),
            self.shift[1] + head * self.neck[1],
        ];
        let [p0, p1, p2, _] = self.phases;
        let mut points = Vec::with_capacity(size[0] * size[1]);
        for j in 0..size[1] {
            for i in 0..size[0] {
                let dx = origin[0] + i as f32 * pixel_mm - centre[0];
                let dy = origin[1] + j as f32 * pixel_mm - centre[1];
                let (x, y) = ((cos * dx + sin * dy) / scale[0], (cos * dy - sin * dx) / scale[1]);
                points.push([
                    x + self.warp * wave(y / 65.0 + z / 110.0 + p0),
                    y + self.warp * wave(x / 75.0 + z / 90.0 + p1 + p2),
                ]);
            }
        }
        let pixel =
            |row: [f32; 2], shift: f32| [row[0] * scale[0] / pixel_mm, row[1] * scale[1] / pixel_mm, shift / pixel_mm];
        let width = pixel_mm / (scale[0] * scale[1]).sqrt();
        Plane {
            size,
            points,
            blur_mm: width.hypot(0.3 * slice_mm / self.scale_z),
            to_pixel: [pixel([cos, -sin], centre[0] - origin[0]), pixel([sin, cos], centre[1] - origin[1])],
            slack: (1.5 * self.warp + 1.0) / pixel_mm + 1.0,
        }
    }
}

fn seeded(seed: u64, name: &str) -> u32 {
    let start = (seed as u32) ^ hash((seed >> 32) as u32);
    name.bytes().fold(hash(start ^ 0x811c_9dc5), |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn between(seed: u64, name: &str, low: f32, high: f32) -> f32 {
    low + (high - low) * (hash(seeded(seed, name)) >> 8) as f32 / 16_777_216.0
}

/// A sine to within a few parts in a thousand, for two calls a pixel.
fn wave(angle: f32) -> f32 {
    let turns = angle * std::f32::consts::FRAC_1_PI * 0.5;
    let t = turns - turns.floor() - 0.5;
    let parabola = -16.0 * t * (0.5 - t.abs());
    parabola * (0.775 + 0.225 * parabola.abs())
}
