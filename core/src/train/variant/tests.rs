use super::*;
use crate::artifacts::MemoryStore;
use crate::loss::LossWeights;
use crate::train::samples::config;

fn named(name: &str) -> Variant {
    Variant { name: name.into(), ..Variant::default() }
}

#[test]
fn every_row_of_the_paper_has_the_same_budget_of_segmentation_steps() {
    let base = config();
    assert_eq!((base.total_steps(), base.segmentation_steps()), (4, 3));
    for row in PAPER_ROWS {
        let training = row.variant().training(&base, 9);
        training.validate().unwrap();
        assert_eq!((training.segmentation_steps(), training.seed), (3, 9), "{}", row.name);
        assert_eq!((training.batch, &training.data), (base.batch, &base.data), "{}", row.name);
        // Without a region branch there is nothing to pre-train, and no loss of regions.
        assert_eq!(training.total_steps(), if training.network.attention { 4 } else { 3 }, "{}", row.name);
        let regions = training.phases.iter().any(|phase| phase.loss.region > 0.0);
        assert_eq!(regions, training.network.attention, "{}", row.name);
    }
    let choices: Vec<(bool, Hpa)> = PAPER_ROWS
        .iter()
        .map(|row| row.variant().training(&base, 0))
        .map(|training| (training.network.attention, training.hpa))
        .collect();
    let kept = Hpa::SourceRegion;
    assert_eq!(choices, [(false, Hpa::Off), (false, kept), (true, Hpa::Off), (true, kept)]);
}

#[test]
fn a_variant_changes_what_it_names_and_nothing_else() {
    let base = config();
    let plain = named("as it is").training(&base, base.seed);
    assert_eq!(plain, TrainingConfig { name: "test, as it is".into(), ..base.clone() });
    let variant = Variant {
        mixed: Some(false),
        boxes: Some(true),
        organ_logit: Some(-3.0),
        steps_per_epoch: Some(2),
        weights: Some(vec![2.0, 0.5]),
        augmentation: Some(Augmentation::default()),
        add: vec![DataConfig { manifest: "more.json".into(), ..base.data[0].clone() }],
        ..named("another, of 2")
    };
    let training = variant.training(&base, 1);
    let weights: Vec<f64> = training.data.iter().map(|data| data.weight).collect();
    assert_eq!((weights, training.data[2].manifest.as_str()), (vec![2.0, 0.5, 1.0], "more.json"));
    assert!(!training.mixed && training.organ_logit == -3.0 && training.segmentation_steps() == 6);
    assert!(training.phases.iter().all(|phase| phase.augmentation == Augmentation::default()));
    let losses = |config: &TrainingConfig| config.phases.iter().map(|p| p.loss).collect::<Vec<LossWeights>>();
    assert_eq!(losses(&training), losses(&base));
    // Voxels have no place in the phase that learns regions alone.
    let terms = Variant { cross_entropy: Some(0.5), presence: Some(2.0), ..named("terms") };
    let of_terms = losses(&terms.training(&base, 1));
    let expected: Vec<LossWeights> = losses(&base)
        .into_iter()
        .map(|loss| LossWeights { cross_entropy: if loss.segments() { 0.5 } else { 0.0 }, presence: 2.0, ..loss })
        .collect();
    assert_eq!(of_terms, expected);
    assert!(
        of_terms.iter().any(|loss| loss.cross_entropy == 0.0) && of_terms.iter().any(|loss| loss.cross_entropy > 0.0)
    );
    let plain_net = Variant { attention: Some(false), ..terms };
    assert!(losses(&plain_net.training(&base, 1)).iter().all(|loss| loss.presence == 0.0));
    let run = variant.run(&base, 1);
    assert_eq!((run.folder.as_str(), run.name.as_str()), ("another-of-2/seed-1", "another, of 2, seed 1"));
}

fn trials(variants: Vec<Variant>) -> Trials {
    Trials { training: "training.toml".into(), seeds: 2, first_seed: None, organs: Vec::new(), variants }
}

#[test]
fn trials_that_make_no_sense_are_refused_with_the_reason() {
    let base = config();
    let refused = |variants: Vec<Variant>| trials(variants).check(&base).unwrap_err().to_string();
    assert!(refused(Vec::new()).contains("at least one seed and one [[variant]]"));
    assert!(refused(vec![named("a b"), named("A-b")]).contains("a name of its own"), "one folder for two");
    assert!(refused(vec![named("!")]).contains("a name of its own"), "no folder at all");
    let against = Variant { against: vec!["nobody".into()], ..named("a") };
    assert!(refused(vec![against]).contains("judged against `nobody`, and none has that name"));
    let weights = Variant { weights: Some(vec![1.0]), ..named("a") };
    assert!(refused(vec![weights]).contains("one number for each of 2 sets"));
    let senseless = refused(vec![Variant { organ_logit: Some(99.0), ..named("a") }]);
    assert!(senseless.starts_with("variant `a`: ") && senseless.contains("organ_logit is 99"), "{senseless}");
    assert!(Trials::parse("seeds = 2").unwrap_err().to_string().starts_with("not a file of trials: "));
}

#[test]
fn runs_of_a_seed_come_together_and_a_file_may_begin_with_another_seed() {
    let base = config();
    let mut trials = trials(vec![named("a"), named("b")]);
    let folders = |trials: &Trials| trials.runs(&base).into_iter().map(|run| run.folder).collect::<Vec<_>>();
    assert_eq!(folders(&trials), ["a/seed-7", "b/seed-7", "a/seed-8", "b/seed-8"]);
    trials.first_seed = Some(u64::MAX);
    assert_eq!(trials.seeds(&base), [u64::MAX, 0]);
    trials.organs = vec!["liver".into()];
    let ids = |given: &[&str]| {
        let given: Vec<String> = given.iter().map(|id| id.to_string()).collect();
        trials.deciding(&given).map(|set| set.map(|set| set.iter().map(|o| o.id()).collect::<Vec<_>>()))
    };
    assert_eq!(ids(&[]).unwrap(), Some(vec!["liver"]));
    assert_eq!(ids(&["spleen"]).unwrap(), Some(vec!["spleen"]));
    assert!(ids(&["hart"]).is_err());
}

#[test]
fn what_is_compared_says_who_had_another_budget_and_what_is_missing() {
    let base = config();
    let trials = trials(vec![named("a"), Variant { steps_per_epoch: Some(2), ..named("longer") }]);
    let store = MemoryStore::default();
    let missing = trials.comparison(&base, None, &store).unwrap_err().to_string();
    assert!(missing.starts_with("not done yet: a, seed 7, a, seed 8"), "{missing}");
    for run in trials.runs(&base) {
        let empty = r#"{"subject": "s", "tolerance_mm": 3.0, "cases": []}"#;
        store.write(&format!("{}/evaluation.json", run.folder), empty.as_bytes()).unwrap();
    }
    let subject = trials.comparison(&base, None, &store).unwrap().subject;
    assert_eq!(subject, "Variants of test, trained alike: 3 segmentation steps of 2 slices each, longer: 6.");
}
