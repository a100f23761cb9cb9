use super::*;
use crate::dataset::regions::RegionLabels;
use crate::volume::{Geometry, Modality};

fn result(organ: Organ, dice: f64, hausdorff_95_mm: f64) -> OrganResult {
    let missed = hausdorff_95_mm.is_infinite();
    let metrics = OrganMetrics {
        dice,
        hausdorff_95_mm,
        surface_dice: dice,
        mean_surface_distance_mm: hausdorff_95_mm / 2.0,
        added_path_mm: 12.0,
        missed,
        truth_ml: 10.0,
        prediction_ml: if missed { 0.0 } else { 9.0 },
    };
    OrganResult { organ, metrics }
}

fn evaluation() -> Evaluation {
    let case = |name: &str, annotated, unannotated| CaseResult {
        name: name.into(),
        annotated,
        unannotated,
        absent: Vec::new(),
        impossible: vec![Impossible { organ: Organ::Spleen, ml: 1.5 }],
    };
    Evaluation {
        subject: "A against B.".into(),
        tolerance_mm: 3.0,
        cases: vec![
            case("set/a", vec![result(Organ::Liver, 0.9, 4.0)], vec![result(Organ::Heart, 0.5, 9.0)]),
            case("set/b", vec![result(Organ::Liver, 0.7, 8.0), result(Organ::Spleen, 0.0, f64::INFINITY)], Vec::new()),
        ],
        regions: None,
        presence: Vec::new(),
        attention: None,
    }
}

#[test]
fn a_case_is_measured_on_what_it_annotates_on_the_rest_and_where_nothing_can_be() {
    // Four slices: head above, abdomen below. Liver is annotated, heart and brain stem are only in the whole truth, and the brain stem is
    // drawn in the abdomen, too. A spleen is drawn that the patient has not, where one may be.
    let (liver, heart, stem, spleen) = (Organ::Liver, Organ::Heart, Organ::BrainStem, Organ::Spleen);
    let geometry = Geometry::axial([4, 4, 4], [10.0, 10.0, 100.0], [0.0; 3]).unwrap();
    let map = |at: &[(usize, Organ)]| {
        let voxels = (0..64).map(|n| at.iter().find(|a| a.0 == n).map_or(0, |a| a.1.label())).collect();
        LabelVolume::from_stored(geometry.clone(), voxels, Modality::Unknown).unwrap()
    };
    let labels = map(&[(5, liver)]);
    let whole = map(&[(5, liver), (38, heart), (60, stem)]);
    let prediction = map(&[(5, liver), (38, heart), (39, heart), (10, stem), (60, stem), (7, spleen)]);
    let regions = RegionLabels::from_boundaries(&geometry, [250.0, 150.0, 50.0, 40.0]).unwrap();
    let annotated: OrganSet = [liver].into_iter().collect();
    let truth = CaseTruth { labels: &labels, annotated, whole: Some(&whole), regions: Some(&regions) };
    let measured = CaseResult::measure("case".into(), &truth, &prediction, OrganSet::ALL, 1.0).unwrap();
    let dice = |results: &[OrganResult]| results.iter().map(|r| (r.organ, r.metrics.dice)).collect::<Vec<_>>();
    assert_eq!(dice(&measured.annotated), [(liver, 1.0)]);
    assert_eq!(dice(&measured.unannotated), [(stem, 2.0 / 3.0), (heart, 2.0 / 3.0)]);
    assert_eq!(dice(&measured.absent), [(spleen, 0.0)], "no organ of the patient, so in no mean");
    assert_eq!(measured.impossible, [Impossible { organ: stem, ml: 10.0 }]);

    let enabled: OrganSet = [liver, stem].into_iter().collect();
    let without = CaseTruth { whole: None, regions: None, ..truth };
    let measured = CaseResult::measure("case".into(), &without, &prediction, enabled, 1.0).unwrap();
    assert!(measured.unannotated.is_empty() && measured.absent.is_empty() && measured.impossible.is_empty());
}

#[test]
fn what_only_the_prediction_has_is_told_in_every_file_and_counts_in_no_mean() {
    let (liver, heart, cord) = (Organ::Liver, Organ::Heart, Organ::SpinalCord);
    let geometry = Geometry::axial([4, 4, 4], [10.0; 3], [0.0; 3]).unwrap();
    let map = |at: &[(usize, Organ)]| {
        let voxels = (0..64).map(|n| at.iter().find(|a| a.0 == n).map_or(0, |a| a.1.label())).collect();
        LabelVolume::from_stored(geometry.clone(), voxels, Modality::Unknown).unwrap()
    };
    let (truth, prediction) = (map(&[(5, liver)]), map(&[(5, liver), (38, heart), (39, heart), (20, cord)]));
    let annotated = OrganSet::of_labels(&truth.voxels);
    let case = CaseTruth { labels: &truth, annotated, whole: None, regions: None };
    let measured = || CaseResult::measure("case".into(), &case, &prediction, OrganSet::ALL, 1.0).unwrap();
    assert!(measured().absent.is_empty(), "of a set that annotates some organs the others are unknown");
    let found = measured().with_absent(&truth, &prediction, OrganSet::ALL, 1.0);
    let told: Vec<_> = found.absent.iter().map(|r| (r.organ, r.metrics.dice, r.metrics.prediction_ml)).collect();
    assert_eq!(told, [(cord, 0.0, 1.0), (heart, 0.0, 2.0)]);
    let only_heart = measured().with_absent(&truth, &prediction, [heart].into_iter().collect(), 1.0);
    assert_eq!(only_heart.absent.iter().map(|r| r.organ).collect::<Vec<_>>(), [heart]);
    // Who asks for an organ that the reference lacks has it among the others, once.
    let asked = CaseTruth { annotated: OrganSet::ALL, ..case };
    let asked = CaseResult::measure("case".into(), &asked, &prediction, OrganSet::ALL, 1.0).unwrap();
    let asked = asked.with_absent(&truth, &prediction, OrganSet::ALL, 1.0);
    let organs = |results: &[OrganResult]| results.iter().map(|r| r.organ).collect::<Vec<_>>();
    assert_eq!((organs(&asked.annotated), organs(&asked.absent)), (vec![heart, liver], vec![cord]));

    let all = Evaluation { cases: vec![found], ..evaluation() };
    assert_eq!(
        (all.over_organs(Organs::Annotated).dice.n, all.over_organs(Organs::Annotated).dice.mean),
        (1, Some(1.0))
    );
    let rows = |text: &str| text.split_terminator("\r\n").map(|l| l.split(',').map(String::from).collect()).collect();
    let organs: Vec<Vec<String>> = rows(&all.organs_csv());
    assert_eq!(organs[2][..5], ["spinal_cord", "absent", "1", "0", "0.0000"]);
    assert_eq!(organs[3][..2], ["heart", "absent"]);
    let cases: Vec<Vec<String>> = rows(&all.cases_csv());
    // Distances to what is not there are empty.
    assert_eq!(cases[3], ["case", "heart", "absent", "0.0000", "", "0.0000", "", "0.0", "false", "0.000", "2.000"]);
    let text = all.markdown();
    assert!(
        text.contains("Mean over 1 organs: Dice 1.000") && text.contains("| Heart | 1 | 0.000 | - | 0.000 | 2.0 |"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_str(&all.json().unwrap()).unwrap();
    assert_eq!(
        (&json["summary_absent"][1]["organ"], &json["cases"][0]["absent"][1]["prediction_ml"]),
        (&"heart".into(), &2.0.into())
    );
    assert_eq!(serde_json::from_str::<Evaluation>(&all.json().unwrap()).unwrap(), all);
}

#[test]
fn the_json_can_be_read_back_and_holds_the_summaries() {
    let evaluation = evaluation();
    let json = evaluation.json().unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&json).unwrap(), evaluation);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["summary"][0]["organ"], "liver");
    assert!((value["summary"][0]["dice"]["mean"].as_f64().unwrap() - 0.8).abs() < 1e-12);
    assert_eq!(value["summary_unannotated"][0]["organ"], "heart");
}

#[test]
fn tables_hold_every_organ_once_and_a_miss_counts_as_zero() {
    let evaluation = evaluation();
    let organs = evaluation.organs_csv();
    let rows: Vec<Vec<&str>> = organs.split_terminator("\r\n").map(|l| l.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|h| *h == name).unwrap();
    assert_eq!(rows.len(), 4);
    let liver = &rows[1];
    assert_eq!((liver[0], liver[1], liver[2], liver[3]), ("liver", "annotated", "2", "0"));
    assert_eq!((liver[column("dice_mean")], liver[column("dice_std")]), ("0.8000", "0.1414"));
    let spleen = &rows[2];
    assert_eq!((spleen[0], spleen[3], spleen[column("dice_mean")]), ("spleen", "1", "0.0000"));
    assert_eq!((spleen[column("hausdorff_95_mm_mean")], spleen[column("hausdorff_95_mm_n")]), ("", "0"));
    assert_eq!((rows[3][0], rows[3][1]), ("heart", "unannotated"));
    let impossible = [1, 2].map(|n: usize| (rows[n][column("impossible_ml")], rows[n][column("impossible_cases")]));
    assert_eq!(impossible, [("0.000", "0"), ("3.000", "2")]);

    assert_eq!(evaluation.cases_csv().split_terminator("\r\n").count(), 1 + 4);
    let text = evaluation.markdown();
    assert!(text.contains("Mean over 2 organs: Dice 0.400, HD95 6.0 mm"), "{text}");
    assert!(text.contains("cannot be: 3.0 ml in 2 of 2 cases: Spleen 3.0 ml in 2."), "{text}");
    assert!(text.contains("| set/b | 2 | 0.350 | Spleen 0.000 | Spleen |"), "{text}");
}

#[test]
fn what_is_drawn_where_it_cannot_be_is_told_once_for_each_organ_also_without_any_truth() {
    let mut evaluation = evaluation();
    // Annotated in the other case.
    evaluation.cases[0].unannotated.push(result(Organ::Spleen, 0.5, 9.0));
    evaluation.cases[0].impossible.push(Impossible { organ: Organ::KidneyRight, ml: 0.1 });
    let text = evaluation.organs_csv();
    let rows: Vec<Vec<&str>> = text.split_terminator("\r\n").map(|l| l.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{text}");
    let told: Vec<[&str; 4]> =
        rows[1..].iter().map(|r| [r[0], r[1], r[r.len() - 2], r[r.len() - 1]]).filter(|r| r[3] != "0").collect();
    let expected = [
        ["spleen", "annotated", "3.000", "2"],
        ["spleen", "unannotated", "", ""],
        ["kidney_right", "none", "0.100", "1"],
    ];
    assert_eq!(told, expected, "{text}");
}
