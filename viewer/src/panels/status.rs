//! The line at the bottom: what is under the mouse, which slice and window are shown, and once, calmly, what this program
//! is not.

use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use egui::{Align, Layout, RichText, Ui};

use super::context::{Context, Panel};
use super::widgets::slice_number;

/// The line.
#[derive(Clone, Debug, Default)]
pub struct Status;

impl Panel for Status {
    fn show(&mut self, ui: &mut Ui, cx: &mut Context<'_>) {
        show(ui, cx);
    }
}

fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    ui.horizontal(|ui| {
        // Nothing here is touched.
        ui.spacing_mut().interact_size.y = 20.0;
        ui.set_min_height(20.0);
        let small = |text: String| RichText::new(text).small();
        match &cx.document.study {
            Some(study) => {
                let slices = study.geometry().size[2];
                let slice = cx.document.view.slice();
                ui.label(small(format!("Slice {} of {slices}", slice_number(slice))));
                ui.separator();
                let window = cx.document.view.window;
                ui.label(small(format!("W {:.0}  L {:.0}", window.width, window.level)))
                    .on_hover_text("Window width and level, HU");
                ui.separator();
                match cx.document.view.hover.and_then(|(_, voxel)| study.readout(voxel)) {
                    _ if cx.document.view.form.has_sheets() => return disclaimer(ui),
                    Some(text) => ui.label(small(text)),
                    None => ui.label(small("Point at the picture for HU, organ and position.".into()).weak()),
                };
            }
            None => {
                ui.label(small("No scan is open. Nothing that you open leaves this computer.".into()).weak());
            }
        }
        disclaimer(ui);
    });
}

fn disclaimer(ui: &mut Ui) {
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.label(RichText::new("Not a medical device").small().weak()).on_hover_text(NOT_A_MEDICAL_DEVICE);
    });
}
