//! What is drawn comes back: through contours in every orientation, on oblique and single slices (`round_trip`), as the
//! standard wants it written (`content`), from what other programs write and from damaged bytes (`tolerance`).

mod content;
mod round_trip;
mod tolerance;

use super::{StructureSet, WriteOptions, structures};
use crate::anatomy::Organ;
use crate::formats::analytic::{derive, series};
use crate::formats::dicom::ExportError;
use crate::formats::structures::{Drawn, SeriesLink, Structure, Structures, TargetGrid};
use crate::volume::{Geometry, LabelVolume, Modality, Volume};

/// A label map drawn by a rule on an axial grid.
fn drawn(size: [usize; 3], rule: impl Fn(usize, usize, usize) -> Option<Organ>) -> LabelVolume {
    let grid = Geometry::axial(size, [1.3, 0.7, 2.9], [-31.7, 12.4, -208.6]).unwrap();
    on(grid, rule)
}

/// A label map drawn by a rule of stored indices.
fn on(grid: Geometry, rule: impl Fn(usize, usize, usize) -> Option<Organ>) -> LabelVolume {
    let [nx, ny, nz] = grid.size;
    let label = |n: usize| rule(n % nx, n / nx % ny, n / (nx * ny)).map_or(0, Organ::label);
    let voxels = (0..nx * ny * nz).map(label).collect();
    Volume::from_stored(grid, voxels, Modality::Unknown).unwrap()
}

fn write(labels: &LabelVolume, options: &WriteOptions) -> Result<Vec<u8>, ExportError> {
    let structures = Structure::organs(labels, |_| Drawn::Automatic);
    derive(&series(&labels.stored), |made| super::write(&structures, &labels.geometry, options, made))
}

fn read_on(set: &StructureSet, grid: &Geometry) -> Structures {
    let grid = TargetGrid::new(grid.clone()).unwrap();
    structures(set, &grid, Some(&SeriesLink::from(&series(&grid.stored)))).unwrap()
}

/// Intersection over union of a label.
fn iou(a: &LabelVolume, b: &LabelVolume, organ: Organ) -> f64 {
    let is = |l: &u8| *l == organ.label();
    let pairs = || a.voxels.iter().zip(&b.voxels);
    let both = pairs().filter(|(a, b)| is(a) && is(b)).count();
    both as f64 / pairs().filter(|(a, b)| is(a) || is(b)).count() as f64
}
