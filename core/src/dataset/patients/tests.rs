use super::*;
use crate::network::weights;
use crate::volume::{Geometry, Modality, Volume};

/// Ids of the training cases of `openkbp`: `pt_N`.
const OPENKBP: [u16; 203] = [
    1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 33, 34, 35,
    36, 37, 38, 39, 40, 41, 42, 43, 45, 47, 48, 49, 50, 51, 52, 53, 54, 55, 57, 58, 59, 60, 61, 62, 64, 65, 66, 67, 68,
    70, 71, 72, 74, 76, 77, 78, 79, 80, 82, 83, 84, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101,
    103, 104, 105, 106, 108, 109, 111, 112, 113, 114, 115, 116, 118, 119, 120, 121, 122, 123, 124, 126, 127, 128, 129,
    130, 131, 132, 133, 136, 137, 139, 140, 141, 143, 144, 146, 147, 148, 149, 150, 151, 152, 154, 155, 156, 157, 158,
    159, 160, 162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 176, 177, 178, 180, 181, 182, 183, 184, 185,
    187, 188, 189, 190, 192, 193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203, 204, 206, 207, 208, 209, 210, 211,
    212, 213, 214, 215, 216, 218, 219, 221, 222, 224, 225, 226, 227, 229, 230, 231, 232, 233, 235, 236, 237, 238, 239,
];
/// Of `btcv_synapse`: `btcv_000N`.
const BTCV: [u16; 14] = [5, 6, 9, 21, 23, 24, 26, 27, 28, 30, 31, 34, 37, 39];
/// Of `deepmind_openkbp`: scans of `openkbp` and `openkbp_rest`, by the same ids.
const DEEPMIND: [u16; 14] = [3, 29, 32, 47, 50, 53, 131, 150, 153, 179, 185, 212, 217, 233];
/// Of `openkbp_rest`: further patients of the same challenge.
const REST: [u16; 37] = [
    8, 19, 23, 32, 44, 46, 56, 63, 69, 73, 75, 81, 85, 102, 107, 110, 117, 125, 134, 135, 138, 142, 145, 153, 161, 174,
    175, 179, 186, 191, 205, 217, 220, 223, 228, 234, 240,
];
/// Seed of configs/light.toml.
const SEED: u64 = 20_261_123;

fn set(name: &str, cases: &[(&str, &str, Option<&str>)]) -> DataSet {
    let cases: Vec<serde_json::Value> = cases
        .iter()
        .map(|(id, split, patient)| {
            let mut case =
                serde_json::json!({ "id": id, "split": split, "ct": "a", "label": "b", "annotated": ["liver"] });
            if let Some(patient) = patient {
                case["patient"] = (*patient).into();
            }
            case
        })
        .collect();
    DataSet::parse(&serde_json::json!({ "name": name, "cases": cases }).to_string(), false).unwrap()
}

fn numbered(name: &str, numbers: &[u16], id: impl Fn(u16) -> String) -> DataSet {
    let ids: Vec<String> = numbers.iter().map(|&n| id(n)).collect();
    set(name, &ids.iter().map(|id| (id.as_str(), "train", None)).collect::<Vec<_>>())
}

fn ids(cases: &[&CaseEntry]) -> Vec<String> {
    cases.iter().map(|c| c.id.clone()).collect()
}

fn key(n: u8) -> Option<ScanKey> {
    Some(ScanKey([n; 32]))
}

fn nobody(_: usize, _: &str) -> Option<ScanKey> {
    None
}

/// The shipped weights name who was held out, in the order of the split of that time.
#[test]
fn the_split_of_the_shipped_weights_is_still_the_same() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/light.safetensors");
    let info = weights::read_info(&std::fs::read(path).unwrap()).unwrap();
    let openkbp = numbered("openkbp", &OPENKBP, |n| format!("pt_{n}"));
    let btcv = numbered("btcv_synapse", &BTCV, |n| format!("btcv_{n:04}"));
    let rest = numbered("openkbp_rest", &REST, |n| format!("pt_{n}"));
    let deepmind = numbered("deepmind_openkbp", &DEEPMIND, |n| format!("pt_{n}"));
    let sets = [&openkbp, &btcv];
    let scan = |set: usize, id: &str| {
        let sha = Sha256::digest(format!("{set}/{id}"));
        Some(ScanKey(sha.into()))
    };
    let patients = Patients::tell_apart(&sets, scan).unwrap();
    let sides = patients.divide(&sets, &[20, 3], SEED);
    assert_eq!((sides[0].0.len(), sides[1].0.len()), (183, 11));

    // As configs/light.toml has them, those without validation patients and without a patient of another set left out.
    let all = [&openkbp, &btcv, &rest, &deepmind];
    let patients = Patients::tell_apart(&all, nobody).unwrap();
    let shipped = patients.divide(&all, &[20, 3, 0, 4], SEED);
    let named = |n: usize| ids(&shipped[n].1).into_iter().map(move |id| format!("{}/{id}", all[n].name));
    assert_eq!((0..4).flat_map(named).collect::<Vec<_>>(), info.held_out);
    // Whom the weights of before had held out is held out still.
    for n in 0..2 {
        assert!(ids(&sides[n].1).iter().all(|id| ids(&shipped[n].1).contains(id)));
    }

    // Contours of a second group, of ten of the same scans: theirs follow, and nobody else changes sides.
    let sets = [&openkbp, &btcv, &deepmind];
    let patients = Patients::tell_apart(&sets, nobody).unwrap();
    let more = patients.divide(&sets, &[20, 3, 0], SEED);
    assert_eq!(ids(&more[0].1), ids(&sides[0].1));
    assert_eq!(ids(&more[2].1), ["pt_185"], "the one of the fourteen who is held out in openkbp");
    let twice: Vec<_> = DEEPMIND.iter().filter(|n| OPENKBP.contains(n)).collect();
    assert_eq!(twice.len(), 10);
    for of in [2, 7] {
        for index in 1..=of {
            let folds = patients.fold(&sets, Fold { index, of }, SEED);
            for n in &twice {
                let is_out = |set: usize| folds[set].1.iter().any(|c| c.id == format!("pt_{n}"));
                assert_eq!(is_out(0), is_out(2), "pt_{n} in fold {index} of {of}");
            }
            assert_eq!(folds[1].1.len(), (0..14).filter(|n| n % of + 1 == index).count());
        }
    }
}

/// The rule of the folds before patients were told apart: position in the order of the set.
#[test]
fn folds_of_sets_that_share_nobody_are_what_they_were() {
    let [a, b] = ["a", "b"].map(|name| numbered(name, &OPENKBP[..30], |n| format!("{name}{n}")));
    let sets = [&a, &b];
    let patients = Patients::tell_apart(&sets, nobody).unwrap();
    let mut seen = Vec::new();
    for index in 1..=7 {
        let folds = patients.fold(&sets, Fold { index, of: 7 }, 3);
        for (set, (training, out)) in sets.iter().zip(&folds) {
            let expected: Vec<String> = ids(&set.shuffled(3))
                .into_iter()
                .enumerate()
                .filter(|(n, _)| n % 7 + 1 == index)
                .map(|(_, id)| id)
                .collect();
            assert_eq!(ids(out), expected);
            assert!((4..=5).contains(&out.len()) && training.len() + out.len() == 30);
            assert!(out.iter().all(|o| training.iter().all(|t| t.id != o.id)));
            seen.extend(ids(out));
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 60);
}

#[test]
fn a_patient_is_never_on_both_sides_and_the_choice_ignores_file_order() {
    let forward = numbered("s", &OPENKBP[..30], |n| format!("p{n}"));
    let mut backward = forward.clone();
    backward.cases.reverse();
    let split = |set: &DataSet, seed| {
        let patients = Patients::tell_apart(&[set], nobody).unwrap();
        let (training, out) = patients.divide(&[set], &[7], seed).remove(0);
        (ids(&training), ids(&out))
    };
    let (training, out) = split(&forward, 3);
    assert_eq!((training.len(), out.len()), (23, 7));
    assert!(out.iter().all(|id| !training.contains(id)));
    assert_eq!(split(&backward, 3), (training, out.clone()));
    assert_ne!(split(&forward, 4).1, out);
}

/// One scan under two ids, in one set and in two, and one patient of two scans: all on one side, whatever is asked for.
#[test]
fn one_scan_under_several_ids_is_one_patient_on_one_side() {
    let a = set("a", &[("1", "train", None), ("2", "train", None), ("3", "train", None), ("4", "train", Some("p"))]);
    let b = set("b", &[("x", "train", None), ("y", "train", Some("p")), ("z", "train", None)]);
    // 1 and x are one scan, 2 and 3 too; 4 and y are one patient; z is 3's scan once more.
    let scan = |set: usize, id: &str| match (set, id) {
        (0, "1") | (1, "x") => key(1),
        (0, "2" | "3") | (1, "z") => key(2),
        (0, "4") => key(3),
        _ => key(4),
    };
    let sets = [&a, &b];
    let patients = Patients::tell_apart(&sets, scan).unwrap();
    let groups = [vec![(0, "1"), (1, "x")], vec![(0, "2"), (0, "3"), (1, "z")], vec![(0, "4"), (1, "y")]];
    for group in &groups {
        assert!(group.iter().all(|(set, id)| patients.number(*set, id) == patients.number(group[0].0, group[0].1)));
    }
    let one_side = |sides: &[Sides<'_>]| {
        for group in &groups {
            let out: Vec<bool> = group.iter().map(|(set, id)| sides[*set].1.iter().any(|c| c.id == *id)).collect();
            assert!(out.iter().all(|&o| o == out[0]), "{group:?}: {out:?}");
        }
        sides.iter().map(|(_, out)| out.len()).sum::<usize>()
    };
    for seed in 0..50 {
        for validation in [[1, 0], [0, 1], [1, 1], [2, 0], [2, 2]] {
            let sides = patients.divide(&sets, &validation, seed);
            one_side(&sides);
            for (set, wanted) in validation.iter().enumerate() {
                let out: BTreeSet<usize> = sides[set].1.iter().map(|c| patients.number(set, &c.id)).collect();
                assert!(out.len() >= *wanted, "{validation:?}");
            }
        }
        let held_out: usize = (1..=3).map(|index| one_side(&patients.fold(&sets, Fold { index, of: 3 }, seed))).sum();
        assert_eq!(held_out, 7, "everybody once");
    }
}

#[test]
fn a_patient_to_train_on_and_to_test_with_is_an_error_that_names_both() {
    let a = set("a", &[("1", "train", None), ("2", "test", None), ("3", "train", Some("p"))]);
    type Scans = fn(usize, &str) -> Option<ScanKey>;
    let rows: [(DataSet, Scans, [&str; 3]); 4] = [
        (
            set("b", &[("x", "test", None)]),
            |_, id| if id == "2" { key(2) } else { key(1) },
            ["a/1", "b/x", "the same scan"],
        ),
        (set("b", &[("1", "test", None)]), nobody, ["a/1", "b/1", "both are patient `1`"]),
        (set("b", &[("x", "test", Some("p"))]), nobody, ["a/3", "b/x", "both are patient `p`"]),
        (
            set("b", &[("x", "train", None)]),
            |_, id| if id == "1" { None } else { key(1) },
            ["a/3", "a/2", "the same scan"],
        ),
    ];
    for (b, scan, expected) in rows {
        let error = Patients::tell_apart(&[&a, &b], scan).unwrap_err().to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{expected:?}: {error}");
    }
    // Two sets that name their patients alike, and say that they are others.
    let other = set("b", &[("1", "test", Some("b1"))]);
    assert!(Patients::tell_apart(&[&a, &other], nobody).is_ok());
    let own = DataSet { own_patients: true, ..set("b", &[("1", "test", None), ("9", "train", Some("p"))]) };
    let patients = Patients::tell_apart(&[&a, &own], nobody).unwrap();
    assert_ne!(patients.number(0, "3"), patients.number(1, "9"));
    assert!(Patients::tell_apart(&[&a, &own], |_, _| key(1)).is_err(), "the same scan is the same scan");
}

#[test]
fn a_scan_is_known_by_its_voxels_wherever_it_is_said_to_lie() {
    let ct = |spacing: f64, origin: f64, change: i16| {
        let geometry = Geometry::axial([5, 4, 3], [spacing, 1.0, 2.0], [origin, 0.0, 0.0]).unwrap();
        let voxels = (0..60).map(|n| if n == 59 { n + change } else { n }).collect();
        Volume::from_stored(geometry, voxels, Modality::Ct).unwrap()
    };
    let whole = ScanKey::of(&ct(1.0, 0.0, 0));
    assert_eq!(whole, ScanKey::of(&ct(1.3, 40.0, 0)));
    assert_ne!(whole, ScanKey::of(&ct(1.0, 0.0, 1)));
    let turned = Volume::from_stored(
        Geometry::axial([4, 5, 3], [1.0; 3], [0.0; 3]).unwrap(),
        ct(1.0, 0.0, 0).voxels,
        Modality::Ct,
    );
    assert_ne!(whole, ScanKey::of(&turned.unwrap()), "another matrix");
    let text = String::from(whole);
    assert_eq!(ScanKey::try_from(text.clone()), Ok(whole));
    assert!(ScanKey::try_from(text[1..].to_string()).is_err() && ScanKey::try_from("\u{e4}".repeat(32)).is_err());
}
