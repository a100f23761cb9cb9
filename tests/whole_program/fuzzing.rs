//! A bounded run of what cargo-fuzz runs without end (`fuzz/`): every reader over real files of every format, whole and changed.

use crate::support::data;

#[path = "../../fuzz/targets.rs"]
mod targets;

/// A target by its name.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 9] = [
    ("dicom", targets::dicom),
    ("rtstruct", targets::structure_set),
    ("seg", targets::segmentation),
    ("nifti", targets::nifti),
    ("nrrd", targets::nrrd),
    ("archive", targets::archive),
    ("label_names", targets::label_names),
    ("rule", targets::rule),
    ("open", targets::open),
];
/// Changes of each file for each target.
const CHANGES: u64 = 40;

#[test]
fn every_target_takes_every_file_whole_and_changed() {
    let mut seeds: Vec<Vec<u8>> = [
        "nifti/minimal.nii.gz",
        "nifti/second-big-endian.nii",
        "exchange/rt-utils.dcm",
        "exchange/highdicom-seg.dcm",
        "exchange/highdicom-labelmap.dcm",
        "exchange/ct.zip",
        "dicom-broken.zip",
    ]
    .into_iter()
    .map(|name| std::fs::read(data(name)).unwrap())
    .collect();
    seeds.push(b"Rind = (BODY shrink 3 left 0) minus (\"GTV 1\" grow 5) or Liver".to_vec());
    seeds.push(b"{\"labels\": {\"background\": 0, \"liver\": 1}}".to_vec());
    // Every target that cargo-fuzz has is run here.
    let listed = std::fs::read_dir(data("../../fuzz/fuzz_targets")).unwrap().count();
    assert_eq!(listed, TARGETS.len());
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for (name, target) in TARGETS {
        for (n, seed) in seeds.iter().enumerate() {
            target(seed);
            for change in 0..CHANGES {
                let mut bytes = seed.clone();
                for _ in 0..=random(4) {
                    let reach = if random(3) == 0 { bytes.len() } else { bytes.len().min(600) };
                    bytes[random(reach)] = random(256) as u8;
                }
                let survived = std::panic::catch_unwind(|| target(&bytes)).is_ok();
                assert!(survived, "{name}: change {change} of file {n}");
            }
        }
    }
}
