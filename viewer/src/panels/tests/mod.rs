//! The panels, driven as a user drives them: by the names of their controls.

mod archive;
mod dialogs;
pub mod sample;
mod small;
mod what_if;

use std::ops::{Deref, DerefMut};

use attention_anatomy::anatomy::Organ;
use attention_anatomy::infer::DevicePreference;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

use super::{Context, Panel, Panels, Tab};
use crate::display::Overlay;
use crate::document::RunPhase;
use crate::document::bench::Bench;
use crate::worker::{Ask, Command, Event, Input, OpenAs};

/// The panels and what they work on, which can be reached as if it were this.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub bench: Bench,
    pub panels: Panels,
}

impl Deref for Desk {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

impl DerefMut for Desk {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.bench
    }
}

impl From<Bench> for Desk {
    fn from(bench: Bench) -> Self {
        Self { bench, panels: Panels::default() }
    }
}

impl Desk {
    pub fn show(&mut self, ui: &mut egui::Ui) {
        self.panels.show(ui, &mut self.bench.document, &mut self.bench.outbox);
    }

    /// Draws one panel alone.
    pub fn show_one(&mut self, ui: &mut egui::Ui, panel: impl FnOnce(&mut Panels) -> &mut dyn Panel) {
        let mut arrangement = std::mem::take(&mut self.panels.arrangement);
        let Bench { document, outbox } = &mut self.bench;
        let cx = &mut Context { document, outbox, arrangement: &mut arrangement };
        let panel = panel(&mut self.panels);
        panel.update(ui.ctx(), cx);
        panel.show(ui, cx);
        self.panels.arrangement = arrangement;
    }
}

type Window<'a> = Harness<'a, Desk>;

/// A window of the smallest size that must do.
fn window<'a>(desk: impl Into<Desk>) -> Window<'a> {
    let show = |ui: &mut egui::Ui, desk: &mut Desk| desk.show(ui);
    let mut harness = Harness::builder().with_size([1280.0, 720.0]).build_ui_state(show, desk.into());
    harness.run_steps(8);
    harness
}

/// Clicks what is named so, wherever it is scrolled to.
fn click(window: &mut Window<'_>, name: &str) {
    window.get_by_label(name).click_accesskit();
    window.run_steps(3);
}

fn sees(window: &Window<'_>, text: &str) -> bool {
    window.query_all_by_label_contains(text).next().is_some() || window.query_all_by_value(text).next().is_some()
}

/// Whether any label holds this text; labels are values to a screen reader.
fn reads(window: &Window<'_>, text: &str) -> bool {
    use egui_kittest::kittest::NodeT;
    let mut nodes = window.root().children_recursive();
    nodes.any(|n| n.accesskit_node().value().is_some_and(|v| v.contains(text)))
}

fn commands(window: &mut Window<'_>) -> Vec<Command> {
    std::mem::take(&mut window.state_mut().outbox.commands)
}

fn asks(window: &mut Window<'_>) -> Vec<Ask> {
    let asked = commands(window).into_iter().filter_map(|c| if let Command::Ask(ask) = c { Some(ask) } else { None });
    asked.collect()
}

#[test]
fn a_search_leaves_what_it_names() {
    let mut window = window(sample::bench());
    assert!(sees(&window, "Mandible, "));
    window.get_by_label("Search organs").focus();
    window.run_steps(2);
    window.get_by_label("Search organs").type_text("kidney");
    window.run_steps(3);
    assert!(sees(&window, "Kidney left, ") && sees(&window, "Kidney right, ") && !sees(&window, "Mandible, "));
    click(&mut window, "Clear search");
    assert!(sees(&window, "Mandible, "));
}

#[test]
fn the_list_begins_with_what_was_found_in_the_region_on_screen() {
    let mut window = window(sample::bench());
    let top = |window: &Window<'_>, name: &str| window.get_by_label_contains(name).rect().top();
    let mut at_heights = |slice: usize| {
        window.state_mut().view.cursor[2] = slice;
        window.run_steps(3);
        (top(&window, "Brain stem, "), top(&window, "Liver, "))
    };
    let (brain_stem, liver) = at_heights(31);
    assert!(liver < brain_stem, "{liver} {brain_stem}");
    let (brain_stem, liver) = at_heights(90);
    assert!(brain_stem < liver, "{liver} {brain_stem}");
    assert!(!sees(&window, "Larynx, "), "what was not found is put away");
}

#[test]
fn the_eye_hides_an_organ_and_the_target_leaves_it_alone() {
    let mut window = window(sample::bench());
    click(&mut window, "Show heart");
    assert!(!window.state().view.shows(Organ::Heart) && window.state().view.shows(Organ::Liver));
    click(&mut window, "Show heart");
    click(&mut window, "Only liver");
    assert!(!window.state().view.shows(Organ::Heart) && window.state().view.shows(Organ::Liver));
    click(&mut window, "Only liver");
    assert!(window.state().view.shows(Organ::Heart));
    click(&mut window, "Show all of upper abdomen");
    assert!(!window.state().view.shows(Organ::Liver) && window.state().view.shows(Organ::Heart));
    click(&mut window, "None");
    assert!(Organ::ALL.into_iter().all(|o| !window.state().view.shows(o)));
    click(&mut window, "All");
    assert!(Organ::ALL.into_iter().all(|o| window.state().view.shows(o)));
}

#[test]
fn a_click_on_an_organ_goes_to_its_centre() {
    let mut window = window(sample::bench());
    window.get_by_label_contains("Liver, ").click_accesskit();
    window.run_steps(3);
    let state = window.state();
    let study = state.study.as_ref().unwrap();
    assert_eq!(state.view.selected, Some(Organ::Liver));
    assert_eq!(study.labels.layer().get(state.view.cursor), Organ::Liver.label());
    assert_eq!(state.view.slice(), 31);
    let volume = format!("{:.0} ml", study.labels.volume_ml(Organ::Liver));
    assert!(reads(&window, &volume), "{volume}");
    click(&mut window, "Outline");
    assert!(!window.state().view.styles[Organ::Liver.index()].outline);
}

#[test]
fn what_the_weights_do_not_know_or_know_badly_is_said() {
    let mut window = window(sample::bench());
    // Put away until somebody asks for them, with their number.
    assert!(!sees(&window, "Pancreas, ") && !sees(&window, "Hypophysis, "));
    click(&mut window, "Not in these weights, 2 organs");
    assert!(sees(&window, "Pancreas, not in these weights"));
    click(&mut window, "Off: learned too weakly, 1 organ");
    assert!(sees(&window, "Hypophysis, off: never measured"));
    assert!(window.query_by_label("Show pancreas").is_none());
    assert!(reads(&window, "2 organs were learned too weakly"));
    commands(&mut window);
    click(&mut window, "Draw weak organs too");
    let sent = commands(&mut window);
    let enabled = sent.iter().find_map(|c| if let Command::Run(run) = c { Some(run.enabled) } else { None }).unwrap();
    assert!(enabled.contains(Organ::Hypophysis) && !enabled.contains(Organ::Pancreas));
}

/// Answers the first question about a slice, which is what the network says by its own attention.
fn answer_of_its_own(window: &mut Window<'_>, slice: usize, labels: &[u8]) {
    let asked = asks(window);
    let own = window.state().study.as_ref().unwrap().anatomy[slice].as_ref().unwrap().attention.unwrap();
    assert_eq!(asked.iter().map(|ask| (ask.slice, ask.attention)).collect::<Vec<_>>(), [(slice, own)]);
    window.state_mut().apply(Event::Answer { number: asked[0].number, slice, labels: labels.to_vec() });
    window.run_steps(8);
}

#[test]
fn a_body_that_lies_upside_down_is_warned_of() {
    let mut state = sample::bench();
    let study = state.study.as_mut().unwrap();
    let count = study.anatomy.len();
    for k in 0..count {
        let height = 1.0 - (k as f64 + 0.5) / count as f64;
        study.anatomy[k].as_mut().unwrap().regions = sample::regions(height);
    }
    let window = window(state);
    assert!(reads(&window, "The regions run the wrong way"));
    assert!(!reads(&self::window(sample::bench()), "The regions run the wrong way"));
}

#[test]
fn a_slice_without_a_likely_region_is_warned_of() {
    let mut state = sample::bench();
    state.study.as_mut().unwrap().anatomy[48].as_mut().unwrap().regions = [0.3, 0.25, 0.25, 0.1, 0.1];
    assert!(reads(&window(state), "No region is likely on this slice (head 0.30"));
}

#[test]
fn the_least_certain_slice_is_listed_first_and_one_click_away() {
    let mut window = window(sample::bench());
    window.run_steps(30);
    click(&mut window, &format!("Go to uncertain slice {}", sample::UNCERTAIN + 1));
    assert_eq!(window.state().view.slice(), sample::UNCERTAIN);
    commands(&mut window);
    click(&mut window, "Show removed voxels");
    assert_eq!(window.state().view.overlay, Overlay::RemovedByAttention);
    let labels = window.state().study.as_ref().unwrap().labels.layer().slice(sample::UNCERTAIN).to_vec();
    answer_of_its_own(&mut window, sample::UNCERTAIN, &labels);
    let without = |ask: &Ask| ask.slice == sample::UNCERTAIN && ask.attention == [1.0; 33];
    assert!(asks(&mut window).iter().any(without), "the picture needs what the network says without attention");
    click(&mut window, "Show uncertainty");
    assert_eq!(window.state().view.overlay, Overlay::Uncertainty);
}

#[test]
fn the_run_is_held_gone_on_with_and_cancelled() {
    let mut window = window(sample::bench());
    commands(&mut window);
    click(&mut window, "Run the segmentation again");
    let sent = commands(&mut window);
    let run = sent.iter().find_map(|c| if let Command::Run(run) = c { Some(run.clone()) } else { None }).unwrap();
    assert_eq!((run.first, run.enabled.contains(Organ::Pancreas)), (48, false));
    window.state_mut().apply(Event::Progress { run: run.run, done: 24, total: 96 });
    window.run_steps(2);
    assert!(reads(&window, "24 of 96"));
    click(&mut window, "Pause the run");
    assert_eq!((commands(&mut window), &window.state().run.phase), (vec![Command::Pause(true)], &RunPhase::Paused));
    click(&mut window, "Go on with the run");
    assert_eq!(commands(&mut window), [Command::Pause(false)]);
    click(&mut window, "Cancel the run");
    assert_eq!(commands(&mut window), [Command::CancelRun]);
    window.state_mut().apply(Event::RunCancelled { run: run.run });
    window.run_steps(2);
    assert!(reads(&window, "stopped at 24 of 96"));
}

#[test]
fn a_large_scan_asks_first_and_goes_on_with_what_was_asked_for() {
    let mut window = window(Desk::default());
    window.state_mut().open(vec![Input::Sample], OpenAs::Whatever);
    let Some(Command::Open { job, even_if_large: false, .. }) = commands(&mut window).pop() else { panic!("no job") };
    window.state_mut().apply(Event::OpenProgress { job, step: "Unpacking".into(), part: Some(0.4) });
    window.run_steps(2);
    assert!(reads(&window, "Unpacking"));
    window.state_mut().apply(Event::OpenLarge { job, bytes: 3_100_000_000 });
    window.run_steps(2);
    assert!(reads(&window, "about 3.1 GB of memory"));
    click(&mut window, "Go on");
    let again = Command::Open { job, inputs: vec![Input::Sample], as_what: OpenAs::Whatever, even_if_large: true };
    assert_eq!(commands(&mut window), [again]);
    click(&mut window, "Cancel opening");
    assert_eq!(commands(&mut window), [Command::CancelOpen]);
    window.state_mut().apply(Event::OpenProgress { job, step: "late".into(), part: None });
    assert!(window.state().opening.is_none());
}

#[test]
fn errors_stay_until_they_are_closed_and_confirmations_go_by_themselves() {
    let mut state = sample::bench();
    state.outbox.notices.error("The file is cut short.");
    state.outbox.notices.info("saved labels.nii.gz");
    let mut window = window(state);
    assert!(reads(&window, "The file is cut short.") && reads(&window, "saved labels.nii.gz"));
    window.run_steps(40);
    assert!(reads(&window, "The file is cut short.") && !reads(&window, "saved labels.nii.gz"));
    click(&mut window, "Close error 1");
    assert!(window.state().outbox.notices.is_empty() && !reads(&window, "The file is cut short."));
}

#[test]
fn the_device_is_changed_in_the_menu_that_names_it() {
    let mut window = window(sample::bench());
    commands(&mut window);
    click(&mut window, "Model and device");
    assert!(reads(&window, "CPU (2 threads)"));
    click(&mut window, "GPU");
    assert_eq!(commands(&mut window), [Command::UseDevice(DevicePreference::Gpu)]);
    assert_eq!(window.state().model.preference, DevicePreference::Gpu);
}

#[test]
fn the_tour_is_offered_once_and_shows_what_it_speaks_of() {
    let mut state = Desk::from(sample::bench());
    state.preferences.tour_seen = false;
    state.panels.arrangement.hidden = super::Hidden { organs: true, along_body: true, side: true };
    state.view.selected = Some(Organ::Heart);
    let mut window = window(state);
    click(&mut window, "Take the tour");
    assert!(window.state().preferences.tour_seen);
    click(&mut window, "Next");
    assert!(!window.state().panels.arrangement.hidden.along_body && reads(&window, "Where in the body?"));
    click(&mut window, "Next");
    click(&mut window, "Next");
    assert_eq!(
        (window.state().panels.arrangement.tab, window.state().view.selected),
        (Tab::Attention, Some(Organ::Liver))
    );
    assert!(window.state().view.slice() > 80);
    // The bar that is to be dragged is in sight, between what stands above the bars and below them.
    window.run_steps(20);
    let [above, bar, below] =
        ["Attention off", "Attention of liver", "Show removed voxels"].map(|name| window.get_by_label(name).rect());
    assert!(above.bottom() <= bar.top() && bar.bottom() <= below.top(), "{above:?} {bar:?} {below:?}");
    commands(&mut window);
    click(&mut window, "Next");
    assert_eq!(asks(&mut window).len(), 1);
    click(&mut window, "Next");
    click(&mut window, "Next");
    assert_eq!(window.state().view.overlay, Overlay::Uncertainty);
    click(&mut window, "Done");
    assert_eq!((window.state().view.overlay, window.state().view.selected), (Overlay::None, Some(Organ::Heart)));
    assert!(!window.state().wish.is_on() && !reads(&window, "How sure is it?"));
}

#[test]
fn the_strip_goes_to_slices_by_keyboard() {
    let mut window = window(sample::bench());
    let name = "Slice along the body, 49 of 96";
    window.get_by_label(name).increment_accesskit();
    window.run_steps(2);
    assert_eq!(window.state().view.slice(), 49);
    window.get_by_label_contains("Slice along the body").focus();
    window.run_steps(2);
    window.key_press(egui::Key::PageDown);
    window.run_steps(2);
    assert_eq!(window.state().view.slice(), 39);
    // And to organs, each named with its slice.
    window.key_press(egui::Key::ArrowRight);
    window.run_steps(2);
    assert_eq!(window.state().view.selected, Some(Organ::BrainStem));
    window.get_by_label_contains("Slice along the body, 40 of 96; attention: Brain stem 0.");
    window.key_press(egui::Key::ArrowLeft);
    window.run_steps(2);
    window.state_mut().view.selected = Some(Organ::Heart);
    window.run_steps(2);
    window.key_press(egui::Key::ArrowRight);
    window.run_steps(2);
    assert_eq!(window.state().view.selected, Some(Organ::LungLeft));
    let value = window.state().study.as_ref().unwrap().anatomy[39].as_ref().unwrap().attention.unwrap();
    let told = format!("Lung left {}, slice 40", super::scale::number(value[Organ::LungLeft.index()]));
    assert!(reads(&window, &told), "{told}");
}

#[test]
fn the_strip_names_the_organ_and_the_slice_that_are_pointed_at() {
    let mut window = window(sample::bench());
    let strip = window.get_by_label_contains("Slice along the body").rect();
    // The heat map takes the right 0.6 of it, a column for each organ.
    let x = strip.left() + strip.width() * (0.4 + 0.6 * (Organ::Liver.index() as f32 + 0.5) / 33.0);
    window.hover_at(egui::pos2(x, strip.center().y));
    window.run_steps(2);
    assert!(reads(&window, "Liver 0."), "the organ under the mouse");
    assert!(reads(&window, ", slice 4"), "and the slice");
}

#[test]
fn a_question_mark_shows_the_shortcuts() {
    let mut window = window(Desk::default());
    window.event(egui::Event::Text("?".into()));
    window.run_steps(3);
    assert!(window.state().panels.arrangement.help && reads(&window, "black for white"));
    window.key_press(egui::Key::Escape);
    window.run_steps(2);
    assert!(!window.state().panels.arrangement.help);
}

#[test]
fn escape_closes_what_lies_on_top_and_control_s_saves() {
    let mut window = window(sample::bench());
    window.state_mut().panels.arrangement.tour = true;
    window.run_steps(2);
    window.state_mut().panels.arrangement.help = true;
    window.run_steps(2);
    let escape = |window: &mut Window<'_>| {
        window.key_press(egui::Key::Escape);
        window.run_steps(2);
        (window.state().panels.arrangement.help, reads(window, "What the network sees"))
    };
    assert_eq!(escape(&mut window), (false, true));
    click(&mut window, "View");
    assert_eq!(escape(&mut window), (false, true), "the menu was open");
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::S);
    window.run_steps(3);
    assert!(reads(&window, "Save structures"));
    assert_eq!(escape(&mut window), (false, true), "the dialog was open");
    assert!(!reads(&window, "Save structures"));
    assert_eq!(escape(&mut window), (false, false));
}

#[test]
fn every_control_has_a_name_in_every_state() {
    let mut states = vec![Desk::default(), sample::bench().into()];
    for tab in Tab::ALL {
        let mut state = Desk::from(sample::bench());
        state.panels.arrangement.tab = tab;
        state.preferences.dark = false;
        state.view.selected = Some(Organ::Liver);
        state
            .outbox
            .notices
            .warn("A warning that is long enough to wrap over two lines of a card that is not very wide at all.");
        states.push(state);
    }
    for state in states {
        let mut window = window(state);
        window.check_accessibility();
        for menu in ["Open", "Save", "View", "Help", "Model and device", "Window preset", "Overlay"] {
            click(&mut window, menu);
            window.check_accessibility();
            click(&mut window, menu);
        }
    }
}

#[test]
fn the_views_keep_their_room_in_a_small_window() {
    for size in [[1280.0, 720.0], [1024.0, 768.0]] {
        let left = std::cell::Cell::new(egui::Rect::NOTHING);
        let draw = |ui: &mut egui::Ui, desk: &mut Desk| {
            desk.show(ui);
            left.set(ui.available_rect_before_wrap());
        };
        let mut window: Window<'_> = Harness::builder().with_size(size).build_ui_state(draw, sample::bench().into());
        window.run_steps(3);
        let views = left.get();
        assert!(views.width() > 300.0 && views.height() > 500.0, "{views:?}");
    }
}
