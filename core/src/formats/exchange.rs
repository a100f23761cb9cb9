//! Files of other programs read by this one, and files of this one read by them: `tests/data/exchange/reference.py` tells how both
//! were made, on a phantom whose organs have a closed form, in oblique slices stored from the head down.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::analytic::derive;
use super::archive::unzip;
use super::dicom::{SeriesChoice, SeriesInfo, read_series};
use super::rtstruct::{Holes, WriteOptions};
use super::structures::{Drawn, Structure};
use super::{Reference, read_structures, rtstruct, seg};
use crate::anatomy::Organ;
use crate::volume::{CtVolume, LabelVolume};

/// Every organ has a HU of its own.
const ORGANS: [(i16, Organ); 5] =
    [(100, Organ::Liver), (200, Organ::Stomach), (300, Organ::KidneyLeft), (400, Organ::Spleen), (500, Organ::Heart)];

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/exchange/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn study() -> (CtVolume, SeriesInfo, LabelVolume) {
    let (ct, series, _) = read_series(unzip(&data("ct.zip"), 1 << 20).unwrap(), SeriesChoice::default()).unwrap();
    let label = |hu: &i16| ORGANS.iter().find(|organ| organ.0 == *hu).map_or(0, |organ| organ.1.label());
    let labels = ct.with_voxels(ct.voxels.iter().map(label).collect());
    (ct, series, labels)
}

#[test]
fn exchange_with_other_programs_gives_their_structures_voxel_by_voxel() {
    let (ct, series, labels) = study();
    let reference = Reference::of(&ct, Some(&series));
    for name in ["rt-utils.dcm", "highdicom-seg.dcm", "highdicom-labelmap.dcm"] {
        let found = read_structures(vec![(name.into(), data(name))], Some(&reference)).unwrap();
        assert_eq!(found.organs, ORGANS.iter().map(|o| o.1).collect(), "{name}");
        for (_, organ) in ORGANS {
            let differing = found
                .labels
                .voxels
                .iter()
                .zip(&labels.voxels)
                .filter(|(a, b)| (**a == organ.label()) != (**b == organ.label()));
            assert_eq!(differing.count(), 0, "{name}: {organ}");
        }
    }
}

/// What another program reads of an organ.
#[derive(Debug, serde::Deserialize)]
struct Read {
    voxels: usize,
    centre: [f64; 3],
}

/// What others read of a file of ours.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    sha256: String,
    scikit_image: Option<BTreeMap<String, Read>>,
    rt_utils: Option<BTreeMap<String, usize>>,
    highdicom: Option<BTreeMap<String, Read>>,
    #[serde(rename = "SimpleITK")]
    simple_itk: Option<usize>,
}

#[derive(Debug, serde::Deserialize)]
struct Expected {
    truth: BTreeMap<String, Read>,
    files: BTreeMap<String, File>,
}

#[test]
fn exchange_with_other_programs_gives_them_the_same_structures() {
    let (_, series, labels) = study();
    let organs = Structure::organs(&labels, |_| Drawn::Automatic);
    let contours = |holes| {
        let options = WriteOptions { holes, label: "exchange".into(), ..WriteOptions::default() };
        derive(&series, |made| rtstruct::write(&organs, &labels.geometry, &options, made)).unwrap()
    };
    let written = [
        ("ours-rtstruct.dcm", contours(Holes::Keyhole)),
        ("ours-xor.dcm", contours(Holes::Xor)),
        ("ours-seg.dcm", derive(&series, |made| seg::write(&organs, &labels.geometry, made)).unwrap()),
    ];
    if let Ok(folder) = std::env::var("EXCHANGE") {
        written.iter().for_each(|(name, bytes)| std::fs::write(format!("{folder}/{name}"), bytes).unwrap());
        return;
    }
    let expected: Expected = serde_json::from_slice(&data("expected.json")).unwrap();
    for (name, bytes) in written {
        let file = &expected.files[name];
        let sha: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(sha, file.sha256, "{name} is written in another way than the one that others have read");
        let exact = file.scikit_image.as_ref().or(file.highdicom.as_ref()).unwrap();
        assert_eq!(exact.len(), ORGANS.len(), "{name}");
        for (organ, read) in exact {
            let truth = &expected.truth[organ];
            let off = read.centre.iter().zip(truth.centre).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(read.voxels == truth.voxels && off < 0.01, "{name}: {organ} {read:?}, not {truth:?}");
        }
        let all: usize = expected.truth.values().map(|t| t.voxels).sum();
        assert!(file.simple_itk.is_none_or(|voxels| voxels == all), "{name}");
        // rt-utils rounds points to whole pixels and takes the borders in: it finds every organ, at most a pixel wider.
        for (organ, &voxels) in file.rt_utils.iter().flatten() {
            assert!(voxels >= expected.truth[organ].voxels, "{name}: {organ} {voxels}");
        }
    }
}
