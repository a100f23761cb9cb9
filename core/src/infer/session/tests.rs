use super::*;
use crate::anatomy::Organ;
use crate::network::NetworkConfig;
use crate::network::weights::{FORMAT_VERSION, TrainedOrgan};
use crate::preprocess::InputConfig;
use crate::testing::FakeEngine;
use crate::volume::{Geometry, Modality, Volume};

const SLICES: usize = 9;
/// The slice with a piece apart.
const APART: usize = 7;
const N: usize = 60;

fn input() -> InputConfig {
    InputConfig { crop: 64, ..InputConfig::light() }
}

/// A body with a bright rod through all slices and a piece apart from it in one.
fn ct() -> Arc<CtVolume> {
    let geometry = Geometry::axial([N, N, SLICES], [3.0, 3.0, 3.0], [-88.5, -88.5, 10.0]).unwrap();
    let mut voxels = Vec::new();
    for k in 0..SLICES {
        for y in 0..N {
            for x in 0..N {
                let mm = |v: usize| v as f64 * 3.0 - 88.5;
                let rod = (35..46).contains(&x) && (18..25).contains(&y);
                let apart = k == APART && (15..20).contains(&x) && (35..40).contains(&y);
                voxels.push(match (mm(x).hypot(mm(y)) < 75.0, rod || apart) {
                    (false, _) => -1000,
                    (true, true) => 600,
                    (true, false) => 0,
                });
            }
        }
    }
    Arc::new(Volume::from_stored(geometry, voxels, Modality::Ct).unwrap())
}

fn engine() -> FakeEngine {
    FakeEngine::new(input(), Organ::Liver, (input().intensity(0.0) + input().intensity(600.0)) / 2.0)
}

fn engine_that(change: impl FnOnce(&mut FakeEngine)) -> FakeEngine {
    let mut engine = engine();
    change(&mut engine);
    engine
}

fn info() -> ModelInfo {
    let organ = |organ: Organ, enabled: bool| TrainedOrgan {
        organ,
        patients: 1,
        source: Vec::new(),
        validation_dice: None,
        validation_patients: 0,
        enabled,
    };
    ModelInfo {
        format: FORMAT_VERSION,
        name: "tiny".into(),
        network: NetworkConfig { base: 4, levels: 3, stack: 5, attention: true },
        input: input(),
        trained_organs: vec![organ(Organ::Liver, true), organ(Organ::Heart, false)],
        data: Vec::new(),
        held_out: Vec::new(),
        gauge: None,
        steps: 1,
        note: String::new(),
    }
}

fn request(cleanup: bool) -> SegmentationRequest {
    SegmentationRequest {
        weights: WeightsUsed { name: "light".into(), sha256: "00".into(), info: info() },
        device: "first".into(),
        device_notes: Vec::new(),
        inputs: vec!["ct".into()],
        enabled: OrganSet::ALL,
        cleanup,
        assume_hu: false,
        run: RunOptions { first: Some(0), ..RunOptions::default() },
        seconds: vec![("read".into(), 1.5)],
    }
}

fn session(request: SegmentationRequest) -> SegmentationSession {
    SegmentationSession::new(ModelSlices::new(ct(), &input()).unwrap(), request)
}

/// Feeds and polls until nothing is left to do, as a window does.
fn fed(session: &mut SegmentationSession, engine: &mut FakeEngine) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..1000 {
        messages.extend(session.feed(engine));
        match engine.poll(Wait::No) {
            Some(result) if session.owns(result.ticket) => messages.extend(session.accept(engine, result)),
            Some(_) => {}
            None if session.under_way() == 0 => return messages,
            None => {}
        }
    }
    panic!("it does not end");
}

/// The labels of all slices.
fn whole(session: &SegmentationSession) -> Vec<u8> {
    assert!(session.labels(SLICES).is_empty());
    (0..SLICES).flat_map(|slice| session.labels(slice)).collect()
}

fn labelled(labels: &[u8], slice: usize) -> usize {
    labels[slice * N * N..(slice + 1) * N * N].iter().filter(|&&label| label != 0).count()
}

#[test]
fn waiting_for_it_and_feeding_it_between_other_work_end_in_the_same_labels_and_record() {
    let mut steps = Vec::new();
    let waited = session(request(true)).finish(&mut engine(), |done, of| steps.push((done, of))).unwrap();
    assert_eq!((steps.first(), steps.last()), (Some(&(1, SLICES)), Some(&(SLICES, SLICES))));

    let mut fed_one = session(request(true));
    let messages = fed(&mut fed_one, &mut engine_that(|engine| (engine.slow, engine.depth) = (2, 2)));
    assert!(matches!(messages.last(), Some(Message::Finished)) && fed_one.is_complete() && !fed_one.wants_engine());
    assert!(labelled(&whole(&fed_one), APART) > labelled(&whole(&fed_one), APART - 1));
    assert_eq!(fed_one.clean_up(), [APART], "only there was a piece apart");
    assert_eq!(whole(&fed_one), waited.labels.voxels);

    let (a, b) = (waited.provenance, fed_one.into_provenance());
    assert_eq!(a.slices(), b.slices());
    assert_eq!((a.removed, a.done, a.slices().len()), (b.removed, b.done, SLICES));
    assert_eq!(a.removed, 25, "5 x 5 voxels");
    let stages = |p: &Provenance| p.seconds.iter().map(|s| s.0.clone()).collect::<Vec<_>>();
    assert_eq!((stages(&a), stages(&b)), (vec!["read".into(), "segment".into(), "clean up".into()], stages(&a)));
    assert_eq!(a.run_info().warnings, b.run_info().warnings);
}

#[test]
fn without_the_clean_up_the_piece_apart_stays() {
    let raw = session(request(false)).finish(&mut engine(), |_, _| {}).unwrap();
    assert_eq!(labelled(&raw.labels.voxels, APART), labelled(&raw.labels.voxels, 0) + 25);
    assert_eq!((raw.provenance.removed, raw.provenance.run_info().options[0].1.as_str()), (0, "off"));
}

/// Of a rod of nine slices one is a near thing: a ninth of its voxels, and a little less for the piece that is taken away later.
#[test]
fn the_doubtful_share_of_an_organ_is_that_of_the_slices_in_which_it_only_just_won() {
    let doubt = |cleanup: bool, doubt: bool| {
        let mut asked = request(cleanup);
        asked.run.doubt = doubt;
        session(asked).finish(&mut engine_that(|engine| engine.unsure_at = Some(2)), |_, _| {}).unwrap()
    };
    let raw = doubt(false, true);
    let [one, all] = [labelled(&raw.labels.voxels, 2), raw.labels.voxels.iter().filter(|&&l| l != 0).count()];
    assert!(one > 50 && all == 9 * one + 25, "{one} of {all}");
    let wanted = Some(one as f64 / all as f64);
    assert_eq!([raw.doubt.share(Organ::Liver), doubt(true, true).doubt.share(Organ::Liver)], [wanted; 2]);
    assert_eq!(raw.doubt.share(Organ::Heart), None);
    assert_eq!(doubt(true, false).doubt.share(Organ::Liver), None, "nobody asked");
}

#[test]
fn a_device_that_is_lost_leaves_what_was_done_and_a_record_that_says_how_much() {
    let mut session = session(request(true));
    let messages = fed(&mut session, &mut engine_that(|engine| engine.fails_at = Some(4)));
    assert!(matches!(messages.last(), Some(Message::Failed(EngineError::DeviceLost(_)))));
    assert!(labelled(&whole(&session), 3) > 0 && labelled(&whole(&session), 4) == 0);
    let info = session.into_provenance().run_info();
    assert_eq!(info.warnings, [format!("only 4 of {SLICES} slices were segmented")]);
}

#[test]
fn another_device_takes_over_and_both_are_named() {
    let (mut first, mut second) = (engine_that(|engine| engine.slow = 100), engine());
    let mut session = session(request(true));
    session.feed(&mut first);
    assert_eq!(session.under_way(), 1);
    session.change_device("second", &["the first stopped working twice".into()], 0);
    assert!(matches!(fed(&mut session, &mut second).last(), Some(Message::Finished)));
    let mut all = second.submitted.clone();
    all.sort_unstable();
    assert_eq!(all, (0..SLICES).collect::<Vec<_>>());
    let info = session.into_provenance().run_info();
    assert_eq!((info.device.as_str(), info.warnings[0].contains("stopped")), ("first, then second", true));
}

#[test]
fn nothing_starts_while_it_is_held_and_a_cancel_ends_it_all_the_same() {
    let mut engine = engine();
    let asked = request(true);
    let cancel = asked.run.cancel.clone();
    let mut session = session(asked);
    session.hold(true);
    assert!(fed(&mut session, &mut engine).is_empty() && engine.submitted.is_empty() && !session.wants_engine());
    session.hold(false);
    session.feed(&mut engine);
    assert_eq!(engine.submitted.len(), 1);
    session.hold(true);
    cancel.store(true, Ordering::Relaxed);
    assert!(matches!(fed(&mut session, &mut engine).last(), Some(Message::Cancelled)));
    assert_eq!(engine.submitted.len(), 1);
}

#[test]
fn who_cancels_while_it_is_waited_for_gets_no_labels() {
    let asked = request(true);
    let cancel = asked.run.cancel.clone();
    let ended = session(asked).finish(&mut engine(), |done, _| cancel.store(done == 2, Ordering::Relaxed));
    assert!(matches!(ended, Err(SegmentationError::Cancelled)));
}

/// The record says that the labels are cleaned up: they are, however late a cancel comes.
#[test]
fn a_cancel_after_the_last_slice_does_not_leave_labels_that_are_not_what_the_record_says() {
    let asked = request(true);
    let cancel = asked.run.cancel.clone();
    let mut session = session(asked);
    fed(&mut session, &mut engine());
    cancel.store(true, Ordering::Relaxed);
    assert_eq!(session.clean_up(), [APART]);
    assert_eq!(session.into_provenance().removed, 25);
}

#[test]
fn a_choice_of_organs_is_what_the_weights_have_learned() {
    let info = info();
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        OrganChoice::Named(&names).organs(&info)
    };
    let set = |organs: &[Organ]| organs.iter().copied().collect::<OrganSet>();
    assert_eq!(OrganChoice::Usual.organs(&info), Ok(set(&[Organ::Liver])));
    assert_eq!(OrganChoice::All.organs(&info), Ok(set(&[Organ::Liver, Organ::Heart])));
    assert_eq!(named(&["heart", "Liver"]), Ok(set(&[Organ::Liver, Organ::Heart])));
    assert_eq!(named(&["spleen"]), Err(ChoiceError::NotLearned(Organ::Spleen)));
    assert!(named(&["hart"]).unwrap_err().to_string().contains("`hart` is not one of the 33 organs"));
    let none = ModelInfo { trained_organs: Vec::new(), ..info.clone() };
    assert_eq!(OrganChoice::Usual.organs(&none), Err(ChoiceError::NothingOn));
}
