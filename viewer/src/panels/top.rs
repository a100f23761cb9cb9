//! See the table in the module above.

use crate::state::State;

/// Draws it.
pub fn show(_ui: &mut egui::Ui, _state: &mut State) {}
