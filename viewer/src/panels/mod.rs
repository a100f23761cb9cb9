//! Everything around the views. A panel reads and changes the [`State`]; what others have to do goes into its outboxes.
//!
//! | file | what |
//! |---|---|
//! | `top/` | open, save, layout, tools, device, run controls and progress |
//! | `organs/` | the 33 organs: colour, visibility, volume, where |
//! | `side.rs` | tabs on the right: attention, correct, compare, learn |
//! | `attention/` | bars of the slice on screen, what-if, warnings, uncertain slices |
//! | `along_body/` | strip along the body: attention heat map, region ribbon |
//! | `correct.rs` | tools that change labels |
//! | `compare.rs` | metrics against a second label map |
//! | `learn/` | a small network learning live |
//! | `status.rs` | position, HU, organ under the mouse; the disclaimer |
//! | `notices.rs` | errors, warnings, opening with progress and cancel |
//! | `help.rs`, `tour.rs` | shortcuts, guided tour |
//! | `widgets.rs`, `icons.rs` | what several panels use |

mod along_body;
mod attention;
mod compare;
mod correct;
mod help;
mod icons;
mod learn;
mod notices;
mod organs;
mod side;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod top;
mod tour;
mod widgets;

use crate::state::State;
use crate::theme;
use crate::worker::{Event, Input, LearnEvent, OpenAs};

pub use side::Tab;

/// What the panels remember of themselves.
#[derive(Clone, Debug, Default)]
pub struct PanelState {
    /// What is being opened.
    pub opening: Option<Opening>,
    /// The tab on the right.
    pub tab: Tab,
    /// How the comparison is sorted.
    pub compare: compare::Order,
    /// Whether the list of shortcuts is open.
    pub help: bool,
    /// The small trainings.
    pub lesson: learn::Learn,
    /// A PNG of the view was asked for; whoever draws the views makes it and takes the flag back.
    pub picture_requested: bool,
    /// A session file was asked for; whoever writes it takes the flag back.
    pub session_requested: bool,
    /// Panels that the user has put away, so that the views have the room.
    pub hidden: Hidden,
    organs: organs::Memory,
    attention: attention::Memory,
    along_body: along_body::Memory,
    notices: notices::Memory,
    tour: tour::Memory,
    theme: Option<theme::Applied>,
}

/// Panels that are put away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// The list of organs on the left.
    pub organs: bool,
    /// The strip along the body.
    pub along_body: bool,
    /// The tabs on the right.
    pub side: bool,
}

/// What is being opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// Number of the job.
    pub job: u64,
    /// What was asked for, to ask again where it is large.
    pub inputs: Vec<Input>,
    /// What it was asked for as.
    pub as_what: OpenAs,
    /// What is done now.
    pub step: String,
    /// How much of it, where that is known.
    pub part: Option<f32>,
    /// Bytes that it will need, where that is a question to the user.
    pub large: Option<u64>,
}

impl PanelState {
    /// Opening goes on, or asks; jobs that are over say nothing.
    pub fn opening(&mut self, event: Event) {
        match event {
            Event::OpenProgress { job, step, part } => {
                if let Some(opening) = self.opening.as_mut().filter(|o| o.job == job) {
                    (opening.step, opening.part) = (step, part);
                }
            }
            Event::OpenLarge { job, bytes } => {
                if let Some(opening) = self.opening.as_mut().filter(|o| o.job == job) {
                    opening.large = Some(bytes);
                }
            }
            _ => {}
        }
    }

    /// Opening is over.
    pub fn opened(&mut self, job: u64) {
        if self.opening.as_ref().is_some_and(|o| o.job == job) {
            self.opening = None;
        }
    }

    /// The small training said something.
    pub fn learn(&mut self, event: LearnEvent) {
        self.lesson.hear(event);
    }
}

/// Draws all panels; what is left of `ui` is for the views.
pub fn show(ui: &mut egui::Ui, state: &mut State) {
    correct::shortcuts(ui.ctx(), state);
    theme::keep(ui.ctx(), &mut state.preferences, &mut state.panels.theme);
    attention::keep(ui.ctx(), state);
    let frame = egui::Frame::side_top_panel(ui.style());
    egui::Panel::top("top").frame(frame.inner_margin(6)).show(ui, |ui| top::show(ui, state));
    egui::Panel::bottom("status").frame(frame.inner_margin(egui::Margin::symmetric(8, 3))).show(ui, |ui| {
        status::show(ui, state);
    });
    // A window that is too narrow for all keeps its views: the panels may then be reached one at a time.
    let roomy = ui.available_width();
    if !state.panels.hidden.organs && !has_board(state) {
        let width = if roomy < 1100.0 { 236.0 } else { 244.0 };
        let panel = egui::Panel::left("organs").resizable(true).default_size(width).size_range(190.0..=380.0);
        panel.frame(frame.inner_margin(6)).show(ui, |ui| organs::show(ui, state));
    }
    if !state.panels.hidden.side {
        let width = if roomy < 1100.0 { 270.0 } else { 308.0 };
        let panel = egui::Panel::right("side").resizable(true).default_size(width).size_range(250.0..=520.0);
        panel.frame(frame.inner_margin(8)).show(ui, |ui| side::show(ui, state));
    }
    if !state.panels.hidden.along_body && state.study.is_some() && !has_board(state) {
        let width = if roomy < 1100.0 { 160.0 } else { 190.0 };
        let panel = egui::Panel::right("along_body").resizable(true).default_size(width).size_range(150.0..=300.0);
        panel.frame(frame.inner_margin(6)).show(ui, |ui| along_body::show(ui, state));
    }
    state.panels.tour.saw(tour::Spot::Views, ui.available_rect_before_wrap());
    notices::show(ui, state);
    help::show(ui, state);
    tour::show(ui, state);
}

/// Brings the crosshair to a voxel.
fn go_to(state: &mut State, voxel: [usize; 3]) {
    let Some(study) = &state.study else { return };
    let size = study.geometry().size;
    state.view.cursor = std::array::from_fn(|n| voxel[n].min(size[n].saturating_sub(1)));
}

/// Brings another axial slice on screen.
fn go_to_slice(state: &mut State, slice: usize) {
    let [i, j, _] = state.view.cursor;
    go_to(state, [i, j, slice]);
}

/// Whether a panel takes the place of the views.
pub fn has_board(state: &State) -> bool {
    state.panels.tab == side::Tab::Learn
}

/// Draws what a panel shows in place of the views.
pub fn show_board(ui: &mut egui::Ui, state: &mut State) {
    egui::CentralPanel::default().show(ui, |ui| learn::show_board(ui, state));
}
