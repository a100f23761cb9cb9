//! What will be written, before it is: which structures under which names, what is empty or was edited, what the scan's end cuts, and in
//! which format. Nothing is written before "Save".

mod send;

use attention_anatomy::anatomy::Organ;
use attention_anatomy::volume::Modality;
use egui::{Button, Grid, Label, Modal, RichText, ScrollArea, TextEdit, Ui, vec2};

use super::context::{Context, Panel};
use super::widgets::{millilitres, swatch_here};
use crate::document::{Document, RunPhase, Study};
use crate::edit::Extra;
use crate::theme;
use crate::worker::{Command, Export, Identifiers, StructureExport, StructureFormat};

/// Characters of a structure set's label (3006,0002).
const LABEL_CHARACTERS: usize = 16;
/// Height of what is around the part that can be scrolled: heading, buttons, margins.
const AROUND_CONTENTS: f32 = 120.0;
/// A screen that is less high has no room for a list within the dialog.
const SMALL: f32 = 600.0;
/// Interpreted types that are expected to reach the scan's end.
const WHOLE_BODY: [&str; 2] = ["EXTERNAL", "SUPPORT"];

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

/// What is chosen so far.
#[derive(Clone, Debug)]
struct Draft {
    format: StructureFormat,
    /// Organs and other structures that are left out.
    without: Vec<What>,
    label: String,
    /// What the user wrote in place of the usual name.
    file_name: Option<String>,
    /// What is sent to where the scan came from, in place of a file that is saved.
    sends: Option<send::Sends>,
}

/// What is told of a structure.
struct Row {
    name: String,
    /// As it is written.
    written: String,
    colour: [u8; 3],
    ml: f64,
    edited: bool,
    /// Which ends of the scan it reaches.
    cut: Option<&'static str>,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Organ(Organ),
    Extra(u64),
}

impl Panel for ExportDialog {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        let sends = std::mem::take(&mut cx.arrangement.send).then(|| send::Sends::to_origin(cx.document)).flatten();
        let format = cx.arrangement.export.take().or(sends.as_ref().map(|_| StructureFormat::StructureSet));
        if let Some(format) = format {
            let label = usual_label(cx.document).into();
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

/// Where an organ or structure is cut by the scan.
fn cut(first_last: Option<(usize, usize)>, slices: usize) -> Option<&'static str> {
    let (first, last) = first_last?;
    match (first == 0, last + 1 == slices) {
        (true, true) => Some("reaches both ends of the scan"),
        (true, false) => Some("reaches the lower end of the scan"),
        (false, true) => Some("reaches the upper end of the scan"),
        (false, false) => None,
    }
}

/// All that has a voxel.
fn rows(study: &Study) -> Vec<Row> {
    let [nx, ny, slices] = study.geometry().size;
    let edited = study.labels.edited_organs();
    let organ = |organ: Organ| Row {
        name: organ.name().into(),
        written: organ.tg263().into(),
        colour: organ.colour(),
        ml: study.labels.volume_ml(organ),
        edited: edited.contains(organ),
        cut: cut(study.labels.first_last_slice(organ), slices),
        what: What::Organ(organ),
    };
    let organs = Organ::ALL.into_iter().filter(|&o| study.labels.voxel_count(o) > 0).map(organ);
    let extra = |extra: &std::sync::Arc<Extra>| Row {
        name: extra.name.clone(),
        written: extra.name.clone(),
        colour: extra.colour,
        ml: extra.voxel_count() as f64 * study.geometry().voxel_ml(),
        edited: extra.edited,
        cut: cut(extra.first_last_slice(nx * ny), slices)
            .filter(|_| !WHOLE_BODY.contains(&extra.interpreted_type.as_str())),
        what: What::Extra(extra.number),
    };
    let extras = study.labels.extras().iter().filter(|extra| extra.voxel_count() > 0).map(extra);
    organs.chain(extras).collect()
}

impl Draft {
    fn has(&self, what: What) -> bool {
        !self.without.contains(&what)
    }

    fn set(&mut self, what: What, on: bool) {
        self.without.retain(|other| *other != what);
        if !on {
            self.without.push(what);
        }
    }

    /// Whether it is an archive of a label map and of masks of what has no number in it.
    fn is_archive(&self, rows: &[Row]) -> bool {
        let is_mask = |row: &Row| matches!(row.what, What::Extra(_)) && self.has(row.what);
        !self.format.is_dicom() && rows.iter().any(is_mask)
    }

    /// What it is called unless the user wants otherwise.
    fn usual_name(&self, study: &Study, rows: &[Row], without_patient: bool) -> String {
        let ending = if self.is_archive(rows) { "labels.zip" } else { self.format.ending() };
        // What a study is called may name its patient or its date.
        if without_patient && self.format.is_dicom() { format!("anonymous-{ending}") } else { study.file_name(ending) }
    }
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
            let save = ui.add_enabled((is_any || body) && has_format, Button::new(verb).min_size(size));
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
                rows.iter().for_each(|row| below_each_other(ui, draft, row));
            } else {
                beside_each_other(ui, draft, rows, named);
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

fn choice(ui: &mut Ui, draft: &mut Draft, row: &Row) {
    let mut on = draft.has(row.what);
    swatch_here(ui, row.colour);
    let write = ui.checkbox(&mut on, row.name.as_str());
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

fn beside_each_other(ui: &mut Ui, draft: &mut Draft, rows: &[Row], named: &str) {
    Grid::new("structures").num_columns(4).striped(true).spacing([12.0, 3.0]).show(ui, |ui| {
        for title in ["Structure", named, "Volume", ""] {
            ui.label(RichText::new(title).small().weak());
        }
        ui.end_row();
        for row in rows {
            ui.horizontal(|ui| choice(ui, draft, row));
            ui.label(RichText::new(written(draft, row)).monospace());
            ui.label(millilitres(row.ml));
            ui.horizontal(|ui| remarks(ui, row));
            ui.end_row();
        }
    });
}

fn below_each_other(ui: &mut Ui, draft: &mut Draft, row: &Row) {
    ui.horizontal(|ui| {
        choice(ui, draft, row);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| ui.label(millilitres(row.ml)));
    });
    ui.horizontal_wrapped(|ui| {
        ui.label(RichText::new(written(draft, row)).small().monospace());
        remarks(ui, row);
    });
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
    let Some(study) = &cx.document.study else { return };
    let (labels, opened_from) = (study.labels.layer().share(), study.labels.opened_from().map(str::to_owned));
    let notes = notes(cx.document);
    cx.outbox.send(Command::Export { what, labels, notes, opened_from });
}
