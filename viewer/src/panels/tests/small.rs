//! The panels on a telephone and a tablet, and by keyboard alone.

use attention_anatomy::formats::dicom::{Repair, person_name};
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::{Desk, Window, click, reads, sample, sees};
use crate::display::Form;
use crate::document::Question;
use crate::panels::{Sheet, Tab};
use crate::worker::{AboutScan, DoubtfulOrgan, OpenQuestion, SeriesEntry, StructureFormat};

fn screen<'a>(desk: impl Into<Desk>, size: [f32; 2]) -> Window<'a> {
    let show = |ui: &mut egui::Ui, desk: &mut Desk| desk.show(ui);
    let mut harness = Harness::builder().with_size(size).build_ui_state(show, desk.into());
    harness.run_steps(8);
    harness
}

/// What can be pressed on screen and is smaller than a finger, with its size.
fn too_small(window: &Window<'_>) -> Vec<(String, egui::Rect)> {
    let pressed = [Role::Button, Role::CheckBox, Role::RadioButton, Role::ColorWell, Role::DisclosureTriangle];
    let screen = window.ctx.content_rect();
    let small = |rect: &egui::Rect| rect.height() < 39.5 || rect.width() < 39.5;
    let nodes = window.root().children_recursive().filter(|n| pressed.contains(&n.accesskit_node().role()));
    let named = nodes.map(|n| (n.accesskit_node().label().unwrap_or_default(), n.rect()));
    // What is scrolled half out of sight is no smaller for that, but its rectangle may be.
    named.filter(|(_, rect)| screen.contains_rect(*rect) && small(rect)).collect()
}

#[test]
fn on_small_screens_panels_come_as_sheets_and_a_finger_hits_every_button() {
    for size in [[390.0, 844.0], [844.0, 390.0], [820.0, 1180.0]] {
        let mut window = screen(sample::bench(), size);
        assert_eq!(window.state().view.form == Form::Tablet, size[0] == 820.0);
        let views = window.ctx.content_rect();
        assert!(!sees(&window, "Liver, ") && sees(&window, "Open organs"), "{size:?}: {views:?}");
        assert_eq!(too_small(&window), [], "{size:?}");
        for (name, text) in [
            ("Open organs", "Liver, "),
            ("Open attention", "Attention of liver"),
            ("Open correct", "Undo"),
            ("Open along body", "Slice along the body"),
            ("Open tools", "Window preset"),
        ] {
            click(&mut window, name);
            window.run_steps(4);
            assert!(sees(&window, text), "{size:?}: {name}");
            assert_eq!(too_small(&window), [], "{size:?}: {name}");
        }
        assert!(!sees(&window, "Liver, "), "one sheet at a time");
        click(&mut window, "Close panel");
        assert!(window.state().panels.arrangement.sheet.is_none() && !sees(&window, "Window preset"));
        assert!(reads(&window, "Not a medical device"));
    }
}

/// What is drawn beyond the left or right edge of the screen, with its place.
fn cut_off(window: &Window<'_>) -> Vec<(String, egui::Rangef)> {
    let width = window.ctx.content_rect().x_range();
    let shown = window.root().children_recursive().filter(|n| !n.accesskit_node().is_hidden());
    let named = shown.filter_map(|n| {
        let node = n.accesskit_node();
        Some((node.label().or_else(|| node.value())?, n.rect().x_range()))
    });
    named.filter(|(_, x)| x.min < width.min - 0.5 || x.max > width.max + 0.5).collect()
}

#[test]
fn dialogs_have_room_on_a_telephone() {
    for size in [[390.0, 844.0], [390.0, 640.0], [844.0, 390.0]] {
        let mut window = screen(sample::bench(), size);
        let reach = |window: &Window<'_>, name: &str| {
            let screen = window.ctx.content_rect();
            assert_eq!(cut_off(window), [], "{size:?}: {name}");
            let button = window.get_by_label(name).rect();
            assert!(screen.contains_rect(button), "{size:?}: {name} lies at {button:?} of {screen:?}");
        };
        window.state_mut().panels.arrangement.export = Some(StructureFormat::StructureSet);
        window.run_steps(4);
        reach(&window, "Save the file");
        click(&mut window, "Cancel");

        let organ = |label: u8, name: &str, doubts: &[&str]| DoubtfulOrgan {
            label,
            organ: name.into(),
            volume_ml: 1480.0,
            median_hu: 60.0,
            doubts: doubts.iter().map(|d| (*d).to_string()).collect(),
        };
        let doubts = ["too large (at most about 20 ml)", "on the patient's right", "below all other organs"];
        let organs = vec![organ(5, "Eye left", &doubts), organ(13, "Submandibular gland left", &[])];
        let problem =
            "slices are missing (1 in all, at 3.000 mm between slices): 1 between z = 435.25 and 441.25 mm".to_string();
        let series = SeriesEntry {
            description: "Thorax 6.0 B70f lung, reconstructed for the second reader".into(),
            modality: "CT".into(),
            number: Some(3),
            size: [40, 512, 512],
            spacing: Some([0.977, 0.977, 2.5]),
            kernel: "B70f".into(),
            problem: Some(problem.clone()),
            repairable: true,
            best: Some("its slices form a volume, its slices are thin".into()),
            picture_size: [2, 2],
            picture: vec![0, 90, 180, 255],
        };
        for (question, button) in [
            (OpenQuestion::Names { name: "theirs.nii.gz".into(), organs }, "The names are right"),
            (OpenQuestion::Repair { problem, repair: Repair::FillGaps }, "Interpolate them"),
            (OpenQuestion::Structures(vec!["Structures of a rather long name (14)".into(); 3]), "None of them"),
            (OpenQuestion::Series(vec![series.clone(), series]), "Cancel"),
        ] {
            window.state_mut().question = Some(Question::Opening { job: 1, question });
            window.run_steps(4);
            reach(&window, button);
        }
    }
}

#[test]
fn a_network_learns_on_a_telephone_without_a_scan() {
    let mut bench = sample::bench();
    bench.document.study = None;
    let mut window = screen(bench, [390.0, 844.0]);
    click(&mut window, "Open learn");
    let arrangement = &window.state().panels.arrangement;
    assert!(arrangement.sheet == Some(Sheet::Side) && arrangement.tab == Tab::Learn && arrangement.has_board());
    click(&mut window, "Close panel");
    assert!(!window.state().panels.arrangement.has_board(), "the start screen comes back");
}

#[test]
fn whose_scan_it_is_stands_above_the_views_until_it_is_hidden() {
    let mut window = screen(sample::bench(), [1280.0, 720.0]);
    assert!(reads(&window, "neck-to-abdomen.nii.gz"));
    click(&mut window, "Hide patient");
    assert!(window.state().preferences.hide_patient);
    assert!(!reads(&window, "neck-to-abdomen.nii.gz") && reads(&window, "is hidden"));
    click(&mut window, "Show patient");
    assert!(reads(&window, "neck-to-abdomen.nii.gz"));
}

/// Names as long as they may be (PN, PS3.5 6.2: 64 characters a component group, three groups), and a number as long as one (LO).
fn about(patient: &str, id: &str) -> Box<AboutScan> {
    let patient = person_name(patient);
    let said = ["1952-03-17", "F", "2024-02-29", "Thorax routine with contrast", "Thorax 3.0 B31f", "HFS"];
    let [birth_date, sex, study_date, study, series, position] = said.map(String::from);
    Box::new(AboutScan { patient, id: id.into(), birth_date, sex, study_date, study, series, position, window: None })
}

#[test]
fn however_long_a_name_is_number_and_dates_are_read_whole_beside_it() {
    let (latin, kanji, kana) = ("Wolfeschlegelsteinhausen^".repeat(3), "\u{6771}".repeat(64), "\u{304b}".repeat(64));
    let three = format!("{}={kanji}={kana}", &latin[..64]);
    let number = "0123456789".repeat(7);
    for size in [[390.0, 844.0], [844.0, 390.0], [1280.0, 720.0], [3840.0, 2160.0]] {
        for (patient, id) in [
            ("Yamada^Tarou", "007"),
            (&latin[..64], "MRN-00123456"),
            (&"\u{6771}".repeat(64), "MRN-00123456"),
            (&three, "MRN-00123456"),
            (&three, &number[..64]),
            ("", "MRN-00123456"),
        ] {
            let mut window = screen(sample::bench(), size);
            // Which fonts a system has is another question: a box stands for what none of them can draw.
            window.ctx.set_missing_glyph_policy(egui::MissingGlyphPolicy::Tofu);
            window.run_steps(2);
            let said = about(patient, id);
            let name = said.patient.clone();
            window.state_mut().study.as_mut().unwrap().about = Some(said);
            window.run_steps(8);
            let wanted = [format!("ID {id}"), "born 1952-03-17".into(), "studied 2024-02-29".into()];
            let switch = window.get_by_label("Hide patient").rect();
            let texts =
                window.root().children_recursive().filter_map(|n| Some((n.accesskit_node().value()?, n.rect())));
            let line: Vec<_> =
                texts.filter(|(_, rect)| rect.top() < switch.bottom() + 60.0 && rect.bottom() > switch.top()).collect();
            let font = egui::TextStyle::Body.resolve(&window.ctx.global_style());
            for text in &wanted {
                let (_, rect) = line
                    .iter()
                    .find(|(value, _)| value == text)
                    .unwrap_or_else(|| panic!("{size:?}: {text} of {line:?}"));
                let whole = window.ctx.fonts_mut(|fonts| {
                    fonts.layout(text.clone(), font.clone(), egui::Color32::WHITE, rect.width() + 1.0)
                });
                assert!(
                    whole.size().y <= rect.height() + 0.5 && whole.size().x <= rect.width() + 0.5,
                    "{size:?}: {text} at {rect:?}"
                );
                assert!(
                    window.ctx.content_rect().contains_rect(*rect) && !rect.intersects(switch),
                    "{size:?}: {text} at {rect:?}"
                );
                for (other, at) in line.iter().filter(|(other, _)| other != text) {
                    assert!(!at.shrink(0.5).intersects(rect.shrink(0.5)), "{size:?}: {other} lies over {text}");
                }
            }
            // What gives way is there for whoever points at it, or hears it.
            assert!(name.is_empty() || line.iter().any(|(value, _)| value.starts_with(&name)), "{size:?}: {line:?}");
        }
    }
}

#[test]
fn what_has_the_keyboard_is_in_sight_wherever_it_was_scrolled_to() {
    let mut window = screen(sample::bench(), [1280.0, 720.0]);
    let mut outside = Vec::new();
    for _ in 0..160 {
        window.key_press(egui::Key::Tab);
        window.run_steps(30);
        let Some(id) = window.ctx.memory(|memory| memory.focused()) else { continue };
        let Some(focused) = window.ctx.read_response(id) else { continue };
        if !window.ctx.content_rect().contains_rect(focused.rect) || !focused.interact_rect.is_positive() {
            let node = window.root().children_recursive().find(|n| n.accesskit_node().is_focused());
            outside.push((node.and_then(|n| n.accesskit_node().label()), focused.rect));
        }
    }
    assert_eq!(outside, []);
}
