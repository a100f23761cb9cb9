//! From two partially annotated sets to weights that segment, with and without a power cut.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use attention_anatomy::formats::nifti;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{KIDNEY_RIGHT, Nifti, SPLEEN, phantom, program, segment, succeed};

/// Cases of each set; one of them is held out.
const CASES: usize = 3;
/// Steps between two checkpoints.
const CHECKPOINT_STEPS: u64 = 6;

/// Writes two sets of drawn bodies that show the same two organs: one set annotates the spleen alone, the other the right
/// kidney alone. Returns the training file.
fn write_sets(folder: &Path, steps: u64) -> PathBuf {
    for (n, (organ, label)) in [("spleen", SPLEEN), ("kidney_right", KIDNEY_RIGHT)].into_iter().enumerate() {
        let set = folder.join(format!("only_{organ}"));
        std::fs::create_dir_all(&set).unwrap();
        let cases: Vec<Value> = (0..CASES)
            .map(|case| {
                let (ct, labels) = phantom(CASES * n + case);
                let annotated = labels.voxels.iter().map(|&l| if l == label { l } else { 0 }).collect();
                let labels = labels.with_voxels(annotated);
                let (ct_name, label_name) = (format!("{case}.ct.nii.gz"), format!("{case}.labels.nii.gz"));
                std::fs::write(set.join(&ct_name), nifti::write_ct(&ct, "drawn").unwrap()).unwrap();
                std::fs::write(set.join(&label_name), nifti::write_labels(&labels, "drawn").unwrap()).unwrap();
                let id = format!("{organ}-{case}");
                json!({ "id": id, "split": "train", "ct": ct_name, "label": label_name, "annotated": [organ] })
            })
            .collect();
        let manifest = json!({ "name": format!("only {organ}"), "license": "drawn", "cases": cases });
        std::fs::write(set.join("dataset.json"), manifest.to_string()).unwrap();
    }
    let config = folder.join("training.toml");
    let text = format!(
        r#"
name = "two partial sets"
seed = 7
batch = 4
steps_per_epoch = {steps}
validate_every = {CHECKPOINT_STEPS}
validation_slices = 4

[network]
base = 4
levels = 3
stack = 5
attention = true

[input]
spacing_mm = 4.0
crop = 64
slice_distance_mm = 3.0
input_fwhm_mm = 4.0
stack = 5
hu_knots = [[-1000.0, 0.0], [-500.0, 0.1], [-160.0, 0.2], [240.0, 0.85], [700.0, 0.95], [2000.0, 1.0]]

[[data]]
manifest = "only_spleen/dataset.json"
weight = 0.5
validation_patients = 1

[[data]]
manifest = "only_kidney_right/dataset.json"
weight = 0.5
validation_patients = 1

[[phase]]
name = "joint"
epochs = 1
learning_rate = 3e-3
loss = {{ dice = 1.0, focal = 1.0, region = 1.0 }}
augmentation = {{ shift_mm = 8.0, hu_shift = 10.0, noise_hu = 10.0 }}
"#
    );
    std::fs::write(&config, text).unwrap();
    config
}

fn train(config: &Path, data: &Path, output: &Path) -> Command {
    let mut call = program("train");
    call.arg(config).arg("--data").arg(data).arg("--output").arg(output).args(["--device", "cpu"]);
    call
}

/// The finished lines of a metrics file.
fn metrics(output: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(output.join("metrics.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

/// Number and total loss of each logged step.
fn steps(output: &Path) -> Vec<(u64, f64)> {
    metrics(output)
        .iter()
        .filter(|m| m["event"] == "step")
        .map(|m| (m["step"].as_u64().unwrap(), m["total"].as_f64().unwrap()))
        .collect()
}

#[test]
fn a_training_on_two_partial_sets_ends_in_weights_that_segment() {
    const STEPS: u64 = 40;
    let folder = TempDir::new().unwrap();
    let config = write_sets(folder.path(), STEPS);
    let output = folder.path().join("training");
    let weights = output.join("final.safetensors");
    let said = succeed(&mut train(&config, folder.path(), &output));
    assert!(said.stdout.contains("final.safetensors"), "{said:#?}");
    assert!(weights.is_file());

    let logged = steps(&output);
    assert_eq!(logged.iter().map(|s| s.0).collect::<Vec<_>>(), (1..=STEPS).collect::<Vec<_>>());
    let mean = |part: &[(u64, f64)]| part.iter().map(|s| s.1).sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&logged[..5]), mean(&logged[logged.len() - 5..]));
    assert!(last < first, "the loss went from {first} to {last}");
    let validated: Vec<u64> =
        metrics(&output).iter().filter(|m| m["event"] == "validation").map(|m| m["step"].as_u64().unwrap()).collect();
    assert_eq!(validated, [6, 12, 18, 24, 30, 36, STEPS]);
    assert_eq!(std::fs::read(output.join("config.toml")).unwrap(), std::fs::read(&config).unwrap());

    let info = succeed(program("info").arg(&weights));
    for text in ["two partial sets", "Spleen", "Kidney right", "2 patients of only spleen"] {
        assert!(info.stdout.contains(text), "`{text}` is missing: {info:#?}");
    }

    // Neither set annotates both organs; the weights know both and nothing else.
    let results = folder.path().join("results");
    let ct = folder.path().join("only_spleen/0.ct.nii.gz");
    succeed(segment(&ct, &results).arg("--weights").arg(&weights).arg("--all-organs"));
    let map = Nifti::read(&results.join("labels.nii.gz"));
    assert_eq!(map.size(), [64, 64, 8]);
    assert!(map.labels().is_subset(&[0, SPLEEN, KIDNEY_RIGHT].into()), "{:?}", map.labels());
    let record: Value = serde_json::from_slice(&std::fs::read(results.join("run.json")).unwrap()).unwrap();
    let organs = record["organs"].as_array().unwrap();
    let ids: BTreeSet<&str> = organs.iter().filter_map(|o| o["id"].as_str()).collect();
    assert_eq!(ids, ["spleen", "kidney_right"].into());

    let mut evaluate = program("evaluate");
    evaluate.arg(&config).arg("--data").arg(folder.path()).arg("--weights").arg(&weights);
    let table = succeed(evaluate.args(["--device", "cpu"])).stdout;
    for text in ["| organ | patients | Dice |", "| Spleen | 1 | ", "| Kidney right | 1 | ", "1 of only spleen"] {
        assert!(table.contains(text), "`{text}` is missing:\n{table}");
    }
}

#[test]
fn a_killed_training_goes_on_where_it_stopped() {
    const STEPS: u64 = 48;
    let folder = TempDir::new().unwrap();
    let config = write_sets(folder.path(), STEPS);
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    succeed(&mut train(&config, folder.path(), &whole));

    // The step after the first checkpoint is logged only when that checkpoint is on the disk.
    let mut call = train(&config, folder.path(), &cut);
    let mut child = call.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let logged = || steps(&cut).last().is_some_and(|s| s.0 > CHECKPOINT_STEPS);
    while !logged() && child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(logged(), "no checkpoint within a minute, or the training failed");
    assert!(!cut.join("final.safetensors").exists(), "the training was over before it could be killed");

    let said = succeed(&mut train(&config, folder.path(), &cut));
    let from: u64 = said
        .stderr
        .lines()
        .find_map(|l| l.strip_prefix("resuming after step "))
        .unwrap_or_else(|| panic!("it started anew: {said:#?}"))
        .parse()
        .unwrap();
    assert!((CHECKPOINT_STEPS..STEPS).contains(&from) && from.is_multiple_of(CHECKPOINT_STEPS), "{from}");

    let weights = |output: &Path| std::fs::read(output.join("final.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&cut), "the two trainings ended in different weights");
    // Losses, too: what was logged after the cut is what the training that was never cut has logged.
    let (all, resumed) = (steps(&whole), steps(&cut));
    let tail = usize::try_from(STEPS - from).unwrap();
    assert_eq!(all[all.len() - tail..], resumed[resumed.len() - tail..]);
}
