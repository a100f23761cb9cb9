//! One frame: events in, windows drawn, commands out.

mod shown;

use attention_anatomy::infer::DevicePreference;
use eframe::CreationContext;

use crate::display::StrokePhase;
use crate::document::{Archives, Document, FileRequest, Outbox, Task};
use crate::files::{Files, Outcome};
use crate::panels::Panels;
use crate::store::Autosave;
use crate::waker::Waker;
use crate::worker::{ArchiveAnswer, Command, Event, Input, OpenAs, Opened, Worker};
use crate::{edit, render, views};

pub use shown::Shown;

/// How the viewer is started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Launch {
    /// What to open at once.
    pub inputs: Vec<Input>,
    /// What computes.
    pub device: DevicePreference,
    /// Archives that may be asked, and a study that is opened from one.
    pub archives: Archives,
    /// Whether preferences and edits are kept when the program ends, and come back. Tests leave this off.
    pub remember: bool,
}

/// The application.
pub struct ViewerApp {
    /// What is open.
    pub document: Document,
    /// What others have to do, and what the user should read.
    pub outbox: Outbox,
    /// Everything around the views.
    pub panels: Panels,
    autosave: Autosave,
    worker: Box<dyn Worker>,
    files: Files,
    window: Waker,
}

impl std::fmt::Debug for ViewerApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewerApp").field("document", &self.document).finish_non_exhaustive()
    }
}

/// Events that are applied in one frame at most, so that a burst of slices does not hold the window up.
const EVENTS_PER_FRAME: usize = 64;

impl ViewerApp {
    /// The application, and the worker that `spawn` gives it.
    pub fn new(cc: &CreationContext<'_>, spawn: impl FnOnce(&Waker) -> Box<dyn Worker>, launch: Launch) -> Self {
        if let Some(render_state) = &cc.wgpu_render_state {
            render::install(render_state);
        }
        let window = Waker::new(&cc.egui_ctx);
        let mut app = Self {
            document: Document::default(),
            outbox: Outbox::default(),
            panels: Panels::default(),
            autosave: Autosave::default(),
            worker: spawn(&window),
            files: Files::default(),
            window,
        };
        if launch.remember {
            app.autosave.start(&mut app.document.preferences);
        }
        // Opened while the user still looks for a scan: a first shader may take seconds.
        app.document.model.preference = launch.device;
        app.outbox.send(Command::UseDevice(launch.device));
        app.document.archives = launch.archives;
        app.document.follow_link(&mut app.outbox);
        if !launch.inputs.is_empty() {
            app.files.opened(&launch.inputs);
            app.document.open(launch.inputs, OpenAs::Whatever, &mut app.outbox);
        }
        app
    }

    /// Goes on in another window: the device of the one before is lost, and with it all that lay there. It is made again from
    /// what is in memory; scan, run and edits do not notice.
    fn move_to(&mut self, cc: &CreationContext<'_>) {
        if let Some(render_state) = &cc.wgpu_render_state {
            render::install(render_state);
        }
        let last = self.window.move_to(&cc.egui_ctx);
        // Widths of panels, what is scrolled and unfolded, the look. (Not what was cached: it names textures of the last window.)
        let memory = last.memory(Clone::clone);
        cc.egui_ctx.memory_mut(|of_this| *of_this = memory);
        self.panels.new_window();
    }

    /// Saves what must survive the program, now: it may not come to anything more. Whether all of it is written.
    pub fn flush(&mut self) -> bool {
        self.autosave.flush(&self.document)
    }

    /// Asks for a frame: whoever changed something from outside the window wants to see it.
    pub fn wake(&self) {
        self.window.wake();
    }

    fn apply_events(&mut self, ctx: &egui::Context) {
        for n in 0..EVENTS_PER_FRAME {
            let Some(event) = self.worker.try_recv() else { break };
            self.apply(event);
            if n + 1 == EVENTS_PER_FRAME {
                ctx.request_repaint();
            }
        }
        self.files.dropped(ctx);
        while let Some(chosen) = self.files.poll() {
            self.files.opened(&chosen.inputs);
            self.document.open(chosen.inputs, chosen.as_what, &mut self.outbox);
        }
        while let Some(outcome) = self.files.next_outcome() {
            let Outcome { save, said } = outcome;
            match said {
                Ok(name) => {
                    save.into_iter().for_each(|number| self.autosave.file_saved(number, &self.document));
                    self.outbox.notices.info(format!("saved {name}"));
                }
                Err(message) => self.outbox.notices.error(message),
            }
        }
    }

    fn apply(&mut self, event: Event) {
        let Some(event) = self.panels.apply(event) else { return };
        match event {
            Event::EditsPacked { number, text } => return self.autosave.store(number, text),
            Event::EditsUnpacked { study, .. } => self.autosave.restored(study),
            Event::Archive { number, answer: ArchiveAnswer::Sent(ref files) } => {
                self.autosave.files_sent(number, files, &self.document);
            }
            // The study that is open now is about to be replaced.
            Event::Opened { what: Opened::Ct { .. }, .. } => self.autosave.save(&self.document, &mut self.outbox),
            _ => {}
        }
        self.document.apply(event, &mut self.outbox);
    }

    /// What the mouse drew in the views becomes edits.
    fn apply_strokes(&mut self) {
        let strokes = std::mem::take(&mut self.document.view.strokes);
        let Some(study) = self.document.study.as_mut().filter(|_| !strokes.is_empty()) else { return };
        if strokes.iter().any(|stroke| stroke.phase == StrokePhase::Begin) {
            // Painting over labels that are only supposed would hide what is painted.
            study.what_if = None;
        }
        let (view, settings) = (&self.document.view, self.panels.edit_settings());
        for refused in edit::apply_strokes(&mut study.labels, &strokes, view, settings) {
            self.outbox.notices.warn(refused.to_string());
        }
    }

    fn do_tasks(&mut self, ctx: &egui::Context) {
        for task in std::mem::take(&mut self.outbox.tasks) {
            match task {
                Task::SavePicture => views::request_picture(ctx),
                Task::RestoreEdits { newest_only } => {
                    self.autosave.restore(&mut self.document, &mut self.outbox, newest_only);
                }
                Task::DiscardEdits => self.autosave.discard(&mut self.document),
            }
        }
    }

    fn send(&mut self, ctx: &egui::Context) {
        let study = self.document.study.as_ref();
        for command in std::mem::take(&mut self.outbox.commands) {
            self.autosave.about_to_export(&command, study);
            self.worker.send(command);
        }
        for request in std::mem::take(&mut self.outbox.requests) {
            let name = if let FileRequest::Save { name, .. } = &request { name.clone() } else { String::new() };
            if let Some(number) = self.files.request(request, ctx) {
                self.autosave.about_to_save(&name, number);
            }
        }
    }
}

impl eframe::App for ViewerApp {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.apply_events(ctx);
        self.autosave.tick(&mut self.document, &mut self.outbox, ctx);
        self.send(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.panels.show(ui, &mut self.document, &mut self.outbox);
        if self.panels.arrangement.has_board() {
            self.panels.show_board(ui);
        } else {
            views::show(ui, &mut self.document, &mut self.outbox);
            self.apply_strokes();
        }
        let ctx = ui.ctx().clone();
        if let Some(render_state) = frame.wgpu_render_state() {
            render::upload(render_state, &ctx, &self.document, &mut self.outbox.notices);
        }
        self.files.hint(&ctx);
        self.do_tasks(&ctx);
        self.send(&ctx);
    }

    // In the browser: every half minute, and when the keyboard no longer speaks to the page.
    fn save(&mut self, _storage: &mut dyn eframe::Storage) {
        self.autosave.save(&self.document, &mut self.outbox);
    }

    fn on_exit(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests;
