//! The one line at the top of a small screen: all menus in one, the run, and the plane that is shown.

use egui::{Button, Ui, vec2};

use super::super::context::Context;
use crate::display::{Form, Plane};
use crate::theme;

/// Draws the line.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    ui.horizontal(|ui| {
        let size = vec2(theme::target(ui), theme::target(ui));
        ui.menu_button("Menu", |ui| {
            super::menus::show(ui, cx);
            super::menus::model(ui, cx);
        });
        super::run::show(ui, cx);
        if cx.document.study.is_none() || cx.document.view.form != Form::Phone {
            return;
        }
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            ui.spacing_mut().button_padding.x = 4.0;
            for plane in Plane::ALL.into_iter().rev() {
                let name = plane.name();
                let short: String = name.chars().take(2).collect();
                let button = Button::selectable(cx.document.view.main == plane, short).frame_when_inactive(true);
                if ui.add(button.min_size(size)).on_hover_text(name).accessible_name(format!("{name} plane")).clicked()
                {
                    cx.document.view.main = plane;
                }
            }
        });
    });
}
