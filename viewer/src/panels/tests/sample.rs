//! A made-up scan from head to abdomen: ellipsoids with the HU and the places of organs, and what a good network would say
//! of every slice.

use std::sync::Arc;

use attention_anatomy::anatomy::{ORGAN_COUNT, Organ, REGION_COUNT};
use attention_anatomy::infer::ComputeKind;
use attention_anatomy::infer::SliceAnatomy;
use attention_anatomy::network::NetworkConfig;
use attention_anatomy::network::weights::{FORMAT_VERSION, ModelInfo, TrainedOrgan};
use attention_anatomy::preprocess::InputConfig;
use attention_anatomy::volume::{Geometry, Modality, Volume};

use crate::display::Preferences;
use crate::document::bench::Bench;
use crate::document::{Document, Model, RunPhase, RunState, Study};
use crate::worker::{DeviceInfo, PackedMargin, WeightsInfo};

/// Voxels along i, j, k.
pub const SIZE: [usize; 3] = [60, 44, 96];

/// Centre and radii as parts of the volume (to the patient's left, to the back, to the head), and HU.
const ORGANS: [(Organ, [f64; 3], [f64; 3], i16); 16] = [
    (Organ::BrainStem, [0.5, 0.55, 0.93], [0.04, 0.05, 0.04], 35),
    (Organ::EyeLeft, [0.57, 0.25, 0.92], [0.03, 0.04, 0.02], 10),
    (Organ::EyeRight, [0.43, 0.25, 0.92], [0.03, 0.04, 0.02], 10),
    (Organ::Mandible, [0.5, 0.3, 0.84], [0.1, 0.08, 0.02], 600),
    (Organ::ParotidLeft, [0.6, 0.5, 0.86], [0.03, 0.06, 0.03], 20),
    (Organ::ParotidRight, [0.4, 0.5, 0.86], [0.03, 0.06, 0.03], 20),
    (Organ::SpinalCord, [0.5, 0.75, 0.55], [0.02, 0.03, 0.4], 40),
    (Organ::Trachea, [0.5, 0.5, 0.7], [0.02, 0.03, 0.1], -950),
    (Organ::Esophagus, [0.5, 0.6, 0.6], [0.02, 0.03, 0.2], 30),
    (Organ::LungLeft, [0.68, 0.5, 0.57], [0.13, 0.25, 0.16], -800),
    (Organ::LungRight, [0.32, 0.5, 0.57], [0.13, 0.25, 0.16], -800),
    (Organ::Heart, [0.55, 0.4, 0.48], [0.1, 0.15, 0.07], 45),
    (Organ::Liver, [0.33, 0.45, 0.33], [0.16, 0.25, 0.09], 60),
    (Organ::Spleen, [0.72, 0.6, 0.33], [0.07, 0.1, 0.06], 50),
    (Organ::KidneyLeft, [0.65, 0.68, 0.2], [0.05, 0.08, 0.07], 35),
    (Organ::KidneyRight, [0.35, 0.68, 0.19], [0.05, 0.08, 0.07], 35),
];

/// Upper ends of the regions as parts of the volume, from the abdomen up.
const BOUNDARIES: [f64; 4] = [0.19, 0.38, 0.55, 0.74];

/// Slices of the least certain place.
pub const UNCERTAIN: usize = 30;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Region probabilities at a height, soft at the boundaries.
pub fn regions(height: f64) -> [f32; REGION_COUNT] {
    let above = BOUNDARIES.map(|b| sigmoid((height - b) * 90.0));
    let abdomen = 1.0 - above[0];
    let upper_abdomen = above[0] - above[1];
    [above[3], above[2] - above[3], above[1] - above[2], upper_abdomen, abdomen].map(|p| p.clamp(0.0, 1.0) as f32)
}

/// What a network would say of slice `k`.
pub fn anatomy(study: &Study, k: usize) -> SliceAnatomy {
    let height = (k as f64 + 0.5) / SIZE[2] as f64;
    let p = regions(height);
    let attention = std::array::from_fn(|n| {
        let organ = Organ::ALL[n];
        let here: f32 = organ.regions().iter().map(|r| p[r.index()]).sum();
        let near: f32 = (0..REGION_COUNT).filter(|&r| organ.possible_regions_widened()[r]).map(|r| p[r]).sum();
        (0.03 + 0.22 * near + 0.72 * here).clamp(0.0, 1.0)
    });
    SliceAnatomy { slice: k, position_mm: study.slice_mm(k), regions: p, attention: Some(attention) }
}

/// The scan with labels and all that the network says.
pub fn study() -> Study {
    let [nx, ny, nz] = SIZE;
    let geometry = Geometry::axial(SIZE, [7.0, 7.0, 9.0], [-206.5, -150.5, -870.0]).unwrap();
    let (mut hu, mut labels) = (vec![-1000i16; nx * ny * nz], vec![0u8; nx * ny * nz]);
    let inside = |at: [f64; 3], centre: [f64; 3], radii: [f64; 3]| {
        (0..3).map(|n| ((at[n] - centre[n]) / radii[n]).powi(2)).sum::<f64>() <= 1.0
    };
    for k in 0..nz {
        for j in 0..ny {
            for i in 0..nx {
                let at = [(i, nx), (j, ny), (k, nz)].map(|(n, of)| (n as f64 + 0.5) / of as f64);
                let n = i + nx * (j + ny * k);
                let narrow = if at[2] > 0.75 { 0.45 } else { 1.0 };
                if inside([at[0], at[1], 0.5], [0.5, 0.5, 0.5], [0.42 * narrow, 0.4, 1.0]) {
                    hu[n] = -20;
                }
                for (organ, centre, radii, value) in ORGANS {
                    if inside(at, centre, radii) {
                        (hu[n], labels[n]) = (value, organ.label());
                    }
                }
            }
        }
    }
    let ct = Arc::new(Volume::from_stored(geometry, hu, Modality::Ct).unwrap());
    let mut study = Study::of_ct(1, "neck-to-abdomen.nii.gz".to_string(), ct);
    for (k, slice) in labels.chunks_exact(nx * ny).enumerate() {
        study.labels.apply_run_slice(k, slice);
        study.drawn[k] = Some(slice.iter().filter(|&&label| label != 0).count() as u32);
        let doubt = if k.abs_diff(UNCERTAIN) < 4 { 130 - 20 * k.abs_diff(UNCERTAIN) as u8 } else { 4 + (k % 7) as u8 };
        study.margin.set(k, PackedMargin::of(&vec![255 - doubt; nx * ny]));
        study.anatomy[k] = Some(anatomy(&study, k));
        let mut removed = [0; ORGAN_COUNT];
        removed[Organ::Spleen.index()] = if k > 60 { 40 } else { 0 };
        study.removed[k] = Some(removed);
    }
    study.enabled = weights().info.organs(false);
    study
}

/// Weights that never learned the pancreas and the gallbladder, and the esophagus badly.
pub fn weights() -> WeightsInfo {
    let trained = Organ::ALL.into_iter().filter(|o| ![Organ::Pancreas, Organ::Gallbladder].contains(o));
    let trained_organs = trained
        .map(|organ| {
            let dice = match organ {
                Organ::Esophagus => Some(0.31),
                Organ::Hypophysis => None,
                _ => Some(0.82),
            };
            let source = vec!["made up".to_string()];
            let mut t = TrainedOrgan {
                organ,
                patients: 41,
                source,
                validation_dice: None,
                validation_patients: 0,
                enabled: false,
            };
            t.set_validation(dice, 6);
            t
        })
        .collect();
    let info = ModelInfo {
        format: FORMAT_VERSION,
        name: "light".to_string(),
        network: NetworkConfig::default(),
        input: InputConfig::light(),
        trained_organs,
        data: Vec::new(),
        held_out: Vec::new(),
        gauge: None,
        steps: 12_000,
        note: "Made up for tests.".to_string(),
    };
    WeightsInfo { name: "light".to_string(), sha256: "0123456789abcdef".repeat(4), info }
}

/// The whole document after a finished run.
pub fn bench() -> Bench {
    let device = DeviceInfo { name: "CPU (2 threads)".to_string(), kind: ComputeKind::Cpu, notes: Vec::new() };
    let run = RunState {
        number: 2,
        phase: RunPhase::Finished,
        done: 96,
        total: 96,
        seconds: Some(46.0),
        ..Default::default()
    };
    let document = Document {
        study: Some(study()),
        model: Model { weights: Some(weights()), device: Some(device), ..Default::default() },
        run,
        preferences: Preferences { tour_seen: true, ..Default::default() },
        ..Default::default()
    };
    let mut bench = Bench { document, ..Default::default() };
    bench.outbox.last_number = 2;
    bench.view.reset(SIZE);
    bench
}
