//! The line of tools.

use egui::{ComboBox, Ui};

use super::super::context::Context;
use super::super::icons::Icon;
use super::super::widgets::icon_button;
use crate::display::{Form, Layout, Overlay, Tool, WINDOW_PRESETS};

const LAYOUTS: [(Layout, Icon, &str); 3] = [
    (Layout::OneBig, Icon::OneBig, "One view large"),
    (Layout::ThreeUp, Icon::ThreeUp, "Three views alike"),
    (Layout::Single, Icon::Single, "One view alone"),
];

/// Tools, their names, and what the left mouse button does with them.
const TOOLS: [(Tool, Icon, &str, &str); 8] = [
    (Tool::Crosshair, Icon::Crosshair, "Crosshair", "Click or drag to move it"),
    (Tool::WindowLevel, Icon::Contrast, "Window and level", "Drag across for the window, up and down for the level"),
    (Tool::Pan, Icon::Hand, "Move the picture", "Drag"),
    (Tool::Ruler, Icon::Ruler, "Ruler", "Drag a distance"),
    (Tool::Roi, Icon::Ellipse, "HU in an ellipse", "Drag an ellipse for mean and deviation"),
    (Tool::Brush, Icon::Brush, "Brush", "Paint the chosen organ"),
    (Tool::Eraser, Icon::Eraser, "Eraser", "Erase labels"),
    (Tool::Fill, Icon::Bucket, "Fill", "Fill an enclosed area with the chosen organ"),
];

fn overlay_name(overlay: Overlay) -> &'static str {
    match overlay {
        Overlay::None => "No overlay",
        Overlay::Uncertainty => "Uncertainty",
        Overlay::RemovedByAttention => "Removed by attention",
        Overlay::Difference => "Difference to reference",
    }
}

/// Draws the line.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    ui.spacing_mut().item_spacing.x = 2.0;
    let form = cx.document.view.form;
    // Where one plane fills the screen there is nothing to lay out.
    for (layout, icon, name) in LAYOUTS.into_iter().filter(|_| form != Form::Phone) {
        let on = cx.document.preferences.layout == layout;
        if icon_button(ui, icon, name, "", Some(on), true).clicked() {
            cx.document.preferences.layout = layout;
        }
    }
    ui.separator();
    for (tool, icon, name, hint) in TOOLS {
        let on = cx.document.view.tool == tool;
        if icon_button(ui, icon, name, hint, Some(on), true).clicked() {
            cx.document.view.tool = tool;
        }
    }
    ui.separator();
    ui.spacing_mut().interact_size.y = crate::theme::target(ui);
    windows(ui, cx);
    ui.add_space(4.0);
    overlays(ui, cx);
    ui.separator();
    if !form.has_sheets() {
        panels(ui, cx);
        ui.separator();
    }
    let dark = cx.document.preferences.dark;
    let (icon, name) = if dark { (Icon::Sun, "Light look") } else { (Icon::Moon, "Dark look") };
    if icon_button(ui, icon, name, "", None, true).clicked() {
        cx.document.preferences.dark = !dark;
    }
}

/// Switches of the panels beside the views.
fn panels(ui: &mut Ui, cx: &mut Context<'_>) {
    let hidden = &mut cx.arrangement.hidden;
    for (name, hidden) in
        [("Organs", &mut hidden.organs), ("Along body", &mut hidden.along_body), ("Side", &mut hidden.side)]
    {
        let button = egui::Button::selectable(!*hidden, name);
        let verb = if *hidden { "Show" } else { "Hide" };
        let response = ui.add(button).on_hover_text(format!("{verb} this panel"));
        if response.accessible_name(format!("Panel {}", name.to_lowercase())).clicked() {
            *hidden = !*hidden;
        }
    }
}

fn windows(ui: &mut Ui, cx: &mut Context<'_>) {
    let window = &mut cx.document.view.window;
    let current = WINDOW_PRESETS.iter().find(|p| p.window == *window).map_or("Own window", |p| p.name);
    let combo = ComboBox::from_id_salt("window").width(108.0).selected_text(current).show_ui(ui, |ui| {
        for (n, preset) in WINDOW_PRESETS.iter().enumerate() {
            let text = format!("{}  {:.0}/{:.0}", preset.name, preset.window.width, preset.window.level);
            let button = egui::Button::selectable(preset.window == *window, text).shortcut_text((n + 1).to_string());
            if ui.add(button).clicked() {
                *window = preset.window;
            }
        }
    });
    combo.response.accessible_name("Window preset").on_hover_text("Window width and level, HU");
}

fn overlays(ui: &mut Ui, cx: &mut Context<'_>) {
    let compared = cx.document.study.as_ref().is_some_and(|s| s.reference.is_some());
    let overlay = &mut cx.document.view.overlay;
    let combo =
        ComboBox::from_id_salt("overlay").width(158.0).selected_text(overlay_name(*overlay)).show_ui(ui, |ui| {
            for choice in [Overlay::None, Overlay::Uncertainty, Overlay::RemovedByAttention, Overlay::Difference] {
                let enabled = choice != Overlay::Difference || compared;
                let button = egui::Button::selectable(*overlay == choice, overlay_name(choice));
                if ui.add_enabled(enabled, button).clicked() {
                    *overlay = choice;
                }
            }
        });
    combo.response.accessible_name("Overlay").on_hover_text("What lies over the labels");
}
