use std::io::Cursor;
use std::sync::atomic::Ordering;

use super::*;
use crate::anatomy::Organ;
use crate::dataset::samples::{CASES, Files, data, drawn};
use crate::dataset::{ArchivedSet, Bytes, CaseArchiveWriter, Prepared, Storage};
use crate::formats::nifti;
use crate::preprocess::InputConfig;

const SPEC: SplitSpec = SplitSpec { seed: 7, fold: None };

fn input() -> InputConfig {
    InputConfig { crop: 48, ..InputConfig::light() }
}

fn sets(files: &Files) -> Vec<LoadedSet> {
    LoadedSet::all(&[data(Organ::Liver), data(Organ::Spleen)], files).unwrap()
}

fn names(cases: &[PreparedCase]) -> Vec<&str> {
    cases.iter().map(|case| case.name.as_str()).collect()
}

#[test]
fn a_case_shows_what_its_set_annotates_and_its_truth_shows_all() {
    let files = Files::two_sets();
    let set = &sets(&files)[1];
    let entry = &set.set.cases[0];
    let (ct, labels, annotated) = set.read_case(entry, &files).unwrap();
    let (expected, all) = drawn(CASES);
    assert_eq!(ct.voxels, expected.voxels);
    assert_eq!(annotated.iter().collect::<Vec<_>>(), [Organ::Spleen]);
    let spleen = |l: &u8| if *l == Organ::Spleen.label() { *l } else { 0 };
    assert_eq!(labels.voxels, all.voxels.iter().map(spleen).collect::<Vec<_>>());
    assert_eq!(set.read_truth(entry, &files).unwrap().unwrap().voxels, all.voxels);
}

#[test]
fn masks_become_the_labels_that_a_map_has() {
    let mut files = Files::two_sets();
    let (_, labels) = drawn(0);
    let mask = labels.voxels.iter().map(|&l| u8::from(l == Organ::Liver.label()) * 255).collect();
    files.files.insert("liver/0.own".into(), nifti::write_labels(&labels.with_voxels(mask), "").unwrap());
    let of_map = sets(&Files::two_sets())[0].clone();
    let text = String::from_utf8(files.files["liver/set.json"].clone()).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let case = manifest["cases"][0].as_object_mut().unwrap();
    let path = case.remove("label").unwrap();
    case.insert("masks".into(), serde_json::json!({ "Liver": path }));
    files.files.insert("liver/set.json".into(), manifest.to_string().into_bytes());
    let of_masks = sets(&files)[0].clone();
    let drawn_map = of_map.read_drawn(&of_map.set.cases[0], &Files::two_sets()).unwrap();
    assert_eq!(of_masks.read_drawn(&of_masks.set.cases[0], &files).unwrap().voxels, drawn_map.voxels);
}

#[test]
fn contours_of_a_planning_system_are_labels_by_their_names() {
    use crate::formats::structures::{Drawn, Structure};
    use crate::formats::{analytic, rtstruct};

    let mut files = Files::two_sets();
    let of_map = sets(&files)[0].clone();
    let entry = of_map.set.cases[0].clone();
    let expected = of_map.read_drawn(&entry, &files).unwrap();
    let (_, labels) = drawn(0);
    let organs = Structure::organs(&labels, |_| Drawn::Manual);
    let options = rtstruct::WriteOptions::default();
    let series = analytic::series(&labels.stored);
    let bytes = analytic::derive(&series, |made| rtstruct::write(&organs, &labels.geometry, &options, made)).unwrap();
    // The whole file as a map, and as the mask of one organ; the numbers of the set are of no interest.
    files.files.insert(format!("liver/{}", entry.label.as_deref().unwrap()), bytes);
    assert_eq!(of_map.read_drawn(&entry, &files).unwrap().voxels, labels.voxels);
    let mut of_masks = of_map.clone();
    let case = &mut of_masks.set.cases[0];
    let path = case.label.take().unwrap();
    case.masks.insert("Liver".into(), crate::dataset::OneOrMore::One(path));
    let liver = |l: &u8| if *l == Organ::Liver.label() { *l } else { 0 };
    let masks = of_masks.read_drawn(&of_masks.set.cases[0], &files).unwrap();
    assert_eq!(masks.voxels, expected.voxels.iter().map(liver).collect::<Vec<_>>());
    assert!(masks.voxels.contains(&Organ::Liver.label()));
}

#[test]
fn everybody_is_held_out_in_one_fold_and_prepared_once_for_all_of_them() {
    let files = Files::two_sets();
    let (sets, mut prepared) = (sets(&files), Prepared::default());
    let mut held_out = Vec::new();
    for index in 1..=3 {
        let spec = SplitSpec { seed: 7, fold: Some(Fold { index, of: 3 }) };
        let divided = prepared.divide(&sets, spec, &input(), &files, &mut |_, _| {}).unwrap();
        assert_eq!((divided.training.len(), divided.validation.len()), (4, 2));
        let (learned, held) = (names(&divided.training), names(&divided.validation));
        assert!(held.iter().all(|name| !learned.contains(name)), "{learned:?} {held:?}");
        held_out.extend(held.into_iter().map(String::from));
    }
    held_out.sort();
    let all: Vec<String> = ["liver", "spleen"].iter().flat_map(|s| (0..3).map(move |n| format!("{s}/{n}"))).collect();
    assert_eq!(held_out, all);
    // CT and label map of six cases; a whole truth is nobody's business here.
    assert_eq!(files.read.load(Ordering::Relaxed), 12);
    // Another input is another preparation.
    let finer = InputConfig { spacing_mm: Some(2.5), ..input() };
    prepared.divide(&sets, SPEC, &finer, &files, &mut |_, _| {}).unwrap();
    assert_eq!(files.read.load(Ordering::Relaxed), 24);
}

#[test]
fn cases_know_their_set_and_come_in_the_order_of_the_split() {
    let files = Files::two_sets();
    let sets = sets(&files);
    let mut told = Vec::new();
    let divided =
        Prepared::default().divide(&sets, SPEC, &input(), &files, &mut |done, of| told.push((done, of))).unwrap();
    assert_eq!(told, (0..=6).map(|n| (n, 6)).collect::<Vec<_>>());
    let expected: Vec<String> = sets
        .iter()
        .zip(divide(&sets, &divided.identities, SPEC))
        .flat_map(|(set, sides)| sides.0.into_iter().map(|entry| set.case_name(entry)))
        .collect();
    assert_eq!(names(&divided.training), expected);
    for case in divided.training.iter().chain(&divided.validation) {
        assert_eq!(case.set, usize::from(case.name.starts_with("spleen")), "{}", case.name);
    }
}

#[test]
fn a_case_that_cannot_be_used_ends_it_and_is_named_with_its_file() {
    let refused = |files: &Files, config: DataConfig| {
        let sets = LoadedSet::all(&[config], files).unwrap();
        let divided = Prepared::default().divide(&sets, SPEC, &input(), files, &mut |_, _| {});
        divided.unwrap_err().to_string()
    };
    let mut files = Files::two_sets();
    files.files.insert("liver/1.ct".into(), b"no image".to_vec());
    let said = refused(&files, data(Organ::Liver));
    assert!(said.starts_with("liver/1: liver/1.ct: "), "{said}");

    let mut files = Files::two_sets();
    files.files.remove("liver/2.own");
    let said = refused(&files, data(Organ::Liver));
    assert_eq!(said, "liver/2: liver/2.own: cannot be read (there is none)");

    // Values that are no HU are refused with the way out, and taken by who insists.
    let mut files = Files::two_sets();
    let (ct, _) = drawn(0);
    let shifted = ct.with_voxels(ct.voxels.iter().map(|v| v + 1024).collect::<Vec<i16>>());
    files.files.insert("liver/0.ct".into(), nifti::write_ct(&shifted, "").unwrap());
    let strict = DataConfig { assume_hu: false, ..data(Organ::Liver) };
    let set = LoadedSet::all(&[strict], &files).unwrap().remove(0);
    let said = set.read_case(&set.set.cases[0], &files).unwrap_err().to_string();
    assert!(said.starts_with("liver/0.ct: ") && said.contains("assume_hu = true"), "{said}");
    let set = LoadedSet::all(&[data(Organ::Liver)], &files).unwrap().remove(0);
    assert!(set.read_case(&set.set.cases[0], &files).is_ok());
}

#[test]
fn a_manifest_that_is_wrong_is_named() {
    let mut files = Files::two_sets();
    files.files.insert("liver/set.json".into(), b"{}".to_vec());
    let said = LoadedSet::all(&[data(Organ::Liver)], &files).unwrap_err().to_string();
    assert!(said.starts_with("liver/set.json: the manifest cannot be read"), "{said}");
}

/// All cases of two sets in one file.
fn packed(files: &Files) -> Bytes {
    let mut sets: Vec<ArchivedSet> =
        sets(files).into_iter().map(|s| ArchivedSet { config: s.config, set: s.set, cases: Vec::new() }).collect();
    let mut writer = CaseArchiveWriter::new(Cursor::new(Vec::new()), input(), Storage::Mapped);
    for (n, loaded) in self::sets(files).iter().enumerate() {
        for entry in &loaded.set.cases {
            let mut case = loaded.prepare(n, entry, &input(), files).unwrap();
            writer.add(n, &entry.id, &case).unwrap();
            (case.hu, case.labels) = Default::default();
            sets[n].cases.push((entry.id.clone(), case));
        }
    }
    Arc::new(writer.finish(sets).unwrap().into_inner())
}

#[test]
fn a_file_of_prepared_cases_stands_for_the_scans_of_the_trainings_that_it_was_made_for() {
    let files = Files::two_sets();
    let bytes = packed(&files);
    let configs = [data(Organ::Liver), data(Organ::Spleen)];
    let (mut prepared, sets) = Prepared::read(&bytes, "cases.zip", &configs, &input()).unwrap();
    let read = files.read.load(Ordering::Relaxed);
    let divided = prepared.divide(&sets, SPEC, &input(), &files, &mut |_, _| {}).unwrap();
    assert_eq!(files.read.load(Ordering::Relaxed), read, "no scan is read any more");
    let plain = Prepared::default().divide(&sets, SPEC, &input(), &files, &mut |_, _| {}).unwrap();
    assert_eq!(names(&divided.training), names(&plain.training));
    for (a, b) in divided.training.iter().zip(&plain.training) {
        assert_eq!((a.hu.all(), a.labels.all(), a.set), (b.hu.all(), b.labels.all(), b.set));
    }
    // More patients held out, and sets in another order or alone, are the same cases.
    let alone = [DataConfig { validation_patients: 2, weight: 3.0, ..data(Organ::Spleen) }];
    assert!(Prepared::read(&bytes, "cases.zip", &alone, &input()).is_ok());

    let refused = |configs: &[DataConfig], input: &InputConfig| {
        Prepared::read(&bytes, "cases.zip", configs, input).unwrap_err().to_string()
    };
    let other = refused(&configs, &InputConfig { spacing_mm: Some(2.0), ..input() });
    assert!(other.starts_with("cases.zip: prepared for another [input]"), "{other}");
    let lungs = [DataConfig { derive_lungs: true, ..data(Organ::Liver) }];
    assert!(refused(&lungs, &input()).contains("does not hold liver/set.json as the training file uses it"));
}
