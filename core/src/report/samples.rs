//! Small inputs that several tests share.

use super::TrainedOrgan;
use crate::anatomy::Organ;
use crate::infer::RunInfo;

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
