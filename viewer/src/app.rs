//! One frame: events in, windows drawn, commands out.

use attention_anatomy::infer::DevicePreference;
use eframe::CreationContext;

use crate::files::Files;
use crate::state::{FileRequest, State};
use crate::worker::{Command, Input, OpenAs, Worker};
use crate::{edit, panels, render, store, views};

/// How the viewer is started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launch {
    /// What to open at once.
    pub inputs: Vec<Input>,
    /// What computes.
    pub device: DevicePreference,
    /// Whether preferences and edits are kept when the program ends, and come back. Tests leave this off.
    pub remember: bool,
}

/// The application.
pub struct ViewerApp {
    /// All that it knows.
    pub state: State,
    worker: Box<dyn Worker>,
    files: Files,
}

impl std::fmt::Debug for ViewerApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewerApp").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Events that are applied in one frame at most, so that a burst of slices does not hold the window up.
const EVENTS_PER_FRAME: usize = 64;

impl ViewerApp {
    /// The application with its worker.
    pub fn new(cc: &CreationContext<'_>, worker: Box<dyn Worker>, launch: Launch) -> Self {
        if let Some(render_state) = &cc.wgpu_render_state {
            render::install(render_state);
        }
        let mut app = Self { state: State::default(), worker, files: Files::default() };
        if launch.remember {
            store::remember(&mut app.state);
        }
        // Opened while the user still looks for a scan: a first shader may take seconds.
        app.state.model.preference = launch.device;
        app.state.send(Command::UseDevice(launch.device));
        if !launch.inputs.is_empty() {
            app.state.open(launch.inputs, OpenAs::Whatever);
        }
        app
    }

    /// Keeps what must survive the program, now: it may not come to anything more.
    pub fn leave(&mut self) {
        store::leave(&mut self.state);
    }

    fn hear(&mut self, ctx: &egui::Context) {
        for n in 0..EVENTS_PER_FRAME {
            let Some(event) = self.worker.try_recv() else { break };
            self.state.apply(event);
            if n + 1 == EVENTS_PER_FRAME {
                ctx.request_repaint();
            }
        }
        self.files.dropped(ctx);
        while let Some(chosen) = self.files.poll() {
            self.state.open(chosen.inputs, chosen.as_what);
        }
        while let Some(outcome) = self.files.outcome() {
            match outcome {
                Ok(name) => {
                    store::saved(&mut self.state, &name);
                    self.state.notices.info(format!("saved {name}"));
                }
                Err(message) => self.state.notices.error(message),
            }
        }
    }

    /// Files that are made here rather than by the worker.
    fn make_files(&mut self, ctx: &egui::Context) {
        if std::mem::take(&mut self.state.panels.picture_requested) {
            views::request_picture(ctx);
        }
        if std::mem::take(&mut self.state.panels.session_requested)
            && let Some(text) = store::save_session(&self.state)
        {
            self.state.request(FileRequest::Save { name: store::SESSION_NAME.into(), bytes: text.into_bytes() });
        }
    }

    fn speak(&mut self, ctx: &egui::Context) {
        for command in std::mem::take(&mut self.state.commands) {
            self.state.memory.about_to_export(&command, self.state.study.as_ref());
            self.worker.send(command);
        }
        for request in std::mem::take(&mut self.state.requests) {
            self.state.memory.about_to_save(&request, self.state.study.as_ref());
            self.files.request(request, ctx);
        }
    }
}

impl eframe::App for ViewerApp {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.hear(ctx);
        store::tick(&mut self.state, ctx);
        self.speak(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        panels::show(ui, &mut self.state);
        if panels::has_board(&self.state) {
            panels::show_board(ui, &mut self.state);
        } else {
            views::show(ui, &mut self.state);
            edit::apply_strokes(&mut self.state);
        }
        let ctx = ui.ctx().clone();
        if let Some(render_state) = frame.wgpu_render_state() {
            render::upload(render_state, &ctx, &mut self.state);
        }
        self.files.hint(&ctx);
        self.make_files(&ctx);
        self.speak(&ctx);
    }

    // In the browser: the page is no longer what the keyboard speaks to.
    fn save(&mut self, _storage: &mut dyn eframe::Storage) {
        self.leave();
    }

    fn on_exit(&mut self) {
        self.leave();
    }

    // For the page, which tells whoever drives it what is shown.
    #[cfg(target_arch = "wasm32")]
    fn as_any_mut(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(self)
    }
}

#[cfg(test)]
mod tests;
