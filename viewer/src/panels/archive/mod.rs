//! Archives: studies, the series of one, and what is opened of them; on the page and on the desktop alike. Nothing is asked before somebody
//! clicks.
//!
//! | file | what |
//! |---|---|
//! | `rows.rs` | lines of a list that mouse and keyboard choose from |
//! | `studies.rs` | what is searched for, and the studies that were found |
//! | `series.rs` | the series of a study |
//! | `connected.rs` | the line at the top that says what the page or program is connected to |

mod connected;
mod rows;
mod series;
mod studies;

use egui::{ComboBox, Label, Modal, RichText, TextEdit, Ui, vec2};

use super::context::{Context, Panel};
use crate::document::{Document, Outbox, Source, Token, Writes};
use crate::theme;
use studies::Search;

pub use connected::Connected;

/// Addresses of archives that are remembered.
const REMEMBERED: usize = 5;

/// The dialog.
#[derive(Clone, Debug, Default)]
pub struct ArchivePanel {
    is_open: bool,
    /// Only what was drawn on the open scan is shown.
    of_open_scan: bool,
    search: Search,
    /// The study that is chosen in the list.
    chosen: Option<String>,
    /// What the user typed for address and token; the token goes when it is taken.
    address: String,
    token: String,
    /// What is wrong with the address.
    wrong: Option<String>,
}

impl Panel for ArchivePanel {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        if std::mem::take(&mut cx.document.archives.is_wanted) {
            (self.is_open, self.of_open_scan) = (true, false);
            self.chosen = cx.document.archives.series.as_ref().map(|(study, _)| study.clone());
        }
        if let Some(of_open_scan) = cx.arrangement.archive.take() {
            (self.is_open, self.of_open_scan) = (true, of_open_scan);
            if let Some(origin) =
                cx.document.study.as_ref().and_then(|study| study.origin.clone()).filter(|_| of_open_scan)
            {
                cx.document.list_series(&origin.study, cx.outbox);
                self.chosen = Some(origin.study);
            }
        }
        // What was chosen is on its way: its progress is what there is to see.
        if !self.is_open || cx.document.opening.is_some() {
            self.is_open = self.is_open && cx.document.opening.is_none();
            return;
        }
        let frame = egui::Frame::popup(ui.style()).inner_margin(theme::DIALOG);
        let modal = Modal::new(egui::Id::unique("archive")).frame(frame).show(ui.ctx(), |ui| {
            let room = ui.ctx().content_rect().size();
            ui.set_width((room.x - 60.0).clamp(260.0, 980.0));
            theme::let_dialog_grow(ui);
            self.contents(ui, cx)
        });
        if modal.inner || modal.should_close() {
            self.is_open = false;
        }
    }
}

impl ArchivePanel {
    /// Whether it is to be closed.
    fn contents(&mut self, ui: &mut Ui, cx: &mut Context<'_>) -> bool {
        let title = if self.of_open_scan { "Structures from the archive" } else { "Open from archive" };
        ui.heading(title);
        ui.add_space(2.0);
        if self.of_open_scan {
            ui.weak("What was drawn on the open scan, as the archive has it.");
        } else {
            self.whom(ui, cx.document);
            if cx.document.archives.source().is_some() {
                self.search.fields(ui, cx.document, cx.outbox);
            }
        }
        let problem = self.wrong.as_ref().or(cx.document.archives.problem.as_ref());
        if let Some(problem) = problem {
            ui.add_space(4.0);
            ui.add(
                Label::new(RichText::new(problem.as_str()).color(ui.visuals().error_fg_color)).wrap().selectable(true),
            );
        }
        ui.add_space(4.0);
        let (document, outbox) = (&mut *cx.document, &mut *cx.outbox);
        if !self.of_open_scan {
            let before = self.chosen.clone();
            self.search.list(ui, document, outbox, &mut self.chosen);
            if let Some(study) = self.chosen.as_ref().filter(|study| before.as_ref() != Some(*study)) {
                document.list_series(study, outbox);
            }
        }
        self.series(ui, document, outbox);
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            let is_closed = ui.add(egui::Button::new("Close").min_size(vec2(96.0, theme::target(ui)))).clicked();
            if document.archives.is_busy() {
                ui.spinner();
                ui.weak("Asking\u{2026}");
            }
            is_closed
        })
        .inner
    }

    fn series(&self, ui: &mut Ui, document: &mut Document, outbox: &mut Outbox) {
        let listed = document.archives.series.as_ref().filter(|(study, _)| self.chosen.as_ref() == Some(study));
        let Some((study, rows)) = listed.cloned() else { return };
        ui.separator();
        let is_open_study =
            document.study.as_ref().and_then(|study| study.origin.as_ref()).is_some_and(|origin| origin.study == study);
        if let Some((uid, as_what)) = series::list(ui, &rows, is_open_study, self.of_open_scan) {
            document.open_series(&study, vec![uid], as_what, outbox);
        }
    }

    /// Which archive is asked, and by whom.
    fn whom(&mut self, ui: &mut Ui, document: &mut Document) {
        ui.horizontal_wrapped(|ui| {
            let archives = &mut document.archives;
            if archives.sources.len() > 1 {
                let now = archives.source().map_or(String::new(), |source| source.name.clone());
                let mut chosen = archives.chosen;
                let combo = ComboBox::from_id_salt("archives").selected_text(now).show_ui(ui, |ui| {
                    for (place, source) in archives.sources.iter().enumerate() {
                        ui.selectable_value(&mut chosen, place, source.name.as_str())
                            .on_hover_text(source.root.to_string());
                    }
                });
                combo.response.accessible_name("Archive");
                if chosen != archives.chosen {
                    archives.choose(chosen);
                    self.chosen = None;
                }
            } else if let Some(source) = archives.source() {
                ui.label(RichText::new(&source.name).strong()).on_hover_text(source.root.to_string());
            }
            if !cfg!(target_family = "wasm") {
                self.address(ui, document);
            }
            self.who(ui, document);
        });
    }

    /// On the desktop the user names the archive.
    fn address(&mut self, ui: &mut Ui, document: &mut Document) {
        if self.address.is_empty()
            && document.archives.sources.is_empty()
            && let Some(last) = document.preferences.archives.first()
        {
            self.address.clone_from(last);
        }
        let label = ui.label("Address");
        let hint = "https://archive.example/dicom-web";
        let edit =
            ui.add(TextEdit::singleline(&mut self.address).hint_text(hint).desired_width(300.0)).labelled_by(label.id);
        let enter = edit.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        if !(ui.button("Connect").on_hover_text("Asks nothing yet: Search does").clicked() || enter) {
            return;
        }
        match self.address.parse::<attention_anatomy::dicomweb::Root>() {
            Ok(root) if root.origin().is_some() => {
                let name = root.to_string();
                let preferences = &mut document.preferences.archives;
                preferences.retain(|other| *other != name);
                preferences.insert(0, name.clone());
                preferences.truncate(REMEMBERED);
                let writes = vec![Writes::StructureSets, Writes::Segmentations];
                let archives = &mut document.archives;
                archives.sources.retain(|source| source.root != root);
                archives.sources.insert(0, Source { name, root, writes });
                archives.choose(0);
                (self.wrong, self.chosen) = (None, None);
            }
            Ok(root) => {
                self.wrong = Some(attention_anatomy::dicomweb::AddressError::NotHttp(root.to_string()).to_string())
            }
            Err(error) => self.wrong = Some(error.to_string()),
        }
    }

    /// A token, where the archive wants one.
    fn who(&mut self, ui: &mut Ui, document: &mut Document) {
        let has_one = document.archives.token.is_some();
        let hint = if has_one { "a token is given" } else { "token, if needed" };
        let edit = TextEdit::singleline(&mut self.token).password(true).hint_text(hint).desired_width(150.0);
        let edit = ui.add(edit).on_hover_text("Sent to this archive alone, kept in memory alone");
        let edit = edit.accessible_name("Token");
        if edit.lost_focus() && !self.token.is_empty() {
            document.archives.token = Token::of(&std::mem::take(&mut self.token));
            self.wrong = (!document.archives.token.is_some())
                .then(|| "that is no token: one is a line of plain characters".into());
        }
    }
}
