//! Everything around the views. A panel reads and changes the [`State`]; what others have to do goes into its outboxes.
//!
//! | file | what |
//! |---|---|
//! | `top.rs` | open, save, layout, device, run controls and progress |
//! | `organs.rs` | the 33 organs: colour, visibility, volume, where |
//! | `side.rs` | tabs on the right: attention, correct, compare, uncertain slices, learn |
//! | `attention.rs` | bars of the slice on screen, what-if, warnings |
//! | `along_body.rs` | strip along the body: attention heat map, region ribbon |
//! | `correct.rs` | tools that change labels |
//! | `compare.rs` | metrics against a second label map |
//! | `learn/` | a small network learning live |
//! | `status.rs` | position, HU, organ under the mouse; the disclaimer |
//! | `notices.rs` | errors, warnings, opening with progress and cancel |
//! | `help.rs` | shortcuts, guided tour |

mod along_body;
mod attention;
mod compare;
mod correct;
mod help;
mod learn;
mod notices;
mod organs;
mod side;
mod status;
mod top;

use crate::state::State;
use crate::worker::{Event, LearnEvent};

/// What the panels remember of themselves.
#[derive(Clone, Debug, Default)]
pub struct PanelState {
    /// What is being opened.
    pub opening: Option<Opening>,
    /// The tab on the right.
    pub tab: side::Tab,
    /// How the comparison is sorted.
    pub compare: compare::Order,
    /// Whether the list of shortcuts is open.
    pub help: bool,
    /// The small trainings.
    pub lesson: learn::Learn,
}

/// What is being opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// What is done now.
    pub step: String,
    /// How much of it, where that is known.
    pub part: Option<f32>,
    /// Bytes that it will need, where that is a question to the user.
    pub large: Option<u64>,
}

impl PanelState {
    /// Opening goes on, or asks.
    pub fn opening(&mut self, event: Event) {
        let opening = self.opening.get_or_insert_default();
        match event {
            Event::OpenProgress { step, part, .. } => (opening.step, opening.part) = (step, part),
            Event::OpenLarge { bytes, .. } => opening.large = Some(bytes),
            _ => {}
        }
    }

    /// Opening is over.
    pub fn opened(&mut self) {
        self.opening = None;
    }

    /// The small training said something.
    pub fn learn(&mut self, event: LearnEvent) {
        self.lesson.hear(event);
    }
}

/// Draws all panels; what is left of `ui` is for the views.
pub fn show(ui: &mut egui::Ui, state: &mut State) {
    egui::Panel::top("top").show(ui, |ui| top::show(ui, state));
    egui::Panel::bottom("status").show(ui, |ui| status::show(ui, state));
    if !has_board(state) {
        egui::Panel::left("organs").resizable(true).show(ui, |ui| organs::show(ui, state));
    }
    egui::Panel::right("side").resizable(true).show(ui, |ui| side::show(ui, state));
    correct::shortcuts(ui.ctx(), state);
    notices::show(ui, state);
    help::show(ui, state);
}

/// Whether a panel takes the place of the views.
pub fn has_board(state: &State) -> bool {
    state.panels.tab == side::Tab::Learn
}

/// Draws what a panel shows in place of the views.
pub fn show_board(ui: &mut egui::Ui, state: &mut State) {
    egui::CentralPanel::default().show(ui, |ui| learn::show_board(ui, state));
}
