use std::sync::atomic::AtomicBool;

use super::*;
use crate::artifacts::MemoryStore;
use crate::dataset::samples::Files;
use crate::infer::device::cpu;
use crate::train::samples::config;

/// Does `work` on two sets in memory; what was said.
fn experiment<T>(
    store: &MemoryStore,
    stop: &Arc<AtomicBool>,
    work: impl FnOnce(&mut Experiment<'_>) -> T,
) -> (T, Vec<TrainEvent>) {
    let (files, device) = (Files::two_sets(), cpu());
    let mut events = Vec::new();
    let mut on_event = |event| events.push(event);
    let mut experiment = Experiment::new(ExperimentSetup {
        source: &files,
        store,
        device: &device,
        options: MeasureOptions::new(3.0),
        report: None,
        stop: stop.clone(),
        events: &mut on_event,
    });
    let done = work(&mut experiment);
    drop(experiment);
    (done, events)
}

fn folds() -> Vec<TrainingRun> {
    (1..=3).map(|index| TrainingRun::of_fold(&config(), Fold { index, of: 3 })).collect()
}

#[test]
fn folds_that_are_done_are_not_done_again_and_together_measure_every_patient() {
    let (store, stop) = (MemoryStore::default(), Arc::default());
    let folds = folds();
    let (done, _) = experiment(&store, &stop, |e| e.all(&folds[1..2]).unwrap());
    assert!(done);
    let early = cross_validation(&config(), &folds, &store).unwrap_err().to_string();
    assert!(early.starts_with("not done yet: fold 1/3, fold 3/3"), "{early}");
    let before = store.read("fold-2-of-3/evaluation.json").unwrap();
    let (_, events) = experiment(&store, &stop, |e| e.all(&folds).unwrap());
    let skipped: Vec<&str> = events
        .iter()
        .filter_map(|e| if let TrainEvent::DoneBefore { run } = e { Some(run.as_str()) } else { None })
        .collect();
    assert_eq!(skipped, ["fold 2/3 (2 of 3)"]);
    assert_eq!(store.read("fold-2-of-3/evaluation.json").unwrap(), before);

    let comparison = cross_validation(&config(), &folds, &store).unwrap();
    let mut measured: Vec<String> =
        comparison.systems[0].runs.iter().flat_map(|run| run.cases.iter().map(|c| c.name.clone())).collect();
    measured.sort();
    assert_eq!(measured, ["liver/0", "liver/1", "liver/2", "spleen/0", "spleen/1", "spleen/2"]);
    // The truth about the organ that a set leaves out was kept aside, and is measured.
    assert!(comparison.systems[0].runs.iter().flat_map(|r| &r.cases).all(|c| c.unannotated.len() == 1));
    save_comparison(&comparison, &store).unwrap();
    assert!(store.exists("results.md") && store.exists("systems.csv"));
}

#[test]
fn who_is_asked_to_stop_leaves_a_run_that_goes_on() {
    let (store, stop) = (MemoryStore::default(), Arc::new(AtomicBool::new(true)));
    let folds = folds();
    let (done, events) = experiment(&store, &stop, |e| e.all(&folds).unwrap());
    assert!(!done && matches!(events.last(), Some(TrainEvent::Stopped { step: 1 })), "{events:?}");
    assert!(!store.exists("fold-1-of-3/evaluation.json") && !store.exists("fold-2-of-3/config.toml"));
    let (done, events) = experiment(&store, &Arc::default(), |e| e.all(&folds[..1]).unwrap());
    assert!(done && events.iter().any(|e| matches!(e, TrainEvent::Resumed { step: 1 })));
    assert!(store.exists("fold-1-of-3/evaluation.json"));
}

#[test]
fn a_folder_of_another_training_is_refused() {
    let (store, stop) = (MemoryStore::default(), Arc::default());
    let mut other = config();
    other.batch = 1;
    store.write("fold-1-of-3/config.toml", toml::to_string(&other).unwrap().as_bytes()).unwrap();
    let (refused, _) = experiment(&store, &stop, |e| e.all(&folds()).unwrap_err().to_string());
    assert_eq!(refused, "fold 1/3: fold-1-of-3: holds another training; use another output folder, or undo the change");
    // Also where it was finished, and would be passed over.
    store.write("fold-1-of-3/evaluation.json", b"{}").unwrap();
    let (refused, _) = experiment(&store, &stop, |e| e.all(&folds()).unwrap_err().to_string());
    assert!(refused.contains("holds another training"), "{refused}");
}

#[test]
fn a_result_that_is_none_is_named() {
    let store = MemoryStore::default();
    store.write("fold-1-of-3/evaluation.json", b"{").unwrap();
    let said = folds()[0].finished(&store).unwrap_err().to_string();
    assert!(said.starts_with("fold-1-of-3/evaluation.json: not a result of this program"), "{said}");
    assert!(folds()[1].finished(&store).unwrap().is_none());
    let said = folds()[1].model(&store).unwrap_err().to_string();
    assert!(said.starts_with("fold-2-of-3/final.safetensors: there are no weights"), "{said}");
}
