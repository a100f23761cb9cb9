//! The viewer as a window of the desktop.

use crate::app::{Launch, ViewerApp};
use crate::worker;

/// Opens the window and returns when it is closed.
///
/// # Errors
/// Where there is no display, or nothing that can draw on it.
pub fn run_native(launch: Launch) -> eframe::Result {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("AttentionAnatomy")
            .with_app_id("attention-anatomy")
            .with_inner_size([1440.0, 900.0])
            .with_min_inner_size([900.0, 600.0])
            .with_drag_and_drop(true),
        renderer: eframe::Renderer::Wgpu,
        ..Default::default()
    };
    eframe::run_native(
        "AttentionAnatomy",
        options,
        Box::new(|cc| {
            let worker = worker::spawn_worker(&cc.egui_ctx);
            Ok(Box::new(ViewerApp::new(cc, worker, launch)))
        }),
    )
}
