//! Everything around the views. A panel owns its state, reads and changes the [`Document`], and puts what others have to do
//! into the [`Outbox`]; no panel uses another one. A new panel takes a file of its own and a place in [`Panels`].
//!
//! | file | what |
//! |---|---|
//! | `context.rs` | what a panel is given, and what panels know of each other |
//! | `top/` | open, save, layout, tools, device, run controls and progress |
//! | `organs/` | the 33 organs: colour, visibility, volume, where |
//! | `sheets.rs` | the same panels on a small screen, one at a time |
//! | `side.rs` | tabs on the right: attention, correct, compare, learn |
//! | `attention/` | bars of the slice on screen, what-if, warnings, uncertain slices |
//! | `along_body/` | strip along the body: attention heat map, region ribbon |
//! | `correct.rs` | tools that change labels |
//! | `compare.rs`, `compare/table.rs` | metrics against a second label map |
//! | `learn/` | a small network learning live |
//! | `subject.rs` | whose scan it is, above the views |
//! | `status.rs` | position, HU, organ under the mouse; the disclaimer |
//! | `export.rs`, `export/send.rs` | what will be written or sent, before it is |
//! | `archive/` | studies and series of an archive; what the program is connected to |
//! | `questions.rs` | what the user has to say before something goes on |
//! | `notices.rs` | errors, warnings, opening with progress and cancel |
//! | `help.rs`, `tour.rs` | shortcuts, guided tour |
//! | `scale.rs`, `widgets.rs`, `icons.rs` | what several panels use |

mod along_body;
mod archive;
mod attention;
mod compare;
mod context;
mod correct;
mod export;
mod help;
mod icons;
mod learn;
mod notices;
mod organs;
mod questions;
mod scale;
mod sheets;
mod side;
mod status;
mod subject;
#[cfg(test)]
pub(crate) mod tests;
mod top;
mod tour;
mod widgets;

use egui::{Frame, Margin};

pub use along_body::spoken as spoken_attention;
pub use context::{Arrangement, Context, Hidden, Panel, Sheet, Spot, Tab};
pub use scale::Scale;
pub use subject::spoken as spoken_scan;

use crate::display::Form;
use crate::document::{Document, Outbox};
use crate::edit::EditSettings;
use crate::theme::Needs;
use crate::worker::{Event, LearnEvent};
use crate::{focus, theme};

/// All panels.
#[derive(Debug, Default)]
pub struct Panels {
    /// What they know of each other.
    pub arrangement: Arrangement,
    /// The tabs on the right.
    pub side: side::Side,
    top: top::Top,
    status: status::Status,
    subject: subject::Subject,
    organs: organs::Organs,
    along_body: along_body::AlongBody,
    notices: notices::NoticeCards,
    questions: questions::Questions,
    export: export::ExportDialog,
    archive: archive::ArchivePanel,
    connected: archive::Connected,
    help: help::Help,
    tour: tour::Tour,
    bar: sheets::Bar,
    /// What the system asks of the looks.
    pub needs: Needs,
    theme: Option<theme::Applied>,
}

impl Panels {
    fn all(&mut self) -> [&mut dyn Panel; 11] {
        [
            &mut self.top,
            &mut self.status,
            &mut self.organs,
            &mut self.side,
            &mut self.along_body,
            &mut self.notices,
            &mut self.questions,
            &mut self.export,
            &mut self.archive,
            &mut self.help,
            &mut self.tour,
        ]
    }

    /// Gives an event to the panel that it is for; the others come back.
    pub fn apply(&mut self, event: Event) -> Option<Event> {
        let Event::Learn(event) = event else { return Some(event) };
        self.training(&event);
        None
    }

    /// What was drawn in the last window is not there in this one.
    pub fn new_window(&mut self) {
        self.all().into_iter().for_each(|panel| panel.new_window());
    }

    fn training(&mut self, event: &LearnEvent) {
        self.all().into_iter().for_each(|panel| panel.training(event));
    }

    /// How the tools that change labels are set.
    pub fn edit_settings(&self) -> &EditSettings {
        &self.side.correct.settings
    }

    /// Draws all panels; what is left of `ui` is for the views.
    pub fn show(&mut self, ui: &mut egui::Ui, document: &mut Document, outbox: &mut Outbox) {
        focus::begin(ui.ctx());
        let screen = ui.ctx().content_rect().size();
        document.view.form = Form::of(screen.x, screen.y);
        self.arrangement.has_sheets = document.view.form.has_sheets();
        let needs = Needs { touch: self.arrangement.has_sheets, ..self.needs };
        theme::apply(ui.ctx(), &mut document.preferences, needs, &mut self.theme);
        let mut arrangement = std::mem::take(&mut self.arrangement);
        let cx = &mut Context { document, outbox, arrangement: &mut arrangement };
        self.all().into_iter().for_each(|panel| panel.update(ui.ctx(), cx));
        let frame = Frame::side_top_panel(ui.style());
        egui::Panel::top("top").frame(frame.inner_margin(6)).show(ui, |ui| self.top.show(ui, cx));
        if cx.document.archives.is_connected {
            let frame = frame.inner_margin(Margin::symmetric(8, 1));
            egui::Panel::top("connected").frame(frame).show(ui, |ui| self.connected.show(ui, cx));
        }
        if cx.arrangement.has_sheets {
            self.around_small_screen(ui, cx);
        } else {
            self.around(ui, cx);
        }
        if cx.document.study.is_some() && !cx.arrangement.has_board() {
            let frame = frame.inner_margin(Margin::symmetric(8, 0));
            egui::Panel::top("subject").frame(frame).show(ui, |ui| self.subject.show(ui, cx));
        }
        cx.arrangement.saw(Spot::Views, ui.available_rect_before_wrap());
        self.notices.show(ui, cx);
        self.questions.show(ui, cx);
        self.export.show(ui, cx);
        self.archive.show(ui, cx);
        self.help.show(ui, cx);
        self.tour.show(ui, cx);
        self.arrangement = arrangement;
    }

    /// The panels beside the views.
    fn around(&mut self, ui: &mut egui::Ui, cx: &mut Context<'_>) {
        let frame = Frame::side_top_panel(ui.style());
        egui::Panel::bottom("status").frame(frame.inner_margin(Margin::symmetric(8, 3))).show(ui, |ui| {
            self.status.show(ui, cx);
        });
        // A window that is too narrow for all keeps its views: the panels may then be reached one at a time.
        let roomy = ui.available_width();
        if !cx.arrangement.hidden.organs && !cx.arrangement.has_board() {
            let width = if roomy < 1100.0 { 236.0 } else { 244.0 };
            let panel = egui::Panel::left("organs").resizable(true).default_size(width).size_range(190.0..=380.0);
            panel.frame(frame.inner_margin(6)).show(ui, |ui| self.organs.show(ui, cx));
        }
        if !cx.arrangement.hidden.side {
            let width = if roomy < 1100.0 { 270.0 } else { 308.0 };
            let panel = egui::Panel::right("side").resizable(true).default_size(width).size_range(250.0..=520.0);
            panel.frame(frame.inner_margin(8)).show(ui, |ui| self.side.show(ui, cx));
        }
        if !cx.arrangement.hidden.along_body && cx.document.study.is_some() && !cx.arrangement.has_board() {
            let width = if roomy < 1100.0 { 160.0 } else { 190.0 };
            let panel = egui::Panel::right("along_body").resizable(true).default_size(width).size_range(150.0..=300.0);
            panel.frame(frame.inner_margin(6)).show(ui, |ui| self.along_body.show(ui, cx));
        }
    }

    /// Bar and line at the bottom, and the sheet that is up: from below, or beside the views where there is no height to share.
    fn around_small_screen(&mut self, ui: &mut egui::Ui, cx: &mut Context<'_>) {
        let frame = Frame::side_top_panel(ui.style());
        let screen = ui.ctx().content_rect();
        egui::Panel::bottom("bar").frame(frame.inner_margin(4)).show(ui, |ui| self.bar.show(ui, cx));
        if let Some(sheet) = cx.arrangement.sheet.filter(|sheet| cx.document.study.is_some() || *sheet == Sheet::Side) {
            let flat = screen.width() > screen.height();
            let panel = match flat {
                true => egui::Panel::right("sheet beside").default_size(0.46 * screen.width()),
                false => egui::Panel::bottom("sheet").default_size(0.46 * screen.height()),
            };
            let most = if flat { 0.7 * screen.width() } else { 0.7 * screen.height() };
            let panel = panel.resizable(true).size_range(160.0..=most).frame(frame.inner_margin(8));
            panel.show(ui, |ui| {
                sheets::header(ui, cx, sheet);
                match sheet {
                    Sheet::Organs => self.organs.show(ui, cx),
                    Sheet::AlongBody => self.along_body.show(ui, cx),
                    Sheet::Tools => self.top.show_tools(ui, cx),
                    Sheet::Side => self.side.show(ui, cx),
                }
                // As large as it was made, whatever is in it.
                ui.take_available_space();
            });
        }
        if cx.document.study.is_some() {
            let frame = frame.inner_margin(Margin::symmetric(8, 1));
            egui::Panel::bottom("status").frame(frame).show(ui, |ui| self.status.show(ui, cx));
        }
    }

    /// Draws what a panel shows in place of the views.
    pub fn show_board(&mut self, ui: &mut egui::Ui) {
        egui::CentralPanel::default().show(ui, |ui| self.side.learn.show_board(ui));
    }
}
