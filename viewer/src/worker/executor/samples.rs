//! A small patient and small weights for the worker's tests.

use std::sync::{Arc, OnceLock};

use attention_anatomy::anatomy::Organ;
use attention_anatomy::formats::nifti;
use attention_anatomy::network::NetworkConfig;
use attention_anatomy::network::weights::{self, FORMAT_VERSION, ModelInfo, Precision, TrainedOrgan};
use attention_anatomy::preprocess::InputConfig;
use attention_anatomy::volume::{CtVolume, Geometry, Modality, Volume};
use burn::tensor::Device;

use crate::worker::platform::FakePlatform;

/// Slices of the sample.
pub(crate) const SLICES: usize = 9;
/// The organ that the fake engine finds.
pub(crate) const ORGAN: Organ = Organ::Liver;
/// The slice with a piece apart.
pub(crate) const APART: usize = 7;

/// A body with a bright rod on the patient's left through all slices, and a piece apart from it in one.
pub(crate) fn ct(slices: usize) -> CtVolume {
    with_spacing(slices, 3.0)
}

pub(crate) fn with_spacing(slices: usize, slice_mm: f64) -> CtVolume {
    let n = 60usize;
    let geometry = Geometry::axial([n, n, slices], [3.0, 3.0, slice_mm], [-88.5, -88.5, 10.0]).unwrap();
    let mut voxels = Vec::new();
    for k in 0..slices {
        for y in 0..n {
            for x in 0..n {
                let mm = |v: usize| v as f64 * 3.0 - 88.5;
                let rod = (35..46).contains(&x) && (18..25).contains(&y);
                let apart = k == APART && (15..20).contains(&x) && (35..40).contains(&y);
                let radius = mm(x).hypot(mm(y));
                voxels.push(match (radius < 75.0, rod || apart) {
                    (false, _) => -1000,
                    (true, true) => 600,
                    // Fat under the skin.
                    (true, false) if radius > 72.0 => -100,
                    (true, false) => 0,
                });
            }
        }
    }
    Volume::from_stored(geometry, voxels, Modality::Unknown).unwrap()
}

pub(crate) fn nifti(ct: &CtVolume) -> Vec<u8> {
    nifti::write_ct(ct, "").unwrap()
}

pub(crate) fn info() -> ModelInfo {
    ModelInfo {
        format: FORMAT_VERSION,
        name: "tiny".into(),
        network: NetworkConfig { base: 4, levels: 3, stack: 5, attention: true },
        input: InputConfig { crop: 64, ..InputConfig::light() },
        trained_organs: vec![TrainedOrgan {
            organ: ORGAN,
            patients: 1,
            source: vec!["made up".into()],
            validation_dice: Some(0.9),
            validation_patients: 1,
            enabled: true,
        }],
        data: Vec::new(),
        held_out: Vec::new(),
        gauge: None,
        steps: 1,
        note: String::new(),
    }
}

/// A weights file of a few kilobytes.
pub(crate) fn weights() -> Vec<u8> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    let made = || {
        let network = info().network.init(&Device::flex());
        weights::write(&network, &info(), Precision::Half).unwrap().into()
    };
    BYTES.get_or_init(made).to_vec()
}

/// A platform with these, that finds the rod.
pub(crate) fn platform() -> FakePlatform {
    FakePlatform::new(weights(), nifti(&ct(SLICES)), ORGAN, 300.0)
}
