//! The tabs on the right.

use super::attention::Attention;
use super::compare::Compare;
use super::context::{Context, Panel, Tab};
use super::correct::Correct;
use super::learn::Learn;
use crate::worker::LearnEvent;

/// The tabs, and the panels in them.
#[derive(Debug, Default)]
pub struct Side {
    /// What the network attends to.
    pub attention: Attention,
    /// Tools that change labels.
    pub correct: Correct,
    /// Against a second label map.
    pub compare: Compare,
    /// A small network learning live.
    pub learn: Learn,
}

impl Side {
    fn all(&mut self) -> [&mut dyn Panel; 4] {
        [&mut self.attention, &mut self.correct, &mut self.compare, &mut self.learn]
    }
}

impl Panel for Side {
    fn show(&mut self, ui: &mut egui::Ui, cx: &mut Context<'_>) {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for tab in Tab::ALL {
                ui.selectable_value(&mut cx.arrangement.tab, tab, tab.name());
            }
        });
        ui.separator();
        match cx.arrangement.tab {
            Tab::Attention => self.attention.show(ui, cx),
            Tab::Correct => self.correct.show(ui, cx),
            Tab::Compare => self.compare.show(ui, cx),
            Tab::Learn => self.learn.show(ui, cx),
        }
    }

    fn update(&mut self, ctx: &egui::Context, cx: &mut Context<'_>) {
        self.all().into_iter().for_each(|panel| panel.update(ctx, cx));
    }

    fn training(&mut self, event: &LearnEvent) {
        self.all().into_iter().for_each(|panel| panel.training(event));
    }
}
