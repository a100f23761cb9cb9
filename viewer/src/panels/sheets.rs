//! Panels on a small screen: a bar at the bottom, whose buttons bring one panel at a time up as a sheet.

use egui::{Button, RichText, Ui, vec2};

use super::context::{Context, Panel, Sheet, Tab};
use crate::theme;

/// The bar.
#[derive(Clone, Debug, Default)]
pub struct Bar;

/// What the buttons bring: their name, the sheet, and the tab of it.
const BUTTONS: [(&str, Sheet, Option<Tab>); 5] = [
    ("Organs", Sheet::Organs, None),
    ("Attention", Sheet::Side, Some(Tab::Attention)),
    ("Correct", Sheet::Side, Some(Tab::Correct)),
    ("Along body", Sheet::AlongBody, None),
    ("Tools", Sheet::Tools, None),
];

impl Panel for Bar {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let wanted: &[_] = match cx.document.study {
            Some(_) => &BUTTONS,
            // Without a scan there is nothing to look at but a network that learns.
            None => &[("Learn", Sheet::Side, Some(Tab::Learn))],
        };
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding.x = 2.0;
        ui.columns(wanted.len(), |columns| {
            for (ui, &(name, sheet, tab)) in columns.iter_mut().zip(wanted) {
                let arrangement = &mut *cx.arrangement;
                let is_open = arrangement.sheet == Some(sheet) && tab.is_none_or(|tab| arrangement.tab == tab);
                let size = vec2(ui.available_width(), theme::target(ui));
                let button = Button::selectable(is_open, RichText::new(name).size(12.5)).frame_when_inactive(true);
                let verb = if is_open { "Close" } else { "Open" };
                let response = ui.vertical_centered_justified(|ui| ui.add(button.min_size(size).truncate())).inner;
                if response.accessible_name(format!("{verb} {}", name.to_lowercase())).clicked() {
                    arrangement.sheet = (!is_open).then_some(sheet);
                    arrangement.tab = tab.unwrap_or(arrangement.tab);
                }
            }
        });
    }
}

/// The line above a sheet: what it is, and how it goes.
pub fn header(ui: &mut Ui, cx: &mut Context<'_>, sheet: Sheet) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(sheet.name()).strong());
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if super::widgets::icon_button(ui, super::icons::Icon::Close, "Close panel", "", None, true).clicked() {
                cx.arrangement.sheet = None;
            }
        });
    });
}
