use std::cell::Cell;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::artifacts::{MemoryStore, StoreError};
use crate::infer::device::cpu;
use crate::train::samples::{config, loaded};
use crate::train::{StepReport, TrainingData};

fn task<'a>(
    text: &'a str,
    config: &'a TrainingConfig,
    data: &'a TrainingData,
    store: &'a dyn ArtifactStore,
) -> TrainingTask<'a> {
    TrainingTask {
        text,
        config,
        sets: &data.sets,
        patients: &data.patients,
        store,
        restart: false,
        from: None,
        report: None,
    }
}

fn text(config: &TrainingConfig) -> String {
    toml::to_string(config).unwrap()
}

/// Trains to the end, or as far as it goes; what was said.
fn train(task: TrainingTask<'_>) -> (Result<Ended, TrainError>, Vec<TrainEvent>) {
    let mut events = Vec::new();
    let mut on_event = |event| events.push(event);
    let ended = PersistentSession::begin(task, &cpu().burn, &mut on_event)
        .and_then(|session| session.run(&AtomicBool::new(false), &mut on_event));
    (ended, events)
}

fn finished(task: TrainingTask<'_>) -> Vec<TrainEvent> {
    let (ended, events) = train(task);
    assert!(matches!(ended, Ok(Ended::Finished)), "{ended:?}");
    events
}

fn steps(store: &dyn ArtifactStore) -> Vec<u64> {
    let step = |line: &LogLine| if let LogLine::Step(report) = line { Some(report.step) } else { None };
    read_log(store).unwrap().iter().filter_map(step).collect()
}

fn losses(store: &dyn ArtifactStore) -> Vec<f32> {
    let loss = |line: &LogLine| if let LogLine::Step(report) = line { Some(report.total) } else { None };
    read_log(store).unwrap().iter().filter_map(loss).collect()
}

/// A store whose owner is killed: it does so many things more, the last one, if it is a line of a log, by half.
struct Killed<'a> {
    store: &'a MemoryStore,
    left: Cell<usize>,
}

impl Killed<'_> {
    fn lives(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    fn dead<T>() -> Result<T, StoreError> {
        Err(StoreError::Write { place: "it".into(), reason: "killed".into() })
    }
}

impl ArtifactStore for Killed<'_> {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(name)
    }
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        if self.lives() { self.store.write(name, bytes) } else { Self::dead() }
    }
    fn append(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        if self.lives() {
            return self.store.append(name, bytes);
        }
        self.store.append(name, &bytes[..bytes.len() / 2])?;
        Self::dead()
    }
    fn remove(&self, name: &str) -> Result<(), StoreError> {
        if self.lives() { self.store.remove(name) } else { Self::dead() }
    }
    fn exists(&self, name: &str) -> bool {
        self.store.exists(name)
    }
    fn place(&self, name: &str) -> String {
        self.store.place(name)
    }
}

#[test]
fn wherever_it_is_killed_it_goes_on_to_the_same_weights_and_the_same_log() {
    let (config, whole) = (config(), MemoryStore::default());
    let (text, data) = (text(&config), loaded(&config));
    finished(task(&text, &config, &data, &whole));
    let weights = |store: &MemoryStore| store.read(FINAL).unwrap().unwrap();
    assert_eq!((steps(&whole), losses(&whole).len()), (vec![1, 2, 3, 4], 4));
    let mut killed = 0;
    loop {
        let store = MemoryStore::default();
        let (ended, _) = train(task(&text, &config, &data, &Killed { store: &store, left: Cell::new(killed) }));
        if ended.is_ok() {
            break;
        }
        assert!(!store.exists(FINAL), "killed at {killed}");
        finished(task(&text, &config, &data, &store));
        assert!(weights(&store) == weights(&whole), "killed at {killed}: other weights");
        assert_eq!(losses(&store), losses(&whole), "killed at {killed}");
        killed += 1;
    }
    // First checkpoint, log and config, four steps, two validations with their checkpoints, the weights.
    assert!(killed >= 12, "only {killed} places to be killed at");
}

#[test]
fn a_phase_has_the_losses_of_its_own_and_the_log_says_which() {
    let config = config();
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    let events = finished(task(&text, &config, &data, &store));
    let reports: Vec<&StepReport> =
        events.iter().filter_map(|e| if let TrainEvent::Step(r) = e { Some(r) } else { None }).collect();
    let phases: Vec<&str> = reports.iter().map(|r| r.phase.as_str()).collect();
    assert_eq!(phases, ["regions", "joint", "joint", "joint"]);
    assert!(reports[0].dice.is_none() && reports[0].focal.is_none() && reports[0].region.is_some());
    assert!(reports[1].dice.is_some() && reports[1].focal.is_some());
    match events[0] {
        TrainEvent::Began { training: 4, validation: 2, organs: 2, steps: 4 } => {}
        ref other => panic!("{other:?}"),
    }
    let looked: Vec<u64> = events
        .iter()
        .filter_map(|e| if let TrainEvent::Validated { step, .. } = e { Some(*step) } else { None })
        .collect();
    assert_eq!(looked, [2, 4]);
    assert!(matches!(events.last(), Some(TrainEvent::Finished { step: 4 })));
    assert_eq!(store.names(), [BEST, CONFIG, FINAL, LAST, METRICS]);
}

#[test]
fn there_is_something_to_go_on_from_before_the_first_step() {
    let config = config();
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    PersistentSession::begin(task(&text, &config, &data, &store), &cpu().burn, &mut |_| {}).unwrap();
    assert_eq!(store.names(), [CONFIG, LAST, METRICS]);
    let (_, events) = train(task(&text, &config, &data, &store));
    assert!(events.iter().any(|e| matches!(e, TrainEvent::Resumed { step: 0 })), "{events:?}");
}

#[test]
fn who_is_asked_to_stop_keeps_a_checkpoint_of_that_very_step() {
    let config = config();
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    let mut events = Vec::new();
    let stop = AtomicBool::new(false);
    let mut on_event = |event: TrainEvent| {
        if matches!(event, TrainEvent::Step(_)) {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        events.push(event);
    };
    let session = PersistentSession::begin(task(&text, &config, &data, &store), &cpu().burn, &mut on_event).unwrap();
    assert_eq!(session.run(&stop, &mut on_event).unwrap(), Ended::Stopped);
    assert!(matches!(events.last(), Some(TrainEvent::Stopped { step: 1 })), "{events:?}");
    // Not due for a look: only kept.
    assert!(!events.iter().any(|e| matches!(e, TrainEvent::Validated { .. })));
    let (_, events) = train(task(&text, &config, &data, &store));
    assert!(events.iter().any(|e| matches!(e, TrainEvent::Resumed { step: 1 })), "{events:?}");
    assert_eq!(steps(&store), [1, 2, 3, 4]);
}

#[test]
fn what_is_finished_is_finished_again_without_a_step() {
    let config = config();
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    finished(task(&text, &config, &data, &store));
    let weights = store.read(FINAL).unwrap();
    store.remove(FINAL).unwrap();
    let events = finished(task(&text, &config, &data, &store));
    assert!(!events.iter().any(|e| matches!(e, TrainEvent::Step(_))));
    assert_eq!(store.read(FINAL).unwrap(), weights);
}

#[test]
fn the_best_weights_are_those_of_the_best_look() {
    let config = config();
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    finished(task(&text, &config, &data, &store));
    let looks: Vec<(u64, Option<f64>)> = read_log(&store)
        .unwrap()
        .into_iter()
        .filter_map(|l| if let LogLine::Validation(v) = l { Some((v.step, v.report.mean_dice)) } else { None })
        .collect();
    let best = looks.iter().rev().max_by(|a, b| a.1.partial_cmp(&b.1).unwrap()).unwrap();
    let first_best = looks.iter().find(|l| l.1 == best.1).unwrap();
    let info = weights::read_info(&store.read(BEST).unwrap().unwrap()).unwrap();
    assert_eq!(info.steps, first_best.0, "{looks:?}");
    assert_eq!((info.held_out.len(), info.trained_organs.len()), (2, 2));
    assert!(info.trained_organs.iter().all(|t| t.patients == 2 && t.source.len() == 1), "{:?}", info.trained_organs);
}

#[test]
fn a_set_without_training_patients_is_refused_before_anything_is_written() {
    let mut config = config();
    config.data[1].validation_patients = 3;
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    let refused = train(task(&text, &config, &data, &store)).0.unwrap_err().to_string();
    assert!(refused.starts_with("spleen/set.json: no patient is left") && refused.contains("3 held out"), "{refused}");
    assert!(store.names().is_empty());
    // One that is not drawn from may have none, and then its organs are not learned.
    config.data[1].weight = 0.0;
    let data = loaded(&config);
    let cohort = Cohort::new(config, &data.patients).unwrap();
    assert_eq!(cohort.trained().iter().collect::<Vec<_>>(), [Organ::Liver]);
}

#[test]
fn label_maps_without_a_label_are_nothing_to_learn() {
    let config = config();
    let (text, mut data, store) = (text(&config), loaded(&config), MemoryStore::default());
    for case in &mut data.patients.training {
        case.organ_slices.iter_mut().for_each(Vec::clear);
    }
    let patients = data.patients.training.len();
    let refused = train(task(&text, &config, &data, &store)).0.unwrap_err().to_string();
    assert!(refused.contains(&format!("no label map of the {patients} training patients")), "{refused}");
    assert!(refused.contains("look at the label files"), "{refused}");
    assert!(store.names().is_empty());
}

#[test]
fn a_region_that_no_slice_shows_is_nothing_to_train_on() {
    let config = TrainingConfig { region: Some(crate::anatomy::Region::Head), ..config() };
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    let refused = train(task(&text, &config, &data, &store)).0.unwrap_err();
    assert!(refused.to_string().contains("with slices of region head"), "{refused}");
    assert!(store.names().is_empty());
}

#[test]
fn a_training_never_goes_on_with_patients_on_other_sides() {
    let config = config();
    let (first, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    PersistentSession::begin(task(&first, &config, &data, &store), &cpu().burn, &mut |_| {}).unwrap();
    let mut other = config.clone();
    other.data[0].validation_patients = 2;
    let (changed, data_of_other) = (text(&other), loaded(&other));
    let refused = train(task(&changed, &other, &data_of_other, &store)).0.unwrap_err().to_string();
    assert!(refused.starts_with("memory: seed, fold or validation patients differ"), "{refused}");
    assert_eq!(store.read_text(CONFIG).unwrap().unwrap(), first);

    // Another learning rate is another matter: it is said, and it is what is kept.
    let mut slower = config.clone();
    slower.phases[1].learning_rate = 1e-4;
    let slower_text = text(&slower);
    let events = finished(task(&slower_text, &slower, &data, &store));
    assert!(events.iter().any(|e| matches!(e, TrainEvent::ConfigChanged)));
    assert_eq!(store.read_text(CONFIG).unwrap().unwrap(), slower_text);
}

#[test]
fn weights_to_begin_with_must_have_held_out_who_is_held_out_now() {
    let config = config();
    let (text_, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    finished(task(&text_, &config, &data, &store));
    let weights = store.read(FINAL).unwrap().unwrap();
    let from = Some(StartWeights { place: "w", bytes: &weights });

    let fresh = MemoryStore::default();
    let events = finished(TrainingTask { from, ..task(&text_, &config, &data, &fresh) });
    assert!(!events.iter().any(|e| matches!(e, TrainEvent::Resumed { .. })));
    assert!(losses(&fresh)[3] != losses(&store)[3], "it began with other weights than the seed's");
    // Where there is a checkpoint it goes on from that, and says so; to start anew has to be asked for.
    let events = finished(TrainingTask { from, ..task(&text_, &config, &data, &fresh) });
    assert!(events.iter().any(|e| matches!(e, TrainEvent::StartNotRead { place } if place == "w")));
    let events = finished(TrainingTask { from, restart: true, ..task(&text_, &config, &data, &fresh) });
    assert_eq!(events.iter().filter(|e| matches!(e, TrainEvent::Step(_))).count(), 4);

    let others = (0..20).map(|seed| TrainingConfig { seed, ..config.clone() });
    let held = |data: &TrainingData| data.patients.validation.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let (other, changed) = others.map(|c| (loaded(&c), c)).find(|(d, _)| held(d) != held(&data)).unwrap();
    let (text_, store) = (text(&changed), MemoryStore::default());
    let refused = train(TrainingTask { from, ..task(&text_, &changed, &other, &store) }).0.unwrap_err().to_string();
    assert!(refused.starts_with("w: these weights were trained on the set of"), "{refused}");
    assert!(store.names().is_empty());
}

#[test]
fn a_page_is_made_at_every_look_from_all_that_was_logged() {
    let config = config();
    let (text, data, store) = (text(&config), loaded(&config), MemoryStore::default());
    let report: ReportPage = |config, log| format!("{} {}", config.name, log.len());
    finished(TrainingTask { report: Some(report), ..task(&text, &config, &data, &store) });
    // Four steps and two looks.
    assert_eq!(store.read_text(REPORT).unwrap().unwrap(), "test 6");
}
