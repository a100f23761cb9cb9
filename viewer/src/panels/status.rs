//! The line at the bottom: what is under the mouse, which slice and window are shown, and once, calmly, what this program
//! is not.

use attention_anatomy::anatomy::Organ;
use attention_anatomy::report::NOT_A_MEDICAL_DEVICE;
use egui::{Align, Layout, RichText, Ui};

use super::context::{Context, Panel};
use super::widgets::slice_number;
use crate::document::Study;

/// HU, label and position of a voxel, for people.
fn at(study: &Study, voxel: [usize; 3]) -> Option<String> {
    let [nx, ny, nz] = study.geometry().size;
    let [i, j, k] = voxel;
    if i >= nx || j >= ny || k >= nz {
        return None;
    }
    let hu = study.ct.voxels.get(i + nx * (j + ny * k))?;
    let organ = match Organ::from_label(study.labels.layer().get(voxel)) {
        Some(organ) if study.labels.is_edited(voxel) => format!("{organ} (by hand)"),
        Some(organ) => organ.name().to_string(),
        None => "no organ".to_string(),
    };
    let [x, y, z] = study.geometry().to_patient(voxel.map(|n| n as f64));
    let side = |v: f64, plus: &str, minus: &str| format!("{} {:.1}", if v < 0.0 { minus } else { plus }, v.abs());
    Some(format!("{hu} HU   {organ}   {}  {}  {} mm", side(x, "L", "R"), side(y, "P", "A"), side(z, "S", "I")))
}

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
                match cx.document.view.hover.and_then(|(_, voxel)| at(study, voxel)) {
                    Some(text) => ui.label(small(text)),
                    None => ui.label(small("Point at the picture for HU, organ and position.".into()).weak()),
                };
            }
            None => {
                ui.label(small("No scan is open. Nothing that you open leaves this computer.".into()).weak());
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(small("Not a medical device".into()).weak()).on_hover_text(NOT_A_MEDICAL_DEVICE);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::tests::sample;

    #[test]
    fn a_voxel_is_told_with_hu_organ_and_patient_position() {
        let study = sample::study();
        let [i, j, k] = study.labels.centre(Organ::Liver).unwrap();
        let text = at(&study, [i, j, k]).unwrap();
        let [x, y, z] = study.geometry().to_patient([i as f64, j as f64, k as f64]);
        assert!(text.starts_with("60 HU   Liver"), "{text}");
        // The liver lies on the patient's right, and this body below the origin.
        assert!(x < 0.0 && text.contains(&format!("R {:.1}", -x)), "{text} {x}");
        assert!(text.contains(&format!("{} {:.1}", if y < 0.0 { "A" } else { "P" }, y.abs())), "{text} {y}");
        assert!(text.contains(&format!("I {:.1} mm", -z)), "{text} {z}");
        assert_eq!(at(&study, [999, 0, 0]), None);
    }
}
