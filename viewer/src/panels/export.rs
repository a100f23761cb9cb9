//! What will be written, before it is: which structures under which names, what is empty or was edited, what the scan's end cuts, and in
//! which format. Nothing is written before "Save".

mod draft;
mod send;
mod table;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::volume::Modality;
use egui::{Button, Grid, Label, Modal, RichText, ScrollArea, TextEdit, Ui, vec2};

use self::draft::{Draft, Row, What, rows};
use super::context::{Context, Panel};
use crate::document::{Document, RunPhase, Study};
use crate::theme;
use crate::worker::{Command, Export, Identifiers, StructureExport, StructureFormat};

/// Characters of a structure set's label (3006,0002).
const LABEL_CHARACTERS: usize = 16;
/// Height of what is around the part that can be scrolled: heading, buttons, margins.
const AROUND_CONTENTS: f32 = 120.0;
/// A screen that is less high has no room for a list within the dialog.
const SMALL: f32 = 600.0;

/// The dialog.
#[derive(Clone, Debug, Default)]
pub struct ExportDialog {
    open: Option<Draft>,
    /// How contours were written last.
    smooth: bool,
    body: bool,
    /// Whether the patient is left out, and the identifiers, too. Asked anew for every study.
    deidentify: Option<Identifiers>,
    /// The study that this was asked for.
    study: u64,
}

impl Panel for ExportDialog {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let sends = std::mem::take(&mut cx.arrangement.send).then(|| send::Sends::to_origin(cx.document)).flatten();
        let format = cx.arrangement.export.take().or(sends.as_ref().map(|_| StructureFormat::StructureSet));
        if let Some(format) = format {
            let label = usual_label(cx.document).into();
            // How large it is, is known only once its contents were laid out.
            ui.ctx().request_repaint();
            self.open = Some(Draft { format, without: Vec::new(), label, file_name: None, sends });
        }
        let Some(study) = &cx.document.study else {
            self.open = None;
            return;
        };
        if self.study != study.number {
            (self.study, self.deidentify) = (study.number, None);
        }
        let Some(mut draft) = self.open.take() else { return };
        let rows = rows(study);
        let frame = egui::Frame::popup(ui.style()).inner_margin(theme::DIALOG);
        let modal = Modal::new(egui::Id::unique("export")).frame(frame).show(ui.ctx(), |ui| {
            ui.set_width(theme::dialog_width(ui, 620.0));
            theme::let_dialog_grow(ui);
            self.contents(ui, cx.document, &mut draft, &rows)
        });
        match modal.inner {
            Answer::Save if draft.sends.is_some() => self.send(cx, &draft, &rows),
            Answer::Save => self.save(cx, draft, &rows),
            Answer::Cancel => {}
            Answer::None if modal.should_close() => {}
            Answer::None => self.open = Some(draft),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    Save,
    Cancel,
}

/// What a set of structures is called: whether the network drew any of it.
fn usual_label(document: &Document) -> &'static str {
    let drawn = |study: &Study| {
        study.labels.opened_from().is_none() && Organ::ALL.into_iter().any(|organ| study.labels.voxel_count(organ) > 0)
    };
    if document.study.as_ref().is_some_and(drawn) { "AI contours" } else { "Structures" }
}

impl ExportDialog {
    fn contents(&mut self, ui: &mut Ui, document: &Document, draft: &mut Draft, rows: &[Row]) -> Answer {
        let Some(study) = &document.study else { return Answer::Cancel };
        ui.heading(if draft.sends.is_some() { "Send to archive" } else { "Save structures" });
        // Only DICOM names a modality, and only its slices can be referred to.
        let series = study.ct.modality != Modality::Unknown;
        if !series && draft.format.is_dicom() {
            draft.format = StructureFormat::Nifti;
        }
        // The buttons stay in sight, however low the screen is.
        let room = (ui.ctx().content_rect().height() - AROUND_CONTENTS).max(90.0);
        ScrollArea::vertical().id_salt("contents").max_height(room).auto_shrink([false, true]).show(ui, |ui| {
            match &mut draft.sends {
                Some(sends) => sends.show(ui),
                None => formats(ui, draft, series),
            }
            ui.separator();
            self.table(ui, study, draft, rows);
            ui.separator();
            self.options(ui, study, draft, rows);
            ui.add_space(4.0);
            let chosen: Vec<&Row> = rows.iter().filter(|row| draft.has(row.what)).collect();
            summary(ui, document, &chosen, self.body && draft.format.is_dicom());
        });
        ui.add_space(6.0);
        let is_any = rows.iter().any(|row| draft.has(row.what));
        let mut answer = Answer::None;
        ui.horizontal(|ui| {
            let size = vec2(96.0, theme::TOUCH);
            let body = self.body && draft.format.is_dicom();
            let (verb, name) =
                if draft.sends.is_some() { ("Send", "Send to the archive") } else { ("Save", "Save the file") };
            let has_format = draft.sends.as_ref().is_none_or(send::Sends::is_any);
            // What is being laid over the labels is seen, slice by slice, and in the list, before it can be written.
            let settled = !study.labels.is_busy();
            let save = ui.add_enabled((is_any || body) && has_format && settled, Button::new(verb).min_size(size));
            let save = if settled { save } else { save.on_disabled_hover_text("An edit is still under way") };
            if save.accessible_name(name).clicked() {
                answer = Answer::Save;
            }
            if ui.add(Button::new("Cancel").min_size(size)).clicked() {
                answer = Answer::Cancel;
            }
            ui.add(
                Label::new(RichText::new("Not a medical device: every contour needs review.").small().weak()).wrap(),
            );
        });
        answer
    }

    fn table(&self, ui: &mut Ui, study: &Study, draft: &mut Draft, rows: &[Row]) {
        let named = if draft.format.is_dicom() { "Written as" } else { "Number and name" };
        if rows.is_empty() {
            ui.label("No organ has a voxel yet: run the segmentation, or draw one.");
            return;
        }
        ui.horizontal(|ui| {
            ui.strong(format!("{} of {}", rows.iter().filter(|r| draft.has(r.what)).count(), rows.len()));
            for (name, on) in [("All", true), ("None", false)] {
                if ui.small_button(name).clicked() {
                    rows.iter().for_each(|row| draft.set(row.what, on));
                }
            }
        });
        let height = ui.ctx().content_rect().height();
        // On a small screen all of the dialog is scrolled, and the table not by itself.
        let small = height < SMALL || ui.available_width() < theme::NARROW;
        let tallest = if small { f32::INFINITY } else { (height - 400.0).clamp(90.0, 320.0) };
        ScrollArea::vertical().max_height(tallest).auto_shrink([false, true]).show(ui, |ui| {
            if ui.available_width() < theme::NARROW {
                rows.iter().for_each(|row| table::below_each_other(ui, draft, row));
            } else {
                table::beside_each_other(ui, draft, rows, named);
            }
        });
        let empty: Vec<&str> =
            study.enabled.iter().filter(|&o| study.labels.voxel_count(o) == 0).map(Organ::name).collect();
        if !empty.is_empty() {
            let text = format!("Empty, and not written: {}.", empty.join(", ").to_lowercase());
            ui.add(Label::new(RichText::new(text).small().weak()).wrap());
        }
        if draft.is_archive(rows) {
            let text = "A label map has one number for each voxel: what is none of the 33 organs comes beside it, a mask (NIfTI) each, \
                        all of it in one zip archive.";
            ui.add(Label::new(RichText::new(text).small().weak()).wrap());
        }
    }

    fn options(&mut self, ui: &mut Ui, study: &Study, draft: &mut Draft, rows: &[Row]) {
        if draft.format == StructureFormat::StructureSet {
            ui.horizontal_wrapped(|ui| {
                ui.label("Contours");
                ui.radio_value(&mut self.smooth, false, "along the voxels")
                    .on_hover_text("Exactly the voxels on screen");
                ui.radio_value(&mut self.smooth, true, "smoothed")
                    .on_hover_text("Between the voxels, within half a voxel of their borders");
            });
        }
        if draft.format.is_dicom() {
            let text = "The outline of the body, too (BODY, of type EXTERNAL)";
            ui.checkbox(&mut self.body, text).on_hover_text("Found in the scan; without couch and air");
        }
        // Without its patient nothing belongs to a study of the archive.
        if draft.format.is_dicom() && draft.sends.is_none() {
            let mut without = self.deidentify.is_some();
            let hint = "Names, dates and descriptions are removed, as the basic profile of DICOM PS3.15 asks";
            if ui.checkbox(&mut without, "Without the patient (de-identified)").on_hover_text(hint).changed() {
                self.deidentify = without.then_some(Identifiers::Replaced);
            }
            if let Some(identifiers) = &mut self.deidentify {
                ui.indent("identifiers", |ui| {
                    let replaced = "Replace identifiers: the file no longer belongs to its CT";
                    ui.radio_value(identifiers, Identifiers::Replaced, replaced);
                    ui.radio_value(identifiers, Identifiers::Kept, "Keep identifiers: it still opens on its CT");
                });
            }
        }
        Grid::new("names").num_columns(2).show(ui, |ui| {
            if draft.format == StructureFormat::StructureSet {
                let label = ui.label("Label of the set");
                let edit = TextEdit::singleline(&mut draft.label).char_limit(LABEL_CHARACTERS).desired_width(160.0);
                ui.add(edit).labelled_by(label.id);
                ui.end_row();
            }
            if draft.sends.is_some() {
                return;
            }
            let label = ui.label("File");
            let mut name =
                draft.file_name.clone().unwrap_or_else(|| draft.usual_name(study, rows, self.deidentify.is_some()));
            let edit = TextEdit::singleline(&mut name).desired_width(ui.available_width().max(140.0));
            if ui.add(edit).labelled_by(label.id).changed() {
                draft.file_name = Some(name);
            }
            ui.end_row();
        });
    }

    fn save(&mut self, cx: &mut Context<'_>, draft: Draft, rows: &[Row]) {
        let Some(study) = &cx.document.study else { return };
        let export = self.export_of(study, &draft, draft.format, rows);
        export_file(cx, Export::Structures(Box::new(export)));
    }

    fn send(&self, cx: &mut Context<'_>, draft: &Draft, rows: &[Row]) {
        let (Some(study), Some(sends)) = (&cx.document.study, &draft.sends) else { return };
        let export = |format| Export::Structures(Box::new(self.export_of(study, draft, format, rows)));
        let what: Vec<Export> = sends.formats().map(export).collect();
        let (labels, opened_from) = (study.labels.layer().share(), study.labels.opened_from().map(str::to_owned));
        let notes = notes(cx.document);
        cx.document.send_structures(what, labels, notes, opened_from, cx.outbox);
    }

    /// What the draft is written as in a format.
    fn export_of(&self, study: &Study, draft: &Draft, format: StructureFormat, rows: &[Row]) -> StructureExport {
        let chosen = rows.iter().filter(|row| draft.has(row.what));
        let organs = chosen.filter_map(|row| if let What::Organ(organ) = row.what { Some(organ) } else { None });
        let extras = study.labels.extras().iter().filter(|extra| draft.has(What::Extra(extra.number)));
        let usual = draft.usual_name(study, rows, self.deidentify.is_some());
        let mut file_name = draft.file_name.as_ref().map_or("", |name| name.trim()).to_owned();
        if file_name.is_empty() {
            file_name = usual;
        } else if draft.is_archive(rows) && !file_name.to_lowercase().ends_with(".zip") {
            file_name.push_str(".zip");
        }
        StructureExport {
            format,
            organs: organs.collect(),
            edited: study.labels.edited_organs(),
            extras: extras.map(|extra| (**extra).clone()).collect(),
            beneath: study.labels.snapshot().beneath().filter(|_| !format.is_dicom()),
            smooth: self.smooth,
            body: self.body,
            deidentify: self.deidentify.filter(|_| format.is_dicom() && draft.sends.is_none()),
            label: draft.label.trim().into(),
            file_name,
        }
    }
}

fn formats(ui: &mut Ui, draft: &mut Draft, series: bool) {
    ui.horizontal_wrapped(|ui| {
        for format in StructureFormat::ALL {
            let (name, hint) = match format {
                StructureFormat::StructureSet => ("RTSTRUCT", "Contours, for treatment planning systems"),
                StructureFormat::Segmentation => ("DICOM SEG", "Voxels, for archives"),
                StructureFormat::Nifti => ("NIfTI", "A label map with the names of its organs, and what was edited"),
                StructureFormat::Nrrd => ("NRRD", "The same for 3D Slicer"),
            };
            let radio =
                ui.add_enabled(series || !format.is_dicom(), egui::RadioButton::new(draft.format == format, name));
            let radio = radio.on_hover_text(hint).on_disabled_hover_text("The scan is no DICOM series");
            if radio.clicked() {
                draft.format = format;
                draft.file_name = None;
            }
        }
    });
    if !series {
        let text = "RTSTRUCT and DICOM SEG refer to the slices of a DICOM series, and this scan is none.";
        ui.add(Label::new(RichText::new(text).small().weak()).wrap());
    }
}

fn summary(ui: &mut Ui, document: &Document, chosen: &[&Row], body: bool) {
    let edited = chosen.iter().filter(|row| row.edited).count();
    let cut = chosen.iter().filter(|row| row.cut.is_some()).count();
    let mut text = match (chosen.len(), body) {
        (0, false) => "No structure is written".to_string(),
        (0, true) => "BODY alone is written".into(),
        (1, false) => "1 structure is written".into(),
        (n, false) => format!("{n} structures are written"),
        (1, true) => "1 structure and BODY are written".into(),
        (n, true) => format!("{n} structures and BODY are written"),
    };
    if edited > 0 {
        text.push_str(&format!(", {edited} of them edited by hand"));
    }
    ui.strong(format!("{text}."));
    if cut > 0 {
        let what = if cut == 1 { "1 structure reaches".to_string() } else { format!("{cut} structures reach") };
        let text = format!("{what} an end of the scan: volume and dose are those of the part that was scanned.");
        ui.add(Label::new(RichText::new(text).color(ui.visuals().warn_fg_color)).wrap());
    }
    if document.run.is_active() {
        let text = format!(
            "The segmentation is still under way: {} of {} slices are done, and only these are written.",
            document.run.done, document.run.total
        );
        ui.add(Label::new(RichText::new(text).color(ui.visuals().warn_fg_color)).wrap());
    }
    if let Some(file) = document.study.as_ref().and_then(|study| study.labels.opened_from()) {
        let text = format!("What was not edited here comes from {file}.");
        ui.add(Label::new(RichText::new(text).small().weak()).wrap());
    }
}

/// Facts of the user's side that every export carries, one sentence each.
fn notes(document: &Document) -> Vec<String> {
    let Some(study) = &document.study else { return Vec::new() };
    let mut notes = Vec::new();
    let edited: Vec<String> = study.labels.edited_organs().iter().map(|o| o.name().to_lowercase()).collect();
    if !edited.is_empty() {
        notes.push(format!("Edited by hand: {} ({} voxels in all).", edited.join(", "), study.labels.edited_voxels()));
    }
    if let Some(file) = study.labels.opened_from() {
        notes.push(format!("The labels were opened from {file}; what was not edited here comes from there."));
    }
    match &document.run.phase {
        RunPhase::Finished | RunPhase::Idle => {}
        _ => notes.push(format!(
            "The segmentation is incomplete: {} of {} slices were done.",
            document.run.done, document.run.total
        )),
    }
    if document.model.all_organs {
        notes.push("Organs that these weights learned too weakly were drawn because the user asked for them.".into());
    }
    notes
}

/// Has the worker make a file of the labels on screen.
pub fn export_file(cx: &mut Context<'_>, what: Export) {
    let Some(study) = &mut cx.document.study else { return };
    study.labels.finish();
    let (labels, opened_from) = (study.labels.layer().share(), study.labels.opened_from().map(str::to_owned));
    let notes = notes(cx.document);
    cx.outbox.send(Command::Export { what, labels, notes, opened_from });
}
