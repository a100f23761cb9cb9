use attention_anatomy::dataset::Hpa;

use super::*;
use crate::worker::{LearnCommand, LearnEvent, LearnSettings, LearnUpdate};

fn start(run: u64) -> Command {
    let settings = LearnSettings { attention: true, hpa: Hpa::SourceRegion, seed: 7 };
    Command::Learn(LearnCommand::Start { run, settings })
}

/// Steps until the training says something; what it says.
fn news(rig: &mut Rig) -> LearnEvent {
    let events = rig.until(|e| matches!(e, Event::Learn(_)));
    let learn = events.into_iter().find_map(|e| if let Event::Learn(event) = e { Some(event) } else { None });
    learn.unwrap()
}

fn scans_made(rig: &mut Rig) -> (u64, usize) {
    match news(rig) {
        LearnEvent { run, update: LearnUpdate::Preparing { done, .. } } => (run, done),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_demo_training_runs_goes_on_is_started_anew_and_ends_when_asked() {
    let mut rig = Rig::new();
    rig.tell(start(1));
    assert_eq!(scans_made(&mut rig), (1, 1));
    rig.tell(Command::Learn(LearnCommand::Pause(true)));
    for _ in 0..20 {
        assert!(!rig.step().iter().any(|e| matches!(e, Event::Learn(_))));
    }
    rig.tell(Command::Learn(LearnCommand::Pause(false)));
    assert_eq!(scans_made(&mut rig), (1, 2));
    rig.tell(start(2));
    assert_eq!(scans_made(&mut rig), (2, 1));
    rig.tell(Command::Learn(LearnCommand::Stop));
    assert_eq!(news(&mut rig), LearnEvent { run: 2, update: LearnUpdate::Finished });
    for _ in 0..20 {
        assert!(!rig.step().iter().any(|e| matches!(e, Event::Learn(_))));
    }
}

#[test]
fn without_a_device_it_says_so() {
    let mut rig = Rig::new();
    rig.platform.state().device_error = Some("there is no device".into());
    rig.tell(start(4));
    assert_eq!(news(&mut rig), LearnEvent { run: 4, update: LearnUpdate::Failed("there is no device".into()) });
}
