//! Tools that change labels, and undo. What a tool does is in [`crate::edit`].

mod combine;

use attention_anatomy::anatomy::{Organ, OrganSet};
use egui::{Key, KeyboardShortcut, Modifiers, Slider};

use super::context::{Context, Panel};
use super::widgets::voxels;
use crate::display::Tool;
use crate::edit::{AT_ONCE, Between, EditSettings, HU_LIMITS, OrganEdit, OrganTool, PaintOver, RADIUS_MM};
use crate::focus;
use crate::worker::Command;

const UNDO: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Z);
const REDO: [KeyboardShortcut; 2] = [
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z),
    KeyboardShortcut::new(Modifiers::COMMAND, Key::Y),
];

/// One press of a bracket makes the brush so much larger.
const RADIUS_STEP: f32 = 1.2;

/// The panel.
#[derive(Clone, Debug, Default)]
pub struct Correct {
    /// How the tools work.
    pub settings: EditSettings,
    /// The organ that the worker is working on.
    worked_on: Option<Organ>,
    /// Margins, unions and the like.
    combine: combine::Combine,
}

impl Panel for Correct {
    fn show(&mut self, ui: &mut egui::Ui, cx: &mut Context<'_>) {
        ui.heading("Correct");
        if cx.document.study.is_none() {
            ui.label("Open a CT to correct its labels.");
            return;
        }
        egui::ScrollArea::vertical().id_salt("correct").show(ui, |ui| {
            undo_redo(ui, cx);
            ui.separator();
            organ(ui, cx);
            tools(ui, cx, &mut self.settings);
            ui.separator();
            if let Some(tool) = actions(ui, cx, &mut self.settings) {
                self.act(cx, tool);
            }
            ui.separator();
            self.combine.show(ui, cx, self.settings.over);
            ui.separator();
            edited(ui, cx);
            focus::keep_in_sight(ui);
        });
    }

    fn update(&mut self, ctx: &egui::Context, cx: &mut Context<'_>) {
        shortcuts(ctx, cx);
        if cx.document.advance_edit() {
            ctx.request_repaint();
        }
        self.tell(cx);
    }
}

/// Undo, redo and the size of the brush from the keyboard, whatever tab is open.
fn shortcuts(ctx: &egui::Context, cx: &mut Context<'_>) {
    if ctx.text_edit_focused() {
        return;
    }
    let mut pressed = |shortcut: &KeyboardShortcut| ctx.input_mut(|i| i.consume_shortcut(shortcut));
    // With shift first: undo takes any further modifier.
    let redo = REDO.iter().any(&mut pressed);
    let undo = pressed(&UNDO);
    let brackets = ctx.input(|i| [Key::OpenBracket, Key::CloseBracket].map(|key| presses_of_bracket(i, key)));
    for (times, factor) in brackets.into_iter().zip([1.0 / RADIUS_STEP, RADIUS_STEP]) {
        (0..times).for_each(|_| resize(cx, factor));
    }
    if let Some(study) = cx.document.study.as_mut() {
        if redo {
            study.labels.redo();
        } else if undo {
            study.labels.undo();
        }
    }
}

/// How often a bracket was pressed: typed with AltGr or Option where it is no key of its own, or by the key that is in its
/// place, which is marked otherwise on most keyboards.
fn presses_of_bracket(input: &egui::InputState, bracket: Key) -> usize {
    let is_pressed = |event: &&egui::Event| match event {
        egui::Event::Key { key, physical_key, pressed: true, modifiers, .. } => {
            // AltGr comes as Ctrl and Alt.
            let typed = *key == bracket && (!modifiers.command || modifiers.alt);
            let in_its_place = *physical_key == Some(bracket) && !modifiers.command && !modifiers.alt;
            typed || in_its_place
        }
        _ => false,
    };
    input.events.iter().filter(is_pressed).count()
}

fn resize(cx: &mut Context<'_>, factor: f32) {
    cx.document.view.brush_radius_mm = (cx.document.view.brush_radius_mm * factor).clamp(RADIUS_MM[0], RADIUS_MM[1]);
}

fn undo_redo(ui: &mut egui::Ui, cx: &mut Context<'_>) {
    let Some(study) = cx.document.study.as_mut() else { return };
    let (undo, redo) = (study.labels.undo_name(), study.labels.redo_name());
    ui.horizontal(|ui| {
        let hint = |ui: &egui::Ui, shortcut: &KeyboardShortcut, name: Option<&str>| {
            let keys = ui.ctx().format_shortcut(shortcut);
            name.map_or(keys.clone(), |name| format!("{name} ({keys})"))
        };
        let undo_hint = hint(ui, &UNDO, undo);
        if ui.add_enabled(undo.is_some(), egui::Button::new("Undo")).on_hover_text(undo_hint).clicked() {
            study.labels.undo();
        }
        let redo_hint = hint(ui, &REDO[0], redo);
        if ui.add_enabled(redo.is_some(), egui::Button::new("Redo")).on_hover_text(redo_hint).clicked() {
            study.labels.redo();
        }
    });
}

fn organ(ui: &mut egui::Ui, cx: &mut Context<'_>) {
    organ_choice(ui, "Organ to work on", "organ", &mut cx.document.view.selected);
}

fn organ_choice(ui: &mut egui::Ui, label: &str, id: &str, chosen: &mut Option<Organ>) {
    let text = chosen.map_or("choose an organ", Organ::name);
    egui::ComboBox::new(("correct", id), label).selected_text(text).show_ui(ui, |ui| {
        for organ in Organ::ALL {
            ui.selectable_value(chosen, Some(organ), organ.name());
        }
    });
}

fn tools(ui: &mut egui::Ui, cx: &mut Context<'_>, edit: &mut EditSettings) {
    let view = &mut cx.document.view;
    ui.horizontal_wrapped(|ui| {
        let tools = [(Tool::Crosshair, "Look"), (Tool::Brush, "Brush"), (Tool::Eraser, "Eraser"), (Tool::Fill, "Fill")];
        for (tool, name) in tools {
            ui.selectable_value(&mut view.tool, tool, name);
        }
    });
    ui.add(
        Slider::new(&mut view.brush_radius_mm, RADIUS_MM[0]..=RADIUS_MM[1])
            .logarithmic(true)
            .text("radius, mm ([ and ])"),
    );
    ui.horizontal_wrapped(|ui| {
        ui.label("Work");
        ui.radio_value(&mut edit.three_d, false, "in the plane (2-D)");
        ui.radio_value(&mut edit.three_d, true, "in space (3-D)");
    });
    ui.horizontal_wrapped(|ui| {
        ui.label("Paint over");
        ui.radio_value(&mut edit.over, PaintOver::Background, "background only");
        ui.radio_value(&mut edit.over, PaintOver::Everything, "everything");
    });
    ui.checkbox(&mut edit.erase_all, "Eraser takes every organ (or hold Alt)");
    ui.checkbox(&mut edit.limit_hu, "Brush, eraser and fill only within a range of HU");
    if edit.limit_hu {
        hu_range(ui, edit);
    }
}

fn hu_range(ui: &mut egui::Ui, edit: &mut EditSettings) {
    let [low, high] = &mut edit.hu;
    ui.indent("hu", |ui| {
        if ui.add(Slider::new(low, HU_LIMITS[0]..=HU_LIMITS[1]).text("lowest HU")).changed() {
            *high = (*high).max(*low);
        }
        if ui.add(Slider::new(high, HU_LIMITS[0]..=HU_LIMITS[1]).text("highest HU")).changed() {
            *low = (*low).min(*high);
        }
    });
}

impl Correct {
    /// Uses a tool on an organ: at once where that takes a few milliseconds, in the worker otherwise.
    fn act(&mut self, cx: &mut Context<'_>, (organ, tool): (Organ, OrganTool)) {
        let Some(study) = cx.document.study.as_mut().filter(|study| !study.labels.is_busy()) else { return };
        study.what_if = None;
        let edit = OrganEdit { tool, organ, three_d: self.settings.three_d, over: self.settings.over };
        if study.labels.reach_of(organ) <= AT_ONCE {
            let changed = study.labels.perform(&edit);
            cx.outbox.notices.info(told(organ, changed));
            return;
        }
        let number = cx.outbox.next_number();
        study.labels.await_changes(number, edit.name());
        let labels = study.labels.snapshot_for(&edit);
        cx.outbox.send(Command::Edit { number, edit, labels });
        self.worked_on = Some(organ);
    }

    /// Says how much the worker's edit has changed, once it is over.
    fn tell(&mut self, cx: &mut Context<'_>) {
        let Some(study) = cx.document.study.as_mut() else {
            self.worked_on = None;
            return;
        };
        if study.labels.is_busy() {
            return;
        }
        // What others have begun is theirs to tell.
        let Some(organ) = self.worked_on.take() else { return };
        if let Some(changed) = study.labels.take_finished() {
            cx.outbox.notices.info(told(organ, changed));
        }
    }
}

fn told(organ: Organ, changed: usize) -> String {
    match changed {
        0 => format!("{organ}: there was nothing to change"),
        _ => format!("{organ}: {} changed", voxels(changed as u64)),
    }
}

/// The tools for an organ as a whole; the one that was clicked.
fn actions(ui: &mut egui::Ui, cx: &mut Context<'_>, settings: &mut EditSettings) -> Option<(Organ, OrganTool)> {
    let Some(organ) = cx.document.view.selected else {
        ui.label("Choose an organ to fill its holes, smooth it, outline it between slices and more.");
        return None;
    };
    let study = cx.document.study.as_ref()?;
    let (k, slices) = (cx.document.view.slice(), study.geometry().size[2]);
    let there = study.labels.voxel_count(organ) > 0 && !study.labels.is_busy();
    let mut chosen = None;
    ui.strong(format!("All of {organ}"));
    ui.add_enabled_ui(there, |ui| {
        ui.horizontal_wrapped(|ui| {
            let hint =
                "Outlines the organ on slices without it that lie between slices with it. Those stay as they are.";
            if ui.button("Interpolate gaps").on_hover_text(hint).clicked() {
                chosen = Some(OrganTool::Interpolate(Between::Gaps));
            }
            let hint = "Outlines the organ anew between the slices that you have edited. Those stay as they are.";
            if ui.button("Interpolate between edited slices").on_hover_text(hint).clicked() {
                chosen = Some(OrganTool::Interpolate(Between::Edited));
            }
            if ui.button("Keep largest piece").clicked() {
                chosen = Some(OrganTool::LargestComponent);
            }
            let hint = "Within each axial slice, or only what is enclosed in space, as chosen above.";
            if ui.button("Fill holes").on_hover_text(hint).clicked() {
                chosen = Some(OrganTool::FillHoles);
            }
        });
        let hint =
            "Rounds the surface and keeps the volume. What is thinner than the smoothing becomes thinner or goes.";
        if ui.button("Smooth").on_hover_text(hint).clicked() {
            chosen = Some(OrganTool::Smooth((1000.0 * settings.smooth_mm).round() as u32));
        }
        ui.add(Slider::new(&mut settings.smooth_mm, 0.5..=6.0).text("smoothing, mm"));
        ui.checkbox(&mut settings.this_slice, "Clear and reassign on this axial slice only");
        let range = if settings.this_slice { k..k + 1 } else { 0..slices };
        if ui.button("Clear").clicked() {
            chosen = Some(OrganTool::Reassign(None, range.clone()));
        }
        organ_choice(ui, "Reassign to", "reassign", &mut settings.reassign_to);
        let to = settings.reassign_to.filter(|to| *to != organ);
        if ui.add_enabled(to.is_some(), egui::Button::new("Reassign")).clicked() {
            chosen = Some(OrganTool::Reassign(to, range));
        }
    });
    chosen.map(|tool| (organ, tool))
}

fn edited(ui: &mut egui::Ui, cx: &mut Context<'_>) {
    let Some(study) = cx.document.study.as_mut() else { return };
    let (count, organs) = (study.labels.edited_voxels(), study.labels.edited_organs());
    ui.strong("Edited by hand");
    if count == 0 {
        ui.label("Nothing. What you edit here stays when the segmentation is run again.");
        return;
    }
    ui.label(format!("{}. A further run leaves them as they are.", voxels(count)));
    if organs != OrganSet::EMPTY {
        ui.horizontal_wrapped(|ui| {
            for organ in organs.iter() {
                let chosen = cx.document.view.selected == Some(organ);
                if ui.selectable_label(chosen, organ.name()).clicked() {
                    cx.document.view.selected = Some(organ);
                    if let Some(centre) = study.labels.centre(organ) {
                        cx.document.view.cursor = centre;
                    }
                }
            }
        });
    }
    let hint = "Shows what the network says in place of all edits, at once and after every run. Undo brings them back.";
    if ui.button("Discard edits").on_hover_text(hint).clicked() {
        study.labels.discard_edits();
    }
}

#[cfg(test)]
mod tests {
    use egui_kittest::Harness;
    use egui_kittest::kittest::Queryable;

    use super::*;
    use crate::document::Study;
    use crate::edit::samples::ct;
    use crate::panels::tests::Desk;
    use crate::worker::Event;

    fn harness() -> Harness<'static, Desk> {
        let mut state = Desk::default();
        let mut study = Study::of_ct(1, "sample".into(), ct([20, 20, 5], [1.0; 3]));
        let mut slice = vec![0; 400];
        for j in 5..10 {
            slice[20 * j + 5..20 * j + 10].fill(Organ::Liver.label());
        }
        slice[20 * 7 + 7] = 0;
        slice[20 * 15 + 15] = Organ::Liver.label();
        study.labels.apply_run_slice(2, &slice);
        state.study = Some(study);
        state.view.selected = Some(Organ::Liver);
        let app = |ui: &mut egui::Ui, desk: &mut Desk| desk.show_one(ui, |panels| &mut panels.side.correct);
        Harness::builder().with_size(egui::vec2(420.0, 900.0)).build_ui_state(app, state)
    }

    fn liver(harness: &Harness<'_, Desk>) -> u64 {
        harness.state().study.as_ref().unwrap().labels.voxel_count(Organ::Liver)
    }

    #[test]
    fn actions_change_the_selected_organ_and_keys_take_them_back() {
        let mut harness = harness();
        harness.run();
        assert_eq!(liver(&harness), 25);
        harness.get_by_label("Fill holes").click();
        harness.run();
        harness.get_by_label("Keep largest piece").click();
        harness.run();
        assert_eq!(liver(&harness), 25);
        harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
        harness.run();
        assert_eq!(liver(&harness), 26);
        harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
        harness.run();
        assert_eq!(liver(&harness), 25);
        harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
        harness.run();
        assert_eq!(liver(&harness), 26);
        harness.get_by_label("Undo").click();
        harness.run();
        harness.get_by_label("Redo").click();
        harness.run();
        assert_eq!(liver(&harness), 26);
        assert!(harness.state().outbox.notices.iter().any(|n| n.text == "Liver: 1 voxel changed"));
        harness.get_by_label("Discard edits").click();
        harness.run();
        assert_eq!(liver(&harness), 25);
    }

    #[test]
    fn brackets_size_the_brush_and_tools_are_chosen_by_name() {
        let mut harness = harness();
        harness.run();
        let radius = harness.state().view.brush_radius_mm;
        harness.key_press(Key::CloseBracket);
        harness.run();
        assert!((harness.state().view.brush_radius_mm / radius - RADIUS_STEP).abs() < 1e-5);
        for _ in 0..40 {
            harness.key_press(Key::OpenBracket);
            harness.run();
        }
        assert_eq!(harness.state().view.brush_radius_mm, RADIUS_MM[0]);
        // As German keyboards type it: AltGr and 8; and the key in its place, which is not a letter there.
        let sized = |harness: &mut Harness<'_, Desk>, key, physical_key, modifiers| {
            harness.state_mut().view.brush_radius_mm = 5.0;
            let (pressed, repeat) = (true, false);
            harness.event(egui::Event::Key { key, physical_key: Some(physical_key), pressed, repeat, modifiers });
            harness.run();
            harness.state().view.brush_radius_mm
        };
        let alt_gr = Modifiers::CTRL.plus(Modifiers::ALT).plus(Modifiers::COMMAND);
        assert!(sized(&mut harness, Key::OpenBracket, Key::Num8, alt_gr) < 5.0);
        assert!(sized(&mut harness, Key::Plus, Key::CloseBracket, Modifiers::NONE) > 5.0);
        assert_eq!(
            sized(&mut harness, Key::OpenBracket, Key::OpenBracket, Modifiers::COMMAND),
            5.0,
            "it is the browser's"
        );
        harness.get_by_label("Eraser").click();
        harness.run();
        harness.get_by_label("in space (3-D)").click();
        harness.run();
        assert_eq!((harness.state().view.tool, harness.state().panels.edit_settings().three_d), (Tool::Eraser, true));
    }

    #[test]
    fn without_a_study_the_panel_says_what_to_do() {
        let mut harness = Harness::new_ui_state(
            |ui, desk: &mut Desk| desk.show_one(ui, |panels| &mut panels.side.correct),
            Desk::default(),
        );
        harness.run();
        harness.get_by_label_contains("Open a CT");
    }

    #[test]
    fn a_large_organ_is_left_to_the_worker_and_the_window_does_not_wait() {
        let mut harness = harness();
        let (mut study, size) = (Study::of_ct(1, "large".into(), ct([128, 128, 40], [1.0; 3])), 128 * 128);
        for k in 2..38 {
            study.labels.apply_run_slice(k, &vec![Organ::Liver.label(); size]);
        }
        harness.state_mut().study = Some(study);
        let volume = 36 * size as u64;
        harness.run();
        harness.get_by_label("Clear").click();
        harness.run_steps(3);
        // Nobody answers, and nothing has happened but that somebody was asked.
        assert_eq!(liver(&harness), volume);
        let sent = std::mem::take(&mut harness.state_mut().outbox.commands);
        let [Command::Edit { number, edit, labels }] = &sent[..] else { panic!("{sent:?}") };
        harness.get_by_label("Clear").click();
        harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
        harness.run_steps(3);
        assert!(harness.state().outbox.commands.is_empty(), "one edit at a time");
        let ct = harness.state().study.as_ref().unwrap().ct.clone();
        let changes = labels.changes(ct, edit).unwrap();
        harness.state_mut().apply(Event::Edited { number: *number, changes });
        assert_eq!(liver(&harness), volume, "applied frame by frame");
        settle(&mut harness);
        assert_eq!(liver(&harness), 0);
        let told = format!("Liver: {} changed", voxels(volume));
        assert!(harness.state().outbox.notices.iter().any(|n| n.text == told));
        harness.get_by_label("Undo").click();
        harness.run_steps(2);
        settle(&mut harness);
        assert_eq!(liver(&harness), volume);
    }

    /// Frames until the edit is done.
    fn settle(harness: &mut Harness<'_, Desk>) {
        for _ in 0..1000 {
            harness.step();
            if !harness.state().study.as_ref().unwrap().labels.is_busy() {
                return harness.run_steps(2);
            }
        }
        panic!("the edit is never done");
    }
}
