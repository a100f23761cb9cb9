//! Synthetic data sets, as a user makes them.

use std::path::Path;

use attention_anatomy::anatomy::{Organ, OrganSet};
use attention_anatomy::dataset::DataSet;
use attention_anatomy::formats::{ReadOptions, nifti};
use attention_anatomy::phantom::{ScanSet, shown};
use attention_anatomy::train::TrainingConfig;
use attention_anatomy::volume::LabelVolume;
use tempfile::TempDir;

use crate::support::{program, succeed};

const SMALL: [&str; 8] = ["--patients", "2", "--spacing", "6", "--slice", "9", "--seed", "5"];

fn manifest(folder: &Path, name: &str) -> DataSet {
    DataSet::parse(&std::fs::read_to_string(folder.join(name)).unwrap(), false).unwrap()
}

fn labels(path: &Path) -> LabelVolume {
    nifti::read_labels(&std::fs::read(path).unwrap(), &ReadOptions::default()).unwrap()
}

#[test]
fn phantom_sets_are_partial_with_the_truth_beside_them() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out");
    succeed(program("phantom").arg("-o").arg(&out).args(SMALL));
    let mut annotated = OrganSet::EMPTY;
    for set in ScanSet::PARTIAL {
        let drawn = manifest(&out, &format!("{}/dataset.json", set.id()));
        let truth = manifest(&out, &format!("truth/{}/dataset.json", set.id()));
        assert_eq!((drawn.cases.len(), truth.cases.len()), (2, 2));
        for (case, full) in drawn.cases.iter().zip(&truth.cases) {
            let own = labels(&out.join(set.id()).join(case.label.as_ref().unwrap()));
            let all = labels(&out.join("truth").join(set.id()).join(full.label.as_ref().unwrap()));
            assert!(shown(&own.voxels).difference(case.organs().unwrap()).is_empty());
            assert_eq!(shown(&all.voxels), full.organs().unwrap());
            assert!(full.organs().unwrap().len() > case.organs().unwrap().len());
            assert!(own.voxels.iter().zip(&all.voxels).all(|(o, a)| *o == 0 || o == a));
            assert!(out.join("truth").join(set.id()).join(&full.ct).is_file(), "{}", full.ct);
            annotated = annotated.union(case.organs().unwrap());
        }
        assert_ne!(drawn.cases[0].region_boundaries_mm, drawn.cases[1].region_boundaries_mm);
    }
    assert_eq!(annotated, Organ::ALL.into_iter().collect());
    TrainingConfig::parse(&std::fs::read_to_string(out.join("train.toml")).unwrap()).unwrap();

    let again = folder.path().join("again");
    succeed(program("phantom").arg("-o").arg(&again).args(SMALL).args(["--set", "thorax"]));
    let name = "thorax/train/thorax-001_ct.nii.gz";
    assert_eq!(std::fs::read(out.join(name)).unwrap(), std::fs::read(again.join(name)).unwrap());
}
