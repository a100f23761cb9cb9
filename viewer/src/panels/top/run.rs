//! The segmentation: run, pause, cancel, and how far it is.

use egui::{ProgressBar, RichText, Ui};

use super::super::context::Context;
use super::super::icons::Icon;
use super::super::widgets::{duration, icon_button};
use crate::document::{RunPhase, RunState};
use crate::worker::Command;

/// Draws the controls.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    match cx.document.run.phase.clone() {
        RunPhase::Running => {
            if icon_button(ui, Icon::Pause, "Pause the run", "Slices under way are finished", None, true).clicked() {
                cx.document.run.hold(true);
                cx.outbox.send(Command::Pause(true));
            }
            cancel(ui, cx);
            progress(ui, &cx.document.run, "");
        }
        RunPhase::Paused => {
            if icon_button(ui, Icon::Play, "Go on with the run", "", None, true).clicked() {
                cx.document.run.hold(false);
                cx.outbox.send(Command::Pause(false));
            }
            cancel(ui, cx);
            progress(ui, &cx.document.run, "held, ");
        }
        phase => {
            let ready = cx.document.study.is_some();
            let (icon, name) = match phase {
                RunPhase::Idle => (Icon::Play, "Run the segmentation"),
                _ => (Icon::Again, "Run the segmentation again"),
            };
            let hint = if ready { "From the slice on screen outwards; edits are kept" } else { "Open a scan first" };
            if icon_button(ui, icon, name, hint, None, ready).clicked() {
                cx.document.start_run(cx.outbox);
            }
            if let Some((text, long)) = summary(&cx.document.run) {
                let label = ui.label(RichText::new(text).small());
                if let Some(long) = long {
                    label.on_hover_text(long);
                }
            }
        }
    }
}

fn cancel(ui: &mut Ui, cx: &mut Context<'_>) {
    if icon_button(ui, Icon::Stop, "Cancel the run", "What is done stays", None, true).clicked() {
        cx.outbox.send(Command::CancelRun);
    }
}

fn progress(ui: &mut Ui, run: &RunState, before: &str) {
    let part = run.done as f32 / run.total.max(1) as f32;
    let mut text = format!("{before}{} of {}", run.done, run.total);
    if let (Some(speed), Some(left)) = (run.slices_per_second(), run.seconds_left())
        && before.is_empty()
    {
        text = format!("{text}, {speed:.1} slices/s, {} left", duration(left));
    }
    if run.total == 0 {
        text = "starting\u{2026}".to_string();
    }
    // A telephone has room for the number alone.
    let is_narrow = ui.available_width() < 420.0;
    if is_narrow {
        text = format!("{before}{}/{}", run.done, run.total);
    }
    let width = if is_narrow { 44.0 } else { 120.0 };
    ui.add(ProgressBar::new(part).desired_width(width).desired_height(10.0)).accessible_name("Segmentation, done");
    ui.label(RichText::new(text).small());
    // The time left changes although nothing is heard.
    ui.ctx().request_repaint_after_secs(0.5);
}

/// What became of the run, short and long.
fn summary(run: &RunState) -> Option<(String, Option<String>)> {
    match &run.phase {
        RunPhase::Finished => {
            // Nobody measured the run whose result a session brought back.
            let time = run.seconds.map_or(String::new(), |seconds| format!(" in {}", duration(seconds)));
            Some((format!("{} slices{time}", run.total), None))
        }
        RunPhase::Cancelled => Some((format!("stopped at {} of {}", run.done, run.total), None)),
        // Refused before it began, perhaps with a question that is still on screen.
        RunPhase::Failed(message) if run.done == 0 => Some(("not segmented".to_string(), Some(message.clone()))),
        RunPhase::Failed(message) => Some(("the run failed".to_string(), Some(message.clone()))),
        RunPhase::Idle | RunPhase::Running | RunPhase::Paused => None,
    }
}
