//! What `segment` promises of its results.

use std::collections::BTreeSet;

use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{LIVER, Nifti, SPLEEN, Table, data, files_below, program, promised, run, segment, succeed};

const TRUNK: &str = "ct-trunk-small.nii.gz";

#[test]
fn segment_writes_labels_on_exactly_the_grid_that_came_in() {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("results");
    let said = succeed(segment(&data(TRUNK), &output).args(["--all-organs", "--organ-files"]));
    assert!(said.stdout.contains(TRUNK) && said.stdout.contains("organs found"), "{said:#?}");

    // The grid, bit for bit.
    let ct = Nifti::read(&data(TRUNK));
    let map = Nifti::read(&output.join("labels.nii.gz"));
    assert_eq!(map.size(), ct.size());
    assert_eq!(map.sform, ct.sform);
    assert_eq!(map.pixdim[1..4], ct.pixdim[1..4]);
    assert!(map.sform_code > 0);
    let counts = map.label_counts();
    assert!(map.labels().iter().all(|&l| l <= 33), "{:?}", map.labels());

    let record: Value = serde_json::from_slice(&std::fs::read(output.join("run.json")).unwrap()).unwrap();
    let organs = record["organs"].as_array().unwrap();
    let named: Vec<(u8, String)> = organs
        .iter()
        .map(|o| (o["label"].as_u64().unwrap().try_into().unwrap(), o["id"].as_str().unwrap().to_string()))
        .collect();
    let found: Vec<&(u8, String)> = named.iter().filter(|(label, _)| counts[usize::from(*label)] > 0).collect();

    // What the weights never learned is never drawn.
    assert!(!named.is_empty() && named.len() + record["organs_not_in_weights"].as_array().unwrap().len() == 33);
    let drawn: BTreeSet<u8> = map.labels().into_iter().filter(|&l| l > 0).collect();
    assert_eq!(drawn, found.iter().map(|(label, _)| *label).collect());
    for (organ, (label, id)) in organs.iter().zip(&named) {
        assert_eq!(organ["enabled"], true, "{id}: --all-organs");
        assert_eq!(organ["found"], drawn.contains(label), "{id}");
    }

    // Exactly the promised files, and nothing half-written.
    let mut expected = promised();
    expected.extend(found.iter().map(|(_, id)| format!("organs/{id}.nii.gz")));
    assert_eq!(files_below(&output), expected);
    for (label, id) in &found {
        let mask = Nifti::read(&output.join(format!("organs/{id}.nii.gz")));
        assert_eq!((mask.size(), mask.sform), (ct.size(), ct.sform), "{id}");
        let same = mask.voxels.iter().zip(&map.voxels).all(|(&m, l)| m == u8::from(l == label));
        assert!(same, "{id}: the mask is not where the label map has {label}");
    }

    // The statistics are those of the label map; a voxel is 0.027 ml.
    let statistics = Table::read(&output.join("statistics.csv"));
    assert_eq!(statistics.len(), named.len());
    for row in 0..statistics.len() {
        let id = statistics.cell(row, "organ");
        let (label, _) = named.iter().find(|(_, name)| name == id).unwrap();
        let count = counts[usize::from(*label)];
        let cell = statistics.cell(row, "voxels");
        assert_eq!(if cell.is_empty() { 0 } else { cell.parse().unwrap() }, count, "{id}");
        if count > 0 {
            assert!((statistics.number(row, "volume_ml") - 0.027 * count as f64).abs() < 1e-3, "{id}");
            let [first, last] = ["first_k", "last_k"].map(|k| statistics.number(row, k) as usize);
            let on_screen = ["first_slice", "last_slice"].map(|slice| statistics.number(row, slice) as usize);
            assert_eq!(on_screen, [first + 1, last + 1], "{id}");
            let area = ct.size()[0] * ct.size()[1];
            let holds = |k: &usize| map.voxels[k * area..(k + 1) * area].contains(label);
            let whole = 0..ct.size()[2];
            assert_eq!((whole.clone().find(holds), whole.clone().rfind(holds)), (Some(first), Some(last)), "{id}");
        }
    }

    // Every slice of this CT shows the body: one row each, at its height, from the most inferior.
    let attention = Table::read(&output.join("attention.csv"));
    assert_eq!((attention.len(), attention.width()), (ct.size()[2], 3 + 5 + 1 + 33));
    let regions = attention.columns(3..8);
    assert!(regions.iter().all(|r| r.starts_with("p_")), "{regions:?}");
    let height = |k: usize| {
        let value = |n: usize| f32::from_le_bytes(ct.sform[4 * n..4 * n + 4].try_into().unwrap());
        f64::from(value(11)) + f64::from(value(10)) * k as f64
    };
    for row in 0..attention.len() {
        // As on screen, and as in arrays.
        assert_eq!(attention.cell(row, "slice"), (row + 1).to_string());
        assert_eq!(attention.cell(row, "k"), row.to_string());
        assert!((attention.number(row, "position_mm") - height(row)).abs() < 0.01, "row {row}");
        let probabilities: Vec<f64> = regions.iter().map(|r| attention.number(row, r)).collect();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 0.01, "row {row}: {probabilities:?}");
        let likely = format!("p_{}", attention.cell(row, "most_likely_region"));
        let largest = probabilities.iter().copied().fold(0.0, f64::max);
        assert_eq!(attention.number(row, &likely), largest, "row {row}");
        for organ in attention.columns(9..42) {
            // In units of slices that show the organ: some slices read above 1, and none above 1 / (the least unit there is).
            assert!((0.0..=1e6).contains(&attention.number(row, organ)), "row {row}, {organ}");
        }
    }
    let json: Value = serde_json::from_slice(&std::fs::read(output.join("attention.json")).unwrap()).unwrap();
    assert_eq!(json["attention"].as_array().unwrap().len(), attention.len());

    // The run can be repeated: the record names the very weights that the program carries.
    let sha256 = record["weights"]["sha256"].as_str().unwrap();
    assert!(sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit()), "{sha256}");
    let weights = succeed(program("info").arg("--weights"));
    assert!(weights.stdout.contains(sha256), "{weights:#?}");
    assert_eq!(record["inputs"], serde_json::json!([TRUNK]));

    // The report says what it is not, and asks nothing of the network.
    let report = std::fs::read_to_string(output.join("report.html")).unwrap();
    assert!(report.contains(NOT_A_MEDICAL_DEVICE) && NOT_A_MEDICAL_DEVICE.starts_with("Not a medical device"));
    for outside in ["http:", "https:", "//www", "@import", "<link", "<iframe"] {
        assert!(!report.contains(outside), "the report contains `{outside}`");
    }
}

#[test]
fn only_the_asked_organs_are_drawn() {
    let folder = TempDir::new().unwrap();
    let output = folder.path().join("two");
    let said = succeed(segment(&data(TRUNK), &output).args(["--organs", "liver,spleen", "--body"]));
    assert!(said.stderr.contains("BODY is not written"), "asked for, and nowhere to be put: {said:#?}");
    let labels = Nifti::read(&output.join("labels.nii.gz")).labels();
    assert!(labels.is_subset(&[0, LIVER, SPLEEN].into()), "{labels:?}");
    assert_eq!(files_below(&output), promised(), "organ files come only with --organ-files");

    // No public set that the shipped weights were trained on annotates the heart.
    for (asked, why) in [("heart", "never learned"), ("liver,nonsense", "`nonsense` is not one of the 33 organs")] {
        let output = folder.path().join("refused");
        let said = run(segment(&data(TRUNK), &output).args(["--organs", asked]));
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.errors().len() == 1 && said.errors()[0].contains(why), "{said:#?}");
        assert!(!output.exists(), "{asked}: something was written");
    }
}

#[test]
fn weights_and_maps_in_f16_give_the_labels_of_f32_and_the_record_says_it() {
    let first = attention_anatomy::infer::device::adapters().into_iter().next();
    if !first.is_some_and(|adapter| adapter.f16) {
        return whole_program_tests::not_run("there is no graphics adapter with f16, not even one in software");
    }
    let folder = TempDir::new().unwrap();
    let [single, half] = ["f32", "f16"].map(|storage| {
        let output = folder.path().join(storage);
        let asked = ["--all-organs", "--device", "gpu", "--gpu-storage", storage];
        let said = succeed(program("segment").arg(data(TRUNK)).arg("--output").arg(&output).args(asked));
        assert_eq!(said.stderr.contains("f16 storage"), storage == "f16", "{said:#?}");
        let record: Value = serde_json::from_slice(&std::fs::read(output.join("run.json")).unwrap()).unwrap();
        let device = record["device"].as_str().unwrap();
        assert_eq!(device.ends_with("f16 storage"), storage == "f16", "{device}");
        let warnings = record["warnings"].to_string();
        assert!(!warnings.contains("f16"), "nothing gave way to f32: {warnings}");
        Nifti::read(&output.join("labels.nii.gz")).voxels
    });
    let other = single.iter().zip(&half).filter(|(a, b)| a != b).count();
    assert!(other * 1000 <= single.len(), "{other} of {} voxels", single.len());
    assert!(single.iter().any(|&label| label > 0));
}
