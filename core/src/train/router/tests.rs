use super::*;
use crate::anatomy::Region;
use crate::artifacts::MemoryStore;
use crate::train::samples::config;

#[test]
fn each_network_of_a_router_has_the_segmentation_steps_of_a_system() {
    let base = TrainingConfig { steps_per_epoch: 50, ..config() };
    let router = Router::new(&base, 3);
    // Nothing but the loss of regions, in all phases of the full system.
    let classifier = &router.classifier.config;
    assert_eq!(classifier.total_steps(), base.total_steps());
    assert!(classifier.phases.iter().all(|p| !p.loss.segments() && p.loss.region > 0.0));
    let specialists = &router.specialists;
    for (run, region) in specialists.iter().zip(Region::ALL) {
        run.config.validate().unwrap();
        assert_eq!((run.config.region, run.config.seed), (Some(region), 3));
        assert_eq!(run.config.segmentation_steps(), base.segmentation_steps());
        assert!(!run.config.network.attention && run.config.phases.iter().all(|p| p.loss.region == 0.0));
        assert_eq!(run.folder, format!("router-hpa/seed-3/{}", region.id()));
    }
    // All divide the patients alike, so that whoever is held out is held out of all six.
    assert!(specialists.iter().chain([&router.classifier]).all(|run| run.config.same_split(&router.whole.config)));
}

#[test]
fn a_slice_costs_a_classifier_and_one_network() {
    let router = Router::new(&config(), 0);
    let crop = config().input().crop;
    let whole = multiply_adds(&config().network, crop).total();
    assert!(router.multiply_adds() > whole, "two encoders are more than one with a branch");
    assert!(router.multiply_adds() < 2 * whole);
}

#[test]
fn every_task_of_an_array_job_has_its_own_runs_and_all_together_are_the_table() {
    let ablation = Ablation::new(&config(), 2, None);
    let ids = |choice: Choice| -> Vec<String> {
        choice.of(ablation.tasks(), Task::id).unwrap().iter().map(|task| task.id().to_string()).collect()
    };
    let all = ids(Choice::All);
    assert_eq!(all.len(), 2 * (PAPER_ROWS.len() + 1));
    assert_eq!(all[..2], ["vanilla-u-net/seed-7", "attentionanatomy/seed-7"], "both without re-calibration");
    let part = |k: usize| Choice::Part(format!("{k}/3").parse().unwrap());
    let mut parts: Vec<String> = (1..=3).flat_map(|k| ids(part(k))).collect();
    parts.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(parts, sorted);
    assert!(all.iter().all(|id| ids(Choice::Task(id.clone())) == [id.clone()]));
}

#[test]
fn with_folds_every_seed_holds_every_patient_out_once() {
    let (base, store) = (config(), MemoryStore::default());
    let plan = Ablation::new(&base, 2, Some(3)).plan(&store);
    assert_eq!(plan.len(), 2 * 3 * (PAPER_ROWS.len() + 1));
    assert_eq!(plan[0].id, "vanilla-u-net/seed-7/fold-1-of-3");
    assert_eq!(plan.last().unwrap().id, "router-hpa/seed-8/fold-3-of-3");
    let unique: std::collections::BTreeSet<&String> = plan.iter().map(|task| &task.id).collect();
    assert_eq!(unique.len(), plan.len());
    assert!(plan.iter().all(|task| task.steps > 0 && !task.done));
    // The systems of a fold hold out the same patients, and the steps of a router are those of its six trainings.
    let ablation = Ablation::new(&base, 1, Some(3));
    let folds = ablation.tasks().into_iter().filter_map(|task| match task {
        Task::Run(run) => run.config.fold,
        Task::Router(router) => router.whole.config.fold,
    });
    let folds: Vec<usize> = folds.map(|fold| fold.index).collect();
    assert_eq!(folds, [[1; 5], [2; 5], [3; 5]].concat());
    let router = plan.iter().find(|task| task.id.starts_with("router")).unwrap();
    assert_eq!(router.steps, base.total_steps() + 5 * base.segmentation_steps());
}
