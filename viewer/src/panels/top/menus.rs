//! Menus: what is opened, saved, shown, and computed with.

use attention_anatomy::infer::{ComputeKind, DevicePreference};
use egui::{Button, RichText, Ui};

use super::super::widgets::grouped;
use crate::state::{FileRequest, RunPhase, State};
use crate::worker::{Command, Export, Input, OpenAs};

/// Draws the menus on the left.
pub fn show(ui: &mut Ui, state: &mut State) {
    ui.menu_button("Open", |ui| open(ui, state));
    ui.menu_button("Save", |ui| save(ui, state));
    ui.menu_button("View", |ui| view(ui, state));
    ui.menu_button("Help", |ui| {
        if item(ui, true, "Keyboard and mouse", "") {
            state.panels.help = true;
        }
        if item(ui, true, "Guided tour", "") {
            super::super::tour::start(state);
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

fn open(ui: &mut Ui, state: &mut State) {
    ui.set_min_width(230.0);
    let scan = state.study.is_some();
    for (name, hint, request, enabled) in [
        ("Files\u{2026}", "DICOM, zip, NIfTI, NRRD, label maps, sessions, weights", FileRequest::OpenFiles, true),
        ("Folder\u{2026}", "A folder with a DICOM series", FileRequest::OpenFolder, true),
        ("Weights\u{2026}", "A weights file of this program", FileRequest::OpenWeights, true),
        ("Label map to compare with\u{2026}", "On the grid of the open scan", FileRequest::OpenReference, scan),
    ] {
        if item(ui, enabled, name, hint) {
            state.request(request);
        }
    }
    if item(ui, true, "Sample scan", "A CT of neck and chest that comes with the program") {
        state.open(vec![Input::Sample], OpenAs::Whatever);
    }
    let recent = state.preferences.recent.clone();
    if !recent.is_empty() {
        ui.separator();
        ui.label(RichText::new("Recent").small().weak());
        for path in recent {
            let short = path.rsplit(['/', '\\']).find(|p| !p.is_empty()).unwrap_or(&path);
            if item(ui, true, short, &path) {
                state.request(FileRequest::OpenRecent(path));
            }
        }
    }
    ui.separator();
    if item(ui, scan, "Close scan", "") {
        state.send(Command::Close);
        state.study = None;
        state.run = Default::default();
    }
}

/// Facts of the user's side that every export carries, one sentence each.
fn export_notes(state: &State) -> Vec<String> {
    let Some(study) = &state.study else { return Vec::new() };
    let mut notes = Vec::new();
    let edited: Vec<String> = study.labels.edited_organs().iter().map(|o| o.name().to_lowercase()).collect();
    if !edited.is_empty() {
        notes.push(format!("Edited by hand: {} ({} voxels in all).", edited.join(", "), study.labels.edited_voxels()));
    }
    match &state.run.phase {
        RunPhase::Finished | RunPhase::Idle => {}
        _ => notes.push(format!(
            "The segmentation is incomplete: {} of {} slices were done.",
            state.run.done, state.run.total
        )),
    }
    if state.model.all_organs {
        notes.push("Organs that these weights learned too weakly were drawn because the user asked for them.".into());
    }
    notes
}

fn save(ui: &mut Ui, state: &mut State) {
    ui.set_min_width(210.0);
    let scan = state.study.is_some();
    let run = state.study.as_ref().is_some_and(|s| s.anatomy.iter().any(Option::is_some));
    for (name, what, enabled) in [
        ("Labels, NIfTI", Export::Labels { nrrd: false }, scan),
        ("Labels, NRRD", Export::Labels { nrrd: true }, scan),
        ("Statistics, CSV", Export::StatisticsCsv, scan),
        ("Attention, CSV", Export::AttentionCsv, run),
        ("Attention, JSON", Export::AttentionJson, run),
        ("Report, HTML", Export::ReportHtml, scan),
    ] {
        if item(ui, enabled, name, "")
            && let Some(study) = &state.study
        {
            let labels = study.labels.layer().voxels().into();
            let notes = export_notes(state);
            state.send(Command::Export { what, labels, notes });
        }
    }
    ui.separator();
    if item(ui, scan, "Picture of the view, PNG", "") {
        state.panels.picture_requested = true;
    }
    let hint = "Edits and settings, no voxels of the scan; it reopens on the same scan";
    if item(ui, scan, "Session", hint) {
        state.panels.session_requested = true;
    }
}

fn view(ui: &mut Ui, state: &mut State) {
    ui.set_min_width(210.0);
    ui.checkbox(&mut state.view.crosshair, "Crosshair");
    ui.checkbox(&mut state.view.labels, "Labels");
    ui.checkbox(&mut state.view.inverted, "Black for white");
    ui.checkbox(&mut state.preferences.interpolate, "Smooth between voxels");
    ui.separator();
    let hidden = &mut state.panels.hidden;
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
    ui.checkbox(&mut state.preferences.dark, "Dark");
    ui.horizontal(|ui| {
        let label = ui.label("Size of everything");
        for (name, by) in [("\u{2212}", -0.1), ("+", 0.1)] {
            let long = if by < 0.0 { "Smaller" } else { "Larger" };
            if ui.add(Button::new(name).min_size(egui::vec2(28.0, 24.0))).accessible_name(long).clicked() {
                state.preferences.zoom += by;
            }
        }
        ui.label(format!("{:.0} %", 100.0 * state.preferences.zoom)).labelled_by(label.id);
    });
}

/// Weights and device, in a menu that names both.
pub fn model(ui: &mut Ui, state: &mut State) {
    let weights = state.model.weights.as_ref().map_or("No weights", |w| w.name.as_str());
    let device = match &state.model.device {
        Some(device) => match device.kind {
            ComputeKind::Gpu => "GPU",
            ComputeKind::SoftwareGpu => "software GPU",
            ComputeKind::Cpu => "CPU",
        },
        None => "no device yet",
    };
    let title = match state.model.weights {
        Some(_) => format!("{weights} on {device}"),
        None => weights.to_string(),
    };
    let menu = ui.menu_button(title, |ui| model_menu(ui, state));
    menu.response.accessible_name("Model and device").on_hover_ui(|ui| {
        if let Some(weights) = &state.model.weights {
            ui.label(format!("Weights {}, SHA-256 {}", weights.name, weights.sha256));
        }
        if let Some(device) = &state.model.device {
            ui.label(format!("Computing on {}", device.name));
        }
    });
}

fn model_menu(ui: &mut Ui, state: &mut State) {
    ui.set_width(300.0);
    let line = |ui: &mut Ui, text: String| {
        ui.add(egui::Label::new(RichText::new(text).small()).wrap());
    };
    ui.label(RichText::new("Weights").strong());
    match &state.model.weights {
        Some(weights) => {
            let (learned, drawn) = (weights.info.trained_organs.len(), state.model.drawn().len());
            let steps = grouped(weights.info.steps);
            line(ui, format!("{}: {learned} organs learned, {drawn} drawn, {steps} steps", weights.name));
            let hash = weights.sha256.get(..16).unwrap_or(&weights.sha256);
            ui.label(RichText::new(format!("SHA-256 {hash}\u{2026}")).small().weak())
                .on_hover_text(weights.sha256.as_str());
            line(ui, weights.info.note.clone());
        }
        None => line(ui, "No weights are loaded.".to_string()),
    }
    if item(ui, true, "Open weights\u{2026}", "") {
        state.request(FileRequest::OpenWeights);
    }
    if item(ui, true, "Use the bundled weights", "") {
        state.send(Command::UseBundledWeights);
    }
    ui.separator();
    ui.label(RichText::new("Device").strong());
    match &state.model.device {
        Some(device) => line(ui, device.name.clone()),
        None => line(ui, "Not ready yet.".to_string()),
    }
    for (preference, name, hint) in [
        (DevicePreference::Auto, "Automatic", "A GPU that passes its check, else the CPU"),
        (DevicePreference::Gpu, "GPU", "A GPU, even a slow one"),
        (DevicePreference::Cpu, "CPU", "The processor"),
    ] {
        let on = state.model.preference == preference;
        if ui.radio(on, name).on_hover_text(hint).clicked() && !on {
            state.model.preference = preference;
            state.send(Command::UseDevice(preference));
        }
    }
    ui.separator();
    ui.checkbox(&mut state.preferences.run_after_opening, "Segment as soon as a scan is open");
}
