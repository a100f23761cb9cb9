//! Studies of an archive: searched for, turned over, chosen by keyboard, opened; and structures that go back.

use attention_anatomy::dicomweb::{Page, SeriesRow, StudyQuery, StudyRow};
use egui::Key;

use super::*;
use crate::document::{Origin, Source, sources_of};
use crate::worker::{ArchiveAnswer, ArchiveCommand, Export, StructureFormat};

fn source() -> Source {
    let config = r#"{"archives": [{"name": "Ours", "root": "https://archive.example/dicom-web", "writes": ["RTSTRUCT", "SEG"]}]}"#;
    sources_of(config, "https://archive.example", &[]).0.remove(0)
}

#[track_caller]
fn asked(window: &mut Window<'_>) -> (u64, ArchiveCommand) {
    match commands(window).pop() {
        Some(Command::Archive { number, what, .. }) => (number, what),
        other => panic!("{other:?}"),
    }
}

fn answer(window: &mut Window<'_>, number: u64, answer: ArchiveAnswer) {
    window.state_mut().apply(Event::Archive { number, answer });
    window.run_steps(3);
}

fn studies(from: usize) -> ArchiveAnswer {
    let row = |n: usize| StudyRow {
        uid: format!("1.{n}"),
        patient_name: format!("Müller{n}^Jörg"),
        patient_id: format!("ID-{n}"),
        date: "20240131".into(),
        description: "Thorax".into(),
        ..StudyRow::default()
    };
    ArchiveAnswer::Studies { rows: (from..from + 50).map(row).collect(), skipped: 0 }
}

fn series(uid: &str, modality: &str, description: &str) -> SeriesRow {
    SeriesRow {
        uid: uid.into(),
        modality: modality.into(),
        description: description.into(),
        number: Some(2),
        instances: Some(80),
    }
}

#[test]
fn a_study_is_searched_for_turned_to_chosen_by_keyboard_and_opened() {
    let mut window = window(Bench::default());
    window.state_mut().archives.sources = vec![source()];
    window.state_mut().panels.arrangement.archive = Some(false);
    window.run_steps(3);
    assert!(commands(&mut window).is_empty(), "nothing is asked before somebody asks");
    assert!(reads(&window, "Ours"));
    window.get_by_label("Patient").focus();
    window.run_steps(2);
    window.get_by_label("Patient").type_text("mül");
    window.run_steps(2);
    click(&mut window, "Search");
    let (number, what) = asked(&mut window);
    let query = StudyQuery { patient_name: "*mül*".into(), ..StudyQuery::default() };
    assert_eq!(what, ArchiveCommand::Studies { query: query.clone(), page: Page { limit: 50, offset: 0 } });
    answer(&mut window, number, studies(0));
    assert!(sees(&window, "Müller7, Jörg, ID-7, 2024-01-31, Thorax"));
    window.check_accessibility();

    click(&mut window, "Studies after");
    let (number, what) = asked(&mut window);
    assert_eq!(what, ArchiveCommand::Studies { query, page: Page { limit: 50, offset: 50 } });
    answer(&mut window, number, studies(50));
    assert!(reads(&window, "51 to 100"));
    // From the top down, as long as nothing is typed.
    for _ in 0..2 {
        window.key_press(Key::ArrowDown);
        window.run_steps(2);
    }
    let (number, what) = asked(&mut window);
    assert_eq!(what, ArchiveCommand::Series { study: "1.51".into() });
    let rows = vec![series("1.2", "CT", "Thorax 3.0"), series("1.3", "SEG", "AI"), series("1.4", "SR", "Dose")];
    answer(&mut window, number, ArchiveAnswer::Series { study: "1.51".into(), rows });
    assert!(reads(&window, "Thorax 3.0"));
    window.check_accessibility();
    click(&mut window, "Open series Thorax 3.0");
    match commands(&mut window).pop() {
        Some(Command::Open { inputs, as_what: OpenAs::Whatever, .. }) => match inputs.as_slice() {
            [Input::Archive(series)] => {
                assert_eq!((series.study.as_str(), series.series.as_slice()), ("1.51", &["1.2".to_owned()][..]))
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
    assert!(!reads(&window, "Open from archive"), "its progress is what there is to see now");
    assert!(reads(&window, "Connected to Ours"));
}

#[test]
fn what_an_archive_refuses_stands_in_the_list() {
    let mut window = window(Bench::default());
    window.state_mut().archives.sources = vec![source()];
    window.state_mut().panels.arrangement.archive = Some(false);
    window.run_steps(3);
    click(&mut window, "Search");
    let (number, _) = asked(&mut window);
    answer(&mut window, number, ArchiveAnswer::Failed("it does not know who asks (401)".into()));
    assert!(reads(&window, "it does not know who asks (401)"));
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(!reads(&window, "Open from archive"));
}

#[test]
fn structures_are_sent_to_where_the_scan_came_from_after_it_was_shown() {
    let mut window = window(sample::bench());
    // A scan from elsewhere goes nowhere.
    window.state_mut().panels.arrangement.send = true;
    window.run_steps(3);
    assert!(!reads(&window, "Send to archive"));
    window.state_mut().archives.sources = vec![source()];
    window.state_mut().study.as_mut().unwrap().origin = Some(Origin { source: source(), study: "1.2".into() });
    window.state_mut().panels.arrangement.send = true;
    window.run_steps(3);
    for text in ["Send to archive", "To Ours (https://archive.example/dicom-web)", "Not a medical device"] {
        assert!(reads(&window, text), "{text}");
    }
    assert!(commands(&mut window).is_empty(), "nothing before Send");
    window.check_accessibility();
    click(&mut window, "Write Heart");
    click(&mut window, "Send to the archive");
    let (number, what) = asked(&mut window);
    let ArchiveCommand::Send { what, .. } = what else { panic!("{what:?}") };
    let formats: Vec<StructureFormat> = what
        .iter()
        .map(|what| match what {
            Export::Structures(export) => {
                assert!(!export.organs.contains(Organ::Heart) && export.deidentify.is_none());
                export.format
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(formats, [StructureFormat::StructureSet, StructureFormat::Segmentation]);
    answer(&mut window, number, ArchiveAnswer::Failed("the archive did not keep it".into()));
    assert!(reads(&window, "the archive did not keep it"));

    // One of the two.
    window.state_mut().panels.arrangement.send = true;
    window.run_steps(3);
    click(&mut window, "RTSTRUCT");
    click(&mut window, "Send to the archive");
    let (_, what) = asked(&mut window);
    assert!(matches!(what, ArchiveCommand::Send { what, .. } if what.len() == 1));
}
