//! The two lines at the top: menus and the run above, layout and tools below.
//!
//! | file | what |
//! |---|---|
//! | `menus.rs` | open, save, view, model and device |
//! | `run.rs` | run, pause, cancel; progress |
//! | `tools.rs` | layout, window presets, tools, overlay, panels |

mod menus;
mod run;
mod tools;

use egui::{MenuBar, Ui};

use crate::state::State;

/// Draws both lines.
pub fn show(ui: &mut Ui, state: &mut State) {
    MenuBar::new().ui(ui, |ui| {
        menus::show(ui, state);
        ui.separator();
        run::show(ui, state);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            menus::model(ui, state);
            if let Some(study) = &state.study {
                let name = egui::Label::new(egui::RichText::new(study.name.as_str()).weak()).truncate();
                ui.add(name).on_hover_text(study.name.as_str());
            }
        });
    });
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| tools::show(ui, state));
}
