//! Who is trained on and who is held out, where sets share patients: the manifests decide, and the scans.

use std::path::{Path, PathBuf};

use attention_anatomy::formats::nifti;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{SMALL_NETWORK, SPLEEN, phantom, program, run, succeed};

/// A case of a manifest: id, split, which of the drawn scans, and what is said besides.
type Case = (&'static str, &'static str, usize, Value);

/// Writes a set of drawn scans, each annotated for the spleen.
fn write_set(folder: &Path, name: &str, own_patients: bool, cases: &[Case]) {
    let set = folder.join(name);
    std::fs::create_dir_all(&set).unwrap();
    let cases: Vec<Value> = cases
        .iter()
        .map(|(id, split, scan, more)| {
            let (ct, labels) = phantom(*scan);
            let spleen = labels.voxels.iter().map(|&l| if l == SPLEEN { l } else { 0 }).collect();
            std::fs::write(set.join(format!("{id}.ct.nii.gz")), nifti::write_ct(&ct, "drawn").unwrap()).unwrap();
            let labels = nifti::write_labels(&labels.with_voxels(spleen), "drawn").unwrap();
            std::fs::write(set.join(format!("{id}.nii.gz")), labels).unwrap();
            let mut case = json!({
                "id": id, "split": split, "ct": format!("{id}.ct.nii.gz"), "label": format!("{id}.nii.gz"),
                "annotated": ["spleen"], "region_boundaries_mm": [500.0, 400.0, 300.0, -100.0],
            });
            case.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            case
        })
        .collect();
    let mut manifest = json!({ "name": name, "cases": cases });
    if own_patients {
        manifest["own_patients"] = json!(true);
    }
    std::fs::write(set.join("dataset.json"), manifest.to_string()).unwrap();
}

/// A training of the sets `a` and `b`, with so many validation patients each.
fn training(folder: &Path, validation: [usize; 2]) -> PathBuf {
    let data: String = ["a", "b"]
        .iter()
        .zip(validation)
        .map(|(set, n)| {
            format!("[[data]]\nmanifest = \"{set}/dataset.json\"\nweight = 1.0\nvalidation_patients = {n}\n\n")
        })
        .collect();
    let text = format!(
        r#"
name = "sets that share patients"
seed = 7
batch = 2
steps_per_epoch = 1
validate_every = 1

{SMALL_NETWORK}
{data}
[[phase]]
name = "joint"
epochs = 1
learning_rate = 3e-3
loss = {{ dice = 1.0, focal = 1.0, region = 1.0 }}
"#
    );
    let path = folder.join("training.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// What the training is made of, without training: cases that are trained on, of each set.
fn call(folder: &Path, config: &Path) -> std::process::Command {
    let mut call = program("sheet");
    call.arg(config).arg("--data").arg(folder).arg("-o").arg(folder.join("sheet.png")).arg("--overwrite");
    call
}

/// Each row: the two sets, how many are held out of each, and how many cases of each are trained on.
#[test]
fn a_patient_of_several_sets_stands_on_one_side() {
    let none = || Value::Null;
    type Row = (&'static str, bool, Vec<Case>, Vec<Case>, [usize; 2], [usize; 2]);
    let scans = |prefix: [&'static str; 4], from: usize| -> Vec<Case> {
        prefix.into_iter().enumerate().map(|(n, id)| (id, "train", from + n, none())).collect()
    };
    let rows: [Row; 5] = [
        ("nobody is shared", false, scans(["1", "2", "3", "4"], 0), scans(["5", "6", "7", "8"], 4), [1, 1], [3, 3]),
        (
            "the same scans under other ids follow",
            false,
            scans(["1", "2", "3", "4"], 0),
            scans(["p", "q", "r", "s"], 0),
            [1, 0],
            [3, 3],
        ),
        ("the same ids follow", false, scans(["1", "2", "3", "4"], 0), scans(["1", "2", "3", "4"], 4), [1, 0], [3, 3]),
        (
            "the same ids of a set whose patients are its own",
            true,
            scans(["1", "2", "3", "4"], 0),
            scans(["1", "2", "3", "4"], 4),
            [1, 0],
            [3, 4],
        ),
        (
            "two scans of one patient, and a patient named in both",
            false,
            vec![("1", "train", 0, json!({"patient": "x"})), ("2", "train", 1, json!({"patient": "x"}))],
            vec![("3", "train", 2, json!({"patient": "x"})), ("4", "train", 3, none()), ("5", "train", 4, none())],
            [1, 0],
            [0, 2],
        ),
    ];
    for (what, own, a, b, validation, expected) in rows {
        let folder = TempDir::new().unwrap();
        write_set(folder.path(), "a", false, &a);
        write_set(folder.path(), "b", own, &b);
        let said = succeed(&mut call(folder.path(), &training(folder.path(), validation)));
        for (set, count) in ["a", "b"].iter().zip(expected) {
            let line = match count {
                0 => format!("{set}: \n"),
                n => format!("{set}: Spleen {n}\n"),
            };
            assert!(said.stdout.contains(&line), "{what}, {set}: {said:#?}");
        }
    }
}

/// Each row: what is refused, with both names.
#[test]
fn who_is_to_be_trained_on_and_to_test_with_is_refused_by_both_names() {
    let none = || Value::Null;
    type Row = (&'static str, Vec<Case>, Vec<Case>, &'static [&'static str]);
    let rows: [Row; 5] = [
        (
            "one scan in `train` and `test` of one set",
            vec![("1", "train", 0, none()), ("2", "test", 0, none())],
            vec![("3", "train", 1, none())],
            &["a/1 ", "a/2 ", "both are the same scan"],
        ),
        (
            "one scan in two sets",
            vec![("1", "train", 0, none())],
            vec![("3", "test", 0, none()), ("4", "train", 1, none())],
            &["a/1 ", "b/3 ", "both are the same scan"],
        ),
        (
            "one id in two sets",
            vec![("1", "train", 0, none())],
            vec![("1", "test", 1, none()), ("4", "train", 2, none())],
            &["a/1 ", "b/1 ", "both are patient `1`", "own_patients"],
        ),
        (
            "one patient by name",
            vec![("1", "test", 0, json!({"patient": "x"}))],
            vec![("3", "train", 1, json!({"patient": "x"}))],
            &["b/3 ", "a/1 ", "both are patient `x`"],
        ),
        (
            "one id twice in a set",
            vec![("1", "train", 0, none()), ("1", "train", 1, none())],
            vec![],
            &["case 1 is listed twice"],
        ),
    ];
    for (what, a, b, sentence) in rows {
        let folder = TempDir::new().unwrap();
        write_set(folder.path(), "a", false, &a);
        write_set(folder.path(), "b", false, &b);
        let config = training(folder.path(), [0, 0]);
        let mut train = program("train");
        train.arg(&config).arg("--data").arg(folder.path()).arg("-o").arg(folder.path().join("out"));
        let mut evaluate = program("evaluate");
        evaluate.arg(&config).arg("--data").arg(folder.path());
        let mut prepare = program("prepare");
        prepare.arg(&config).arg("--data").arg(folder.path()).arg("-o").arg(folder.path().join("cases.zip"));
        for mut call in [call(folder.path(), &config), train, evaluate, prepare] {
            let said = run(&mut call);
            assert_eq!(said.code, Some(1), "{what}: {said:#?}");
            let errors = said.errors();
            assert!(errors.len() == 1 && sentence.iter().all(|part| errors[0].contains(part)), "{what}: {said:#?}");
        }
        for written in ["out", "cases.zip", "sheet.png"] {
            assert!(!folder.path().join(written).exists(), "{what}: {written}");
        }
    }
}
