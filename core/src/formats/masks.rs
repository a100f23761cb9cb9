//! Structures that are none of the 33 organs, each as a mask of its own: a label map has one number for each voxel and none for what may
//! overlap all others.

use std::collections::BTreeSet;

use super::nifti::{self, NiftiError};
use super::structures::OtherStructure;
use crate::volume::LabelVolume;

/// The most characters of a name in the name of a file.
const LONGEST: usize = 64;
/// The colour of a structure that has none, as in DICOM files.
const USUAL_COLOUR: [u8; 3] = [255, 255, 0];

/// A NIfTI mask of each structure that has a voxel, on the stored grid of `on`, and its name as a part of the name of a file: what a file
/// system may not take becomes `_`, and no two are the same. Within the file the structure has its own name, by which
/// [`read_structures`](super::read_structures) takes it back.
///
/// # Errors
/// [`NiftiError::TooLarge`] beyond 32767 voxels along an axis.
pub fn write_masks(on: &LabelVolume, structures: &[OtherStructure]) -> Result<Vec<(String, Vec<u8>)>, NiftiError> {
    let mut taken = BTreeSet::new();
    let mut files = Vec::new();
    for structure in structures.iter().filter(|s| s.voxels.iter().any(|run| !run.is_empty())) {
        let mask = on.with_voxels(structure.mask(on.voxels.len()));
        let bytes = nifti::write_mask(&mask, &structure.name, structure.colour.unwrap_or(USUAL_COLOUR))?;
        let part = part_of_file_name(&structure.name);
        let mut names = std::iter::once(part.clone()).chain((2u32..).map(|n| format!("{part}-{n}")));
        // Some file systems do not tell capitals.
        let name = names.find(|name| taken.insert(name.to_lowercase())).unwrap_or(part.clone());
        files.push((name, bytes));
    }
    Ok(files)
}

fn part_of_file_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || ['-', '+', '_'].contains(&c) { c } else { '_' };
    let part: String = name.trim().chars().take(LONGEST).map(plain).collect();
    if part.is_empty() { "structure".into() } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{self, FormatError};
    use crate::volume::{Geometry, Modality, Volume};

    fn other(name: &str, voxels: Vec<std::ops::Range<usize>>) -> OtherStructure {
        OtherStructure { name: name.into(), colour: Some([9, 8, 7]), interpreted_type: "PTV".into(), voxels }
    }

    #[test]
    fn masks_come_back_as_the_structures_that_they_were() {
        // Stored from the head down and from left to right, so that order and places differ.
        let affine = [[-2.0, 0.0, 0.0, 7.0], [0.0, 1.0, 0.0, -3.0], [0.0, 0.0, -3.0, 40.0]];
        let grid = Geometry::new([5, 4, 3], affine).unwrap();
        let on: LabelVolume = Volume::from_stored(grid, vec![0; 60], Modality::Unknown).unwrap();
        let structures = [
            other("GTV 1/boost", vec![3..9, 20..21]),
            other("gtv 1:boost", std::iter::once(5..6).collect()),
            other("empty", Vec::new()),
            other("a]]>b", std::iter::once(0..60).collect()),
        ];
        let files = write_masks(&on, &structures).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["GTV_1_boost", "gtv_1_boost-2", "a___b"]);
        for ((_, bytes), written) in files.iter().zip([&structures[0], &structures[1], &structures[3]]) {
            let file = || vec![("mask".to_owned(), bytes.clone())];
            let found = formats::read_structures(file(), None).unwrap();
            assert!(found.organs.is_empty() && found.labels.voxels.iter().all(|&v| v == 0) && !found.by_number);
            assert!(found.labels.geometry.same_grid(&on.geometry, 1e-3));
            let [read] = &found.others[..] else { panic!("{:?}", found.others) };
            assert_eq!((read.name.replace(' ', ""), &read.voxels), (written.name.replace(' ', ""), &written.voxels));
            // Whoever wants organs hears that there are none, and numbers are those of any mask.
            assert!(matches!(formats::read_organs(file()), Err(FormatError::LabelNames(_))));
            let mask = formats::read_labels(file()).unwrap();
            assert_eq!(mask.voxels, written.mask(60));
        }
    }
}
