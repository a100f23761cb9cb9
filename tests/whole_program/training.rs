//! From two partially annotated sets to weights that segment, with and without a power cut.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use attention_anatomy::formats::nifti;
use attention_anatomy::volume::LabelVolume;
use serde_json::{Value, json};
use tempfile::TempDir;
use whole_program_tests::wait;

use crate::support::{KIDNEY_RIGHT, Nifti, SMALL_NETWORK, SPLEEN, Table, phantom, program, run, segment, succeed};

/// Cases of each set; one of them is held out.
const CASES: usize = 3;
/// What stands for the spleen in the label maps of its set.
const OWN_NUMBER: u8 = 117;
/// Steps between two checkpoints.
const CHECKPOINT_STEPS: u64 = 6;

/// Writes two sets of drawn bodies that show the same two organs: one set annotates the spleen alone, the other the right
/// kidney alone; the truth about both is kept aside. The first has label maps with numbers of its own, the second masks. Returns the
/// training file.
fn write_sets(folder: &Path, steps: u64) -> PathBuf {
    for (n, (organ, label)) in [("spleen", SPLEEN), ("kidney_right", KIDNEY_RIGHT)].into_iter().enumerate() {
        let set = folder.join(format!("only_{organ}"));
        std::fs::create_dir_all(&set).unwrap();
        let cases: Vec<Value> = (0..CASES)
            .map(|case| {
                let (ct, labels) = phantom(CASES * n + case);
                let number = [OWN_NUMBER, 1][n];
                let annotated = labels.voxels.iter().map(|&l| if l == label { number } else { 0 }).collect();
                let (ct_name, label_name) = (format!("{case}.ct.nii.gz"), format!("{case}.labels.nii.gz"));
                std::fs::write(set.join(&ct_name), nifti::write_ct(&ct, "drawn").unwrap()).unwrap();
                let write = |name: &str, labels: &LabelVolume| {
                    std::fs::write(set.join(name), nifti::write_labels(labels, "drawn").unwrap())
                };
                let truth_name = format!("{case}.truth.nii.gz");
                let own = |l: u8| if n == 0 && l == SPLEEN { OWN_NUMBER } else { l };
                write(&truth_name, &labels.with_voxels(labels.voxels.iter().map(|&l| own(l)).collect())).unwrap();
                write(&label_name, &labels.with_voxels(annotated)).unwrap();
                let mut entry = json!({
                    "id": format!("{organ}-{case}"),
                    "split": "train",
                    "ct": ct_name,
                    "truth": truth_name,
                    "region_boundaries_mm": [500.0, 400.0, 300.0, -100.0],
                });
                if n == 0 {
                    entry["label"] = json!(label_name);
                    entry["annotated"] = json!([organ]);
                } else {
                    entry["masks"] = json!({ organ: label_name });
                }
                entry
            })
            .collect();
        let mut manifest = json!({ "name": format!("only {organ}"), "license": "drawn", "cases": cases });
        if n == 0 {
            manifest["labels"] =
                json!({ "background": 0, organ: OWN_NUMBER, "Kidney_R": KIDNEY_RIGHT, "tumour": SPLEEN });
        }
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

{SMALL_NETWORK}
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
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("seed = 7", "seed = 7\naverage = 0.9", 1)).unwrap();
    let output = folder.path().join("training");
    let weights = output.join("final.safetensors");
    let said = succeed(train(&config, folder.path(), &output).arg("--report"));
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

    for weights in [&weights, &output.join("average.safetensors")] {
        let info = succeed(program("info").arg(weights));
        for text in ["two partial sets", "Spleen", "Kidney right", "2 patients of only spleen"] {
            assert!(info.stdout.contains(text), "`{text}` is missing: {info:#?}");
        }
    }

    // As docs/training.md goes on: measured on whole scans, then used.
    let (measured, mine) = (folder.path().join("measured"), folder.path().join("mine.safetensors"));
    let mut evaluate = program("evaluate");
    evaluate.arg(&config).arg("--data").arg(folder.path()).args(["--device", "cpu", "-o"]).arg(&measured);
    succeed(evaluate.arg("--weights").arg(output.join("best.safetensors")).arg("--update").arg(&mine));
    let dice = Table::read(&measured.join("evaluation.csv")).number(0, "dice_mean");
    let info = succeed(program("info").arg(&mine));
    assert!(info.stdout.contains(&format!("validation Dice {dice:.2}")), "{dice} was measured: {info:#?}");
    let refused = run(evaluate.args(["--split", "test"]));
    assert!(refused.errors()[0].contains("--update takes the Dice of validation patients"), "{refused:#?}");
    let mut learned = program("evaluate");
    learned.arg(&config).arg("--data").arg(folder.path()).args(["--device", "cpu", "--split", "training"]);
    let learned = succeed(learned.arg("--weights").arg(&mine));
    assert!(
        learned.stdout.contains("training patients") && learned.stdout.contains("not how good they are"),
        "{learned:#?}"
    );

    // Neither set annotates both organs; the weights know both and nothing else.
    let results = folder.path().join("results");
    let ct = folder.path().join("only_spleen/0.ct.nii.gz");
    succeed(segment(&ct, &results).arg("--weights").arg(&mine).arg("--all-organs"));
    let map = Nifti::read(&results.join("labels.nii.gz"));
    assert_eq!(map.size(), [64, 64, 8]);
    assert!(map.labels().is_subset(&[0, SPLEEN, KIDNEY_RIGHT].into()), "{:?}", map.labels());
    let record: Value = serde_json::from_slice(&std::fs::read(results.join("run.json")).unwrap()).unwrap();
    let organs = record["organs"].as_array().unwrap();
    let ids: BTreeSet<&str> = organs.iter().filter_map(|o| o["id"].as_str()).collect();
    assert_eq!(ids, ["spleen", "kidney_right"].into());

    let page = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(page.contains("40 of 40") && page.contains("Spleen"), "the page ends before the training did");

    let mut evaluate = program("evaluate");
    evaluate.arg(&config).arg("--data").arg(folder.path()).arg("--weights").arg(&weights).arg("-o").arg(&measured);
    let table = succeed(evaluate.args(["--device", "cpu", "--attention"])).stdout;
    for text in [
        "| organ | patients | Dice |",
        "| Spleen | 1 | ",
        "| Kidney right | 1 | ",
        "1 of only spleen",
        "Organs that the cases do not annotate",
        "switching it off changes",
    ] {
        assert!(table.contains(text), "`{text}` is missing:\n{table}");
    }
    assert_eq!(std::fs::read_to_string(measured.join("evaluation.md")).unwrap().trim_end(), table.trim_end());
    let found: Value = serde_json::from_slice(&std::fs::read(measured.join("evaluation.json")).unwrap()).unwrap();
    let organs = Table::read(&measured.join("evaluation.csv"));
    assert_eq!((organs.len(), organs.cell(0, "truth"), organs.cell(2, "truth")), (4, "annotated", "unannotated"));
    let dice = found["summary"][0]["dice"]["mean"].as_f64().unwrap();
    assert!((organs.number(0, "dice_mean") - dice).abs() < 1e-4);
    let cases = Table::read(&measured.join("cases.csv"));
    assert_eq!(cases.len(), 4, "two patients, each with what it annotates and the rest");
    for row in 0..4 {
        assert!(cases.number(row, "truth_ml") > 1.0, "the truth has the numbers of the labels: row {row}");
    }
    let effect = &found["attention"];
    assert!(effect["labelled"].as_u64().unwrap() >= effect["changed"].as_u64().unwrap());
}

#[test]
fn folds_and_systems_go_on_where_they_stopped_and_end_in_tables() {
    let folder = TempDir::new().unwrap();
    let config = write_sets(folder.path(), 6);
    let call = |command: &str, output: &Path, more: &[&str]| {
        let mut call = program(command);
        call.arg(&config).arg("--data").arg(folder.path()).arg("-o").arg(output).args(["--device", "cpu"]).args(more);
        call
    };

    // Two tasks of an array job, and the one that puts them together.
    let folds = folder.path().join("folds");
    succeed(&mut call("crossval", &folds, &["--folds", "3", "--task", "fold-2-of-3"]));
    let early = run(&mut call("crossval", &folds, &["--folds", "3", "--collect"]));
    assert!(early.code != Some(0) && early.errors()[0].contains("fold 1/3, fold 3/3"), "{early:#?}");
    let written = |path: &str| std::fs::metadata(folds.join(path)).unwrap().modified().unwrap();
    let before = written("fold-2-of-3/evaluation.json");
    let plan = succeed(&mut call("crossval", &folds, &["--folds", "3", "--plan", "--step-seconds", "36"]));
    let plan: Vec<Value> = plan.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |key: &str| plan.iter().map(|task| task[key].clone()).collect::<Vec<Value>>();
    assert_eq!(of("id"), ["fold-1-of-3", "fold-2-of-3", "fold-3-of-3"]);
    assert_eq!(of("done"), [false, true, false]);
    for task in &plan {
        // At 36 seconds a step.
        assert_eq!(task["hours"].as_f64().unwrap(), task["steps"].as_f64().unwrap() / 100.0, "{task}");
        let command: Vec<&str> =
            task["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(command[command.len() - 2..], ["--task", task["id"].as_str().unwrap()]);
        assert!(!command.contains(&"--plan") && !command.contains(&"--step-seconds") && command.contains(&"--folds"));
    }
    let unknown = run(&mut call("crossval", &folds, &["--folds", "3", "--task", "fold-4-of-3"]));
    assert!(unknown.errors()[0].contains("no task `fold-4-of-3`"), "{unknown:#?}");
    let said = succeed(&mut call("crossval", &folds, &["--folds", "3"]));
    assert_eq!(written("fold-2-of-3/evaluation.json"), before, "a fold that was done was done again");
    assert!(said.stdout.contains("standard deviation over 3 folds"), "{said:#?}");
    let held_out: BTreeSet<String> = (1..=3)
        .flat_map(|k| {
            let path = folds.join(format!("fold-{k}-of-3/evaluation.json"));
            let found: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let names = found["cases"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_string());
            names.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(held_out.len(), 2 * CASES, "every patient is held out once: {held_out:?}");

    let ablation = folder.path().join("ablation");
    let said = succeed(&mut call("ablation", &ablation, &["--seeds", "1"]));
    for text in [
        "| Vanilla U-Net | Vanilla U-Net + HPA | AttentionAnatomy | AttentionAnatomy + HPA | Region router + HPA |",
        "unannotated in the patient",
    ] {
        assert!(said.stdout.contains(text), "`{text}` is missing: {said:#?}");
    }
    let systems = Table::read(&ablation.join("systems.csv"));
    let operations: Vec<f64> = (0..5).map(|n| systems.number(n, "multiply_adds")).collect();
    assert!(operations[0] == operations[1] && operations[2] == operations[3] && operations[0] < operations[2]);
    assert!(operations[4] > operations[2], "a router runs two networks");
    // All slices are of one region: the others have no network.
    let router: BTreeSet<String> = std::fs::read_dir(ablation.join("router-hpa/seed-7"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(router, ["classifier", "upper_abdomen"].map(String::from).into());
    let again = succeed(&mut call("ablation", &ablation, &["--seeds", "1"]));
    assert_eq!(again.stdout, said.stdout);
    assert_eq!(again.stderr.matches("done before").count(), 4, "{again:#?}");

    let figure = folder.path().join("figure");
    let mut draw = call("figure", &figure, &[]);
    succeed(draw.arg("--ablation").arg(&ablation));
    let png = std::fs::read(figure.join("figure.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png[16..20] == 1092u32.to_be_bytes(), "three panels of 360 pixels in a row");
    let page = std::fs::read_to_string(figure.join("figure.html")).unwrap();
    assert!(page.contains("Row 2, column 3: AttentionAnatomy + HPA"));
}

#[test]
fn packed_cases_are_trained_on_like_the_scans_that_they_come_from() {
    let folder = TempDir::new().unwrap();
    let config = write_sets(folder.path(), 4);
    let [packed, mapped] = [("cases.zip", None), ("exact.zip", Some("--mapped"))].map(|(name, how)| {
        let file = folder.path().join(name);
        let mut prepare = program("prepare");
        prepare.arg(&config).arg("--data").arg(folder.path()).arg("-o").arg(&file).args(how);
        let said = succeed(&mut prepare);
        assert!(said.stderr.contains(&format!("{} cases", 2 * CASES)), "{said:#?}");
        file
    });
    let data = [(folder.path(), "from-scans"), (packed.as_path(), "from-packed"), (mapped.as_path(), "from-mapped")];
    let [scans, cases, exact] = data.map(|(data, name)| {
        let output = folder.path().join(name);
        succeed(&mut train(&config, data, &output));
        steps(&output)
    });
    assert_eq!((scans.len(), &exact), (4, &scans));
    for ((step, a), (_, b)) in scans.into_iter().zip(cases) {
        assert!((a - b).abs() < 0.02 * a, "step {step}: loss {a} with scans, {b} with packed cases");
    }

    let measured = run(program("evaluate").arg(&config).arg("--data").arg(&packed));
    assert!(measured.errors()[0].contains("cases.zip: a file, not the folder"), "{measured:#?}");
    let finer = folder.path().join("finer.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("spacing_mm = 4.0", "spacing_mm = 3.5");
    std::fs::write(&finer, text).unwrap();
    let other = run(&mut train(&finer, &packed, &folder.path().join("finer")));
    assert!(other.errors()[0].contains("another [input]"), "{other:#?}");
}

#[test]
fn variants_of_a_training_are_judged_against_each_other() {
    let folder = TempDir::new().unwrap();
    write_sets(folder.path(), 4);
    let trials = folder.path().join("trials.toml");
    let of = |against: &str, weights: &str| {
        format!(
            r#"
training = "training.toml"
seeds = 2
organs = ["spleen"]

[[variant]]
name = "as it is"

[[variant]]
name = "plain, of one set a batch"
against = ["{against}"]
attention = false
mixed = false
hpa = "off"
weights = {weights}
"#
        )
    };
    let output = folder.path().join("trials");
    let mut call = program("trials");
    call.arg(&trials).arg("--data").arg(folder.path()).arg("-o").arg(&output).args(["--device", "cpu"]);
    std::fs::write(&trials, of("as it is", "[2.0, 0.5]")).unwrap();
    let said = succeed(&mut call);
    assert!(said.stdout.contains("paired by run, over Spleen"), "{said:#?}");
    assert!(said.stdout.contains("| plain, of one set a batch | as it is | "), "{said:#?}");
    assert!(output.join("plain-of-one-set-a-batch/seed-8/evaluation.json").exists());
    let used = std::fs::read_to_string(output.join("plain-of-one-set-a-batch/seed-8/config.toml")).unwrap();
    assert!(used.contains("weight = 2.0") && used.contains("weight = 0.5"), "{used}");
    assert!(used.contains("mixed = false") && used.contains("hpa = \"off\""), "{used}");
    let again = succeed(&mut call);
    assert_eq!((again.stderr.matches("done before").count(), &again.stdout), (4, &said.stdout));
    let mut merge = program("trials");
    merge.arg(&trials).arg("-o").arg(&output).args(["--collect", "--organs", "kidney_right"]);
    assert!(succeed(&mut merge).stdout.contains("paired by run, over Kidney right"));

    std::fs::write(&trials, of("nobody", "[2.0, 0.5]")).unwrap();
    let lost = run(&mut call);
    assert!(lost.errors()[0].contains("and none has that name"), "{lost:#?}");
    std::fs::write(&trials, of("as it is", "[1.0]")).unwrap();
    let short = run(&mut call);
    assert!(short.errors()[0].contains("one number for each of 2 sets"), "{short:#?}");
}

#[test]
fn a_training_that_cannot_go_on_says_so_and_keeps_what_it_has() {
    let folder = TempDir::new().unwrap();
    let config = write_sets(folder.path(), 4);
    let text = std::fs::read_to_string(&config).unwrap();
    let output = folder.path().join("training");
    std::fs::write(&config, text.replace("3e-3", "1e30")).unwrap();
    let diverged = run(&mut train(&config, folder.path(), &output));
    assert_eq!(diverged.code, Some(1), "{diverged:#?}");
    assert!(diverged.errors()[0].contains("lower `learning_rate`"), "{diverged:#?}");
    std::fs::write(&config, &text).unwrap();
    let said = succeed(&mut train(&config, folder.path(), &output));
    assert!(said.stderr.contains("resuming after step 0"), "{said:#?}");

    std::fs::write(&config, text.replacen("validation_patients = 1", "validation_patients = 3", 1)).unwrap();
    let nobody = run(&mut train(&config, folder.path(), &folder.path().join("nobody")));
    let error = &nobody.errors()[0];
    assert!(error.contains("only_spleen/dataset.json: no patient is left") && error.contains("3 held out"), "{error}");
    assert!(!folder.path().join("nobody").exists(), "nothing was begun");
}

#[test]
fn a_killed_training_goes_on_where_it_stopped() {
    const STEPS: u64 = 48;
    let folder = TempDir::new().unwrap();
    let config = write_sets(folder.path(), STEPS);
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    succeed(&mut train(&config, folder.path(), &whole));

    // The step after the first checkpoint is logged only when that checkpoint is on the disk. It is killed twice after that: right
    // behind a checkpoint, where one is being written, and between two; each time in the middle of whatever it is doing.
    for at in [CHECKPOINT_STEPS, 3 * CHECKPOINT_STEPS + CHECKPOINT_STEPS / 2] {
        let mut call = train(&config, folder.path(), &cut);
        let mut child = call.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let logged = || steps(&cut).last().is_some_and(|s| s.0 > at);
        wait("the step is logged, or the training ends", || {
            (logged() || child.try_wait().unwrap().is_some()).then_some(())
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(logged(), "the training ended before step {at}");
        assert!(!cut.join("final.safetensors").exists(), "the training was over before it could be killed");
    }

    let said = succeed(&mut train(&config, folder.path(), &cut));
    let from: u64 = said
        .stderr
        .lines()
        .find_map(|l| l.strip_prefix("resuming after step "))
        .unwrap_or_else(|| panic!("it started anew: {said:#?}"))
        .parse()
        .unwrap();
    assert!(
        (CHECKPOINT_STEPS..STEPS).contains(&from) && from.is_multiple_of(CHECKPOINT_STEPS),
        "it went on after step {from}"
    );

    let weights = |output: &Path| std::fs::read(output.join("final.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&cut), "killed twice, it ended in other weights");
    // Losses, too: what was logged after the cut is what the training that was never cut has logged.
    let (all, resumed) = (steps(&whole), steps(&cut));
    let tail = usize::try_from(STEPS - from).unwrap();
    assert_eq!(all[all.len() - tail..], resumed[resumed.len() - tail..]);
}

#[test]
fn a_training_changes_only_what_it_wrote_and_takes_over_what_is_meant() {
    let folder = TempDir::new().unwrap();
    let config = write_sets(folder.path(), 4);
    let output = folder.path().join("training");
    let again = || train(&config, folder.path(), &output);
    succeed(&mut again());
    // What lies in folders below is nobody's concern, and the training file that is kept serves as well as the one that was given.
    std::fs::create_dir(output.join("measured")).unwrap();
    std::fs::write(output.join("measured/report.html"), "mine").unwrap();
    let said = succeed(&mut train(&output.join("config.toml"), folder.path(), &output));
    assert!(said.stderr.contains("resuming after step 4"), "{said:#?}");

    std::fs::write(output.join("best.safetensors"), "mine").unwrap();
    let said = run(&mut again());
    assert!(said.code == Some(1) && said.errors()[0].contains("best.safetensors is not, or no longer"), "{said:#?}");
    assert_eq!(std::fs::read(output.join("best.safetensors")).unwrap(), b"mine");

    // A training of a version without a record goes on where that is meant, and is known from then on.
    std::fs::remove_file(output.join("run.json")).unwrap();
    let said = run(&mut again());
    assert!(said.code == Some(1) && said.errors()[0].contains("--overwrite"), "{said:#?}");
    let said = succeed(again().arg("--overwrite"));
    assert!(said.stderr.contains("resuming after step 4"), "{said:#?}");
    succeed(&mut again());
}
