//! All that is known of the chosen organ, and how it is drawn.

use attention_anatomy::anatomy::{Organ, Region};
use egui::{RichText, Ui};

use super::super::context::Context;
use super::super::widgets::{cut_by_scan, grouped, millilitres, slice_number};
use super::known::known;

/// Draws it.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>, organ: Organ) {
    ui.label(RichText::new(organ.name()).strong());
    let mut lines: Vec<(&str, String)> = Vec::new();
    if let Some(study) = &cx.document.study
        && let (Some((first, last)), Some(hu)) = (study.labels.first_last_slice(organ), study.labels.mean_hu(organ))
    {
        let voxels = grouped(study.labels.voxel_count(organ));
        lines.push(("Volume", format!("{} ({voxels} voxels)", millilitres(study.labels.volume_ml(organ)))));
        lines.push(("Mean", format!("{hu:.0} HU")));
        let (low, high) = (study.slice_mm(first), study.slice_mm(last));
        lines.push((
            "Slices",
            format!("{} to {} (z {low:.0} to {high:.0} mm)", slice_number(first), slice_number(last)),
        ));
        // A volume is that of what was scanned.
        if let Some(cut) = cut_by_scan(Some((first, last)), &study.scanned) {
            lines.push(("Cut off", cut.to_string()));
        }
    } else {
        lines.push(("Found", if cx.document.study.is_some() { "no voxel" } else { "no scan is open" }.to_string()));
    }
    let regions: Vec<String> = organ.regions().iter().map(|r: &Region| r.name().to_lowercase()).collect();
    lines.push(("Lies in", regions.join(", ")));
    lines.push(("TG-263", organ.tg263().to_string()));
    egui::Grid::new("facts").num_columns(2).spacing([8.0, 1.0]).min_row_height(0.0).show(ui, |ui| {
        for (name, value) in lines {
            ui.label(RichText::new(name).small().weak());
            ui.add(egui::Label::new(RichText::new(value).small()).wrap());
            ui.end_row();
        }
    });
    ui.add(egui::Label::new(RichText::new(known(&cx.document.model, organ).sentence()).small().weak()).wrap());
    let style = &mut cx.document.view.styles[organ.index()];
    ui.horizontal(|ui| {
        ui.checkbox(&mut style.outline, "Outline");
        ui.checkbox(&mut style.fill, "Fill");
        ui.spacing_mut().slider_width = (ui.available_width() - 8.0).clamp(40.0, 120.0);
        let slider = egui::Slider::new(&mut style.opacity, 0.0..=1.0).show_value(false);
        let name = format!("Opacity of {}", organ.name().to_lowercase());
        ui.add_enabled(style.fill, slider).on_hover_text(&name).accessible_name(name);
    });
}
