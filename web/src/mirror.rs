//! What the screen shows, as sentences and a table: for the page's hidden mirror, which screen readers read in place of a
//! canvas that tells them nothing. (eframe's own tree of the window is not made in browsers.)

use attention_anatomy::anatomy::Organ;
use attention_anatomy_viewer::ViewerApp;
use attention_anatomy_viewer::display::Plane;
use attention_anatomy_viewer::document::{Document, FileRequest, RunPhase, Study};
use attention_anatomy_viewer::panels::{spoken_attention, spoken_scan};
use attention_anatomy_viewer::worker::{Input, OpenAs};
use serde_json::{Value, json};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::page::with_viewer;

/// What the screen shows, as JSON; empty before the viewer is started and after a fault.
#[wasm_bindgen]
pub fn mirror() -> String {
    with_viewer(|viewer| of(viewer).to_string()).unwrap_or_default()
}

/// Does what a button of the mirror says.
#[wasm_bindgen]
pub fn act(what: &str) {
    with_viewer(|viewer| {
        viewer.wake();
        let (document, outbox) = (&mut viewer.document, &mut viewer.outbox);
        let by = match what {
            "sample" => return document.open(vec![Input::Sample], OpenAs::Whatever, outbox),
            "files" => return outbox.request(FileRequest::OpenFiles),
            "folder" => return outbox.request(FileRequest::OpenFolder),
            "patient" => {
                document.preferences.hide_patient = !document.preferences.hide_patient;
                return;
            }
            "next" => 1,
            _ => -1,
        };
        let Some(size) = document.study.as_ref().map(|study| study.geometry().size) else { return };
        document.view.scroll(document.view.main, by, size);
    });
}

/// What the system asks of every window: that nothing moves by itself, and that edges can be seen.
#[wasm_bindgen]
pub fn needs(still: bool, contrast: bool) {
    with_viewer(|viewer| {
        (viewer.panels.needs.still, viewer.panels.needs.contrast) = (still, contrast);
        viewer.wake();
    });
}

/// All of it.
fn of(viewer: &ViewerApp) -> Value {
    let document = &viewer.document;
    json!({
        "scan": scan(document),
        "view": document.study.as_ref().map_or(String::new(), |study| view(document, study)),
        "run": run(document),
        "notices": viewer.outbox.notices.iter().map(|n| format!("{:?}: {}", n.severity, n.text)).collect::<Vec<_>>(),
        "organs": document.study.as_ref().map_or(Vec::new(), organs),
    })
}

/// Whose scan it is, as far as the screen says it.
fn scan(document: &Document) -> String {
    match &document.study {
        None => match document.archives.source() {
            None => "No scan is open. Nothing that you open leaves this computer.".into(),
            Some(source) => format!(
                "No scan is open. Nothing that you open leaves this computer but what you send to {}.",
                source.name
            ),
        },
        Some(_) if document.preferences.hide_patient => "A scan is open. Whose it is, is hidden.".into(),
        Some(study) => spoken_scan(study),
    }
}

fn view(document: &Document, study: &Study) -> String {
    let plane = document.view.main;
    let axis = plane.axes()[2];
    let (slice, count) = (document.view.cursor[axis] + 1, study.geometry().size[axis]);
    let mut said = format!("{}, slice {slice} of {count}.", plane.name());
    let anatomy = study.anatomy_near(document.view.slice()).filter(|_| plane == Plane::Axial);
    if let Some((region, p)) = anatomy.and_then(|anatomy| anatomy.most_likely_region()) {
        said += &format!(" Region: {}, probability {p:.2}.", region.name().to_lowercase());
    }
    if let Some(attention) = spoken_attention(document).filter(|_| plane == Plane::Axial) {
        said += &format!(" {attention}");
    }
    let mut labels = [false; 256];
    study.labels.layer().slice(document.view.slice()).iter().for_each(|&label| labels[usize::from(label)] = true);
    let here: Vec<&str> = Organ::ALL.into_iter().filter(|o| labels[usize::from(o.label())]).map(Organ::name).collect();
    match here.is_empty() || plane != Plane::Axial {
        true => said,
        false => format!("{said} On it: {}.", here.join(", ").to_lowercase()),
    }
}

/// Progress in steps of a tenth: each change is read aloud.
fn run(document: &Document) -> String {
    let tenths = |part: f32| (part * 10.0).floor() * 10.0;
    if let Some(opening) = &document.opening {
        let part = opening.part.map_or(String::new(), |part| format!(", {:.0} %", tenths(part)));
        return format!("{}{part}", opening.step);
    }
    let run = &document.run;
    match &run.phase {
        RunPhase::Idle => String::new(),
        RunPhase::Running => format!("Segmenting, {:.0} %", tenths(run.done as f32 / run.total.max(1) as f32)),
        RunPhase::Paused => "The segmentation is held.".into(),
        RunPhase::Finished => format!("The segmentation is finished: {} slices.", run.total),
        RunPhase::Cancelled => format!("The segmentation was stopped at {} of {} slices.", run.done, run.total),
        RunPhase::Failed(message) => format!("The segmentation failed: {message}"),
    }
}

/// Name, volume in ml, mean HU, first and last slice of every organ that was found.
fn organs(study: &Study) -> Vec<[String; 4]> {
    let row = |organ: Organ| {
        let (first, last) = study.labels.first_last_slice(organ)?;
        let (ml, hu) = (study.labels.volume_ml(organ), study.labels.mean_hu(organ)?);
        let slices = format!("{} to {}", first + 1, last + 1);
        Some([organ.name().to_string(), format!("{ml:.1} ml"), format!("{hu:.0} HU"), slices])
    };
    Organ::ALL.into_iter().filter_map(row).collect()
}
