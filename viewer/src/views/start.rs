//! What the views show while nothing is open.

use egui::{Align, Layout, RichText, Ui, vec2};

use crate::document::{Document, FileRequest, Outbox};
use crate::focus;
use crate::worker::{Command, Input, OpenAs};

/// Draws the start screen in all of `ui`.
pub fn show(ui: &mut Ui, document: &Document, outbox: &mut Outbox) {
    let is_opening = document.opening.is_some();
    let height = ui.available_height();
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.with_layout(Layout::top_down(Align::Center), |ui| {
            ui.add_space((height * 0.16).max(12.0));
            ui.label(RichText::new("AttentionAnatomy").size(30.0).strong());
            ui.add_space(6.0);
            ui.label(RichText::new("Outlines 33 organs on a CT, and shows why.").size(16.0));
            ui.label(promise(document));
            ui.add_space(24.0);
            ui.add_enabled_ui(!is_opening, |ui| buttons(ui, outbox));
            ui.add_space(10.0);
            ui.weak("or drop files here: a DICOM folder, a zip, NIfTI or NRRD");
            if !is_opening {
                recent(ui, document, outbox);
            }
            ui.add_space(28.0);
            ui.weak("Not a medical device: for research and teaching only.");
        })
    });
}

/// What becomes of what is opened. An archive is named at the top as soon as it is asked for anything.
fn promise(document: &Document) -> String {
    match document.archives.source() {
        None => "Everything is computed on this machine: no image leaves it.".into(),
        Some(source) => format!(
            "Everything is computed on this machine: no image leaves it. Structures go to {} when you send them.",
            source.name
        ),
    }
}

fn buttons(ui: &mut Ui, outbox: &mut Outbox) {
    let size = vec2(260.0, 44.0);
    let big = |text: &str| egui::Button::new(RichText::new(text).size(16.0)).min_size(size);
    let sample = ui.add(big("Open the sample CT")).on_hover_text("A neck and chest CT that comes with the program");
    focus::first_stop(ui, sample.id);
    if sample.clicked() {
        let job = outbox.next_number();
        let (inputs, as_what) = (vec![Input::Sample], OpenAs::Whatever);
        outbox.send(Command::Open { job, inputs, as_what, even_if_large: false });
    }
    if ui.add(big("Open files…")).clicked() {
        outbox.request(FileRequest::OpenFiles);
    }
    if ui.add(big("Open folder…")).clicked() {
        outbox.request(FileRequest::OpenFolder);
    }
}

fn recent(ui: &mut Ui, document: &Document, outbox: &mut Outbox) {
    if document.preferences.recent.is_empty() {
        return;
    }
    ui.add_space(20.0);
    ui.label(RichText::new("Recent").strong());
    let mut chosen = None;
    for path in &document.preferences.recent {
        let name = std::path::Path::new(path).file_name().map_or(path.as_str().into(), |n| n.to_string_lossy());
        if ui.link(name).on_hover_text(path).clicked() {
            chosen = Some(path.clone());
        }
    }
    if let Some(path) = chosen {
        outbox.request(FileRequest::OpenRecent(path));
    }
}
