use attention_anatomy::anatomy::Organ;
use attention_anatomy::dataset::Hpa;

use burn::tensor::Device;

use super::*;
use crate::worker::protocol::{LearnAnswer, LearnSlice};

fn settings() -> LearnSettings {
    LearnSettings { attention: true, hpa: Hpa::SourceRegion, seed: 7 }
}

fn small() -> DemoTraining {
    DemoTraining {
        scans_of_set: 2,
        spacing_mm: 14.0,
        crop: 32,
        base: 8,
        batch: 6,
        steps: [5, 80, 15],
        rates: [5e-3, 1.5e-2, 5e-3],
        look_every: 50,
    }
}

fn task(settings: LearnSettings, demo: DemoTraining) -> LearnTask {
    LearnTask::with_demo(3, Setup { settings, demo, device: (&Device::flex()).into(), device_name: "CPU".into() })
}

fn run(mut task: LearnTask) -> Vec<LearnUpdate> {
    let mut updates = Vec::new();
    while !task.is_over() {
        updates.extend(task.step().into_iter().flatten().inspect(|e| assert_eq!(e.run, 3)).map(|e| e.update));
    }
    assert_eq!(task.step(), Some(Vec::new()));
    updates
}

/// Dice of large organs over the slices that are shown, counted here and not by the evaluation.
fn dice(slices: &[LearnSlice], answers: &[LearnAnswer]) -> f64 {
    let organs = [Organ::LungLeft, Organ::LungRight, Organ::Liver, Organ::Heart];
    let of = |organ: Organ| {
        let (mut both, mut sum) = (0, 0);
        for (slice, answer) in slices.iter().zip(answers) {
            for (t, g) in slice.truth.iter().zip(&answer.labels) {
                let (t, g) = (*t == organ.label(), *g == organ.label());
                both += usize::from(t && g);
                sum += usize::from(t) + usize::from(g);
            }
        }
        2.0 * both as f64 / sum.max(1) as f64
    };
    organs.into_iter().map(of).sum::<f64>() / organs.len() as f64
}

#[test]
fn a_short_demo_training_lowers_the_loss_and_finds_organs_that_untrained_weights_do_not() {
    let updates = run(task(settings(), small()));
    let losses: Vec<[Option<f32>; 3]> = updates
        .iter()
        .filter_map(|n| if let LearnUpdate::Step { losses, .. } = n { Some(*losses) } else { None })
        .collect();
    let evaluations: Vec<_> = updates
        .iter()
        .filter_map(|n| if let LearnUpdate::Evaluation(measured) = n { Some(measured.clone()) } else { None })
        .collect();
    let plan = updates.iter().find_map(|n| if let LearnUpdate::Started(plan) = n { Some(plan) } else { None }).unwrap();
    assert_eq!((losses.len() as u64, plan.phases.last().unwrap().1), (100, 100));
    assert!(losses[..5].iter().all(|l| l[0].is_none() && l[2].is_some()), "pre-training has only regions");
    let mean = |l: &[[Option<f32>; 3]]| l.iter().filter_map(|l| l[0]).sum::<f32>() / l.len() as f32;
    let (first, last) = (mean(&losses[5..10]), mean(&losses[95..]));
    assert!(last < first - 0.1, "Dice loss {first} -> {last}");
    let (untrained, trained) =
        (dice(&plan.slices, &evaluations[0].answers), dice(&plan.slices, &evaluations[2].answers));
    assert!(untrained < 0.15 && trained > 0.4, "Dice of large organs {untrained} -> {trained}");
    assert!(evaluations[2].region_accuracy.unwrap() > 0.5, "{:?}", evaluations[2].region_accuracy);
    assert_eq!(updates.last(), Some(&LearnUpdate::Finished));
}

#[test]
fn the_seed_decides_everything() {
    let short = || DemoTraining { scans_of_set: 1, steps: [1, 2, 0], look_every: 3, ..small() };
    let updates = |seed: u64| run(task(LearnSettings { seed, ..settings() }, short()));
    let first = updates(7);
    assert_eq!(first, updates(7));
    assert_ne!(first, updates(8));
}

#[test]
fn every_kind_of_hpa_keeps_what_a_stricter_one_keeps() {
    let demo = small();
    for n in 0..3 {
        let case = demo.scan(n, &settings()).unwrap().case;
        let weights = |hpa: Hpa| (0..case.hu.len()).flat_map(|k| case.weights(k, hpa)).collect::<Vec<bool>>();
        let (off, source, region) = (weights(Hpa::Off), weights(Hpa::Source), weights(Hpa::SourceRegion));
        assert!(off.iter().all(|&w| w));
        let pairs = || source.iter().zip(&region);
        assert!(pairs().all(|(s, r)| *r || !*s), "source and region keeps what source alone keeps");
        assert!(pairs().any(|(s, r)| *r && !*s) && pairs().any(|(_, r)| !*r));
    }
}

#[test]
fn what_a_set_shows_without_outlining_is_contested() {
    let demo = small();
    let scans: Vec<_> = (0..demo.scans()).map(|n| demo.scan(n, &settings()).unwrap()).collect();
    let (training, held_out) = scans.split_at(demo.training_scans());
    let [apex, heart, dome, kidneys] = held_out[0].boundaries_mm;
    let at = |z_mm: f64, organ: Organ| evaluation::contested(z_mm, training)[organ.index()];
    // Head-and-neck scans alone show the skull, abdominal scans alone the lower belly.
    assert!(!at(apex + 150.0, Organ::BrainStem) && at(apex + 150.0, Organ::Liver));
    assert!(!at(kidneys - 50.0, Organ::KidneyLeft) && at(kidneys - 50.0, Organ::Heart));
    // Chest scans show half the liver, abdominal scans the base of the lungs, and neither outlines the other's.
    let between = dome - 20.0;
    assert!(between < heart && at(between, Organ::Liver) && at(between, Organ::LungLeft));
}
