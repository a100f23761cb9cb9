//! Structures into the clinic and out of it: what is converted to RTSTRUCT or SEG comes back voxel by voxel, and what cannot be
//! written or read is said in a sentence.

use std::path::{Path, PathBuf};

use attention_anatomy::anatomy::Organ;
use attention_anatomy::formats::{self, nifti};
use attention_anatomy::volume::LabelVolume;

use crate::support::{program, run, succeed, unpack};

/// A folder with a CT series and label maps on it.
struct Study {
    folder: tempfile::TempDir,
    ct: PathBuf,
    labels: LabelVolume,
}

impl Study {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slices = unpack("rtstruct.zip", "mock_data/ct_", folder.path());
        let ct = slices[0].parent().unwrap().to_path_buf();
        let files = slices.iter().map(|p| (p.display().to_string(), std::fs::read(p).unwrap())).collect();
        let volume = formats::read_ct(files).unwrap();
        let [nx, ny, _] = volume.geometry.size;
        let label = |n: usize| {
            let (x, y) = (n % nx, n / nx % ny);
            match () {
                // A ring, and an organ of one voxel in it.
                () if x == 30 && y == 41 => Organ::SpinalCord.label(),
                () if (20..60).contains(&x)
                    && (30..70).contains(&y)
                    && !((28..35).contains(&x) && (38..45).contains(&y)) =>
                {
                    Organ::Liver.label()
                }
                () if x + y > nx + ny - 9 => Organ::Spleen.label(),
                () => 0,
            }
        };
        let labels = volume.with_voxels((0..volume.voxels.len()).map(label).collect());
        std::fs::write(folder.path().join("labels.nii.gz"), nifti::write_labels(&labels, "AttentionAnatomy").unwrap())
            .unwrap();
        Self { folder, ct, labels }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn convert(&self, from: &str, to: &str, more: &[&str]) -> std::process::Command {
        let mut call = program("convert");
        call.arg(self.path(from)).arg("-o").arg(self.path(to)).args(more);
        call
    }

    fn with_ct(&self, from: &str, to: &str, more: &[&str]) -> std::process::Command {
        let mut call = self.convert(from, to, more);
        call.arg("--reference").arg(&self.ct);
        call
    }
}

fn read(path: &Path) -> LabelVolume {
    formats::read_labels(vec![("labels".into(), std::fs::read(path).unwrap())]).unwrap()
}

#[test]
fn label_maps_go_through_rtstruct_and_seg_and_come_back_as_they_were() {
    let study = Study::new();
    for (format, more) in [("rtstruct", &["--holes", "xor"][..]), ("rtstruct", &["--holes", "keyhole"]), ("seg", &[])] {
        let (file, back) = (format!("{format}-{}.dcm", more.len()), format!("{format}-{}.nrrd", more.len()));
        let said =
            succeed(&mut study.with_ct("labels.nii.gz", &file, &[&["--to", format, "--overwrite"], more].concat()));
        assert_eq!(said.stderr, "", "{said:?}");
        succeed(&mut study.with_ct(&file, &back, &["--overwrite"]));
        assert_eq!(read(&study.path(&back)).voxels, study.labels.voxels, "{format} {more:?}");
        let compared = succeed(program("compare").arg(study.path("labels.nii.gz")).arg(study.path(&file)));
        assert!(compared.stdout.contains("Mean over 3 organs: Dice 1.000"), "{}", compared.stdout);
    }
    // From one to the other, and a segmentation needs no CT.
    succeed(&mut study.with_ct("rtstruct-2.dcm", "other.dcm", &["--to", "seg"]));
    succeed(&mut study.convert("other.dcm", "other.nii.gz", &[]));
    assert_eq!(read(&study.path("other.nii.gz")).voxels, study.labels.voxels);
}

#[test]
fn contours_beside_their_series_need_no_reference() {
    let study = Study::new();
    let inside = format!("{}/structures.dcm", study.ct.strip_prefix(study.folder.path()).unwrap().display());
    succeed(&mut study.with_ct("labels.nii.gz", &inside, &["--body"]));
    let mut call = program("convert");
    let said = succeed(call.arg(&study.ct).arg("-o").arg(study.path("back.nii.gz")));
    assert!(said.stderr.contains("left out of the label map: BODY"), "{}", said.stderr);
    assert_eq!(read(&study.path("back.nii.gz")).voxels, study.labels.voxels);
}

#[test]
fn what_cannot_be_converted_is_said_in_a_sentence_and_leaves_nothing() {
    let study = Study::new();
    succeed(&mut study.with_ct("labels.nii.gz", "structures.dcm", &[]));
    let refused = |mut call: std::process::Command, because: &str, file: &str| {
        let said = run(&mut call);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains(because), "{}", said.stderr);
        assert!(!study.path(file).exists());
    };
    refused(study.convert("labels.nii.gz", "a.dcm", &[]), "give its DICOM series with --reference", "a.dcm");
    refused(
        study.convert("structures.dcm", "a.nii.gz", &[]),
        "give the CT series that it was drawn on, too",
        "a.nii.gz",
    );
    refused(study.convert("structures.dcm", "a.xyz", &[]), "add --to", "a.xyz");
    let mut moved = study.labels.clone();
    for grid in [&mut moved.geometry, &mut moved.stored] {
        grid.affine[2][3] += 5.0;
    }
    std::fs::write(study.path("moved.nii.gz"), nifti::write_labels(&moved, "").unwrap()).unwrap();
    refused(study.with_ct("moved.nii.gz", "a.dcm", &[]), "give the series that the labels were drawn on", "a.dcm");
}
