//! Dialogs, drops and downloads of each platform, behind one interface.
//!
//! | file | what |
//! |---|---|
//! | `native.rs` | the system's dialogs, each in a thread of its own; files written whole or not at all |
//! | `wasm.rs` | the browser's dialogs, folders that are dropped on the page, downloads |

use std::collections::VecDeque;

use crate::document::FileRequest;
use crate::worker::{Input, OpenAs};

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
use native as platform;
#[cfg(target_family = "wasm")]
use wasm as platform;

/// Why nothing is opened: folders without a file, or something dragged that is none.
#[cfg(target_family = "wasm")]
const NO_FILES: &str =
    "there are no files in what was dropped or chosen: open the folder that holds the slices of a CT";

/// What was chosen or dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// What to open.
    pub inputs: Vec<Input>,
    /// What it is taken for.
    pub as_what: OpenAs,
}

/// What comes back from the platform, sooner or later.
#[derive(Clone, Debug, PartialEq)]
enum Reply {
    Chosen(Chosen),
    /// What became of a request to save, or one sentence about what else could not be done.
    Finished(Outcome),
}

/// What was done, or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The number of the request, where a file was to be saved.
    pub save: Option<u64>,
    /// The name of the file that was saved, or one sentence about what could not be done.
    pub said: Result<String, String>,
}

impl Outcome {
    /// Something that could not be done, other than saving.
    fn failed(message: impl Into<String>) -> Self {
        Self { save: None, said: Err(message.into()) }
    }
}

/// Files that are chosen, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialog {
    Files,
    Folder,
    Weights,
    Reference,
}

impl Dialog {
    fn as_what(self) -> OpenAs {
        match self {
            Self::Files | Self::Folder => OpenAs::Whatever,
            Self::Weights => OpenAs::Weights,
            Self::Reference => OpenAs::Reference,
        }
    }
}

/// The platform's dialogs. Nothing here waits: what was chosen comes from [`Files::poll`] later.
#[derive(Debug, Default)]
pub struct Files {
    platform: platform::Platform,
    chosen: VecDeque<Chosen>,
    finished: VecDeque<Outcome>,
    /// Requests to save so far.
    saves: u64,
    /// What was opened, and when: no save replaces it.
    opened: Vec<(std::path::PathBuf, web_time::SystemTime)>,
    /// Requests that a test looks at, in place of dialogs that nobody would answer.
    #[cfg(test)]
    pub(crate) kept: Option<Vec<FileRequest>>,
}

impl Files {
    /// Does what was asked, in its own time. A request to save has a number, which its [`Outcome`] tells.
    pub fn request(&mut self, request: FileRequest, ctx: &egui::Context) -> Option<u64> {
        let number = matches!(request, FileRequest::Save { .. }).then(|| {
            self.saves += 1;
            self.saves
        });
        #[cfg(test)]
        if let Some(kept) = &mut self.kept {
            kept.push(request);
            return number;
        }
        match request {
            FileRequest::OpenFiles => self.platform.choose(Dialog::Files, ctx),
            FileRequest::OpenFolder => self.platform.choose(Dialog::Folder, ctx),
            FileRequest::OpenWeights => self.platform.choose(Dialog::Weights, ctx),
            FileRequest::OpenReference => self.platform.choose(Dialog::Reference, ctx),
            FileRequest::OpenRecent(path) => self.open(vec![Input::Path(path.into())]),
            FileRequest::Save { name, bytes } => self.platform.save(self.saves, name, bytes, self.opened.clone(), ctx),
        }
        number
    }

    /// Remembers what is opened, so that it is not replaced by what is saved later.
    pub fn opened(&mut self, inputs: &[Input]) {
        let paths = inputs.iter().filter_map(|input| if let Input::Path(path) = input { Some(path) } else { None });
        self.opened.extend(paths.map(|path| (path.clone(), web_time::SystemTime::now())));
    }

    /// Files that were dropped on the window in this frame.
    pub fn dropped(&mut self, ctx: &egui::Context) {
        let inputs = self.platform.dropped(ctx);
        self.open(inputs);
    }

    /// Says what will happen while files are held over the window.
    pub fn hint(&self, ctx: &egui::Context) {
        if ctx.input(|input| input.raw.hovered_files.is_empty()) {
            return;
        }
        let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("files are held over the window"));
        let (painter, style) = (ctx.layer_painter(layer), ctx.global_style());
        let area = ctx.content_rect();
        painter.rect_filled(area, 0.0, style.visuals.window_fill.gamma_multiply(0.85));
        let text = "Drop to open: a CT (DICOM folder, zip, NIfTI, NRRD), a label map, weights or a session";
        let (colour, font) = (style.visuals.strong_text_color(), egui::FontId::proportional(20.0));
        let lines = painter.layout(text.into(), font, colour, area.width() * 0.8);
        painter.galley(area.center() - lines.size() / 2.0, lines, colour);
    }

    /// What was chosen or dropped meanwhile.
    pub fn poll(&mut self) -> Option<Chosen> {
        self.receive();
        self.chosen.pop_front()
    }

    /// What could not be done, and files that were saved.
    pub fn next_outcome(&mut self) -> Option<Outcome> {
        self.receive();
        self.finished.pop_front()
    }

    fn receive(&mut self) {
        while let Some(reply) = self.platform.try_recv() {
            match reply {
                Reply::Chosen(chosen) => self.chosen.push_back(chosen),
                Reply::Finished(outcome) => self.finished.push_back(outcome),
            }
        }
    }

    fn open(&mut self, inputs: Vec<Input>) {
        if !inputs.is_empty() {
            self.chosen.push_back(Chosen { inputs, as_what: OpenAs::Whatever });
        }
    }
}
