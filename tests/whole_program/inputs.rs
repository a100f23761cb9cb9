//! What `segment` takes, and how it refuses the rest: one sentence that names the file, and nothing written.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{Nifti, Said, data, files_below, program, promised, run, segment, succeed, unpack, write_phantom};

/// Checks that a call ended in one error, about `input`, and wrote nothing.
fn assert_refused(said: &Said, input: &Path, output: &Path) {
    assert_eq!(said.code, Some(1), "{said:#?}");
    let errors = said.errors();
    assert!(errors.len() == 1 && errors[0].contains(&input.display().to_string()), "{said:#?}");
    // Beside the error, only which weights run on which device.
    assert!(said.stderr.lines().count() <= 2, "{said:#?}");
    assert_eq!(said.stdout, "");
    assert!(files_below(output).is_empty(), "{:?}", files_below(output));
}

#[test]
fn a_zip_of_a_jpeg_2000_dicom_series_is_segmented() {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("results");
    succeed(segment(&data("ct-dicom-jpeg2000.zip"), &output).arg("--all-organs"));
    assert_eq!(files_below(&output), promised());
    let map = Nifti::read(&output.join("labels.nii.gz"));
    assert_eq!(map.size(), [512, 512, 4]);
    let spacing = [map.pixdim[1], map.pixdim[2], map.pixdim[3]];
    assert!((spacing[0] - 0.977).abs() < 1e-3 && (spacing[1] - 0.977).abs() < 1e-3, "{spacing:?}");
    assert!((spacing[2] - 2.0).abs() < 1e-3, "{spacing:?}");
    assert!(map.labels().iter().all(|&l| l <= 33), "{:?}", map.labels());
}

#[test]
fn magnetic_resonance_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    unpack("dicom-geometry.zip", "non-isotropic/", folder.path());
    let (input, output) = (folder.path().join("non-isotropic"), folder.path().join("results"));
    let said = run(segment(&input, &output).arg("--all-organs"));
    assert_refused(&said, &input, &output);
    assert!(said.errors()[0].contains("this is MR, not CT"), "{said:#?}");
}

#[test]
fn a_batch_goes_on_after_a_failed_input() {
    let folder = TempDir::new().unwrap();
    let (broken, whole) = (folder.path().join("broken.nii.gz"), folder.path().join("whole.nii.gz"));
    std::fs::write(&broken, b"neither gzip nor NIfTI").unwrap();
    write_phantom(0, &whole);
    let output = folder.path().join("results");
    let said = run(program("segment").args([&broken, &whole]).arg("--output").arg(&output).args([
        "--all-organs",
        "--device",
        "cpu",
    ]));
    assert_eq!(said.code, Some(1), "{said:#?}");
    let errors = said.errors();
    assert!(errors.len() == 2 && errors[0].contains("broken.nii.gz"), "{said:#?}");
    assert!(errors[1].contains("1 of 2 inputs failed"), "{said:#?}");
    assert!(said.stdout.contains("whole.nii.gz") && !said.stdout.contains("broken"), "{said:#?}");
    assert_eq!(files_below(&output.join("whole")), promised());
    assert_eq!(files_below(&output).len(), promised().len(), "{:?}", files_below(&output));
}

#[test]
fn malformed_files_give_one_sentence_and_no_panic() {
    let folder = TempDir::new().unwrap();
    let malformed = std::fs::read_dir(data("nifti/malformed")).unwrap();
    let mut inputs: Vec<PathBuf> = malformed.map(|e| e.unwrap().path()).collect();
    assert!(!inputs.is_empty());
    inputs.extend(unpack("dicom-broken.zip", "", folder.path()));
    let (empty_file, empty_folder) = (folder.path().join("empty.nii"), folder.path().join("empty"));
    std::fs::write(&empty_file, b"").unwrap();
    std::fs::create_dir(&empty_folder).unwrap();
    inputs.extend([empty_file, empty_folder, folder.path().join("not there.nii.gz")]);
    for input in &inputs {
        let output = folder.path().join("results");
        let said = run(segment(input, &output).arg("--all-organs"));
        assert_refused(&said, input, &output);
    }
}

#[test]
fn an_output_path_that_is_a_file_is_named() {
    let folder = TempDir::new().unwrap();
    let (input, output) = (folder.path().join("ct.nii.gz"), folder.path().join("taken"));
    write_phantom(0, &input);
    std::fs::write(&output, b"something of value").unwrap();
    let said = run(segment(&input, &output).arg("--all-organs"));
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.errors().len() == 1 && said.errors()[0].contains(&output.display().to_string()), "{said:#?}");
    assert_eq!(std::fs::read(&output).unwrap(), b"something of value");
}
