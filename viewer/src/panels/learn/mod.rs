//! A small network learning live, for those who teach: what attention and re-calibration are for, in a minute or two.
//!
//! | file | what |
//! |---|---|
//! | `record.rs` | what is known of the trainings: this one, and earlier ones to compare with |
//! | `controls.rs` | beside the views: switches, start, progress, scores |
//! | `board.rs` | in place of the views: where everything lies |
//! | `slices.rs` | slices with truth and prediction, their regions, their attention |
//! | `curves.rs` | losses and scores over the steps |

mod board;
mod controls;
mod curves;
mod record;
mod slices;
#[cfg(test)]
mod tests;

pub use record::Learn;

use super::context::{Context, Panel};
use crate::worker::LearnEvent;

impl Panel for Learn {
    fn show(&mut self, ui: &mut egui::Ui, cx: &mut Context<'_>) {
        controls::show(self, ui, cx);
    }

    fn training(&mut self, event: &LearnEvent) {
        self.apply(event);
    }
}

impl Learn {
    /// Draws what stands in place of the views.
    pub fn show_board(&mut self, ui: &mut egui::Ui) {
        board::show(ui, self);
    }
}
