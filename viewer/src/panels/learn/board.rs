//! In place of the views: everything that a training shows of itself.

use egui::{RichText, ScrollArea, Slider, Ui};

use super::record::Learn;
use super::{curves, slices};

/// Width of the table of attention vectors.
const TABLE: f32 = 352.0;

/// Draws the board; before the first training, what there will be to see.
pub fn show(ui: &mut Ui, learn: &mut Learn) {
    ScrollArea::vertical().id_salt("learn board").auto_shrink(false).show(ui, |ui| {
        let Some(record) = &learn.current else {
            ui.vertical_centered(|ui| {
                ui.add_space(60.0);
                ui.heading("Watch a network learn anatomy");
                ui.label(
                    "Choose the switches on the right and start. After a few seconds of making patients you will see six \
                     slices of a patient that the network never learns from, with what it makes of them, and which organs \
                     it attends to in each.",
                );
            });
            return;
        };
        if record.evaluations.len() > 1 {
            let last = record.evaluations.len() - 1;
            let steps: Vec<u64> = record.evaluations.iter().map(|l| l.step).collect();
            let mut at = learn.chosen_evaluation.unwrap_or(last).min(last);
            ui.horizontal(|ui| {
                ui.spacing_mut().slider_width = (ui.available_width() - 330.0).clamp(80.0, 500.0);
                let slider = Slider::new(&mut at, 0..=last)
                    .text("Look back")
                    .custom_formatter(move |n, _| format!("step {}", steps.get(n as usize).copied().unwrap_or(0)));
                if ui.add(slider).changed() {
                    learn.chosen_evaluation = (at < last).then_some(at);
                }
                if ui.add_enabled(learn.chosen_evaluation.is_some(), egui::Button::new("Now")).clicked() {
                    learn.chosen_evaluation = None;
                }
            });
        }
        let learn = &*learn;
        let (Some(record), Some(evaluation)) = (&learn.current, learn.evaluation()) else { return };
        let width = ui.available_width();
        let beside = evaluation.answers.iter().any(|a| a.attention.is_some()) && width > TABLE + 420.0;
        ui.horizontal_top(|ui| {
            ui.vertical(|ui| {
                ui.set_width(if beside { width - TABLE - ui.spacing().item_spacing.x } else { width });
                slices::pictures(ui, &record.plan, evaluation);
                ui.add_space(4.0);
                curves::show(ui, record, learn.grey());
            });
            if beside {
                ui.vertical(|ui| slices::attention(ui, &record.plan, evaluation));
            }
        });
        if !beside && evaluation.answers.iter().any(|a| a.attention.is_some()) {
            slices::attention(ui, &record.plan, evaluation);
        }
        if !record.settings.attention {
            ui.label(RichText::new("Without the second branch there is neither region nor attention to show.").weak());
        }
    });
}
