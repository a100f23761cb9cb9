//! A synthetic whole-body CT with exact masks of all 33 organs.
//!
//! No public set outlines all 33 organs, so nothing real can say how well the organs do that a set leaves out. A phantom
//! can: it knows every voxel. It also serves as the oracle of tests and as an endless source of training slices, which is
//! why it is drawn slice by slice from formulas: no volume is ever held, and a small slice takes milliseconds.
//!
//! A patient is an atlas of smooth solids, varied by a seed: size, pose, fat, sex, contrast, teeth, and the place, size
//! and surface of each organ. A slice is a painting: solids in order, later over earlier, labels cut at the surface and HU blended
//! over a pixel. The scanner then adds couch, noise and streaks. Everything is a pure function of the seed and the place.
//!
//! | file | what |
//! |---|---|
//! | `shapes.rs` | solids and their signed distances |
//! | `texture.rs` | what tissue looks like, and the random numbers |
//! | `scene.rs` | painting solids into a slice |
//! | `patient.rs` | what differs between patients; from scanner to body |
//! | `body.rs`, `head.rs`, `face.rs`, `neck.rs`, `chest.rs`, `abdomen.rs` | the atlas |
//! | `scanner.rs` | couch, noise, streaks |
//! | `sets.rs` | scan ranges and what each annotates |

mod abdomen;
mod body;
mod chest;
mod face;
mod head;
mod neck;
mod patient;
mod scanner;
mod scene;
mod sets;
mod shapes;
mod texture;

#[cfg(test)]
mod tests;

pub use patient::ContrastPhase;
pub use sets::{ScanSet, partial, shown};

use crate::dataset::regions::{LANDMARK_COUNT, RegionError, RegionLabels};
use crate::volume::{CtVolume, Geometry, GeometryError, LabelVolume, Modality, Volume};
use patient::Patient;
use scene::{Scene, Zone, zone};
use serde::{Deserialize, Serialize};
use shapes::Point;

/// Which patient, and how the scan is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhantomOptions {
    /// The patient. The same seed is the same patient, whatever the other options are.
    pub seed: u64,
    /// The range of the body that is scanned.
    pub set: ScanSet,
    /// Columns, and rows, of a slice.
    pub matrix: usize,
    /// Distance between pixels in mm.
    pub pixel_mm: f64,
    /// Distance between slices in mm.
    pub slice_mm: f64,
    /// Standard deviation of the noise in the middle of a chest, in HU.
    pub noise_hu: f64,
    /// Whether the couch is seen.
    pub couch: bool,
    /// Whether some patients have metal in their teeth, with its streaks.
    pub dental_metal: bool,
}

impl Default for PhantomOptions {
    /// A whole body of patient 0 on 3 mm voxels, in a field of 528 mm.
    fn default() -> Self {
        Self {
            seed: 0,
            set: ScanSet::WholeBody,
            matrix: 176,
            pixel_mm: 3.0,
            slice_mm: 3.0,
            noise_hu: 12.0,
            couch: true,
            dental_metal: true,
        }
    }
}

/// Why a phantom cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PhantomError {
    /// An option out of range.
    #[error("{name} is {value}; it must be between {low} and {high}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The least that is possible.
        low: f64,
        /// The most that is possible.
        high: f64,
    },
    /// The grid.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// One axial slice, row by row: columns to the patient's left, rows to the back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhantomSlice {
    /// The CT in HU.
    pub hu: Vec<i16>,
    /// Labels of all 33 organs, whatever the set annotates; see [`partial`].
    pub labels: Vec<u8>,
}

/// A synthetic patient on the couch.
#[derive(Clone, Debug)]
pub struct Phantom {
    options: PhantomOptions,
    patient: Patient,
    scene: Scene,
    fillings: Vec<Point>,
    geometry: Geometry,
    boundaries_mm: [f64; LANDMARK_COUNT],
}

/// y of the middle of the image in the scanner, in mm: the couch takes some of the room behind the patient.
const CENTRE_Y_MM: f64 = 10.0;

impl Phantom {
    /// The patient of a seed, ready to be scanned.
    ///
    /// # Errors
    /// [`PhantomError::Option`], which names the option and what it may be.
    pub fn new(options: PhantomOptions) -> Result<Self, PhantomError> {
        for (name, value, low, high) in [
            ("the pixel distance", options.pixel_mm, 0.2, 30.0),
            ("the slice distance", options.slice_mm, 0.2, 50.0),
            ("matrix", options.matrix as f64, 8.0, 2048.0),
            ("the noise", options.noise_hu, 0.0, 500.0),
        ] {
            if !(low..=high).contains(&value) {
                return Err(PhantomError::Option { name, value, low, high });
            }
        }
        let patient = Patient::new(options.seed);
        let mut scene = Scene::new(patient.seed("scene"));
        body::outline(&mut scene, &patient);
        let lung_top = chest::lungs(&mut scene, &patient);
        abdomen::room(&mut scene);
        body::spine(&mut scene, &patient);
        body::ribs_and_shoulders(&mut scene, &patient);
        body::back_muscles(&mut scene, &patient);
        let fillings = head::head(&mut scene, &patient, options.dental_metal);
        let heart_top = chest::mediastinum(&mut scene, &patient);
        let levels = abdomen::organs(&mut scene, &patient);
        let boundaries_mm = [lung_top, heart_top, levels.liver, levels.kidneys].map(|z| patient.to_patient(z));

        let [low, high] = options.set.range().map(|z| patient.to_patient(z));
        let low = low + f64::from(patient.between(options.set.id(), -8.0, 8.0));
        let slices = ((high - low) / options.slice_mm).ceil().max(1.0) as usize;
        let half = (options.matrix as f64 - 1.0) / 2.0 * options.pixel_mm;
        let geometry = Geometry::axial(
            [options.matrix, options.matrix, slices],
            [options.pixel_mm, options.pixel_mm, options.slice_mm],
            [-half, CENTRE_Y_MM - half, low],
        )?;
        Ok(Self { options, patient, scene, fillings, geometry, boundaries_mm })
    }

    /// The options that it was made from.
    pub fn options(&self) -> &PhantomOptions {
        &self.options
    }

    /// The grid of the scan.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of slices, from the lowest up.
    pub fn slices(&self) -> usize {
        self.geometry.size[2]
    }

    /// When the scan was made after the injection of contrast medium.
    pub fn contrast(&self) -> ContrastPhase {
        self.patient.phase
    }

    /// Patient z in mm of lung apex, top of the heart, liver dome and middle of the kidneys: exact, also where the scan ends before.
    pub fn region_boundaries_mm(&self) -> [f64; LANDMARK_COUNT] {
        self.boundaries_mm
    }

    /// The regions of the slices.
    ///
    /// # Errors
    /// None in practice: the boundaries of a phantom are in order.
    pub fn regions(&self) -> Result<RegionLabels, RegionError> {
        RegionLabels::from_boundaries(&self.geometry, self.boundaries_mm)
    }

    /// Slice `k`, at any time and in any order. Beyond the scan's ends the body goes on for a little, so no `k` is wrong.
    pub fn slice(&self, k: usize) -> PhantomSlice {
        let [width, height, _] = self.geometry.size;
        let size = [width, height];
        let [x, y, z_mm] = self.geometry.to_patient([0.0, 0.0, k as f64]);
        let (pixel_mm, origin) = (self.options.pixel_mm as f32, [x as f32, y as f32]);
        let z = self.patient.to_rest(z_mm);
        let plane = self.patient.plane(z_mm, size, pixel_mm, origin, self.options.slice_mm as f32);
        let mut hu = vec![scanner::AIR_HU; width * height];
        let mut zones: Vec<Zone> = vec![zone::AIR; width * height];
        self.scene.paint(z, &plane, &mut hu, &mut zones);
        if self.options.couch {
            scanner::couch(&self.patient, size, pixel_mm, origin, &mut hu, &zones);
        }
        scanner::streaks(&self.fillings, z, &plane, &mut hu, &zones);
        if self.options.noise_hu > 0.0 {
            let seed = texture::hash(self.patient.seed("noise").wrapping_add(k as u32));
            scanner::add_noise(size, self.options.noise_hu as f32, seed, &mut hu, &zones, pixel_mm);
        }
        PhantomSlice {
            hu: hu.into_iter().map(|v| v.round().clamp(-1024.0, 3071.0) as i16).collect(),
            labels: zones.into_iter().map(scene::label).collect(),
        }
    }

    /// The whole scan: CT and labels of all organs.
    ///
    /// # Errors
    /// [`PhantomError::Geometry`], in practice never.
    pub fn volume(&self) -> Result<(CtVolume, LabelVolume), PhantomError> {
        let mut hu = Vec::with_capacity(self.geometry.voxel_count());
        let mut labels = Vec::with_capacity(self.geometry.voxel_count());
        for k in 0..self.slices() {
            let slice = self.slice(k);
            hu.extend(slice.hu);
            labels.extend(slice.labels);
        }
        Ok((
            Volume::from_stored(self.geometry.clone(), hu, Modality::Ct)?,
            Volume::from_stored(self.geometry.clone(), labels, Modality::Unknown)?,
        ))
    }
}
