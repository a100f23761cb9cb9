//! Organs of a phantom in every orientation of slices that a scanner can store, and in every position of the patient, as other programs
//! read them out of what is written here: pydicom and the area of its polygons for structure sets, highdicom for segmentations, nibabel for
//! label maps; again SimpleITK, for label maps and for structure sets filled on a CT that it reads; and rt-utils, whose borders are those of
//! whole pixels. `tests/data/exchange/orientations.py` tells how they did.

use std::collections::BTreeMap;
use std::io::Read;

use sha2::{Digest, Sha256};

use super::analytic::{self, derive};
use super::rtstruct::{self, WriteOptions};
use super::structures::{Drawn, Structure};
use super::{nifti, seg};
use crate::anatomy::Organ;
use crate::volume::{Geometry, LabelVolume, Modality, Volume};

/// How a patient can lie in a scanner (PatientPosition, PS3.3 C.7.3.1.1.2). Places in the patient do not depend on it.
const POSITIONS: [&str; 8] = ["HFS", "HFP", "HFDL", "HFDR", "FFS", "FFP", "FFDL", "FFDR"];
/// Others may find a centre so far from the truth, mm: contours are written to a tenth of a micrometre.
const CLOSE_MM: f64 = 0.01;
/// What rt-utils finds is rounded to whole pixels, so that a centre may be off by half of one along each axis.
const HALF_A_VOXEL: f64 = 0.5;

/// Voxels and centre in patient LPS mm of an organ.
#[derive(Debug, serde::Deserialize)]
struct Found(f64, [f64; 3]);

/// What others read of a file of ours.
#[derive(Debug, serde::Deserialize)]
struct File {
    sha256: String,
    organs: BTreeMap<String, Found>,
    /// The same by SimpleITK; empty for segmentations, of whose frames it knows no place.
    #[serde(default)]
    simpleitk: BTreeMap<String, Found>,
    /// The same by rt-utils; empty for what is no structure set.
    #[serde(default)]
    rt_utils: BTreeMap<String, Found>,
}

#[derive(Debug, serde::Deserialize)]
struct Expected {
    truth: BTreeMap<String, Found>,
    files: BTreeMap<String, File>,
}

/// Names and contents of what is written of the phantom, 24 orientations in three formats.
fn written() -> Vec<(String, Vec<u8>)> {
    let cross =
        |a: [f64; 3], b: [f64; 3]| [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    // Slices are stored along row x column.
    let orientations = analytic::all_48_axes().into_iter().filter(|axes| cross(axes[0], axes[1]) == axes[2]);
    let mut files = Vec::new();
    for (n, axes) in orientations.enumerate() {
        let stored = analytic::stored(axes);
        let affine =
            std::array::from_fn(|r| [stored.steps[0][r], stored.steps[1][r], stored.steps[2][r], stored.origin[r]]);
        let grid = Geometry::new(stored.size, affine).unwrap();
        let labels: LabelVolume = Volume::from_stored(grid, stored.labels, Modality::Unknown).unwrap();
        let mut series = analytic::series(&labels.stored);
        series.patient_position = POSITIONS[n % 8].into();
        let organs = Structure::organs(&labels, |_| Drawn::Automatic);
        let contours =
            derive(&series, |made| rtstruct::write(&organs, &labels.geometry, &WriteOptions::default(), made)).unwrap();
        let segments = derive(&series, |made| seg::write(&organs, &labels.geometry, made)).unwrap();
        files.push((format!("{n:02}-rtstruct.dcm"), contours));
        files.push((format!("{n:02}-seg.dcm"), segments));
        files.push((format!("{n:02}-labels.nii.gz"), nifti::write_labels(&labels, "").unwrap()));
    }
    assert_eq!(files.len(), 72);
    files
}

/// Of what is in a file, however well it was compressed.
fn sha256(name: &str, bytes: &[u8]) -> String {
    let mut content = bytes.to_vec();
    if name.ends_with(".gz") {
        content.clear();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut content).unwrap();
    }
    Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn other_programs_find_every_organ_in_its_place_in_every_orientation() {
    let written = written();
    if let Ok(folder) = std::env::var("EXCHANGE") {
        written.iter().for_each(|(name, bytes)| std::fs::write(format!("{folder}/{name}"), bytes).unwrap());
        return;
    }
    let path = format!("{}/../tests/data/exchange/orientations.json", env!("CARGO_MANIFEST_DIR"));
    let expected: Expected = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(expected.files.len(), written.len());
    for (name, bytes) in written {
        let file = &expected.files[&name];
        assert_eq!(
            sha256(&name, &bytes),
            file.sha256,
            "{name} is written in another way than the one others have read"
        );
        let [contours, segments] = ["rtstruct.dcm", "seg.dcm"].map(|end| name.ends_with(end));
        let read = [&file.organs, &file.simpleitk, &file.rt_utils].map(BTreeMap::len);
        assert_eq!(read, [3, if segments { 0 } else { 3 }, if contours { 3 } else { 0 }], "{name}");
        for (n, organ) in Organ::ALL.into_iter().take(3).enumerate() {
            // Label maps know numbers, structures names.
            let called = if name.ends_with("gz") { (n + 1).to_string() } else { organ.tg263().to_owned() };
            let truth = &expected.truth[&(n + 1).to_string()];
            for found in [Some(&file.organs[&called]), file.simpleitk.get(&called)].into_iter().flatten() {
                let off = (0..3).map(|a| (truth.1[a] - found.1[a]).abs()).fold(0.0, f64::max);
                assert!(
                    (truth.0 - found.0).abs() < 1e-3 * truth.0 && off < CLOSE_MM,
                    "{name}: {organ} {found:?}, not {truth:?}"
                );
            }
            let near = |found: &Found| {
                (0..3).all(|a| (truth.1[a] - found.1[a]).abs() < HALF_A_VOXEL * analytic::SPACING[a] + CLOSE_MM)
            };
            assert!(
                file.rt_utils.get(&called).is_none_or(near),
                "{name}: rt-utils finds {organ} elsewhere than at {truth:?}"
            );
        }
    }
}
