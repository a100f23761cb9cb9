//! Structures that are none of the 33 organs: what came with a structure set, and what was made of organs.

use egui::{Rect, RichText, Sense, TextStyle, Ui, pos2, vec2};

use super::super::context::Context;
use super::super::icons::Icon;
use super::super::widgets::{elided, icon_button_at, millilitres, swatch};

const ROW: f32 = 28.0;

/// Draws them, if there are any.
pub fn show(ui: &mut Ui, cx: &mut Context<'_>) {
    let Some(study) = &cx.document.study else { return };
    if study.labels.extras().is_empty() {
        return;
    }
    let (size, voxel_ml) = (study.geometry().size, study.geometry().voxel_ml());
    let extras = study.labels.extras().to_vec();
    ui.horizontal(|ui| {
        ui.label(RichText::new("Other structures").strong());
        ui.label(RichText::new(extras.len().to_string()).small().weak());
    });
    for extra in extras {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
        let hidden = cx.document.view.hidden_extras.contains(&extra.number);
        let volume = millilitres(extra.voxel_count() as f64 * voxel_ml);
        let name = format!("{}, {volume}{}", extra.name, if extra.edited { ", made here" } else { "" });
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        if ui.is_rect_visible(rect) {
            if response.hovered() || response.has_focus() {
                ui.painter().rect_filled(rect, 4.0, ui.visuals().faint_bg_color);
            }
            let square = Rect::from_center_size(pos2(rect.left() + 14.0, rect.center().y), vec2(16.0, 16.0));
            swatch(ui, square, extra.colour, hidden);
            let weak = ui.visuals().weak_text_color();
            let volume = elided(ui, &volume, TextStyle::Small, weak, 70.0);
            let width = rect.width() - 28.0 - ROW - 8.0 - volume.size().x;
            let ink = ui.visuals().text_color();
            let text = elided(ui, &extra.name, TextStyle::Body, ink, width);
            let middle = |height: f32| rect.center().y - height / 2.0;
            ui.painter().galley(pos2(rect.left() + 28.0, middle(text.size().y)), text, ink);
            let at = pos2(rect.right() - ROW - 4.0 - volume.size().x, middle(volume.size().y));
            ui.painter().galley(at, volume, weak);
        }
        let id = response.id;
        let hint = if extra.interpreted_type.is_empty() {
            extra.name.clone()
        } else {
            format!("{} ({})", extra.name, extra.interpreted_type)
        };
        if response.on_hover_text(hint).clicked()
            && let Some(centre) = extra.centre(size)
        {
            cx.document.go_to(centre);
        }
        let eye = Rect::from_center_size(pos2(rect.right() - ROW / 2.0, rect.center().y), vec2(ROW, ROW));
        let icon = if hidden { Icon::EyeShut } else { Icon::Eye };
        if icon_button_at(ui, eye, id.with("eye"), icon, &format!("Show {}", extra.name), Some(!hidden)).clicked() {
            let hidden_extras = &mut cx.document.view.hidden_extras;
            if !hidden_extras.remove(&extra.number) {
                hidden_extras.insert(extra.number);
            }
        }
    }
    ui.add_space(6.0);
}
