//! The list of what will be written: on wide screens a table, on narrow ones a block for each structure.

use egui::{Grid, RichText, Ui};

use super::super::widgets::{in_short, millilitres, swatch_here};
use super::draft::{Draft, Row, What};

/// The longest names of organs, as they are written, and what may stand of others: structure sets have names of 64 characters and more.
const NAME: usize = 30;

fn choice(ui: &mut Ui, draft: &mut Draft, row: &Row) {
    let mut on = draft.has(row.what);
    swatch_here(ui, row.colour);
    let write = ui.checkbox(&mut on, in_short(&row.name, NAME)).on_hover_text(&row.name);
    if write.accessible_name(format!("Write {}", row.name)).changed() {
        draft.set(row.what, on);
    }
}

fn written(draft: &Draft, row: &Row) -> String {
    match row.what {
        What::Organ(organ) if !draft.format.is_dicom() => format!("{}, {}", organ.label(), organ.id()),
        What::Extra(_) if !draft.format.is_dicom() => "a mask of its own".into(),
        _ => row.written.clone(),
    }
}

fn remarks(ui: &mut Ui, row: &Row) {
    if row.edited {
        ui.label(RichText::new("edited").small());
    }
    if let Some(cut) = row.cut {
        ui.label(RichText::new(cut).small().color(ui.visuals().warn_fg_color));
    }
}

pub(super) fn beside_each_other(ui: &mut Ui, draft: &mut Draft, rows: &[Row], named: &str) {
    Grid::new("structures").num_columns(4).striped(true).spacing([12.0, 3.0]).show(ui, |ui| {
        for title in ["Structure", named, "Volume", ""] {
            ui.label(RichText::new(title).small().weak());
        }
        ui.end_row();
        for row in rows {
            ui.horizontal(|ui| choice(ui, draft, row));
            let written = written(draft, row);
            ui.label(RichText::new(in_short(&written, NAME)).monospace()).on_hover_text(written);
            ui.label(millilitres(row.ml));
            ui.horizontal(|ui| remarks(ui, row));
            ui.end_row();
        }
    });
}

pub(super) fn below_each_other(ui: &mut Ui, draft: &mut Draft, row: &Row) {
    ui.horizontal(|ui| {
        choice(ui, draft, row);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| ui.label(millilitres(row.ml)));
    });
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(in_short(&written(draft, row), NAME)).small().monospace());
        remarks(ui, row);
    });
}
