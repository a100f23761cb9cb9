use attention_anatomy::anatomy::Organ;
use attention_anatomy::dataset::Hpa;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

use super::record::{TrainingState, label};
use crate::panels::tests::Desk;
use crate::worker::{
    Command, Event, LearnAnswer, LearnCommand, LearnEvaluation, LearnEvent, LearnPlan, LearnSettings, LearnSlice,
    LearnUpdate,
};

const SIDE: usize = 8;
const TITLES: [&str; 6] = ["Head", "Neck", "Upper chest", "Chest", "Upper abdomen", "Abdomen"];

fn plan() -> LearnPlan {
    let mut truth = vec![0; SIDE * SIDE];
    truth[9] = Organ::Liver.label();
    let slice = |title: &&str| LearnSlice {
        title: title.to_string(),
        image: vec![90; SIDE * SIDE],
        truth: truth.clone(),
        regions: [0.0, 0.0, 0.3, 0.7, 0.0],
    };
    LearnPlan {
        device: "a test device".into(),
        phases: vec![("regions".into(), 10), ("all losses".into(), 30)],
        scans: 15,
        parameters: 1234,
        size: [SIDE, SIDE],
        slices: TITLES.iter().map(slice).collect(),
    }
}

fn evaluation(step: u64, dice: f32) -> LearnEvaluation {
    let answer = LearnAnswer {
        labels: vec![Organ::Liver.label(); SIDE * SIDE],
        regions: Some([0.1, 0.1, 0.2, 0.5, 0.1]),
        attention: Some(std::array::from_fn(|c| if c < 10 { 0.01 } else { 0.9 })),
        dice: Some(dice),
    };
    LearnEvaluation {
        step,
        dice_outlined: Some(dice),
        dice_contested: Some(dice / 2.0),
        region_accuracy: Some(0.75),
        answers: vec![answer; TITLES.len()],
    }
}

fn tell(state: &mut Desk, run: u64, update: LearnUpdate) {
    state.panels.apply(Event::Learn(LearnEvent { run, update }));
}

fn teach(state: &mut Desk, run: u64, steps: u64) {
    tell(state, run, LearnUpdate::Preparing { done: 17, of: 17 });
    tell(state, run, LearnUpdate::Started(plan()));
    tell(state, run, LearnUpdate::Evaluation(evaluation(0, 0.02)));
    for step in 1..=steps {
        let losses = [(step > 10).then_some(0.9 - 0.01 * step as f32), None, Some(1.0 / step as f32)];
        tell(state, run, LearnUpdate::Step { step, losses });
        if step % 10 == 0 {
            tell(state, run, LearnUpdate::Evaluation(evaluation(step, 0.03 * step as f32)));
        }
    }
}

fn harness<'a>() -> Harness<'a, Desk> {
    Harness::builder().with_size([1280.0, 760.0]).build_ui_state(
        |ui, desk: &mut Desk| {
            egui::Panel::right("side").show(ui, |ui| desk.show_one(ui, |panels| &mut panels.side.learn));
            desk.panels.show_board(ui);
        },
        Desk::default(),
    )
}

#[test]
fn a_training_is_started_followed_held_and_ended_by_its_buttons() {
    let mut harness = harness();
    harness.get_by_label("Watch a network learn anatomy");
    harness.get_by_label("Attention vector").click();
    harness.get_by_label("background (HPA off)").click();
    harness.run();
    harness.get_by_label("Start").click();
    harness.run();
    let settings = LearnSettings { attention: false, hpa: Hpa::Off, seed: 7 };
    let sent = std::mem::take(&mut harness.state_mut().outbox.commands);
    let [Command::Learn(LearnCommand::Start { run, settings: asked })] = sent[..] else { panic!("{sent:?}") };
    assert_eq!(asked, settings);

    teach(harness.state_mut(), run, 20);
    harness.run_steps(3);
    harness.get_by_label("Chest, Network: Dice 60 %");
    harness.get_by_label("Neck, attention: 10 of 33 organs below 0.05");
    harness.get_by_label_contains("a test device");

    harness.get_by_label("Pause").click();
    harness.run_steps(3);
    assert_eq!(harness.state().panels.side.learn.state, TrainingState::Paused);
    harness.get_by_label("Go on").click();
    harness.run_steps(3);
    harness.get_by_label("Stop").click();
    harness.run_steps(3);
    let sent = std::mem::take(&mut harness.state_mut().outbox.commands);
    let asked: Vec<&Command> = sent.iter().collect();
    assert_eq!(
        asked,
        [
            &Command::Learn(LearnCommand::Pause(true)),
            &Command::Learn(LearnCommand::Pause(false)),
            &Command::Learn(LearnCommand::Stop)
        ]
    );
    tell(harness.state_mut(), run, LearnUpdate::Finished);
    harness.run();
    assert_eq!(harness.state().panels.side.learn.state, TrainingState::Over);
    harness.get_by_label("Start anew");
}

#[test]
fn the_last_run_stays_to_compare_with_and_late_news_change_nothing() {
    let mut state = Desk::default();
    state.panels.side.learn.start(1);
    teach(&mut state, 1, 30);
    tell(&mut state, 1, LearnUpdate::Finished);
    state.panels.side.learn.settings.attention = false;
    state.panels.side.learn.start(2);
    tell(&mut state, 1, LearnUpdate::Step { step: 31, losses: [None; 3] });
    assert!(state.panels.side.learn.current.is_none());
    teach(&mut state, 2, 5);
    let learn = &state.panels.side.learn;
    let (now, grey) = (learn.current.as_ref().unwrap(), learn.grey().unwrap());
    assert_eq!((now.done(), grey.done(), grey.evaluations.len()), (5, 30, 4));
    assert_eq!(label(&grey.settings), "attention, HPA by source and region");
    assert_eq!(label(&now.settings), "no attention, HPA by source and region");
    assert_eq!((now.phase(), now.total()), ("regions", 30));
    // The same settings again take the place of their own record.
    state.panels.side.learn.start(3);
    teach(&mut state, 3, 10);
    state.panels.side.learn.start(4);
    assert_eq!(state.panels.side.learn.earlier.len(), 2);
}

#[test]
fn a_failure_is_told_in_a_sentence() {
    let mut harness = harness();
    harness.state_mut().panels.side.learn.start(5);
    tell(harness.state_mut(), 5, LearnUpdate::Failed("the device is gone".into()));
    harness.run();
    harness.get_by_label("The training broke off: the device is gone");
}
