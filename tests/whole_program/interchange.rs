//! What other programs made, and what they are given: weights of PyTorch, and label maps to compare.

use std::path::Path;

use attention_anatomy::formats::nifti;
use attention_anatomy::volume::LabelVolume;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{SPLEEN, Table, phantom, program, run, succeed};

#[test]
fn weights_go_to_pytorch_and_come_back() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (onnx, torch, back, again) =
        (file("a.onnx"), file("a.safetensors"), file("b.safetensors"), file("c.safetensors"));
    succeed(program("export").arg("--onnx").arg(&onnx).arg("--pytorch").arg(&torch));
    assert!(std::fs::metadata(&onnx).unwrap().len() > 4 << 20, "two million parameters of four bytes");
    succeed(program("import").arg(&torch).arg("-o").arg(&back));
    succeed(program("export").arg(&back).arg("--pytorch").arg(&again));
    // A SafeTensors file is the length of its header, the header, and the numbers.
    let numbers = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        bytes[8 + usize::try_from(header).unwrap()..].to_vec()
    };
    assert!(numbers(&torch) == numbers(&again), "a round trip changes nothing");
    let info = succeed(program("info").arg(&back));
    assert!(info.stdout.contains("Spinal cord"), "the description travels along: {info:#?}");

    // The same weights in both of PyTorch's ways; the pickle does not describe itself.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/interchange");
    succeed(program("import").arg(data.join("network.safetensors")).arg("-o").arg(file("s.safetensors")));
    let like = file("s.safetensors");
    let mut import = program("import");
    import.arg(data.join("network.pt")).arg("-o").arg(file("p.safetensors"));
    assert!(run(&mut import).errors()[0].contains("--like"));
    succeed(import.arg("--like").arg(&like));
    assert!(numbers(&like) == numbers(&file("p.safetensors")), "a pickle holds the same numbers");

    std::fs::write(file("x.pt"), b"PK\x03\x04").unwrap();
    let refused = run(program("import").arg(file("x.pt")).arg("-o").arg(file("d.safetensors")));
    assert!(
        refused.code == Some(1) && refused.errors()[0].contains("x.pt: not a readable PyTorch file"),
        "{refused:#?}"
    );
    assert!(!file("d.safetensors").exists());
}

#[test]
fn two_label_maps_are_compared_without_a_network() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, labels: &LabelVolume| {
        std::fs::write(folder.path().join(name), nifti::write_labels(labels, "drawn").unwrap()).unwrap();
        folder.path().join(name)
    };
    let (_, labels) = phantom(0);
    let half = labels.with_voxels(
        labels.voxels.iter().enumerate().map(|(n, &l)| if l == SPLEEN && n / (64 * 64) >= 4 { 0 } else { l }).collect(),
    );
    let (a, b) = (write("a.nii.gz", &labels), write("b.nii.gz", &half));
    let output = folder.path().join("out");
    let csv = succeed(program("compare").arg(&a).arg(&b).args(["--format", "csv", "-o"]).arg(&output)).stdout;
    assert_eq!(csv.trim_end(), std::fs::read_to_string(output.join("evaluation.csv")).unwrap().trim_end());
    let organs = Table::read(&output.join("evaluation.csv"));
    assert_eq!((organs.len(), organs.cell(0, "organ"), organs.cell(1, "organ")), (2, "kidney_right", "spleen"));
    assert_eq!((organs.number(0, "dice_mean"), organs.number(0, "added_path_mm_mean")), (1.0, 0.0));
    // Three of six equal slices: 2 * 3 / (6 + 3).
    assert!((organs.number(1, "dice_mean") - 2.0 / 3.0).abs() < 1e-4);
    // The other way round the reference lacks the spleen: what only the prediction has stands in the tables, and in no mean.
    let none = labels.with_voxels(labels.voxels.iter().map(|&l| if l == SPLEEN { 0 } else { l }).collect());
    let c = write("c.nii.gz", &none);
    let output = folder.path().join("absent");
    let said = succeed(program("compare").arg(&c).arg(&a).arg("-o").arg(&output)).stdout;
    assert!(
        said.contains("Mean over 1 organs: Dice 1.000") && said.contains("| Spleen | 1 | 0.000 | - | 0.000 |"),
        "{said}"
    );
    let cases = Table::read(&output.join("cases.csv"));
    assert_eq!((cases.len(), cases.cell(1, "organ"), cases.cell(1, "truth")), (2, "spleen", "absent"));
    assert_eq!(
        (cases.number(1, "dice"), cases.cell(1, "hausdorff_95_mm"), cases.number(1, "truth_ml")),
        (0.0, "", 0.0)
    );
    let spleen = labels.voxels.iter().filter(|&&l| l == SPLEEN).count() as f64 * labels.geometry.voxel_ml();
    assert!((cases.number(1, "prediction_ml") - spleen).abs() < 1e-3);
    let only =
        succeed(program("compare").arg(&a).arg(&b).args(["--organs", "spleen,liver", "--format", "json"])).stdout;
    let only: Value = serde_json::from_str(&only).unwrap();
    assert_eq!(only["summary"].as_array().unwrap().len(), 1, "nobody has a liver: nothing to compare");
    assert_eq!(run(program("compare").arg(&a).arg(folder.path())).code, Some(1));
}

#[test]
fn folders_of_label_maps_and_of_results_are_compared_by_name() {
    let root = TempDir::new().unwrap();
    let (_, labels) = phantom(0);
    let map = nifti::write_labels(&labels, "drawn").unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for folder in ["truth", "drawn"] {
        write(&format!("{folder}/one.nii.gz"), &map);
        write(&format!("{folder}/one.json"), br#"{"labels": {"spleen": 32, "kidney_right": 28}}"#);
    }
    for folder in ["first/one", "first/two", "second/one", "second/two"] {
        for name in ["labels.nii.gz", "run.json", "statistics.csv", "report.html"] {
            write(&format!("{folder}/{name}"), &map);
        }
    }
    write("first/status/part-0001-of-0001.jsonl", b"{}");
    for (truth, prediction, cases) in [
        ("truth", "drawn", ["one.nii.gz"].as_slice()),
        ("first/one", "second/two", &["labels.nii.gz"]),
        ("first", "second", &["one", "two"]),
    ] {
        let mut call = program("compare");
        let said = succeed(call.args([truth, prediction, "--format", "json"]).current_dir(root.path()));
        let found: Value = serde_json::from_str(&said.stdout).unwrap();
        let names: Vec<&str> =
            found["cases"].as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap()).collect();
        assert_eq!(names, cases);
    }
    std::fs::remove_file(root.path().join("second/two/labels.nii.gz")).unwrap();
    let said = run(program("compare").args(["first", "second"]).current_dir(root.path()));
    assert!(said.code == Some(1) && said.errors()[0].contains("second: there is no two to compare"), "{said:#?}");
}
