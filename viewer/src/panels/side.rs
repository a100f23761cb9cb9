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

impl Tab {
    /// In the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Attention, Self::Correct, Self::Compare, Self::Learn];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attention => "Attention",
            Self::Correct => "Correct",
            Self::Compare => "Compare",
            Self::Learn => "Learn",
        }
    }
}

/// Draws the tabs and the one that is chosen.
pub fn show(ui: &mut egui::Ui, state: &mut State) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for tab in Tab::ALL {
            ui.selectable_value(&mut state.panels.tab, tab, tab.name());
        }
    });
    ui.separator();
    match state.panels.tab {
        Tab::Attention => super::attention::show(ui, state),
        Tab::Correct => super::correct::show(ui, state),
        Tab::Compare => super::compare::show(ui, state),
        Tab::Learn => super::learn::show(ui, state),
    }
}
