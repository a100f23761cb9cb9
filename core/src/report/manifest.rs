//! The record of a run: enough to repeat it, and to tell two runs apart.

use serde_json::{Map, Value, json};

use super::{NOT_A_MEDICAL_DEVICE, ReportInput, Statistics};
use crate::anatomy::Organ;

/// The run as JSON, schema `attention-anatomy/run` version 1. Whoever writes it beside its results adds their names and hashes.
pub fn run_manifest_json(seg: &ReportInput, statistics: &Statistics) -> String {
    let run = seg.run;
    let grid = &seg.ct.geometry;
    let seconds: Vec<Value> =
        run.seconds.iter().map(|(stage, s)| json!({ "stage": stage, "seconds": round(*s, 3) })).collect();
    let options: Map<String, Value> = run.options.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect();
    let mut trained: Vec<_> = seg.trained.iter().collect();
    trained.sort_by_key(|t| t.organ.index());
    let organs: Vec<Value> = trained
        .into_iter()
        .map(|t| {
            json!({
                "id": t.organ.id(),
                "tg263": t.organ.tg263(),
                "label": t.organ.label(),
                "training_patients": t.patients,
                "training_data": t.source,
                "validation_dice": t.validation_dice.map(|d| round(d, 4)),
                "validation_patients": t.validation_patients,
                "enabled": t.enabled,
                "found": statistics.get(t.organ).is_some(),
            })
        })
        .collect();
    let unknown: Vec<&str> = Organ::ALL.into_iter().filter(|&o| seg.trained(o).is_none()).map(Organ::id).collect();
    let value = json!({
        "schema": "attention-anatomy/run",
        "version": 1,
        "statement": NOT_A_MEDICAL_DEVICE,
        "program": { "name": "AttentionAnatomy", "version": run.program_version },
        "started": run.started,
        "inputs": run.inputs,
        "grid": {
            "voxels": grid.size,
            "spacing_mm": grid.spacing().map(|s| round(s, 4)),
            "voxel_to_patient_lps_mm": grid.affine,
        },
        "weights": { "name": run.weights_name, "sha256": run.weights_sha256, "architecture": run.architecture },
        "device": run.device,
        "options": options,
        "organs": organs,
        "organs_not_in_weights": unknown,
        "seconds": seconds,
        "warnings": seg.warnings(),
    });
    format!("{value:#}\n")
}

/// `value` to so many decimals, as JSON should show it.
pub(super) fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::super::samples::{run, trained};
    use super::*;
    use crate::volume::{Geometry, Modality, Volume};

    #[test]
    fn the_record_names_program_weights_organs_and_the_statement() {
        let geometry = Geometry::axial([4, 4, 4], [1.0, 1.0, 2.0], [0.0; 3]).unwrap();
        let ct = Volume::from_stored(geometry, vec![0i16; 64], Modality::Ct).unwrap();
        let labels = ct.with_voxels(vec![30u8; 64]);
        let (trained, run) = (trained(&["spleen", "liver"]), run());
        let seg = ReportInput { ct: &ct, labels: &labels, slices: &[], trained: &trained, run: &run };
        let text = run_manifest_json(&seg, &Statistics::measure(&seg).unwrap());
        let v: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(v["version"], 1);
        assert_eq!(v["statement"], NOT_A_MEDICAL_DEVICE);
        assert_eq!(v["weights"]["sha256"], run.weights_sha256);
        assert_eq!(v["organs"].as_array().unwrap().len(), 2);
        assert_eq!((&v["organs"][0]["id"], &v["organs"][0]["found"]), (&json!("liver"), &json!(true)));
        assert_eq!(v["organs"][1]["found"], false);
        assert_eq!(v["organs_not_in_weights"].as_array().unwrap().len(), 31);
        assert_eq!(v["seconds"][1]["seconds"], 12.25);
    }
}
