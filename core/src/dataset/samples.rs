//! Two partially annotated sets in memory, for tests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{CaseSource, DataConfig, LoadError, NamedFiles};
use crate::anatomy::Organ;
use crate::formats::nifti;
use crate::volume::{CtVolume, Geometry, LabelVolume, Modality, Volume};

/// Cases of each set.
pub const CASES: usize = 3;
const N: usize = 40;
const SLICES: usize = 6;

/// A square body with a brighter liver on one side and a spleen on the other, of both of which each case is told apart.
pub fn drawn(case: usize) -> (CtVolume, LabelVolume) {
    let geometry = Geometry::axial([N, N, SLICES], [3.0, 3.0, 5.0], [0.0; 3]).unwrap();
    let (mut hu, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        for n in 0..N * N {
            let (x, y) = (n % N, n / N);
            let body = (3..37).contains(&x) && (3..37).contains(&y);
            let tall = (10..18 + case).contains(&y);
            let (voxel, label) = match (body, tall) {
                (false, _) => (-1000, 0),
                (true, true) if (7..16).contains(&x) => (160, Organ::Liver.label()),
                (true, true) if (24..33).contains(&x) => (90, Organ::Spleen.label()),
                (true, _) => (-60, 0),
            };
            hu.push(voxel);
            labels.push(label);
        }
    }
    let ct = Volume::from_stored(geometry, hu, Modality::Ct).unwrap();
    let labels = ct.with_voxels(labels);
    (ct, labels)
}

/// Files by manifest and path.
#[derive(Debug, Default)]
pub struct Files {
    pub files: BTreeMap<String, Vec<u8>>,
    /// Images that were read.
    pub read: AtomicUsize,
}

impl Files {
    /// Two sets of drawn bodies that show the same two organs, of which each annotates one.
    pub fn two_sets() -> Self {
        let mut files = BTreeMap::new();
        for (n, organ) in [Organ::Liver, Organ::Spleen].into_iter().enumerate() {
            let set = organ.id();
            let mut cases = Vec::new();
            for case in 0..CASES {
                let (ct, labels) = drawn(CASES * n + case);
                let own: Vec<u8> = labels.voxels.iter().map(|&l| if l == organ.label() { l } else { 0 }).collect();
                files.insert(format!("{set}/{case}.ct"), nifti::write_ct(&ct, "").unwrap());
                files.insert(format!("{set}/{case}.own"), nifti::write_labels(&labels.with_voxels(own), "").unwrap());
                files.insert(format!("{set}/{case}.all"), nifti::write_labels(&labels, "").unwrap());
                cases.push(serde_json::json!({
                    "id": format!("{case}"), "patient": format!("{set} {case}"), "split": "train", "ct": format!("{case}.ct"), "label": format!("{case}.own"),
                    "truth": format!("{case}.all"), "annotated": [set],
                    "region_boundaries_mm": [500.0, 400.0, 300.0, -100.0],
                }));
            }
            let manifest = serde_json::json!({ "name": set, "license": "drawn", "own_patients": true, "cases": cases });
            files.insert(format!("{set}/set.json"), manifest.to_string().into_bytes());
        }
        Self { files, read: AtomicUsize::new(0) }
    }

    fn get(&self, name: &str) -> Result<&Vec<u8>, LoadError> {
        self.files.get(name).ok_or_else(|| LoadError::File(format!("{name}: cannot be read (there is none)")))
    }
}

impl CaseSource for Files {
    fn manifest(&self, manifest: &str) -> Result<String, LoadError> {
        Ok(String::from_utf8(self.get(manifest)?.clone()).unwrap())
    }

    fn image(&self, manifest: &str, path: &str) -> Result<NamedFiles, LoadError> {
        self.read.fetch_add(1, Ordering::Relaxed);
        let name = self.place(manifest, Some(path));
        Ok(vec![(path.into(), self.get(&name)?.clone())])
    }

    fn place(&self, manifest: &str, path: Option<&str>) -> String {
        let folder = manifest.split_once('/').map_or("", |(folder, _)| folder);
        path.map_or_else(|| manifest.into(), |path| format!("{folder}/{path}"))
    }
}

/// The configuration of a set of [`Files::two_sets`].
pub fn data(organ: Organ) -> DataConfig {
    let set = DataConfig::of(format!("{}/set.json", organ.id()));
    DataConfig { validation_patients: 1, assume_hu: true, ..set }
}
