//! The two lines at the top: menus and the run above, layout and tools below.
//!
//! | file | what |
//! |---|---|
//! | `compact.rs` | the one line of a small screen |
//! | `menus.rs` | open, save, view, model and device |
//! | `run.rs` | run, pause, cancel; progress |
//! | `tools.rs` | layout, window presets, tools, overlay, panels |

mod compact;
mod menus;
mod run;
mod tools;

use egui::{MenuBar, Ui};

use super::context::{Context, Panel};

/// Both lines.
#[derive(Clone, Debug, Default)]
pub struct Top;

impl Panel for Top {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        if cx.arrangement.has_sheets {
            compact::show(ui, cx);
        } else {
            show(ui, cx);
        }
    }
}

impl Top {
    /// The line of tools alone, which is a sheet of a small screen.
    pub fn show_tools(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        ui.horizontal_wrapped(|ui| tools::show(ui, cx));
    }
}

fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    MenuBar::new().ui(ui, |ui| {
        menus::show(ui, cx);
        ui.separator();
        run::show(ui, cx);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            menus::model(ui, cx);
            if let Some(study) = cx.document.study.as_ref().filter(|_| !cx.document.preferences.hide_patient) {
                let name = egui::Label::new(egui::RichText::new(study.title()).weak()).truncate();
                ui.add(name).on_hover_text(study.title());
            }
        });
    });
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| tools::show(ui, cx));
}
