//! Small inputs that several tests share.

use super::TrainedOrgan;
use crate::anatomy::Organ;
use crate::infer::{RunInfo, SliceAnatomy};

/// The organ with this id.
pub fn organ(id: &str) -> Organ {
    Organ::from_id(id).unwrap_or_else(|| panic!("no organ {id}"))
}

/// These organs, as weights that know them would list them.
pub fn trained(ids: &[&str]) -> Vec<TrainedOrgan> {
    ids.iter()
        .map(|id| TrainedOrgan {
            organ: organ(id),
            patients: 12,
            source: vec!["phantom".into()],
            validation_dice: Some(0.9),
            validation_patients: 3,
            enabled: true,
        })
        .collect()
}

/// A run with every field set.
pub fn run() -> RunInfo {
    RunInfo {
        program_version: "0.1.0".into(),
        weights_name: "test".into(),
        weights_sha256: "ab".repeat(32),
        architecture: "residual U-Net".into(),
        device: "CPU".into(),
        inputs: vec!["scan.nii.gz".into()],
        started: "2026-01-02T03:04:05Z".into(),
        seconds: vec![("read".into(), 0.5), ("network".into(), 12.25)],
        warnings: vec![],
        options: vec![("tiles".into(), "1".into())],
    }
}

/// What a network says of slices 3 mm apart with the likeliest region at probability `p`, `(region, slices)` from inferior to superior.
pub fn body(parts: &[(usize, usize)], p: f32) -> Vec<SliceAnatomy> {
    let mut out = Vec::new();
    for &(region, count) in parts {
        for _ in 0..count {
            let mut regions = [(1.0 - p) / 4.0; 5];
            regions[region] = p;
            let slice = out.len();
            out.push(SliceAnatomy { slice, position_mm: 3.0 * slice as f64 - 100.0, regions, attention: None });
        }
    }
    out
}
