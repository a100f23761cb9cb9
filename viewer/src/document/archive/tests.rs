use super::*;
use crate::document::bench::Bench;
use crate::edit::samples::ct;
use crate::session::CtKey;
use crate::worker::{Event, Opened};

const CONFIG: &str = r#"{"archives": [
    {"name": "Ours", "root": "/dicom-web", "writes": ["RTSTRUCT"]},
    {"name": "Named", "root": "https://archive.example/dicom-web"},
    {"name": "Other", "root": "https://other.example/dicom-web"}
]}"#;

fn bench() -> Bench {
    let mut bench = Bench::default();
    bench.archives.sources = sources_of(CONFIG, "https://page.example", &[]).0;
    bench
}

fn asked(bench: &mut Bench) -> (u64, Access, ArchiveCommand) {
    match std::mem::take(&mut bench.outbox.commands).pop() {
        Some(Command::Archive { number, access, what }) => (number, access, what),
        other => panic!("{other:?}"),
    }
}

fn answer(bench: &mut Bench, number: u64, answer: ArchiveAnswer) {
    bench.apply(Event::Archive { number, answer });
}

fn row(uid: &str, modality: &str) -> SeriesRow {
    SeriesRow { uid: uid.into(), modality: modality.into(), instances: Some(80), ..SeriesRow::default() }
}

fn follow(bench: &mut Bench, studies: &str, series: &str) {
    bench.archives.link = Link::of(studies, series);
    let Bench { document, outbox } = bench;
    document.follow_link(outbox);
}

/// The series that are being opened.
fn opening(bench: &Bench) -> Vec<String> {
    match bench.opening.as_ref().map(|opening| opening.inputs.as_slice()) {
        Some([Input::Archive(series)]) => series.series.clone(),
        other => panic!("{other:?}"),
    }
}

fn opened(bench: &mut Bench) {
    let job = bench.opening.as_ref().unwrap().job;
    let ct = ct([2; 3], [1.0; 3]);
    let what = Opened::Ct { name: "Ours".into(), key: CtKey::of(&ct), ct, about: None, labels_follow: false };
    bench.apply(Event::Opened { job, what });
}

#[test]
fn a_page_speaks_to_the_origins_that_its_policy_names_and_to_no_other() {
    let allowed = ["https://archive.example".to_owned()];
    let (sources, refused) = sources_of(CONFIG, "https://page.example", &allowed);
    assert_eq!(sources.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["Ours", "Named"]);
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("cargo xtask web --connect https://other.example"), "{}", refused[0]);
    assert!(sources[0].takes(StructureFormat::StructureSet) && !sources[0].takes(StructureFormat::Segmentation));
    assert!(sources[1].writes.is_empty(), "nothing may be written where nothing is said");
    assert_eq!(sources_of(CONFIG, "https://other.example", &[]).0.len(), 2);
    for wrong in ["", "[]", r#"{"archives": [{"name": "x", "root": "ftp://a"}]}"#, r#"{"archives": [], "token": "x"}"#]
    {
        let (sources, problems) = sources_of(wrong, "https://page.example", &[]);
        assert!(sources.is_empty() && problems.len() == 1 && problems[0].contains("it has to look like"), "{wrong}");
    }
}

#[test]
fn links_are_those_of_ohif() {
    let link = Link::of("1.2,1.3", "1.4").unwrap();
    assert_eq!((link.studies, link.series), (vec!["1.2".to_owned(), "1.3".into()], vec!["1.4".to_owned()]));
    assert_eq!(Link::of("", "1.4"), None);
}

#[test]
fn a_token_goes_to_whom_is_asked_and_is_shown_to_nobody() {
    let mut bench = bench();
    bench.archives.token = Token::of("very-secret");
    follow(&mut bench, "1.2", "");
    let (_, access, what) = asked(&mut bench);
    assert_eq!(access.authorization.as_deref(), Some("Bearer very-secret"));
    let shown = format!("{access:?} {what:?} {:?} {:?}", bench.document, bench.outbox);
    assert!(!shown.contains("very-secret"), "{shown}");
    assert!(!Token::of("two\nlines").is_some());
}

#[test]
fn nobody_is_asked_without_a_link_or_a_click() {
    let mut bench = bench();
    let Bench { document, outbox } = &mut bench;
    document.follow_link(outbox);
    assert!(bench.outbox.commands.is_empty() && !bench.archives.is_connected && bench.outbox.notices.is_empty());
    // A link without an archive says who can help.
    let mut bench = Bench::default();
    follow(&mut bench, "1.2", "");
    assert!(bench.outbox.commands.is_empty());
    assert!(bench.outbox.notices.iter().any(|notice| notice.text.contains("config.json")));
}

#[test]
fn a_link_opens_the_one_scan_of_its_study_and_asks_where_there_are_several() {
    let mut bench = bench();
    follow(&mut bench, "1.2", "");
    let (number, _, what) = asked(&mut bench);
    assert_eq!(what, ArchiveCommand::Series { study: "1.2".into() });
    let rows = vec![row("1", "SR"), row("2", "CT"), row("3", "SEG")];
    answer(&mut bench, number, ArchiveAnswer::Series { study: "1.2".into(), rows });
    assert_eq!(opening(&bench), ["2"]);
    assert!(!bench.archives.is_wanted);

    follow(&mut bench, "1.2", "");
    let (number, ..) = asked(&mut bench);
    let rows = vec![row("1", "CT"), row("2", "CT")];
    answer(&mut bench, number, ArchiveAnswer::Series { study: "1.2".into(), rows });
    assert!(bench.archives.is_wanted, "the user chooses");

    follow(&mut bench, "1.2", "5,6");
    assert_eq!(opening(&bench), ["5", "6"]);

    follow(&mut bench, "1.2", "");
    let (number, ..) = asked(&mut bench);
    answer(&mut bench, number, ArchiveAnswer::Failed("401".into()));
    assert!(bench.outbox.notices.iter().any(|notice| notice.text == "401"));
}

#[test]
fn what_was_drawn_on_a_scan_of_an_archive_is_offered_and_sent_back_to_it() {
    let mut bench = bench();
    follow(&mut bench, "1.2", "2");
    bench.outbox.commands.clear();
    opened(&mut bench);
    let origin = bench.study.as_ref().unwrap().origin.clone().unwrap();
    assert_eq!((origin.source.name.as_str(), origin.study.as_str()), ("Ours", "1.2"));
    let commands = std::mem::take(&mut bench.outbox.commands);
    let number =
        commands.iter().find_map(|c| if let Command::Archive { number, .. } = c { Some(*number) } else { None });
    let rows = vec![row("2", "CT"), row("3", "SEG"), row("4", "RTSTRUCT")];
    answer(&mut bench, number.unwrap(), ArchiveAnswer::Series { study: "1.2".into(), rows });
    assert_eq!(bench.structures_in_archive().len(), 2);

    let labels = bench.study.as_ref().unwrap().labels.layer().share();
    let Bench { document, outbox } = &mut bench;
    document.send_structures(vec![Export::StatisticsCsv], labels, Vec::new(), None, outbox);
    let (number, access, what) = asked(&mut bench);
    assert!(access.name == "Ours" && matches!(what, ArchiveCommand::Send { .. }));
    let file = SentFile { what: "SEG".into(), bytes: 1500, warnings: vec!["was changed".into()], is_told: true };
    answer(&mut bench, number, ArchiveAnswer::Sent(vec![file]));
    assert!(bench.archives.sending.is_none());
    let said: Vec<&str> = bench.outbox.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert!(said.contains(&"SEG (2 kB) sent, and kept by Ours") && said.contains(&"SEG: was changed"), "{said:?}");

    // A scan from elsewhere belongs to no archive.
    bench.open(vec![Input::Sample], OpenAs::Whatever);
    opened(&mut bench);
    assert!(bench.study.as_ref().unwrap().origin.is_none() && bench.structures_in_archive().is_empty());
}

#[test]
fn a_late_answer_to_an_older_question_changes_nothing() {
    let mut bench = bench();
    let page = Page { limit: 50, offset: 0 };
    let Bench { document, outbox } = &mut bench;
    document.list_studies(StudyQuery::default(), page, outbox);
    let (first, ..) = asked(&mut bench);
    let Bench { document, outbox } = &mut bench;
    document.list_studies(StudyQuery::default(), Page { offset: 50, ..page }, outbox);
    let (second, ..) = asked(&mut bench);
    answer(&mut bench, first, ArchiveAnswer::Failed("late".into()));
    assert!(bench.archives.problem.is_none() && bench.archives.is_busy());
    let rows = vec![StudyRow { uid: "1.2".into(), ..StudyRow::default() }; 50];
    answer(&mut bench, second, ArchiveAnswer::Studies { rows, skipped: 0 });
    let studies = bench.archives.studies.as_ref().unwrap();
    assert!(studies.page.offset == 50 && studies.may_go_on() && !bench.archives.is_busy());
}
