//! The viewer as a window of the desktop, and as another one where the first loses its graphics device.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use eframe::CreationContext;

use crate::app::{Launch, Shown, ViewerApp};
use crate::worker;

const NAME: &str = "AttentionAnatomy";

/// Windows that are opened one after the other, each because the device of the one before was lost. A driver that loses as
/// many is not going to keep the next.
const MOST_WINDOWS: usize = 5;

/// Opens the window and returns when it is closed.
///
/// # Errors
/// Where there is no display, or nothing that can draw on it, also after a graphics device was lost.
pub fn run_native(launch: Launch) -> eframe::Result {
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
                    None => Shown::new(ViewerApp::new(cc, worker::spawn_worker, launch)),
                };
                shown.replace(Some(viewer.clone()));
                Ok(Box::new(Window { viewer, lost: heard }))
            }),
        );
        match (opened, lost.why()) {
            (Ok(()), Some(reason)) => why = reason,
            (Err(error), _) if !why.is_empty() => {
                why = error.to_string();
                break;
            }
            (opened, _) => return opened,
        }
    }
    Err(eframe::Error::AppCreation(
        format!(
            "the graphics card stopped working and the window cannot be opened again ({why}); what you have edited is kept and \
             is offered when the same CT is opened again"
        )
        .into(),
    ))
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
