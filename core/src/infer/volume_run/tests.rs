use super::*;
use crate::anatomy::Organ;
use crate::preprocess::InputConfig;
use crate::testing::FakeEngine;
use crate::volume::{CtVolume, Geometry, Modality, Volume};

fn input() -> InputConfig {
    InputConfig { crop: 64, ..InputConfig::light() }
}

/// A body with a bright rod on the patient's left, running through all slices but the lowest `empty`.
fn ct(slices: usize, spacing: [f64; 3], empty: usize) -> Arc<CtVolume> {
    let n = (180.0 / spacing[0]) as usize;
    let geometry = Geometry::axial([n, n, slices], spacing, [-90.0, -90.0, 0.0]).unwrap();
    let mut voxels = Vec::new();
    for k in 0..slices {
        for y in 0..n {
            for x in 0..n {
                let mm = |v: usize| v as f64 * spacing[0] - 90.0;
                let body = mm(x).hypot(mm(y)) < 70.0 && k >= empty;
                let rod = (mm(x) - 30.0).abs() < 15.0 && (mm(y) + 20.0).abs() < 9.0;
                voxels.push(if !body {
                    -1000
                } else if rod {
                    600
                } else {
                    0
                });
            }
        }
    }
    Arc::new(Volume::from_stored(geometry, voxels, Modality::Ct).unwrap())
}

fn engine() -> FakeEngine {
    // Between the intensities of 0 and of 600 HU.
    let middle = (input().intensity(0.0) + input().intensity(600.0)) / 2.0;
    FakeEngine::new(input(), Organ::Liver, middle)
}

fn run(ct: &Arc<CtVolume>, engine: &mut FakeEngine, options: &RunOptions, wait: Wait) -> Vec<Message> {
    let mut run = VolumeRun::new(ModelSlices::new(ct.clone(), &input()).unwrap(), options);
    let mut messages = Vec::new();
    for _ in 0..100_000 {
        if run.is_over() {
            return messages;
        }
        messages.extend(run.advance(engine, wait));
    }
    panic!("the run does not end");
}

#[test]
fn the_asked_slice_comes_first_then_outwards_and_all_come_once() {
    let ct = ct(9, [3.0, 3.0, 3.0], 0);
    let mut engine = engine();
    let messages = run(&ct, &mut engine, &RunOptions { first: Some(6), ..Default::default() }, Wait::Yes);
    assert_eq!(engine.submitted, [6, 7, 5, 8, 4, 3, 2, 1, 0]);
    let mut seen: Vec<usize> = messages
        .iter()
        .filter_map(|m| if let Message::SliceDone { slice, .. } = m { Some(*slice) } else { None })
        .collect();
    assert_eq!(seen[0], 6);
    seen.sort_unstable();
    assert_eq!(seen, (0..9).collect::<Vec<_>>());
    assert!(matches!(messages.last(), Some(Message::Finished)));
    assert!(messages.iter().any(|m| matches!(m, Message::Progress { done: 9, total: 9 })));
}

#[test]
fn labels_lie_where_the_rod_is_left_on_the_left_on_thick_and_thin_slices() {
    for spacing in [[3.0, 3.0, 3.0], [1.0, 1.0, 1.0], [0.9, 0.9, 0.7], [4.0, 4.0, 5.0]] {
        let ct = ct(14, spacing, 0);
        let (mut count, mut sum) = (0.0, [0.0; 2]);
        for message in run(&ct, &mut engine(), &RunOptions::default(), Wait::Yes) {
            if let Message::SliceDone { slice, labels, .. } = message {
                let nx = ct.geometry.size[0];
                for (n, _) in labels.iter().enumerate().filter(|(_, l)| **l == Organ::Liver.label()) {
                    let p = ct.geometry.to_patient([(n % nx) as f64, (n / nx) as f64, slice as f64]);
                    count += spacing[0] * spacing[1];
                    sum[0] += p[0] * spacing[0] * spacing[1];
                    sum[1] += p[1] * spacing[0] * spacing[1];
                }
            }
        }
        let (x, y, area) = (sum[0] / count, sum[1] / count, count / 14.0);
        assert!((x - 30.0).abs() < 1.6 && (y + 20.0).abs() < 1.6, "{spacing:?}: centroid {x:.1} {y:.1} mm");
        assert!((area / 540.0 - 1.0).abs() < 0.25, "{spacing:?}: {area:.0} of 540 mm2");
    }
}

#[test]
fn thin_slices_are_run_every_third_and_still_all_labelled() {
    let ct = ct(10, [3.0, 3.0, 1.0], 0);
    let mut engine = engine();
    let messages = run(&ct, &mut engine, &RunOptions::default(), Wait::Yes);
    let mut run = engine.submitted.clone();
    run.sort_unstable();
    assert_eq!(run, [0, 3, 6, 9]);
    assert_eq!(messages.iter().filter(|m| matches!(m, Message::SliceDone { .. })).count(), 10);
    assert_eq!(messages.iter().filter(|m| matches!(m, Message::Anatomy(_))).count(), 4);
}

#[test]
fn after_a_cancel_no_slice_starts() {
    let ct = ct(20, [3.0, 3.0, 3.0], 0);
    let options = RunOptions::default();
    let mut engine = engine();
    let mut run = VolumeRun::new(ModelSlices::new(ct, &input()).unwrap(), &options);
    for _ in 0..5 {
        run.advance(&mut engine, Wait::Yes);
    }
    options.cancel.store(true, Ordering::Relaxed);
    let started = engine.submitted.len();
    let mut last = Vec::new();
    while !run.is_over() {
        last = run.advance(&mut engine, Wait::Yes);
    }
    assert_eq!(engine.submitted.len(), started);
    assert!(matches!(last.last(), Some(Message::Cancelled)));
}

#[test]
fn a_slow_engine_never_blocks_a_caller_that_does_not_wait() {
    let ct = ct(4, [3.0, 3.0, 3.0], 0);
    let mut engine = engine();
    engine.slow = 50;
    let mut run = VolumeRun::new(ModelSlices::new(ct, &input()).unwrap(), &RunOptions::default());
    let empty = (0..40).filter(|_| run.advance(&mut engine, Wait::No).is_empty()).count();
    assert_eq!(empty, 40, "forty frames pass while the first slice is computed");
    let mut messages = Vec::new();
    while !run.is_over() {
        messages.extend(run.advance(&mut engine, Wait::No));
    }
    assert!(matches!(messages.last(), Some(Message::Finished)));
}

#[test]
fn a_failing_device_ends_the_run_with_what_was_done() {
    let ct = ct(8, [3.0, 3.0, 3.0], 0);
    let mut engine = engine();
    engine.fails_at = Some(2);
    let messages = run(&ct, &mut engine, &RunOptions { first: Some(4), ..Default::default() }, Wait::Yes);
    assert!(matches!(messages.last(), Some(Message::Failed(EngineError::DeviceLost(_)))));
    assert!(messages.iter().filter(|m| matches!(m, Message::SliceDone { .. })).count() >= 3);
}

#[test]
fn results_of_a_run_that_was_given_up_never_reach_the_next_patient() {
    let mut engine = engine();
    engine.depth = 2;
    let bright = ct(8, [3.0, 3.0, 3.0], 0);
    let mut given_up = VolumeRun::new(ModelSlices::new(bright, &input()).unwrap(), &RunOptions::default());
    given_up.advance(&mut engine, Wait::Yes);
    drop(given_up);
    // The next patient has no rod at all.
    let mut plain = Volume::clone(&ct(8, [3.0, 3.0, 3.0], 0));
    plain.voxels.iter_mut().for_each(|v| *v = (*v).min(0));
    let messages = run(&Arc::new(plain), &mut engine, &RunOptions::default(), Wait::Yes);
    assert!(matches!(messages.last(), Some(Message::Finished)));
    for message in messages {
        if let Message::SliceDone { labels, .. } = message {
            assert!(labels.iter().all(|&l| l == 0));
        }
    }
}

#[test]
fn slices_without_a_body_are_background_and_never_computed() {
    let ct = ct(12, [3.0, 3.0, 3.0], 5);
    let mut engine = engine();
    let messages = run(&ct, &mut engine, &RunOptions::default(), Wait::Yes);
    assert!(engine.submitted.iter().all(|&k| k >= 5) && engine.submitted.len() == 7);
    for message in messages {
        if let Message::SliceDone { slice, labels, .. } = message {
            assert_eq!(labels.contains(&30), slice >= 5);
        }
    }
}

#[test]
fn a_slice_that_comes_on_screen_comes_next_and_then_outwards_from_it() {
    let ct = ct(12, [3.0, 3.0, 3.0], 0);
    let mut engine = engine();
    let slices = ModelSlices::new(ct, &input()).unwrap();
    let mut run = VolumeRun::new(slices, &RunOptions { first: Some(2), ..Default::default() });
    for _ in 0..3 {
        run.advance(&mut engine, Wait::Yes);
    }
    run.focus(10);
    while !run.is_over() {
        run.advance(&mut engine, Wait::Yes);
    }
    assert_eq!(engine.submitted, [2, 3, 1, 10, 11, 9, 8, 7, 6, 5, 4, 0]);
}

#[test]
fn an_explanation_gives_the_margin_and_what_attention_took_away() {
    for spacing in [[3.0, 3.0, 3.0], [3.0, 3.0, 1.0]] {
        let ct = ct(7, spacing, 0);
        let liver = Organ::Liver.index();
        let explained = |attention: f32| {
            let mut engine = engine();
            engine.attention[liver] = attention;
            let options = RunOptions { explain: true, ..Default::default() };
            let messages = run(&ct, &mut engine, &options, Wait::Yes);
            let of = |m| match m {
                Message::SliceDone { slice, labels, explanation, .. } => Some((slice, (labels, explanation.unwrap()))),
                _ => None,
            };
            messages.into_iter().filter_map(of).collect::<BTreeMap<_, _>>()
        };
        let (open, shut) = (explained(1.0), explained(0.01));
        assert_eq!((open.len(), shut.len()), (7, 7));
        for (k, (labels, explanation)) in &open {
            let area = labels.iter().filter(|&&l| l == Organ::Liver.label()).count() as u32;
            assert!(area > 20);
            assert_eq!(explanation.removed, Some([0; ORGAN_COUNT]));
            // In the rod 0.9 against 0.1, far from it 1 against 0.
            let middle = labels.iter().zip(&explanation.margin).filter(|(l, _)| **l != 0).map(|(_, m)| *m).max();
            assert_eq!((middle, explanation.margin[0]), (Some(204), 255));
            let (without, explanation) = &shut[k];
            assert!(without.iter().all(|&l| l == 0));
            assert_eq!(explanation.removed.unwrap()[liver], area);
            assert_eq!(explanation.removed.unwrap().iter().sum::<u32>(), area);
        }
    }
}

#[test]
fn another_engine_takes_over_what_the_first_had_under_way() {
    let ct = ct(6, [3.0, 3.0, 3.0], 0);
    let (mut first, mut second) = (engine(), engine());
    first.depth = 2;
    let mut run =
        VolumeRun::new(ModelSlices::new(ct, &input()).unwrap(), &RunOptions { first: Some(0), ..Default::default() });
    run.advance(&mut first, Wait::Yes);
    run.advance(&mut first, Wait::Yes);
    assert_eq!(first.submitted, [0, 1, 2]);
    run.restart_in_flight();
    run.focus(0);
    while !run.is_over() {
        run.advance(&mut second, Wait::Yes);
    }
    assert_eq!(second.submitted, [2, 3, 4, 5]);
}

#[test]
fn who_wants_all_slices_gets_the_same_many_at_a_time() {
    for spacing in [[3.0, 3.0, 3.0], [3.0, 3.0, 1.0]] {
        let ct = ct(17, spacing, 2);
        let whole = |at_once: usize, fails_at: Option<usize>| {
            let mut engine = engine();
            (engine.at_once, engine.fails_at) = (at_once, fails_at);
            let options = RunOptions { doubt: true, ..Default::default() };
            let mut run = VolumeRun::new(ModelSlices::new(ct.clone(), &input()).unwrap(), &options);
            run.want_as_a_whole();
            let mut messages = run.advance(&mut engine, Wait::Yes);
            assert_eq!(engine.submitted.len(), at_once);
            while !run.is_over() {
                messages.extend(run.advance(&mut engine, Wait::Yes));
            }
            let last = messages.pop().unwrap();
            let of = |m| match m {
                Message::SliceDone { slice, labels, doubt, .. } => Some((slice, (labels, doubt))),
                _ => None,
            };
            let (all, done) = (messages.len(), messages.into_iter().filter_map(of).collect::<BTreeMap<_, _>>());
            (engine.submitted, done, all, last)
        };
        let (one, four) = (whole(1, None), whole(4, None));
        assert!(one.1.len() == 17 && matches!((&one.3, &four.3), (Message::Finished, Message::Finished)));
        assert_eq!((&four.0, &four.1), (&one.0, &one.1));
        assert!(four.2 < one.2, "progress is said once for all that come together");
        // What came with a slice that failed, before it, is kept.
        let failed = whole(4, Some(one.0[2]));
        assert!(matches!(failed.3, Message::Failed(EngineError::DeviceLost(_))));
        assert!(!failed.1.is_empty() && failed.1.iter().all(|(slice, done)| one.1[slice] == *done));
    }
}
