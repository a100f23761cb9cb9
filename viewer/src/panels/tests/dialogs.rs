//! The dialogs: what will be saved, and what is asked before something goes on.

use attention_anatomy::formats::dicom::Repair;
use attention_anatomy::volume::{CtVolume, Modality};

use super::*;
use crate::edit::{ByteSlices, Extra, NOT_EDITED};
use crate::worker::{
    DoubtfulOrgan, Export, Identifiers, OpenAnswer, OpenQuestion, Opened, SeriesEntry, StructureExport, StructureFormat,
};

/// A window on the sample with so many edited voxels of the stomach at its lower end, and a target of the user's.
fn edited_window<'a>() -> Window<'a> {
    let mut window = window(sample::bench());
    let [nx, ny, nz] = sample::SIZE;
    let mut codes = vec![NOT_EDITED; nx * ny * nz];
    codes[..30].fill(Organ::Stomach.label());
    let target = Extra { name: "PTV 60".into(), runs: vec![[500, 600]], edited: true, ..Extra::default() };
    let study = window.state_mut().study.as_mut().unwrap();
    study.labels.restore_edits(ByteSlices::cut(&codes, nx * ny), vec![target], true, "brush");
    while study.labels.advance(std::time::Duration::MAX) {}
    window.run_steps(2);
    commands(&mut window);
    window
}

fn exported(window: &mut Window<'_>) -> (StructureExport, ByteSlices, Vec<String>) {
    let mut sent = commands(window);
    match (sent.pop(), sent.len()) {
        (Some(Command::Export { what: Export::Structures(export), labels, notes, opened_from: None }), 0) => {
            (*export, labels, notes)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_structure_of_a_very_long_name_leaves_the_buttons_in_sight() {
    let mut window = window(sample::bench());
    let target = Extra { name: "PTV_high_risk_".repeat(9), runs: vec![[500, 600]], ..Extra::default() };
    window.state_mut().study.as_mut().unwrap().labels.open_extras(vec![target]);
    window.run_steps(2);
    click(&mut window, "Save");
    click(&mut window, "Labels, NRRD\u{2026}");
    window.run_steps(2);
    let screen = window.ctx.content_rect();
    for name in ["Save the file", "Cancel"] {
        let button = window.get_by_label(name).rect();
        assert!(screen.contains_rect(button), "{name}: {button:?}");
    }
}

#[test]
fn what_will_be_written_is_shown_before_it_is() {
    let mut window = edited_window();
    click(&mut window, "Save");
    click(&mut window, "Labels, NRRD\u{2026}");
    assert!(commands(&mut window).is_empty(), "nothing before Save");
    let place = |window: &Window<'_>| window.get_by_label("Save the file").rect();
    let before = place(&window);
    window.run_steps(20);
    assert_eq!(place(&window), before, "the button runs away from the mouse");
    for text in
        ["Save structures", "33, stomach", "edited", "reaches the lower end of the scan", "none of the 33 organs"]
    {
        assert!(reads(&window, text), "{text}");
    }
    window.check_accessibility();
    click(&mut window, "Save the file");
    let (export, labels, notes) = exported(&mut window);
    assert_eq!((export.format, labels.slice(0)[0]), (StructureFormat::Nrrd, Organ::Stomach.label()));
    assert!(export.organs.contains(Organ::Stomach) && export.edited.contains(Organ::Stomach));
    // What has no number in a label map comes beside it.
    assert_eq!(export.extras.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["PTV 60"]);
    assert!(export.beneath.is_some() && export.file_name.ends_with("labels.zip"), "{}", export.file_name);
    assert!(notes.iter().any(|n| n.contains("Edited by hand") && n.contains("stomach")), "{notes:?}");
    assert!(!reads(&window, "Save structures"), "closed");

    // Without it, the label map is the file.
    click(&mut window, "Save");
    click(&mut window, "Labels, NRRD\u{2026}");
    click(&mut window, "Write PTV 60");
    assert!(!reads(&window, "one zip archive"));
    click(&mut window, "Save the file");
    let (export, ..) = exported(&mut window);
    assert!(export.extras.is_empty() && export.file_name.ends_with("labels.nrrd"), "{}", export.file_name);

    click(&mut window, "Save");
    click(&mut window, "Session");
    assert!(window.state().outbox.tasks.is_empty());
    assert!(matches!(&commands(&mut window)[..], [Command::SaveSession { labels, .. }] if labels.extras.len() == 1));
}

#[test]
fn structures_for_planning_are_chosen_named_and_smoothed() {
    let mut window = edited_window();
    window.state_mut().panels.arrangement.export = Some(StructureFormat::StructureSet);
    window.run_steps(3);
    for text in ["Bone_Mandible", "PTV 60", "Not a medical device", "Label of the set"] {
        assert!(reads(&window, text) || sees(&window, text), "{text}");
    }
    click(&mut window, "Write Heart");
    click(&mut window, "smoothed");
    click(&mut window, "The outline of the body, too (BODY, of type EXTERNAL)");
    assert!(reads(&window, "structures and BODY are written"));
    click(&mut window, "Without the patient (de-identified)");
    click(&mut window, "Keep identifiers: it still opens on its CT");
    click(&mut window, "Save the file");
    let (export, ..) = exported(&mut window);
    assert!(!export.organs.contains(Organ::Heart) && export.organs.contains(Organ::Stomach));
    assert!(export.smooth && export.body && export.beneath.is_none() && export.label == "AI contours");
    assert_eq!(export.extras.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["PTV 60"]);
    // A file without its patient is not called after the study.
    assert_eq!((export.file_name.as_str(), export.deidentify), ("anonymous-structures.dcm", Some(Identifiers::Kept)));
    // Nothing chosen, nothing to save; and Escape closes.
    window.state_mut().panels.arrangement.export = Some(StructureFormat::Segmentation);
    window.run_steps(3);
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    assert!(!reads(&window, "Save structures") && commands(&mut window).is_empty());
}

#[test]
fn a_scan_that_is_no_dicom_series_is_offered_label_maps_only() {
    let mut window = edited_window();
    {
        let study = window.state_mut().study.as_mut().unwrap();
        study.ct = std::sync::Arc::new(CtVolume { modality: Modality::Unknown, ..(*study.ct).clone() });
    }
    window.state_mut().panels.arrangement.export = Some(StructureFormat::StructureSet);
    window.run_steps(3);
    assert!(reads(&window, "this scan is none"));
    click(&mut window, "Save the file");
    assert_eq!(exported(&mut window).0.format, StructureFormat::Nifti);
}

#[test]
fn a_run_asks_before_it_replaces_what_a_file_brought() {
    let mut window = window(sample::bench());
    let [nx, ny, nz] = sample::SIZE;
    let opened = Event::Opened {
        job: 1,
        what: Opened::Labels {
            name: "clinic.dcm".into(),
            labels: Some(ByteSlices::cut(&vec![Organ::Heart.label(); nx * ny * nz], nx * ny)),
            edits: None,
            extras: vec![Extra { name: "GTV".into(), runs: vec![[0, 40]], ..Extra::default() }],
            reference: false,
            warnings: Vec::new(),
        },
    };
    window.state_mut().apply(opened);
    let study = window.state_mut().study.as_mut().unwrap();
    while study.labels.advance(std::time::Duration::MAX) {}
    assert_eq!((study.labels.edited_voxels(), study.labels.opened_from()), (0, Some("clinic.dcm")));
    window.run_steps(3);
    assert!(sees(&window, "GTV, "));
    commands(&mut window);
    for (answer, runs) in [("Keep them", 0), ("Replace them", 1)] {
        window.state_mut().start_run();
        window.run_steps(3);
        assert!(reads(&window, "The labels on screen come from clinic.dcm") && commands(&mut window).is_empty());
        window.check_accessibility();
        click(&mut window, answer);
        let sent = commands(&mut window).into_iter().filter(|c| matches!(c, Command::Run(_))).count();
        assert_eq!(sent, runs, "{answer}");
    }
    // The network's own labels are replaced without a question.
    window.state_mut().start_run();
    window.run_steps(2);
    assert!(commands(&mut window).iter().any(|c| matches!(c, Command::Run(_))));
}

#[test]
fn values_that_are_no_hu_are_segmented_only_if_the_user_insists() {
    let mut window = window(sample::bench());
    for (answer, sent) in [("Do not segment", false), ("Segment all the same", true)] {
        window.state_mut().start_run();
        commands(&mut window);
        let run = window.state().run.number;
        window.state_mut().apply(Event::NotHu { run: run - 1, message: "late".into() });
        assert!(window.state().question.is_none());
        window.state_mut().apply(Event::NotHu { run, message: "the voxels do not look like CT in HU".into() });
        window.run_steps(3);
        assert!(reads(&window, "The voxels do not look like CT in HU."));
        click(&mut window, answer);
        let commands = commands(&mut window);
        let assumed = matches!(&commands[..], [Command::AssumeHu, Command::Run(_), ..]);
        assert_eq!(assumed, sent, "{commands:?}");
    }
}

#[test]
fn a_series_is_chosen_and_names_are_answered_by_buttons_with_names() {
    let mut window = window(Desk::default());
    window.state_mut().open(vec![Input::Sample], OpenAs::Whatever);
    let Some(Command::Open { job, .. }) = commands(&mut window).pop() else { panic!("no job") };
    let entry = |description: &str, best: Option<&str>, problem: Option<&str>| SeriesEntry {
        description: description.into(),
        modality: "CT".into(),
        number: Some(4),
        size: [212, 512, 512],
        spacing: Some([0.977, 0.977, 2.5]),
        kernel: "B30f".into(),
        problem: problem.map(Into::into),
        repairable: false,
        best: best.map(Into::into),
        picture_size: [2, 2],
        picture: vec![0, 90, 180, 255],
    };
    let series = vec![
        entry("Scout", None, Some("its slices form no volume")),
        entry("Thorax lung", None, None),
        entry("Thorax soft", Some("its kernel is soft"), None),
    ];
    window.state_mut().apply(Event::OpenAsks { job, question: OpenQuestion::Series(series) });
    window.run_steps(3);
    for text in
        ["4: Thorax soft", "212 slices of 512 x 512", "kernel B30f", "Suits best: its kernel is soft", "no volume"]
    {
        assert!(reads(&window, text), "{text}");
    }
    window.check_accessibility();
    click(&mut window, "Open series Scout");
    assert!(commands(&mut window).is_empty());
    click(&mut window, "Open series Thorax lung");
    assert_eq!(commands(&mut window), [Command::AnswerOpen { job, answer: OpenAnswer::Series(1) }]);

    let doubtful = |label: u8, doubts: &[&str]| DoubtfulOrgan {
        label,
        organ: "Eye left".into(),
        volume_ml: 1480.0,
        median_hu: 60.0,
        doubts: doubts.iter().map(|d| (*d).to_string()).collect(),
    };
    let question = OpenQuestion::Names {
        name: "theirs.nii".into(),
        organs: vec![doubtful(5, &["too large (at most about 20 ml)"]), doubtful(6, &[])],
    };
    for (name, answer) in
        [("Show without names", OpenAnswer::ByNumber), ("The names are right", OpenAnswer::NamesAreRight)]
    {
        window.state_mut().apply(Event::OpenAsks { job, question: question.clone() });
        window.run_steps(3);
        for text in ["Nothing in theirs.nii", "1 of 2 do not look like", "too large", "1480 ml"] {
            assert!(reads(&window, text), "{text}");
        }
        window.check_accessibility();
        click(&mut window, name);
        assert_eq!(commands(&mut window), [Command::AnswerOpen { job, answer }]);
    }
    for (repair, said, yes) in [
        (Repair::FillGaps, "Nobody has measured what is seen there", "Interpolate them"),
        (Repair::CorrectTilt, "Each slice can be shifted within its own plane", "Correct the tilt"),
    ] {
        let question = OpenQuestion::Repair { problem: "slices are missing (1 in all)".into(), repair };
        window.state_mut().apply(Event::OpenAsks { job, question });
        window.run_steps(3);
        assert!(reads(&window, "Slices are missing (1 in all).") && reads(&window, said));
        window.check_accessibility();
        click(&mut window, yes);
        assert_eq!(commands(&mut window), [Command::AnswerOpen { job, answer: OpenAnswer::Repair }]);
    }
    window.state_mut().apply(Event::OpenAsks { job, question: OpenQuestion::Structures(vec!["A".into(), "B".into()]) });
    window.run_steps(3);
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    assert_eq!((commands(&mut window), window.state().question.clone()), (vec![Command::CancelOpen], None));
}

#[test]
fn other_structures_are_listed_hidden_and_found() {
    let mut window = edited_window();
    assert!(sees(&window, "Other structures") || reads(&window, "Other structures"));
    window.get_by_label_contains("PTV 60, ").click_accesskit();
    window.run_steps(3);
    let number = window.state().study.as_ref().unwrap().labels.extras()[0].number;
    assert!(window.state().view.cursor[2] == 0 && window.state().view.shows_extra(number));
    click(&mut window, "Show PTV 60");
    assert!(!window.state().view.shows_extra(number));
}
