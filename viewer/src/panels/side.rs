//! The tabs on the right.

use crate::state::State;

/// A tab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// What the network attends to.
    #[default]
    Attention,
    /// Tools that change labels.
    Correct,
    /// Against a second label map.
    Compare,
    /// A small network learning live.
    Learn,
}

/// Draws the tabs and the one that is chosen.
pub fn show(ui: &mut egui::Ui, state: &mut State) {
    match state.panels.tab {
        Tab::Attention => super::attention::show(ui, state),
        Tab::Correct => super::correct::show(ui, state),
        Tab::Compare => super::compare::show(ui, state),
        Tab::Learn => super::learn::show(ui, state),
    }
}
