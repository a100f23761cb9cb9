use super::*;
use crate::anatomy::Region;
use crate::train::samples::config;

#[test]
fn a_router_shares_the_segmentation_steps_of_one_system_among_its_regions() {
    let base = TrainingConfig { steps_per_epoch: 50, ..config() };
    let router = Router::new(&base, 3);
    // Nothing but the loss of regions, in all phases of the full system.
    let classifier = &router.classifier.config;
    assert_eq!(classifier.total_steps(), base.total_steps());
    assert!(classifier.phases.iter().all(|p| !p.loss.segments() && p.loss.region > 0.0));
    let specialists = &router.specialists;
    let steps: u64 = specialists.iter().map(|run| run.config.segmentation_steps()).sum();
    assert_eq!(steps, base.segmentation_steps());
    for (run, region) in specialists.iter().zip(Region::ALL) {
        run.config.validate().unwrap();
        assert_eq!((run.config.region, run.config.seed), (Some(region), 3));
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
    let ablation = Ablation::new(&config(), 2);
    let folder = |task: Task| match task {
        Task::Run(run) => run.folder,
        Task::Router(router) => router.whole.folder,
    };
    let all: Vec<String> = ablation.tasks(None).into_iter().map(folder).collect();
    assert_eq!(all.len(), 2 * (PAPER_ROWS.len() + 1));
    assert_eq!(all[..2], ["vanilla-u-net/seed-7", "attentionanatomy/seed-7"], "both without re-calibration");
    let mut parts: Vec<String> =
        (1..=3).flat_map(|k| ablation.tasks(Some(format!("{k}/3").parse().unwrap())).into_iter().map(folder)).collect();
    parts.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(parts, sorted);
}
