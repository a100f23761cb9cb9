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
    assert_eq!(read(&study.path("back.nii.gz")).voxels, study.labels.voxels);
    // What a label map has no number for lies beside it, and goes back to where it came from.
    assert_eq!(said.stdout.lines().count(), 2, "{}", said.stdout);
    let body = read(&study.path("back.BODY.nii.gz"));
    assert!(body.voxels.iter().any(|&inside| inside != 0));
    let masks = succeed(&mut study.with_ct("back.BODY.nii.gz", "again.dcm", &[]));
    assert_eq!(masks.stderr, "");
    let said = succeed(&mut study.with_ct("again.dcm", "again.nii.gz", &[]));
    assert!(said.stderr.contains("there is no label map") && !study.path("again.nii.gz").exists(), "{}", said.stderr);
    assert_eq!(read(&study.path("again.BODY.nii.gz")).voxels, body.voxels);
}

#[test]
fn the_outline_of_the_body_is_written_beside_a_label_map() {
    let study = Study::new();
    // As a structure set has it, drawn on the same CT.
    succeed(&mut study.with_ct("labels.nii.gz", "structures.dcm", &["--body"]));
    succeed(&mut study.with_ct("structures.dcm", "drawn.nii.gz", &[]));
    let drawn = read(&study.path("drawn.BODY.nii.gz")).voxels;
    assert!(drawn.contains(&1) && drawn.contains(&0));
    for (from, to) in
        [("labels.nii.gz", "beside.nii.gz"), ("labels.nii.gz", "beside.nrrd"), ("structures.dcm", "one.nii.gz")]
    {
        let said = succeed(&mut study.with_ct(from, to, &["--body"]));
        assert_eq!(said.stdout.lines().count(), 2, "{}", said.stdout);
        assert_eq!(read(&study.path(to)).voxels, study.labels.voxels, "{to}");
        let mask = study.path(&format!("{}.BODY.nii.gz", to.split('.').next().unwrap()));
        assert_eq!(read(&mask).voxels, drawn, "{to}");
        std::fs::remove_file(mask).unwrap();
    }
    // A structure set has one outline of its patient, however often it is asked for.
    succeed(&mut study.with_ct("structures.dcm", "again.dcm", &["--body"]));
    let structures = formats::rtstruct::read(&std::fs::read(study.path("again.dcm")).unwrap()).unwrap();
    let names: Vec<&str> = structures.rois.iter().map(|roi| roi.name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "BODY").count(), 1, "{names:?}");
    // And one of another CT is none.
    let mut moved = study.labels.clone();
    for grid in [&mut moved.geometry, &mut moved.stored] {
        grid.affine[0][3] += 5.0;
    }
    std::fs::write(study.path("moved.nii.gz"), nifti::write_labels(&moved, "AttentionAnatomy").unwrap()).unwrap();
    let said = run(&mut study.with_ct("moved.nii.gz", "no.nii.gz", &["--body"]));
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("give the CT that they were drawn on"), "{}", said.stderr);
    assert!(!study.path("no.nii.gz").exists() && !study.path("no.BODY.nii.gz").exists());
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

#[test]
fn structures_are_made_of_others_by_rules_and_leave_without_their_patient() {
    let study = Study::new();
    let rules = [
        "--make",
        "Rind = Liver minus (Liver shrink 2)",
        "--make",
        "Both = Liver or Spleen",
        "--only",
        "Rind,Both,Liver",
    ];
    succeed(&mut study.with_ct("labels.nii.gz", "made.dcm", &[&rules[..], &["--deidentify"]].concat()));
    succeed(&mut study.with_ct("labels.nii.gz", "kept.dcm", &[&rules[..], &["--deidentify=keep-uids"]].concat()));
    let ct: Vec<(String, Vec<u8>)> = std::fs::read_dir(&study.ct)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("ct_"))
        .map(|p| (p.display().to_string(), std::fs::read(p).unwrap()))
        .collect();
    let series = formats::dicom::list_series(&ct).unwrap().remove(0);
    let reference = formats::Reference::read(ct).unwrap();
    let mut uids = Vec::new();
    for name in ["made.dcm", "kept.dcm"] {
        let bytes = std::fs::read(study.path(name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in [&series.patient.name, &series.patient.id] {
            assert!(secret.is_empty() || !text.contains(secret.as_str()), "{name} names the patient");
        }
        assert_eq!(text.contains(&series.uid), name == "kept.dcm", "{name}");
        // Nobody can tell any more which CT the first one belongs to; without its identity it is drawn where it lies.
        let reference =
            formats::Reference { series: reference.series.clone().filter(|_| name == "kept.dcm"), ..reference.clone() };
        let found = formats::read_structures(vec![(name.into(), bytes)], Some(&reference)).unwrap();
        let count = |organ: Organ| study.labels.voxels.iter().filter(|&&v| v == organ.label()).count();
        let voxels = |n: usize| found.others[n].voxels.iter().map(std::ops::Range::len).sum::<usize>();
        assert_eq!(found.organs.iter().collect::<Vec<_>>(), [Organ::Liver], "{:?}", found.warnings);
        // Names that this program does not know may be names of people.
        assert_eq!(found.others.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["Structure_1", "Structure_2"]);
        assert_eq!(voxels(1), count(Organ::Liver) + count(Organ::Spleen));
        assert!(voxels(0) > 0 && voxels(0) < count(Organ::Liver));
        uids.push(formats::dicom::Transfer::of_file(name, &std::fs::read(study.path(name)).unwrap()).unwrap().instance);
    }
    assert_ne!(uids[0], uids[1]);
    let said = run(&mut study.with_ct("labels.nii.gz", "no.dcm", &["--make", "A = Liver or Brian"]));
    assert!(said.stderr.contains("there is no structure Brian; there are"), "{}", said.stderr);
    let said = run(&mut study.with_ct("labels.nii.gz", "no.dcm", &["--make", "A = Liver or"]));
    assert!(said.stderr.contains("cannot be understood at its end"), "{}", said.stderr);
}

#[test]
fn check_says_all_that_is_wrong_and_ends_with_a_code() {
    let study = Study::new();
    let check = |paths: &[&Path], more: &[&str]| run(program("check").args(paths).args(more));
    let said = check(&[&study.path("labels.nii.gz")], &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("nothing is wrong with it"), "{}", said.stdout);
    // A CT of two slices with its structure set, a structure set of another series, a damaged slice and a note: one go, all of it.
    let mixed = study.path("mixed");
    for path in std::fs::read_dir(&study.ct).unwrap().map(|e| e.unwrap().path()) {
        let name = path.file_name().unwrap().to_owned();
        std::fs::create_dir_all(&mixed).unwrap();
        std::fs::copy(&path, mixed.join(name)).unwrap();
    }
    unpack("rtstruct.zip", "mock_data/rt.dcm", &mixed);
    unpack("rtstruct.zip", "mock_data/ct_1", &study.path("one"));
    let bytes = std::fs::read(
        study
            .path("one/mock_data")
            .join(std::fs::read_dir(study.path("one/mock_data")).unwrap().next().unwrap().unwrap().file_name()),
    )
    .unwrap();
    std::fs::write(mixed.join("damaged.dcm"), &bytes[..1000]).unwrap();
    std::fs::write(mixed.join("readme.txt"), "notes").unwrap();
    let said = check(&[&mixed], &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in
        ["damaged.dcm is a damaged DICOM file", "at least 3 are needed", "not one of the 33 organs", "not DICOM"]
    {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let json: serde_json::Value = serde_json::from_str(&check(&[&mixed], &["--json"]).stdout).unwrap();
    let findings = json[mixed.display().to_string()].as_array().unwrap();
    assert!(findings.len() > 4 && findings[0]["weight"] == "wrong", "{json:#}");
    // A CT that can be used: whole, and without the identifiers that structures refer to.
    let (whole, nameless) = (study.path("whole"), study.path("nameless"));
    crate::support::unpack_identified(&whole);
    unpack("ct-dicom-jpeg2000.zip", "", &nameless);
    let said = check(&[&whole], &["--strict"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = check(&[&nameless], &[]);
    assert_eq!((said.code, check(&[&nameless], &["--strict"]).code), (Some(0), Some(1)), "{said:?}");
    assert!(said.stdout.contains("no RTSTRUCT or SEG can be written for it"), "{}", said.stdout);
}

#[test]
fn check_names_the_option_that_mends_a_series_as_segment_does() {
    let folder = tempfile::tempdir().unwrap();
    for (name, option) in [
        ("sliceincrement-001", Some("--fill-gaps")),
        ("gantrytilting-001", Some("--correct-tilt")),
        // Slices of two directions: nothing mends that.
        ("sliceorientation-001", None),
    ] {
        let slices = unpack("dicom-geometry.zip", &format!("{name}/"), folder.path());
        let series = slices[0].parent().unwrap();
        let checked = run(program("check").arg(series));
        let refused = run(&mut crate::support::segment(series, &folder.path().join("out")));
        for (code, said) in [(checked.code, &checked.stdout), (refused.code, &refused.stderr)] {
            assert_eq!(code, Some(1), "{name}: {said}");
            let mended = said.lines().find_map(|line| Some(line.split_once("; or have it mended with ")?.1.trim()));
            assert_eq!(mended, option, "{name}: {said}");
        }
    }
}

#[test]
fn a_series_with_a_gap_is_refused_with_the_option_that_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let slices = unpack("ct-dicom-jpeg2000.zip", "", folder.path());
    std::fs::remove_file(&slices[1]).unwrap();
    let output = folder.path().join("out");
    let segment = |more: &[&str]| run(crate::support::segment(slices[0].parent().unwrap(), &output).args(more));
    let said = segment(&[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("slices are missing (1 in all") && said.stderr.contains("--fill-gaps"),
        "{}",
        said.stderr
    );
    let said = segment(&["--fill-gaps"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("were interpolated between their neighbours"), "{}", said.stderr);
    let labels = crate::support::Nifti::read(&output.join("labels.nii.gz"));
    assert_eq!(labels.size()[2], 4);
    let record = std::fs::read_to_string(output.join("run.json")).unwrap();
    assert!(record.contains("were interpolated between their neighbours"), "{record}");
}
