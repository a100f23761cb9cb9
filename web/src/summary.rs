//! What the viewer shows, as data: for demonstrations that drive the page from outside, and for its tests.

use attention_anatomy_viewer::ViewerApp;
use attention_anatomy_viewer::document::{RunPhase, Study};
use attention_anatomy_viewer::worker::DeviceInfo;
use serde_json::{Value, json};

/// The state in short. Never the name of a file, which may name a patient.
pub fn of(viewer: &ViewerApp) -> Value {
    let document = &viewer.document;
    let run = &document.run;
    json!({
        "device": document.model.device.as_ref().map(|DeviceInfo { name, kind, .. }| json!({ "name": name, "kind": kind })),
        "weights": document.model.weights.as_ref().map(|weights| &weights.name),
        "study": document.study.as_ref().map(|study| of_study(study, document.view.slice())),
        "view": {
            "form": format!("{:?}", document.view.form).to_lowercase(),
            "plane": document.view.main,
            "zoom": document.view.cameras[document.view.main.index()].zoom,
            "window": [document.view.window.width, document.view.window.level],
            "probe": document.view.probe.map(|(plane, voxel)| json!({ "plane": plane, "voxel": voxel })),
            "sheet": viewer.panels.arrangement.sheet.map(|sheet| sheet.name()),
        },
        "needs": { "still": viewer.panels.needs.still, "contrast": viewer.panels.needs.contrast },
        "patient_hidden": document.preferences.hide_patient,
        "hover": document.view.hover.map(|(plane, voxel)| json!({ "plane": plane, "voxel": voxel })),
        "offered_edits": document.unsaved_edits.as_ref().map(|kept| kept.voxels),
        // Dice, focal and region loss of every step so far.
        "demo_training": viewer.panels.side.learn.current.as_ref().map(|record| &record.losses),
        // Never an address, which may name a host, and never who asks.
        "archive": {
            "sources": document.archives.sources.len(),
            "connected": document.archives.is_connected,
            "opening": document.opening.as_ref().and_then(|opening| opening.part),
            "picture": document.opening.as_ref().is_some_and(|opening| opening.picture.is_some()),
            "came_from_one": document.study.as_ref().is_some_and(|study| study.origin.is_some()),
            "structures": document.structures_in_archive().len(),
            "sending": document.archives.sending.is_some(),
        },
        "run": { "phase": phase(&run.phase), "done": run.done, "total": run.total },
        "notices": viewer.outbox.notices.iter().map(|n| format!("{:?}: {}", n.severity, discreet(&n.text, document.study.as_ref()))).collect::<Vec<_>>(),
    })
}

/// A notice without what it says of patient and study: files are named after them.
fn discreet(text: &str, study: Option<&Study>) -> String {
    let Some(study) = study else { return text.to_string() };
    let mut private = vec![study.file_name(""), study.name.clone()];
    if let Some(about) = &study.about {
        private.extend(
            [&about.patient, &about.id, &about.birth_date, &about.study_date, &about.study, &about.series]
                .map(String::clone),
        );
    }
    let told = private.iter().filter(|word| word.chars().count() > 2);
    told.fold(text.to_string(), |text, word| text.replace(word.as_str(), "\u{2026}"))
}

fn of_study(study: &Study, slice: usize) -> Value {
    let mut voxels = [0usize; 256];
    for &label in study.labels.layer().slice(slice).iter() {
        voxels[usize::from(label)] += 1;
    }
    let organs = (1..voxels.len()).filter(|&label| voxels[label] > 0);
    json!({
        "size": study.geometry().size,
        "slice": slice,
        "labelled_slices": study.labels.layer().revisions().iter().filter(|&&revision| revision > 0).count(),
        "edited_voxels": study.labels.edited_voxels(),
        "attention_slices": study.anatomy.iter().flatten().filter(|anatomy| anatomy.attention.is_some()).count(),
        "voxels_on_slice": organs.map(|label| (label.to_string(), json!(voxels[label]))).collect::<serde_json::Map<_, _>>(),
    })
}

fn phase(phase: &RunPhase) -> &'static str {
    match phase {
        RunPhase::Idle => "idle",
        RunPhase::Running => "running",
        RunPhase::Paused => "paused",
        RunPhase::Finished => "finished",
        RunPhase::Cancelled => "cancelled",
        RunPhase::Failed(_) => "failed",
    }
}
