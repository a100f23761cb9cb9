//! Menus: what is opened, saved, shown, and computed with.

use attention_anatomy::infer::{ComputeKind, DevicePreference};
use attention_anatomy::volume::Modality;
use egui::{Button, Key, KeyboardShortcut, Modifiers, RichText, Ui};

use super::super::context::Context;
use super::super::export::export_file;
use super::super::widgets::grouped;
use crate::document::{FileRequest, Task};
use crate::worker::{Command, Export, Input, OpenAs, StructureFormat};

/// Opens what the labels are saved with.
const SAVE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::S);

/// Opens what they are sent with, where they may be.
const SEND: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::S);

/// Draws the menus on the left.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    // The longer one first: it holds the other.
    if ui.input_mut(|i| i.consume_shortcut(&SEND)) {
        cx.arrangement.send |= may_send(cx);
    } else if ui.input_mut(|i| i.consume_shortcut(&SAVE)) {
        cx.arrangement.export = usual_format(cx);
    }
    ui.menu_button("Open", |ui| open(ui, cx));
    ui.menu_button("Save", |ui| save(ui, cx));
    ui.menu_button("View", |ui| view(ui, cx));
    ui.menu_button("Help", |ui| {
        if item(ui, true, "Keyboard and mouse", "") {
            cx.arrangement.help = true;
        }
        if item(ui, true, "Guided tour", "") {
            cx.arrangement.tour = true;
        }
    });
}

/// An item that closes its menu however it is chosen: by mouse, by keyboard or by a screen reader.
fn item(ui: &mut Ui, enabled: bool, name: &str, hint: &str) -> bool {
    let response = ui.add_enabled(enabled, Button::new(name));
    let response = if hint.is_empty() { response } else { response.on_hover_text(hint) };
    let chosen = response.clicked();
    if chosen {
        ui.close();
    }
    chosen
}

fn open(ui: &mut Ui, cx: &mut Context<'_>) {
    ui.set_min_width(230.0);
    let scan = cx.document.study.is_some();
    for (name, hint, request, enabled) in [
        ("Files\u{2026}", "DICOM, zip, NIfTI, NRRD, label maps, sessions, weights", FileRequest::OpenFiles, true),
        ("Folder\u{2026}", "A folder with a DICOM series", FileRequest::OpenFolder, true),
        ("Weights\u{2026}", "A weights file of this program", FileRequest::OpenWeights, true),
        ("Label map to compare with\u{2026}", "On the grid of the open scan", FileRequest::OpenReference, scan),
    ] {
        if item(ui, enabled, name, hint) {
            cx.outbox.request(request);
        }
    }
    archive(ui, cx);
    if item(ui, true, "Sample scan", "A CT of neck and chest that comes with the program") {
        cx.document.open(vec![Input::Sample], OpenAs::Whatever, cx.outbox);
    }
    let recent = cx.document.preferences.recent.clone();
    if !recent.is_empty() {
        ui.separator();
        ui.label(RichText::new("Recent").small().weak());
        for path in recent {
            let short = path.rsplit(['/', '\\']).find(|p| !p.is_empty()).unwrap_or(&path);
            if item(ui, true, short, &path) {
                cx.outbox.request(FileRequest::OpenRecent(path));
            }
        }
    }
    ui.separator();
    if item(ui, scan, "Close scan", "") {
        cx.document.close(cx.outbox);
    }
}

/// What can be had of archives: where the host of a page names none, there is nothing to ask.
fn archive(ui: &mut Ui, cx: &mut Context<'_>) {
    if !cfg!(target_family = "wasm") || !cx.document.archives.sources.is_empty() {
        if item(ui, true, "From archive\u{2026}", "A study of an archive (DICOMweb)") {
            cx.arrangement.archive = Some(false);
        }
        let is_from_there = cx.document.study.as_ref().is_some_and(|study| study.origin.is_some());
        let hint = "What was drawn on the open scan there, to go on from or to compare with";
        if item(ui, is_from_there, "Structures from the archive\u{2026}", hint) {
            cx.arrangement.archive = Some(true);
        }
    }
}

/// What the structures of the open scan are most likely wanted as: contours for a DICOM series, else a label map. (Only DICOM names
/// a modality, and only its slices can be referred to.)
fn usual_format(cx: &Context<'_>) -> Option<StructureFormat> {
    let is_series = cx.document.study.as_ref()?.ct.modality != Modality::Unknown;
    Some(if is_series { StructureFormat::StructureSet } else { StructureFormat::Nifti })
}

/// Whether anything of the open scan may be written into the archive that it came from.
fn may_send(cx: &Context<'_>) -> bool {
    let origin = cx.document.study.as_ref().and_then(|study| study.origin.as_ref());
    origin.is_some_and(|origin| !origin.source.writes.is_empty())
}

fn save(ui: &mut Ui, cx: &mut Context<'_>) {
    ui.set_min_width(210.0);
    let scan = cx.document.study.is_some();
    let run = cx.document.study.as_ref().is_some_and(|s| s.anatomy.iter().any(Option::is_some));
    let usual = usual_format(cx);
    let series = usual.is_some_and(StructureFormat::is_dicom);
    for (name, format, enabled) in [
        ("Structures for planning, RTSTRUCT\u{2026}", StructureFormat::StructureSet, series),
        ("Segmentation, DICOM SEG\u{2026}", StructureFormat::Segmentation, series),
        ("Labels, NIfTI\u{2026}", StructureFormat::Nifti, scan),
        ("Labels, NRRD\u{2026}", StructureFormat::Nrrd, scan),
    ] {
        let mut hint = "Shows first what will be written".to_string();
        if usual == Some(format) {
            hint = format!("{hint} ({})", ui.ctx().format_shortcut(&SAVE));
        }
        if item(ui, enabled, name, &hint) {
            cx.arrangement.export = Some(format);
        }
    }
    if let Some(origin) = cx.document.study.as_ref().and_then(|study| study.origin.as_ref()) {
        let hint = match origin.source.writes.is_empty() {
            true => "Whoever hosts this page has not allowed anything to be written".into(),
            false => format!("Shows first what will be sent, and where ({})", ui.ctx().format_shortcut(&SEND)),
        };
        if item(ui, may_send(cx), "Send to archive\u{2026}", &hint) {
            cx.arrangement.send = true;
        }
    }
    ui.separator();
    for (name, what, enabled) in [
        ("Statistics, CSV", Export::StatisticsCsv, scan),
        ("Attention, CSV", Export::AttentionCsv, run),
        ("Attention, JSON", Export::AttentionJson, run),
        ("Report, HTML", Export::ReportHtml, scan),
    ] {
        if item(ui, enabled, name, "") {
            export_file(cx, what);
        }
    }
    ui.separator();
    if item(ui, scan, "Picture of the view, PNG", "") {
        cx.outbox.ask(Task::SavePicture);
    }
    let hint = "Edits and settings, no voxels of the scan; it reopens on the same scan";
    if item(ui, scan, "Session", hint) {
        cx.document.save_session(cx.outbox);
    }
}

fn view(ui: &mut Ui, cx: &mut Context<'_>) {
    ui.set_min_width(210.0);
    ui.checkbox(&mut cx.document.view.crosshair, "Crosshair");
    ui.checkbox(&mut cx.document.view.labels, "Labels");
    ui.checkbox(&mut cx.document.view.inverted, "Black for white");
    ui.checkbox(&mut cx.document.preferences.interpolate, "Smooth between voxels");
    let mut shown = !cx.document.preferences.hide_patient;
    if ui.checkbox(&mut shown, "Whose scan it is").on_hover_text("The line above the pictures").changed() {
        cx.document.preferences.hide_patient = !shown;
    }
    ui.separator();
    let hidden = &mut cx.arrangement.hidden;
    for (name, hidden) in [
        ("List of organs", &mut hidden.organs),
        ("Strip along the body", &mut hidden.along_body),
        ("Side panel", &mut hidden.side),
    ] {
        let mut shown = !*hidden;
        if ui.checkbox(&mut shown, name).changed() {
            *hidden = !shown;
        }
    }
    ui.separator();
    ui.checkbox(&mut cx.document.preferences.dark, "Dark");
    ui.horizontal(|ui| {
        let label = ui.label("Size of everything");
        for (name, by) in [("\u{2212}", -0.1), ("+", 0.1)] {
            let long = if by < 0.0 { "Smaller" } else { "Larger" };
            if ui.add(Button::new(name).min_size(egui::vec2(28.0, 24.0))).accessible_name(long).clicked() {
                cx.document.preferences.zoom += by;
            }
        }
        ui.label(format!("{:.0} %", 100.0 * cx.document.preferences.zoom)).labelled_by(label.id);
    });
}

/// Weights and device, in a menu that names both.
pub fn model(ui: &mut Ui, cx: &mut Context<'_>) {
    let weights = cx.document.model.weights.as_ref().map_or("No weights", |w| w.name.as_str());
    let device = match &cx.document.model.device {
        Some(device) => match device.kind {
            ComputeKind::Gpu => "GPU",
            ComputeKind::SoftwareGpu => "software GPU",
            ComputeKind::Cpu => "CPU",
        },
        None => "no device yet",
    };
    let title = match cx.document.model.weights {
        Some(_) => format!("{weights} on {device}"),
        None => weights.to_string(),
    };
    let menu = ui.menu_button(title, |ui| model_menu(ui, cx));
    menu.response.accessible_name("Model and device").on_hover_ui(|ui| {
        if let Some(weights) = &cx.document.model.weights {
            ui.label(format!("Weights {}, SHA-256 {}", weights.name, weights.sha256));
        }
        if let Some(device) = &cx.document.model.device {
            ui.label(format!("Computing on {}", device.name));
        }
    });
}

fn model_menu(ui: &mut Ui, cx: &mut Context<'_>) {
    ui.set_width(300.0);
    let line = |ui: &mut Ui, text: String| {
        ui.add(egui::Label::new(RichText::new(text).small()).wrap());
    };
    ui.label(RichText::new("Weights").strong());
    match &cx.document.model.weights {
        Some(weights) => {
            let (learned, enabled) = (weights.info.trained_organs.len(), cx.document.model.enabled().len());
            let steps = grouped(weights.info.steps);
            line(ui, format!("{}: {learned} organs learned, {enabled} drawn, {steps} steps", weights.name));
            let hash = weights.sha256.get(..16).unwrap_or(&weights.sha256);
            ui.label(RichText::new(format!("SHA-256 {hash}\u{2026}")).small().weak())
                .on_hover_text(weights.sha256.as_str());
            line(ui, weights.info.note.clone());
        }
        None => line(ui, "No weights are loaded.".to_string()),
    }
    if item(ui, true, "Open weights\u{2026}", "") {
        cx.outbox.request(FileRequest::OpenWeights);
    }
    if item(ui, true, "Use the bundled weights", "") {
        cx.outbox.send(Command::UseBundledWeights);
    }
    ui.separator();
    ui.label(RichText::new("Device").strong());
    match &cx.document.model.device {
        Some(device) => line(ui, device.name.clone()),
        None => line(ui, "Not ready yet.".to_string()),
    }
    for (preference, name, hint) in [
        (DevicePreference::Auto, "Automatic", "A GPU that passes its check, else the CPU"),
        (DevicePreference::Gpu, "GPU", "A GPU, even a slow one"),
        (DevicePreference::Cpu, "CPU", "The processor"),
    ] {
        let on = cx.document.model.preference == preference;
        if ui.radio(on, name).on_hover_text(hint).clicked() && !on {
            cx.document.model.preference = preference;
            cx.outbox.send(Command::UseDevice(preference));
        }
    }
    ui.separator();
    ui.checkbox(&mut cx.document.preferences.run_after_opening, "Segment as soon as a scan is open");
}
