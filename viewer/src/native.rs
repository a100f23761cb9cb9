//! The viewer as a window of the desktop, and as another one where the first loses its graphics device.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use attention_anatomy::infer::StoragePreference;
use eframe::CreationContext;

use crate::app::{Launch, Shown, ViewerApp};
use crate::worker;

const NAME: &str = "AttentionAnatomy";

/// Windows that are opened one after the other, each because the device of the one before was lost. A driver that loses as
/// many is not going to keep the next.
const MOST_WINDOWS: usize = 5;

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// Nobody has a screen for it, and why.
    #[error("there is no display to open a window on ({0})")]
    NoDisplay(String),
    /// There is a screen, and nothing can be drawn on it.
    #[error("the window cannot be opened: {0}")]
    Cannot(String),
    /// There was one.
    #[error(
        "the graphics card stopped working and the window cannot be opened again ({0}); what you have edited is kept and is offered when \
         the same CT is opened again"
    )]
    Lost(String),
}

impl From<eframe::Error> for WindowError {
    fn from(error: eframe::Error) -> Self {
        let said = reason(&error.to_string());
        match error {
            eframe::Error::WinitEventLoop(_) => Self::NoDisplay(said),
            _ => Self::Cannot(said),
        }
    }
}

/// What the system says, without the place in some library's source at which it was heard:
/// `os error at .../mod.rs:765: neither WAYLAND_DISPLAY nor DISPLAY is set.`
fn reason(said: &str) -> String {
    let after_place = said.split_once("os error at ").and_then(|(_, place)| place.split_once(".rs:"));
    let why = after_place.and_then(|(_, line)| line.split_once(": ")).map_or(said, |(_, why)| why);
    why.trim_end_matches('.').to_owned()
}

/// Opens the window and returns when it is closed; weights and maps of a network lie on a GPU as `storage` says.
///
/// # Errors
/// [`WindowError`]: where there is no display, or nothing that can draw on it, also after a graphics device was lost.
pub fn run_native(launch: Launch, storage: StoragePreference) -> Result<(), WindowError> {
    let shown: Rc<RefCell<Option<Shown>>> = Rc::default();
    let mut launch = Some(launch);
    let mut why = String::new();
    for _ in 0..MOST_WINDOWS {
        let (launch, shown, lost) = (launch.take().unwrap_or_default(), shown.clone(), Lost::default());
        let heard = lost.clone();
        let opened = eframe::run_native(
            NAME,
            options(),
            Box::new(move |cc| {
                heard.listen(cc);
                let viewer = match shown.take() {
                    Some(viewer) => {
                        viewer.move_to(cc);
                        viewer
                    }
                    None => Shown::new(ViewerApp::new(cc, |window| worker::spawn_worker(window, storage), launch)),
                };
                shown.replace(Some(viewer.clone()));
                Ok(Box::new(Window { viewer, lost: heard }))
            }),
        );
        match (opened, lost.why()) {
            (Ok(()), Some(reason)) => why = reason,
            (Err(error), _) if !why.is_empty() => {
                why = reason(&error.to_string());
                break;
            }
            (opened, _) => return Ok(opened?),
        }
    }
    Err(WindowError::Lost(why))
}

fn options() -> eframe::NativeOptions {
    eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title(NAME)
            .with_app_id("attention-anatomy")
            .with_inner_size([1440.0, 900.0])
            .with_min_inner_size([900.0, 600.0])
            .with_drag_and_drop(true),
        renderer: eframe::Renderer::Wgpu,
        ..Default::default()
    }
}

/// Whether the graphics device of a window was lost while the window was open, and what its driver says.
#[derive(Clone, Default)]
struct Lost {
    why: Arc<Mutex<Option<String>>>,
    /// The window goes, and its device with it.
    closing: Arc<AtomicBool>,
}

impl Lost {
    fn listen(&self, cc: &CreationContext<'_>) {
        let Some(render_state) = &cc.wgpu_render_state else { return };
        let (lost, ctx) = (self.clone(), cc.egui_ctx.clone());
        render_state.device.set_device_lost_callback(move |_, why| {
            if !lost.closing.load(Ordering::Relaxed)
                && let Ok(mut lost) = lost.why.lock()
            {
                tracing::error!("the graphics device is lost: {why}");
                *lost = Some(why);
                // Sent with the next frame, by the window itself: this may be any thread, in the middle of anything.
                ctx.request_repaint();
            }
        });
    }

    fn why(&self) -> Option<String> {
        self.why.lock().ok().and_then(|why| why.clone())
    }
}

/// A window that closes when its device is lost.
struct Window {
    viewer: Shown,
    lost: Lost,
}

impl eframe::App for Window {
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        if self.lost.why().is_some() {
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
        }
        self.viewer.logic(ctx, frame);
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.viewer.ui(ui, frame);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::App::save(&mut self.viewer, storage);
    }

    fn on_exit(&mut self) {
        self.lost.closing.store(true, Ordering::Relaxed);
        self.viewer.on_exit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_told_without_the_sources_of_a_library() {
        let said = "winit EventLoopError: os error at /home/me/.cargo/registry/src/winit-0.30.9/src/platform_impl/linux/mod.rs:765: neither \
                    WAYLAND_DISPLAY nor DISPLAY is set.";
        assert_eq!(reason(said), "neither WAYLAND_DISPLAY nor DISPLAY is set");
        assert_eq!(reason("WGPU error: no adapter: none at all"), "WGPU error: no adapter: none at all");
        let error = WindowError::NoDisplay(reason(said)).to_string();
        assert_eq!(error, "there is no display to open a window on (neither WAYLAND_DISPLAY nor DISPLAY is set)");
    }
}
