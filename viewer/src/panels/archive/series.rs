//! The series of a study: the scan that is meant, what was drawn on it, and the rest.

use attention_anatomy::dicomweb::{Scans, SeriesRow, is_drawn, scans};
use egui::{Button, Grid, Key, RichText, ScrollArea, Ui};

use crate::worker::OpenAs;

/// Modalities that are pictures of a body.
const PICTURES: [&str; 3] = ["CT", "MR", "PT"];

/// Draws them; the UID of the one that is to be opened, and what it is taken for.
pub fn list(ui: &mut Ui, rows: &[SeriesRow], is_open_study: bool, drawn_only: bool) -> Option<(String, OpenAs)> {
    let meant = match scans(rows) {
        Scans::One(row) => Some(row),
        Scans::Nothing | Scans::Several(_) => None,
    };
    let shown: Vec<&SeriesRow> = rows.iter().filter(|row| !drawn_only || is_drawn(row)).collect();
    if shown.is_empty() {
        ui.weak("The archive has no structures of this scan.");
        return None;
    }
    let mut chosen = None;
    let tallest = (ui.ctx().content_rect().height() * 0.28).clamp(90.0, 300.0);
    ScrollArea::vertical().id_salt("series").max_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
        Grid::new("series").num_columns(5).striped(true).spacing([14.0, 4.0]).show(ui, |ui| {
            for head in ["", "Modality", "Images", "No.", "Description"] {
                ui.label(RichText::new(head).small().weak());
            }
            ui.end_row();
            for row in shown {
                ui.horizontal(|ui| {
                    chosen = buttons(ui, row, is_open_study).map(|what| (row.uid.clone(), what)).or(chosen.take())
                });
                ui.label(&row.modality);
                ui.label(row.instances.map_or_else(String::new, |count| count.to_string()));
                ui.label(row.number.map_or_else(String::new, |number| number.to_string()));
                let is_meant = meant == Some(row);
                let text = if row.description.is_empty() { "no description" } else { row.description.as_str() };
                ui.label(if is_meant { RichText::new(text).strong() } else { RichText::new(text) });
                ui.end_row();
            }
        });
    });
    // The one that is meant, by keyboard.
    let enter = !ui.ctx().text_edit_focused()
        && ui.memory(|memory| memory.focused()).is_none()
        && ui.input(|input| input.key_pressed(Key::Enter));
    chosen.or_else(|| meant.filter(|_| enter && !drawn_only).map(|row| (row.uid.clone(), OpenAs::Whatever)))
}

fn buttons(ui: &mut Ui, row: &SeriesRow, is_open_study: bool) -> Option<OpenAs> {
    let named = |what: &str| format!("{what} {}", row.description);
    if is_drawn(row) {
        let hint = "The scan that it was drawn on has to be open";
        let go_on = ui.add_enabled(is_open_study, Button::new("Go on from")).on_disabled_hover_text(hint);
        let compare = ui.add_enabled(is_open_study, Button::new("Compare with")).on_disabled_hover_text(hint);
        let go_on = go_on.on_hover_text("These structures become the labels on screen; undo brings back those before");
        let clicked = go_on.accessible_name(named("Go on from")).clicked().then_some(OpenAs::Whatever);
        let compared = compare.on_hover_text("A second label map").accessible_name(named("Compare with")).clicked();
        return clicked.or(compared.then_some(OpenAs::Reference));
    }
    let is_picture = PICTURES.contains(&row.modality.as_str());
    let open = ui.add_enabled(is_picture, Button::new("Open")).on_disabled_hover_text("No pictures of a body");
    open.accessible_name(named("Open series")).clicked().then_some(OpenAs::Whatever)
}
